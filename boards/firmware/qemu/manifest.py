# Frozen into the firmware of the QEMU boards.
include("$(MPY_DIR)/extmod/asyncio")
freeze("modules")
