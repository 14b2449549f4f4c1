# The QEMU boards with a Cortex-M.
WRAPPED_BY_MACHINE = HardFault_Handler
include $(BOARD_DIR)/../qemu/board.mk
SRC_C += $(addprefix $(SMIDGEN_QEMU_DIR)/, fault_cortex_m.c machine_mps2.c)
LDFLAGS += -T $(SMIDGEN_QEMU_DIR)/no_unwind_tables.ld
