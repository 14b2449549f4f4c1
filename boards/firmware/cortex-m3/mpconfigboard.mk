# QEMU's mps2-an385: a Cortex-M3, with 240 KiB of heap as on an RP2040.
QEMU_ARCH = arm
QEMU_MACHINE = mps2-an385
MICROPY_HEAP_SIZE = 245760
LDSCRIPT = mcu/arm/mps2.ld
MPY_CROSS_FLAGS += -march=armv7m

CFLAGS += -mthumb -mcpu=cortex-m3 -mfloat-abi=soft -DQEMU_SOC_MPS2 -DMICROPY_HW_MCU_NAME='"Cortex-M3"'
SRC_BOARD_O = shared/runtime/gchelper_native.o shared/runtime/gchelper_thumb2.o

include $(BOARD_DIR)/../qemu/mps2.mk
