"""The architectures that MicroPython loads native code for."""

from __future__ import annotations

# By MicroPython's number (MP_NATIVE_ARCH_... in py/persistentcode.h); 0 is "no native code".
ARCHITECTURES: tuple[str | None, ...] = (
    None, "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp",
    "xtensa", "xtensawin", "rv32imc", "rv64imc",
)  # fmt: skip
