# What the QEMU boards have in common: included by their mpconfigboard.mk, which upstream's ports/qemu/Makefile includes.
#
#     make -C ports/qemu BOARD_DIR=.../boards/firmware/cortex-m3 BUILD=... FROZEN_MANIFEST=.../qemu/manifest.py

SMIDGEN_QEMU_DIR := $(abspath $(BOARD_DIR)/../qemu)

CFLAGS += -I$(SMIDGEN_QEMU_DIR) -DMP_CONFIGFILE='"board_config.h"'
MICROPY_VFS_LFS2 = 1

SRC_C += $(addprefix $(SMIDGEN_QEMU_DIR)/, boot.c clock.c console.c memory.c reset.c) shared/timeutils/timeutils.c

COMMA := ,
# Functions of upstream's port that ours stand in for, under the name __wrap_*.
WRAPPED = exit uart_init mp_init mp_hal_stdin_rx_chr mp_hal_stdio_poll mp_hal_ticks_us mp_hal_ticks_ms mp_hal_ticks_cpu \
	mp_hal_time_ns mp_hal_delay_us mp_hal_delay_ms $(WRAPPED_BY_MACHINE)
LDFLAGS += $(addprefix -Wl$(COMMA)--wrap=, $(WRAPPED))
