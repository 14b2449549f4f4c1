/* The engine in MicroPython: what device/smidgen/model.py builds the class Model on.
 *
 *     _load(blob)      -> an engine; (status, message, place, index, found, expected) if the blob is refused;
 *                         an int, the bytes of the arena, if there is not that much memory
 *     _typecode(x)     -> typecode of a buffer as an int; None for an object that is not a buffer
 *     memoryview(engine)  the arena, as signed bytes
 *     engine.run(k)       runs operator k
 *
 * One source for a native module (dynruntime) and for a module `_smidgen` inside firmware (USER_C_MODULES). */
#if MICROPY_ENABLE_DYNRUNTIME
#include "py/dynruntime.h"
#else
#include "py/runtime.h"
#endif

#include "../core/internal.h"

#if MICROPY_ENABLE_DYNRUNTIME
/* A native module has no initialised data, so mpy_init fills this in; and its variables cannot be static. */
mp_obj_full_type_t smidgen_engine_type;
#define m_malloc_maybe(bytes) m_realloc_maybe(NULL, (bytes), false)
#else
extern const mp_obj_type_t smidgen_engine_type;
#endif
#define ENGINE_TYPE ((const mp_obj_type_t *)&smidgen_engine_type)

typedef struct {
    mp_obj_base_t base;
    mp_obj_t blob; /* keeps the blob from being collected */
    void *memory;  /* the arena; this pointer keeps it */
    size_t blob_bytes;
    size_t memory_bytes;
    struct smg_model model;
} engine_t;

/* Methods may be called on anything: Engine.run(3, 0). */
static engine_t *get_engine(mp_obj_t object)
{
    if (mp_obj_get_type(object) != ENGINE_TYPE) {
        mp_raise_TypeError(MP_ERROR_TEXT("not an engine"));
    }
    return MP_OBJ_TO_PTR(object);
}

static mp_obj_t status_message(int status)
{
    char text[SMG_MESSAGE_BYTES];
    uint32_t length = smg_status_message(status, text);
    return mp_obj_new_str(text, length);
}

static void raise_unless_ok(int status)
{
    if (status != SMG_OK) {
        mp_raise_type_arg(&mp_type_ValueError, status_message(status));
    }
}

static mp_obj_t fault_tuple(const struct smg_fault *fault)
{
    mp_obj_t items[6];
    items[0] = mp_obj_new_int(fault->status);
    items[1] = status_message(fault->status);
    items[2] = mp_obj_new_int(fault->place);
    items[3] = mp_obj_new_int_from_uint(fault->index);
    /* Both numbers fit an i32 or a u32. */
    items[4] = fault->found < 0 ? mp_obj_new_int((mp_int_t)fault->found)
                                : mp_obj_new_int_from_uint((mp_uint_t)fault->found);
    items[5] = fault->expected < 0 ? mp_obj_new_int((mp_int_t)fault->expected)
                                   : mp_obj_new_int_from_uint((mp_uint_t)fault->expected);
    return mp_obj_new_tuple(6, items);
}

static mp_obj_t smidgen_load(mp_obj_t blob)
{
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(blob, &buffer, MP_BUFFER_READ);
    engine_t *self = mp_obj_malloc(engine_t, ENGINE_TYPE);
    struct smg_fault fault;
    if (smg_load(&self->model, buffer.buf, buffer.len, &fault) != SMG_OK) {
        return fault_tuple(&fault);
    }
    self->blob = blob;
    self->blob_bytes = buffer.len;
    self->memory_bytes = smg_header(&self->model)->arena_bytes;
    self->memory = m_malloc_maybe(self->memory_bytes);
    if (self->memory == NULL) {
        return mp_obj_new_int_from_uint(self->memory_bytes);
    }
    uint8_t *memory = self->memory;
    for (size_t i = 0; i < self->memory_bytes; ++i) {
        memory[i] = 0;
    }
    raise_unless_ok(smg_bind(&self->model, memory, self->memory_bytes));
    return MP_OBJ_FROM_PTR(self);
}
static MP_DEFINE_CONST_FUN_OBJ_1(smidgen_load_obj, smidgen_load);

static mp_obj_t smidgen_typecode(mp_obj_t object)
{
    mp_buffer_info_t buffer;
    if (!mp_get_buffer(object, &buffer, MP_BUFFER_READ)) {
        return mp_const_none;
    }
    return mp_obj_new_int(buffer.typecode);
}
static MP_DEFINE_CONST_FUN_OBJ_1(smidgen_typecode_obj, smidgen_typecode);

static mp_obj_t engine_run(mp_obj_t self_in, mp_obj_t index)
{
    engine_t *self = get_engine(self_in);
    /* A bytearray that grew may have moved, and its old memory may be anything by now. */
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(self->blob, &buffer, MP_BUFFER_READ);
    if (buffer.buf != self->model.blob || buffer.len != self->blob_bytes) {
        mp_raise_ValueError(MP_ERROR_TEXT("the blob's buffer was resized after loading"));
    }
    raise_unless_ok(smg_run_operator(&self->model, (uint32_t)mp_obj_get_int(index)));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(engine_run_obj, engine_run);

static mp_int_t engine_get_buffer(mp_obj_t self_in, mp_buffer_info_t *buffer, mp_uint_t flags)
{
    (void)flags;
    engine_t *self = MP_OBJ_TO_PTR(self_in);
    buffer->buf = self->memory;
    buffer->len = self->memory_bytes;
    buffer->typecode = 'b';
    return 0;
}

#if MICROPY_ENABLE_DYNRUNTIME

mp_map_elem_t smidgen_engine_locals_table[1];
static MP_DEFINE_CONST_DICT(engine_locals, smidgen_engine_locals_table);

mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args)
{
    MP_DYNRUNTIME_INIT_ENTRY
    (void)n_args;
    (void)n_kw;
    (void)args;
    smidgen_engine_type.base.type = &mp_type_type;
    smidgen_engine_type.flags = MP_TYPE_FLAG_NONE;
    smidgen_engine_type.name = MP_QSTR__Engine;
    smidgen_engine_locals_table[0].key = MP_OBJ_NEW_QSTR(MP_QSTR_run);
    smidgen_engine_locals_table[0].value = MP_OBJ_FROM_PTR(&engine_run_obj);
    MP_OBJ_TYPE_SET_SLOT(&smidgen_engine_type, buffer, engine_get_buffer, 0);
    MP_OBJ_TYPE_SET_SLOT(&smidgen_engine_type, locals_dict, (void *)&engine_locals, 1);
    mp_store_global(MP_QSTR__load, MP_OBJ_FROM_PTR(&smidgen_load_obj));
    mp_store_global(MP_QSTR__typecode, MP_OBJ_FROM_PTR(&smidgen_typecode_obj));
    MP_DYNRUNTIME_INIT_EXIT
}

#else

static const mp_rom_map_elem_t engine_locals_table[] = {
    {MP_ROM_QSTR(MP_QSTR_run), MP_ROM_PTR(&engine_run_obj)},
};
static MP_DEFINE_CONST_DICT(engine_locals, engine_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(smidgen_engine_type, MP_QSTR__Engine, MP_TYPE_FLAG_NONE, buffer, engine_get_buffer,
                         locals_dict, &engine_locals);

static const mp_rom_map_elem_t module_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__smidgen)},
    {MP_ROM_QSTR(MP_QSTR__load), MP_ROM_PTR(&smidgen_load_obj)},
    {MP_ROM_QSTR(MP_QSTR__typecode), MP_ROM_PTR(&smidgen_typecode_obj)},
};
static MP_DEFINE_CONST_DICT(module_globals, module_globals_table);

const mp_obj_module_t smidgen_user_cmodule = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&module_globals,
};
MP_REGISTER_MODULE(MP_QSTR__smidgen, smidgen_user_cmodule);

#endif
