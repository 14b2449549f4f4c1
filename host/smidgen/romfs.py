"""Images of MicroPython's ROMFS. `memoryview(open("/rom/x.smg", "rb"))` is the file in flash, not a copy.

The data of every file starts at a multiple of ALIGNMENT bytes from the start of the image, so that a processor that
cannot read unaligned words can work on it where it lies. The format is described in MicroPython's extmod/vfs_rom.c.
"""

from __future__ import annotations

from collections.abc import Mapping

ALIGNMENT = 16  # bytes; the partition itself starts at a multiple of 4096
_PADDING, _DATA, _DIRECTORY, _FILE = 1, 2, 4, 5  # kinds of records
_MAGIC = bytes((0xD2, 0xCD, 0x31))  # the kind of the record that is the file system
_SIZE_BYTES = 5  # of a record's length, wherever it has to be known before the record is complete

Tree = dict[str, "bytes | Tree"]


def build_romfs(files: Mapping[str, bytes]) -> bytes:
    """A ROMFS with these files. Names are paths with `/`; the folders in them are created.

    ValueError for a name that cannot be one.
    """
    image = bytearray(_MAGIC + bytes(_SIZE_BYTES))
    _append_folder(image, _as_tree(files))
    if len(image) % 2:  # the format's rule; a padding record of an odd number of bytes
        image += _record_head(_PADDING, 1) + b"\0"
    image[len(_MAGIC) : len(_MAGIC) + _SIZE_BYTES] = _padded_varuint(len(image) - len(_MAGIC) - _SIZE_BYTES)
    return bytes(image)


def _as_tree(files: Mapping[str, bytes]) -> Tree:
    root: Tree = {}
    for path, data in files.items():
        *folders, name = path.strip("/").split("/")
        if "" in (*folders, name):
            raise ValueError(f"{path!r} is not the name of a file")
        folder = root
        for part in folders:
            inner = folder.setdefault(part, {})
            if isinstance(inner, bytes):
                raise ValueError(f"{path!r}: {part!r} is a file and a folder")
            folder = inner
        if name in folder:
            raise ValueError(f"{path!r} is there twice, or a file and a folder")
        folder[name] = bytes(data)
    return root


def _append_folder(image: bytearray, folder: Tree) -> None:
    for name, content in sorted(folder.items()):
        kind = _FILE if isinstance(content, bytes) else _DIRECTORY
        image += bytes((kind, *bytes(_SIZE_BYTES)))
        start = len(image)
        encoded = name.encode()
        image += _varuint(len(encoded)) + encoded
        if isinstance(content, bytes):
            _append_data(image, content)
        else:
            _append_folder(image, content)
        image[start - _SIZE_BYTES : start] = _padded_varuint(len(image) - start)


def _append_data(image: bytearray, data: bytes) -> None:
    """The data as a record of its own, after a padding record that aligns it."""
    head = _record_head(_DATA, len(data))
    gap = -(len(image) + 2 + len(head)) % ALIGNMENT  # a padding record has a head of two bytes
    image += _record_head(_PADDING, gap) + bytes(gap) + head + data


def _record_head(kind: int, size: int) -> bytes:
    return _varuint(kind) + _varuint(size)


def _varuint(value: int) -> bytes:
    """Seven bits in a byte, the highest first; all but the last have bit 7 set."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(0x80 | value & 0x7F)
    return bytes(reversed(groups))


def _padded_varuint(value: int) -> bytes:
    """A varuint of _SIZE_BYTES bytes."""
    encoded = _varuint(value)
    return b"\x80" * (_SIZE_BYTES - len(encoded)) + encoded
