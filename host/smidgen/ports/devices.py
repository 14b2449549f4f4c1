"""Every device that may be a board, and in which state it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from serial.tools.list_ports import comports

from smidgen.boards import UsbRole, load_boards
from smidgen.errors import BoardError
from smidgen.link.opening import PortError, Refusal
from smidgen.ports.candidates import Candidate, ListPorts, list_candidates
from smidgen.ports.probe import Identity, describe, probe

if TYPE_CHECKING:
    from smidgen.flash.volume import Volume

_AT_ONCE = 8  # ports that are asked at the same time
_NO_PROMPT = (
    "no prompt: a program runs (smidgen devices --interrupt stops it and asks), or there is no MicroPython "
    "(smidgen flash puts it there)"
)


class State(str, Enum):
    """What a device is ready for."""

    REPL = "repl"  # MicroPython's prompt answers
    SILENT = "silent"  # no prompt: a program runs, or there is no MicroPython
    BOOTLOADER = "bootloader"  # the chip waits for firmware on a serial port
    BOOTSEL = "bootsel"  # the same, as a drive
    BUSY = "busy"  # another program has the port open
    NO_PERMISSION = "no_permission"
    FAILED = "failed"  # the port cannot be opened, or the board fails, for another reason
    NOT_ASKED = "not_asked"


@dataclass(frozen=True)
class Device:
    """One row of `smidgen devices`. What is not known is None.

    port: path of a serial port, or of the drive that a board in BOOTSEL mode offers. board: a name of smidgen.boards,
    if only one fits; possible_boards: those with its USB id. advice: what to do with it in this state.
    """

    port: str
    state: State
    advice: str
    usb_id: str | None = None
    serial_number: str | None = None
    product: str | None = None
    board: str | None = None
    possible_boards: tuple[str, ...] = ()
    chip: str | None = None
    machine: str | None = None
    micropython: str | None = None
    natmod_arch: str | None = None
    smidgen_version: str | None = None
    smidgen_problem: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


Ask = Callable[[str, bool], Identity | None]
ListVolumes = Callable[[], "list[Volume]"]


def find_devices(
    *,
    ask: bool = True,
    interrupt: bool = False,
    every_port: bool = False,
    named: Sequence[str] = (),
    list_ports: ListPorts = comports,
    list_volumes: ListVolumes | None = None,
    probe_port: Ask = probe,
) -> list[Device]:
    """All devices on USB that may be boards, serial ports first.

    ask: open the ports whose USB id says that MicroPython may be there, and ask the board what it is. interrupt: stop a
    program that runs there; without it, one that runs goes on. every_port: open also those ports whose USB id says
    nothing, and those that are not on USB. named: ports that are asked besides, whatever they are: paths of devices,
    such as that of a served virtual board, or addresses. The last three are where the information comes from; tests
    replace them.
    """

    def look(candidate: Candidate) -> Device:
        return _look(candidate, ask, interrupt, every_port, probe_port)

    candidates = [candidate for candidate in list_candidates(list_ports) if candidate.usb_id or every_port]
    listed = {candidate.port for candidate in candidates}
    unlisted = [Candidate(name, None, None, None, UsbRole.REPL, ()) for name in named if name not in listed]
    candidates += unlisted
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        devices = list(pool.map(look, candidates))
    return devices + [_volume(volume) for volume in (list_volumes or _find_volumes)()]


def _find_volumes() -> list[Volume]:
    from smidgen.flash.volume import find_volumes  # not before it is needed: flashing needs sessions, and those ports

    return find_volumes()


def _look(candidate: Candidate, ask: bool, interrupt: bool, every_port: bool, probe_port: Ask) -> Device:
    device = Device(
        port=candidate.port,
        state=State.NOT_ASKED,
        advice="not asked",
        usb_id=candidate.usb_id,
        serial_number=candidate.serial_number,
        product=candidate.product,
        possible_boards=candidate.boards,
        board=candidate.boards[0] if len(candidate.boards) == 1 else None,
    )
    if candidate.role is UsbRole.BOOTLOADER:
        return replace(device, state=State.BOOTLOADER, advice=_flash_advice(" or ".join(device.possible_boards)))
    if candidate.role is None and not every_port:
        return replace(device, advice="its USB id is that of no board smidgen knows; --all asks it all the same")
    return _asked(device, interrupt, probe_port) if ask else device


def _asked(device: Device, interrupt: bool, probe_port: Ask) -> Device:
    try:
        identity = probe_port(device.port, interrupt)
    except PortError as error:
        states = {Refusal.BUSY: State.BUSY, Refusal.NO_PERMISSION: State.NO_PERMISSION}
        return replace(device, state=states.get(error.refusal, State.FAILED), advice=error.advice)
    except BoardError as error:
        return replace(device, state=State.FAILED, advice=str(error))
    if identity is None:
        return replace(device, state=State.SILENT, advice=_silent_advice(interrupt))
    board = describe(identity, load_boards())
    return replace(
        device,
        state=State.REPL,
        advice=_repl_advice(identity),
        board=board.name if board else None,
        chip=board.chip if board else identity.chip,
        machine=identity.machine,
        micropython=identity.micropython,
        natmod_arch=identity.natmod_arch,
        smidgen_version=identity.smidgen_version,
        smidgen_problem=identity.smidgen_problem,
    )


def _repl_advice(identity: Identity) -> str:
    stopped = "a program was stopped, a reset starts it again; " if identity.interrupted else ""
    if identity.natmod_arch is None:
        return f"{stopped}this firmware loads no native modules: flash an official one (docs/natmod.md)"
    if identity.smidgen_problem:
        return f"{stopped}smidgen does not load ({identity.smidgen_problem}): smidgen install puts the right file there"
    if identity.smidgen_version is None:
        return f"{stopped}ready: smidgen install puts smidgen on it"
    return f"{stopped}ready"


def _silent_advice(interrupted: bool) -> str:
    if interrupted:
        return "it answers neither Enter nor Ctrl-C: there is no MicroPython, or it hangs (reset it, or smidgen flash)"
    return _NO_PROMPT


def _flash_advice(board: str) -> str:
    return f"waits for firmware: smidgen flash {board or 'BOARD'}"


def _volume(volume: Volume) -> Device:
    known = [board for board in load_boards() if board.chip == volume.chip and not board.is_virtual]
    return Device(
        port=str(volume.path),
        state=State.BOOTSEL,
        advice=_flash_advice(" or ".join(board.name for board in known)),
        product=volume.board_id,
        possible_boards=tuple(board.name for board in known),
        chip=volume.chip,
    )
