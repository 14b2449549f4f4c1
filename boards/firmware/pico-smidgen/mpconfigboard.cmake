# A Raspberry Pi Pico with smidgen in its firmware and a ROMFS partition for models:
#
#     make -C ports/rp2 BOARD=pico-smidgen BOARD_DIR=/path/to/smidgen/boards/firmware/pico-smidgen
set(PICO_BOARD "pico")
set(PICO_PLATFORM "rp2040")
set(USER_C_MODULES ${MICROPY_BOARD_DIR}/../../../native/module)
set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)
