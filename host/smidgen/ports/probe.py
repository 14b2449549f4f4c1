"""Asks the board on a port what it is, without disturbing what runs there."""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass

from smidgen.boards import BoardDescription
from smidgen.errors import BoardTimeout, InputError
from smidgen.link import natmod
from smidgen.link.transport import Patience, RawRepl
from smidgen.link.virtual import slowness_behind

PATIENCE = Patience(silence=3.0, interrupt=1.0)  # seconds; nothing here takes a board on a cable long

# What it imports it forgets again. Bytes of a file, not an import, tell a version that this computer knows.
_QUESTIONS = f"""
def _smg_probe(path):
    import sys
    about = sys.implementation
    loaded = sys.modules.get('smidgen')
    digest = problem = None
    try:
        import binascii, hashlib
        check = hashlib.sha256()
        with open(path, 'rb') as file:
            part = file.read(512)
            while part:
                check.update(part)
                part = file.read(512)
        digest = str(binascii.hexlify(check.digest()), 'ascii')
    except (ImportError, OSError, AttributeError):
        pass
    return (tuple(about.version), getattr(about, '_machine', ''), getattr(about, '_build', ''),
        getattr(about, '_mpy', 0), getattr(loaded, '__version__', None), digest)
print(repr(_smg_probe({natmod.BOARD_FILE!r})))
del _smg_probe
"""
_VERSION = """
def _smg_version():
    import sys
    try:
        import smidgen
        return smidgen.__version__, None
    except ImportError as error:
        return None, None if 'no module' in str(error) else repr(error)
    except Exception as error:
        return None, repr(error)
    finally:
        sys.modules.pop('smidgen', None)
print(repr(_smg_version()))
del _smg_version
__import__('gc').collect()
"""


@dataclass(frozen=True)
class Identity:
    """What a board says of itself. smidgen_version: None if it is not installed, or smidgen_problem says why not."""

    micropython: str  # "1.25.0"
    machine: str  # "Raspberry Pi Pico with RP2040"
    build: str  # "RPI_PICO"; empty before MicroPython 1.25
    natmod_arch: str | None
    smidgen_version: str | None
    smidgen_problem: str | None
    interrupted: bool  # a program was stopped to ask

    @property
    def chip(self) -> str | None:
        return self.machine.rpartition(" with ")[2] or None


def probe(port: str, interrupt: bool = False, patience: Patience = PATIENCE) -> Identity | None:
    """What the board on `port` says; None if it does not answer at its prompt.

    interrupt: stop a program that runs there. Otherwise it is only sent Enter and Ctrl-B, which a program that reads
    its input may take for its own. patience: with a board on a cable; with what may be a virtual one it is scaled.
    Raises PortError when the port cannot be opened, BoardError when the board fails.
    """
    repl = RawRepl(port, patience.scaled(slowness_behind(port)))
    try:
        try:
            idle = repl.enter_if_idle()
            if not idle:
                if not interrupt:
                    return None
                repl.enter()
        except BoardTimeout:
            return None
        try:
            return _ask(repl, interrupted=not idle)
        finally:
            repl.leave()
    finally:
        repl.close()


def _ask(repl: RawRepl, interrupted: bool) -> Identity:
    version, machine, build, mpy, loaded, digest = ast.literal_eval(repl.execute(_QUESTIONS).decode())
    arch = natmod.architecture(mpy)
    smidgen_version, problem = loaded, None
    if loaded is None and (smidgen_version := _known_version(arch, digest)) is None:
        smidgen_version, problem = ast.literal_eval(repl.execute(_VERSION).decode())
    return Identity(
        micropython=natmod.version_text(version),
        machine=machine,
        build=build,
        natmod_arch=arch,
        smidgen_version=smidgen_version,
        smidgen_problem=problem,
        interrupted=interrupted,
    )


def _known_version(arch: str | None, digest: str | None) -> str | None:
    """The version of a smidgen.mpy on a board if it is the one that this computer would install."""
    from smidgen import __version__

    if arch is None or digest is None:
        return None
    try:
        path = natmod.find_built(arch)
        return __version__ if path and hashlib.sha256(path.read_bytes()).hexdigest() == digest else None
    except (InputError, OSError):
        return None


def describe(identity: Identity, boards: tuple[BoardDescription, ...]) -> BoardDescription | None:
    """The board on a cable that this is; None if no description, or more than one, fits what it says."""
    real = [board for board in boards if not board.is_virtual]
    title = identity.machine.rpartition(" with ")[0]
    chip = (identity.chip or "").replace("-", "").upper()
    for matches in (
        [board for board in real if identity.build and board.micropython_board == identity.build],
        [board for board in real if board.title == title],
        [board for board in real if chip and board.chip.replace("-", "").upper() == chip],
    ):
        if len(matches) == 1:
            return matches[0]
    return None
