"""The MicroPython code a session leaves on the board while it lasts, under the one global name `_smg`.

`INSTALL` is what has to do with files and memory; `service_source` the board's side of the binary link, from
device/link/. It is sent as source through the raw REPL, in parts, so that a board never has to compile much at once.
"""

from __future__ import annotations

import re
from pathlib import Path

from smidgen.errors import BoardError

PACKAGE = Path(__file__).resolve().parents[1]
SERVICE_PARTS = ("frames.py", "service.py")


def _with_short_indents(code: str) -> str:
    """One space in place of four: a slow line takes a third less time for it."""
    return re.sub(r"^(?: {4})+", lambda indent: " " * (len(indent.group()) // 4), code, flags=re.MULTILINE)


# Also right when the code below was interrupted before it had defined anything. The loop takes the session's own name:
# any other may be the user's.
REMOVE = """
for _smg in ('_smg_hello', '_SmgFrames', '_SmgService'):
    globals().pop(_smg, None)
del _smg
__import__('gc').collect()
"""

# It begins with what a session leaves whose process was killed: a file that is open, and half written. That session may
# have been one of another version of smidgen. `abandon` is called for files in a ROMFS too, which has no `remove`.
INSTALL = _with_short_indents("""
try:
    _smg.abandon(_smg.part)
except Exception:
    pass

class _smg:
    import binascii, gc, os
    models = {}
    buffer = file = part = None

    def memory(*sizes):
        _smg.gc.collect()
        free = _smg.gc.mem_free()
        try:
            fits = bool([bytearray(size) for size in sizes])
        except MemoryError:
            fits = False
        _smg.gc.collect()
        return free, fits

    def storage(name):
        while True:
            name = name.rpartition('/')[0]
            try:
                status = _smg.os.statvfs(name or _smg.os.getcwd())
                return status[1] * status[4] if status[2] else None
            except OSError:
                if not name:
                    return None

    def mapped(name):
        with open(name, 'rb') as file:
            try:
                memoryview(file)
                return True
            except TypeError:
                return False

    def allocate(size):
        _smg.buffer = bytearray(size)

    def create(name):
        folders = name.split('/')[:-1]
        for depth in range(1, len(folders) + 1):
            try:
                _smg.os.mkdir('/'.join(folders[:depth]))
            except OSError:
                pass
        _smg.part = name
        _smg.file = open(name, 'wb')

    def finish():
        file, _smg.file = _smg.file, None
        if file:
            file.close()

    def abandon(name):
        for step in (_smg.finish, lambda: _smg.os.remove(name)):
            try:
                step()
            except (OSError, AttributeError):
                pass

    def parts(name):
        buffer = memoryview(bytearray(512))
        with open(name, 'rb') as file:
            while True:
                size = file.readinto(buffer)
                if not size:
                    return
                yield buffer[:size]

    def digest(parts):
        try:
            from hashlib import sha256
        except ImportError:
            check = 0
            for part in parts:
                check = _smg.binascii.crc32(part, check)
            return check
        check = sha256()
        for part in parts:
            check.update(part)
        return str(_smg.binascii.hexlify(check.digest()), 'ascii')

    def file_digest(name):
        try:
            return _smg.digest(_smg.parts(name))
        except OSError:
            return None

    def module():
        import smidgen
        return smidgen

    def forget():
        import sys
        sys.modules.pop('smidgen', None)

    def load(key, name=None):
        _smg.models[key] = _smg.module().Model(name or _smg.buffer)
        _smg.buffer = None

    def drop():
        _smg.buffer = None

    def publish(key, name):
        globals()[name] = _smg.models.pop(key)

    def discard(name):
        globals().pop(name, None)
        _smg.gc.collect()

    def resident(name):
        blob = getattr(globals().get(name), '_blob', None)
        return None if blob is None else _smg.digest((blob,))

    def unload(key):
        _smg.models.pop(key, None)
        _smg.gc.collect()
""")

# Python 3 and MicroPython disagree on nothing here: a tuple of plain values, printed with repr.
HELLO = """
def _smg_hello():
    import gc, sys
    module = problem = None
    try:
        import smidgen as module
    except ImportError:
        pass
    except Exception as error:
        problem = repr(error)
    gc.collect()
    about = sys.implementation
    version = getattr(module, '__version__', '?') if module else None
    return (tuple(about[1]), getattr(about, '_machine', ''), sys.platform, getattr(about, '_mpy', 0), gc.mem_free(),
        gc.mem_alloc(), version, problem)
print(repr(_smg_hello()))
del _smg_hello
"""


def service_source() -> list[str]:
    """Code that defines the board's side of the link, to be executed in this order."""
    return [_compact(_read(name)) for name in SERVICE_PARTS]


def create_service(nonce: int) -> str:
    """Code that makes `_smg.service`, whose frames are those of one session, and prints the board's platform."""
    return f"_smg.service = _SmgService({nonce})\ndel _SmgFrames, _SmgService\nprint(__import__('sys').platform)"


def _read(name: str) -> str:
    for folder in (PACKAGE.parents[1] / "device" / "link", PACKAGE / "device" / "link"):
        if (folder / name).is_file():
            return (folder / name).read_text()
    raise BoardError(f"this installation of smidgen lacks its file device/link/{name}: install it again")


def _compact(code: str) -> str:
    """Without comments and empty lines, which the board would have to read for nothing."""
    lines = (re.sub(r"  # .*", "", line).rstrip() for line in code.splitlines())
    return _with_short_indents("\n".join(line for line in lines if line and not line.lstrip().startswith("#")) + "\n")
