# Frozen into the firmware of sim:pico: what MicroPython's own manifest has, without the drivers of micropython-lib,
# which Debian's package does not contain.
freeze("$(PORT_DIR)/modules")
include("$(MPY_DIR)/extmod/asyncio")
