# QEMU's mps2-an386: a Cortex-M4 with its FPU and DSP instructions, with 448 KiB of heap as on an RP2350.
QEMU_ARCH = arm
QEMU_MACHINE = mps2-an386
MICROPY_HEAP_SIZE = 458752
LDSCRIPT = mcu/arm/mps2.ld
MPY_CROSS_FLAGS += -march=armv7emsp

CFLAGS += -mthumb -mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16 -DQEMU_SOC_MPS2 -DMICROPY_HW_MCU_NAME='"Cortex-M4"'
SRC_BOARD_O = shared/runtime/gchelper_native.o shared/runtime/gchelper_thumb2.o

include $(BOARD_DIR)/../qemu/mps2.mk
