"""A voltage on an analog input of rp2040py's chip."""

from __future__ import annotations

from typing import Any

from smidgen.link.virtual.sensors.description import VirtualAnalog

_FIRST_PIN = 26
_STEPS = 4096  # of the converter


def attach_analog(mcu: Any, signal: VirtualAnalog) -> None:
    channel = signal.pin - _FIRST_PIN
    convert = mcu.adc.on_adc_read

    def read(asked: int) -> None:
        if asked == channel:
            mcu.adc.channel_values[channel] = int(sawtooth(mcu.clock.nanos * 1e-9, signal.period_seconds) * _STEPS)
        convert(asked)

    mcu.adc.on_adc_read = read


def sawtooth(seconds: float, period_seconds: float) -> float:
    """0 to 1, of the reference voltage."""
    return seconds / period_seconds % 1.0
