"""Mounts the RAM disk at /. It is empty after power-on and survives a soft reset."""

import sys

import vfs
from _memory import ram_disk

try:
    _files = vfs.VfsLfs2(ram_disk)
except OSError:
    vfs.VfsLfs2.mkfs(ram_disk)
    _files = vfs.VfsLfs2(ram_disk)
vfs.mount(_files, "/")
sys.path.append("/lib")
del _files, ram_disk, sys, vfs
