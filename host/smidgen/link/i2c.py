"""Who is on an I2C bus of a board."""

from __future__ import annotations

import ast
from collections.abc import Callable

# machine.I2C.scan() drives the pins without the I2C controller on some ports; a read of one byte does on none.
_SCAN = """
def _(bus):
    for address in range(8, 120):
        try:
            bus.readfrom(address, 1)
            yield address
        except OSError:
            pass
print(list(_({bus})))
del _
"""


def who_answers(execute: Callable[[str], str], bus: str) -> str:
    """The addresses that answer, or "nobody". bus: MicroPython expression of a machine.I2C."""
    found = ast.literal_eval(execute(_SCAN.format(bus=bus)).strip())
    return ", ".join(f"{address:#04x}" for address in found) or "nobody"
