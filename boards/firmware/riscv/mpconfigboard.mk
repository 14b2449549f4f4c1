# QEMU's riscv32 virt: an RV32IMAC, with 240 KiB of heap.
QEMU_ARCH = riscv32
QEMU_MACHINE = virt
MICROPY_HEAP_SIZE = 245760
LDSCRIPT = mcu/rv32/virt.ld
MPY_CROSS_FLAGS += -march=rv32imc

# With the newer specification GCC 12 would take a 64-bit libgcc.
RV32_ARCH = rv32imac
AFLAGS += -misa-spec=2.2
LDFLAGS += -misa-spec=2.2

CFLAGS += -DQEMU_SOC_VIRT -DMICROPY_HW_MCU_NAME='"RV32IMAC"'
SRC_BOARD_O += shared/runtime/gchelper_native.o shared/runtime/gchelper_rv32i.o

include $(BOARD_DIR)/../qemu/board.mk
SRC_C += $(SMIDGEN_QEMU_DIR)/machine_virt.c
