"""The MicroPython code a session leaves on the board while it lasts, under the one global name `_smg`.

Everything binary travels as base64, because the raw REPL takes text. Strings from the computer are at most
CHUNK_BYTES of payload, so that a board never needs much more than three times that to take one.
"""

from __future__ import annotations

import base64
import re
import zlib

CHUNK_BYTES = 4096  # payload of one exec
WINDOW_BITS = 12  # deflate's history, in RAM on the board: as much as a chunk


def _with_short_indents(code: str) -> str:
    """One space in place of four: a slow line takes a third less time for it."""
    return re.sub(r"^(?: {4})+", lambda indent: " " * (len(indent.group()) // 4), code, flags=re.MULTILINE)


# Also right when the code below was interrupted before it had defined anything.
REMOVE = """
for name in ('_smg', '_smg_hello', '_smg_deflate'):
    globals().pop(name, None)
del name
__import__('gc').collect()
"""

INSTALL = _with_short_indents(f"""
class _smg:
    import binascii, gc, os, time
    models = {{}}
    buffer = file = None

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

    def unpack(data, packed):
        data = _smg.binascii.a2b_base64(data)
        if packed:
            import deflate, io
            data = deflate.DeflateIO(io.BytesIO(data), deflate.RAW, {WINDOW_BITS}).read()
        return data

    def allocate(size):
        _smg.buffer = bytearray(size)

    def fill(offset, data, packed):
        data = _smg.unpack(data, packed)
        memoryview(_smg.buffer)[offset:offset + len(data)] = data

    def create(name):
        folders = name.split('/')[:-1]
        for depth in range(1, len(folders) + 1):
            try:
                _smg.os.mkdir('/'.join(folders[:depth]))
            except OSError:
                pass
        _smg.file = open(name, 'wb')

    def append(data, packed):
        _smg.file.write(_smg.unpack(data, packed))

    def finish():
        file, _smg.file = _smg.file, None
        if file:
            file.close()

    def abandon(name):
        for step in (_smg.finish, lambda: _smg.os.remove(name)):
            try:
                step()
            except OSError:
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

    def write(model, index, offset, data):
        data = _smg.binascii.a2b_base64(data)
        _smg.models[model].inputs[index][offset:offset + len(data)] = data

    def run(model):
        model = _smg.models[model]
        start = _smg.time.ticks_us()
        model.run()
        print(_smg.time.ticks_diff(_smg.time.ticks_us(), start))
        for output in model.outputs:
            _smg.show(output)

    def show(tensor):
        for start in range(0, len(tensor), 768):
            print(str(_smg.binascii.b2a_base64(tensor[start:start + 768]), 'ascii'), end='')
        print('-')

try:
    import deflate as _smg_deflate
    del _smg_deflate
    print(True)
except ImportError:
    print(False)
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


def chunk_arguments(chunk: bytes, deflate: bool) -> str:
    """`chunk` as the arguments (data, packed) of `fill` and `append`; deflated when that is shorter."""
    packed = b""
    if deflate:
        compressor = zlib.compressobj(9, zlib.DEFLATED, -WINDOW_BITS)
        packed = compressor.compress(chunk) + compressor.flush()
    smaller = bool(packed) and len(packed) < len(chunk)
    return f"{base64.b64encode(packed if smaller else chunk)!r},{smaller}"
