// 2 MiB of flash: 512 KiB for firmware, 512 KiB of ROMFS at 0x10080000, 1 MiB of files.
#define MICROPY_HW_BOARD_NAME "Raspberry Pi Pico with smidgen"
#define MICROPY_HW_ROMFS_BYTES (512 * 1024)
#define MICROPY_HW_FLASH_STORAGE_BYTES (1024 * 1024)
