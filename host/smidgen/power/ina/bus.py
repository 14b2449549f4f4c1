"""A sensor on the I2C bus of a board that a session reaches."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from smidgen.errors import BoardError
from smidgen.link.i2c import who_answers
from smidgen.power.device_code import device_code
from smidgen.power.ina.settings import SensorSettings
from smidgen.power.source import Execute

SENSOR = "_smg_sensor"  # the global name of the sensor on the board


@dataclass(frozen=True)
class BusAddress:
    """bus: number of a machine.I2C. pins: (sda, scl), or () for those that the board takes by itself."""

    bus: int
    address: int
    pins: tuple[int, int] | tuple[()] = ()

    def __str__(self) -> str:
        pins = f" (pins {self.pins[0]} and {self.pins[1]})" if self.pins else ""
        return f"address {self.address:#04x} on I2C bus {self.bus}{pins}"


def install_sensor(execute: Execute, where: BusAddress, settings: SensorSettings) -> None:
    """Put the driver on the board and set the sensor up. BoardError when it does not answer, or is another chip."""
    execute(device_code("sensor"))
    try:
        execute(f"{SENSOR} = SmidgenSensor({where.bus}, {where.address}, {where.pins})")
    except BoardError as error:
        raise BoardError(
            f"the board cannot open I2C bus {where.bus}: {error}; give the bus and its pins (bus=, sda=, scl=)"
        ) from error
    _check_identity(execute, where, settings)
    for register, value in settings.writes:
        execute(f"{SENSOR}.write({register}, {value})")
    for register, value in settings.writes[:1]:  # the calibration; the others have bits that clear themselves
        _check_written(execute, where, settings, register, value)


def read(execute: Execute, register: int, size: int) -> int:
    """Value of a register, unsigned."""
    value: int = ast.literal_eval(execute(f"print({SENSOR}.read({register}, {size}))").strip())
    return value


def _check_identity(execute: Execute, where: BusAddress, settings: SensorSettings) -> None:
    try:
        read(execute, 0, 2)
    except BoardError as error:
        raise BoardError(_nobody(execute, where, settings)) from error
    for register, value, mask in settings.identity:
        found = read(execute, *register)
        if found & mask != value:
            raise BoardError(
                f"at {where} there is no {settings.chip}: its register {register.address:#04x} is {found:#06x}, "
                f"not {value:#06x}; check which sensor it is"
            )


def _nobody(execute: Execute, where: BusAddress, settings: SensorSettings) -> str:
    others = who_answers(execute, f"{SENSOR}.i2c")
    return (
        f"no {settings.chip} answers at {where}; on this bus there answers: {others}. Check its supply, SDA, SCL, the "
        "ground, and its address (addr=)"
    )


def _check_written(execute: Execute, where: BusAddress, settings: SensorSettings, register: int, value: int) -> None:
    found = read(execute, register, 2)
    if found != value:
        raise BoardError(
            f"the {settings.chip} at {where} did not take its settings: register {register:#04x} is {found:#06x} "
            f"after {value:#06x} was written; check the wires, and which sensor it is"
        )
