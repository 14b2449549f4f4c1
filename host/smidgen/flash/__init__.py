"""MicroPython onto a board: `plan_flash` finds out what would be done, `execute` does it. docs/flashing.md.

    plan = plan_flash("pico", "RPI_PICO-v1.25.0.uf2")
    result = execute(plan)
    print(result.sentence)

esptool (extra `flash`) is needed for Espressif chips, mpflash (extra `download`) for firmware by version.
"""

from __future__ import annotations

from smidgen.flash.execution import FlashResult, execute
from smidgen.flash.plan import FlashPlan, plan_flash
from smidgen.flash.state import FlashError, FlashState
from smidgen.flash.system import Progress, System, UsbPort
from smidgen.flash.target import Target
from smidgen.flash.volume import VOLUMES_VARIABLE, Volume

__all__ = [
    "VOLUMES_VARIABLE",
    "FlashError",
    "FlashPlan",
    "FlashResult",
    "FlashState",
    "Progress",
    "System",
    "Target",
    "UsbPort",
    "Volume",
    "execute",
    "plan_flash",
]
