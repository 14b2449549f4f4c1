/* The module _memory: what _boot.py makes file systems of. It is in C because files that a program left open are
 * closed by a soft reset, when no Python can run. And the ROMFS, which MicroPython mounts by itself. */
#include <string.h>

#include "py/mperrno.h"
#include "py/objarray.h"
#include "py/runtime.h"
#include "extmod/vfs.h"

#include "machine.h"

#define BLOCK_BYTES 512

/* Where `length` bytes lie, `offset` bytes into a block. */
static uint8_t *locate(mp_obj_t block, mp_obj_t offset, size_t length)
{
    size_t start = (size_t)mp_obj_get_int(block) * BLOCK_BYTES + (size_t)mp_obj_get_int(offset);
    if (start > MACHINE_RAM_DISK_BYTES || length > MACHINE_RAM_DISK_BYTES - start) {
        mp_raise_OSError(MP_EINVAL);
    }
    return machine_ram_disk + start;
}

/* readblocks(block, buffer, offset=0) */
static mp_obj_t ram_disk_readblocks(size_t n_args, const mp_obj_t *args)
{
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(args[2], &buffer, MP_BUFFER_WRITE);
    memcpy(buffer.buf, locate(args[1], n_args > 3 ? args[3] : MP_OBJ_NEW_SMALL_INT(0), buffer.len), buffer.len);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(ram_disk_readblocks_obj, 3, 4, ram_disk_readblocks);

/* writeblocks(block, data, offset=0) */
static mp_obj_t ram_disk_writeblocks(size_t n_args, const mp_obj_t *args)
{
    mp_buffer_info_t data;
    mp_get_buffer_raise(args[2], &data, MP_BUFFER_READ);
    memcpy(locate(args[1], n_args > 3 ? args[3] : MP_OBJ_NEW_SMALL_INT(0), data.len), data.buf, data.len);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(ram_disk_writeblocks_obj, 3, 4, ram_disk_writeblocks);

static mp_obj_t ram_disk_ioctl(mp_obj_t self, mp_obj_t request, mp_obj_t argument)
{
    (void)self;
    (void)argument;
    switch (mp_obj_get_int(request)) {
    case MP_BLOCKDEV_IOCTL_BLOCK_COUNT:
        return MP_OBJ_NEW_SMALL_INT(MACHINE_RAM_DISK_BYTES / BLOCK_BYTES);
    case MP_BLOCKDEV_IOCTL_BLOCK_SIZE:
        return MP_OBJ_NEW_SMALL_INT(BLOCK_BYTES);
    default:
        return MP_OBJ_NEW_SMALL_INT(0);
    }
}
static MP_DEFINE_CONST_FUN_OBJ_3(ram_disk_ioctl_obj, ram_disk_ioctl);

static const mp_rom_map_elem_t ram_disk_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_readblocks), MP_ROM_PTR(&ram_disk_readblocks_obj) },
    { MP_ROM_QSTR(MP_QSTR_writeblocks), MP_ROM_PTR(&ram_disk_writeblocks_obj) },
    { MP_ROM_QSTR(MP_QSTR_ioctl), MP_ROM_PTR(&ram_disk_ioctl_obj) },
};
static MP_DEFINE_CONST_DICT(ram_disk_locals, ram_disk_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(ram_disk_type, MP_QSTR_RamDisk, MP_TYPE_FLAG_NONE, locals_dict, &ram_disk_locals);
static const mp_obj_base_t ram_disk = { &ram_disk_type };

static const mp_rom_map_elem_t memory_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__memory) },
    { MP_ROM_QSTR(MP_QSTR_ram_disk), MP_ROM_PTR(&ram_disk) },
};
static MP_DEFINE_CONST_DICT(memory_globals, memory_globals_table);

const mp_obj_module_t memory_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&memory_globals,
};
MP_REGISTER_MODULE(MP_QSTR__memory, memory_module);

mp_obj_t mp_vfs_rom_ioctl(size_t n_args, const mp_obj_t *args)
{
    (void)n_args;
    switch (mp_obj_get_int(args[0])) {
    case MP_VFS_ROM_IOCTL_GET_NUMBER_OF_SEGMENTS:
        return MP_OBJ_NEW_SMALL_INT(1);
    case MP_VFS_ROM_IOCTL_GET_SEGMENT:
        return mp_obj_new_memoryview('B', MACHINE_ROMFS_BYTES, machine_romfs);
    default:
        return MP_OBJ_NEW_SMALL_INT(-MP_EINVAL);
    }
}
