"""Which blob, which board and which software a session measures."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

import smidgen
from smidgen.bench.arena import arena_blocks, occupied_bytes
from smidgen.bench.results import BlobFacts, BoardFacts, HostFacts, OperatorFacts
from smidgen.blob.contents import Blob
from smidgen.link import natmod
from smidgen.link.session import BoardInfo
from smidgen.network import Kind


def blob_facts(blob: Blob, data: bytes, path: Path) -> BlobFacts:
    blocks = arena_blocks(blob)
    network = blob.network
    operators = tuple(
        OperatorFacts(
            index=index,
            name=Kind(operator.kind).name,
            output_shape=tuple(network.tensors[operator.output].shape),
            macs=network.macs(operator),
            weight_bytes=-(-blob.storage[index].bits // 8) if index in blob.storage else 0,
            arena_bytes=occupied_bytes(blocks, index),
        )
        for index, operator in enumerate(network.operators)
    )
    return BlobFacts(
        file=path.name,
        name=str(blob.metadata.get("name", path.stem)),
        sha256=hashlib.sha256(data).hexdigest(),
        blob_bytes=blob.blob_bytes,
        arena_bytes=blob.arena_bytes,
        scratch_bytes=blob.scratch_bytes,
        macs=sum(operator.macs for operator in operators),
        operators=operators,
    )


def board_facts(info: BoardInfo, port: str, is_virtual: bool) -> BoardFacts:
    """info: asked after smidgen was installed. InputError if there is no smidgen.mpy for the board."""
    module = natmod.find(info.natmod_arch or "")
    return BoardFacts(
        port=port,
        machine=info.machine,
        platform=info.platform,
        micropython=info.version,
        natmod_arch=info.natmod_arch,
        smidgen=info.smidgen_version,
        module_file=f"{module.parent.name}/{module.name}",
        module_sha256=hashlib.sha256(module.read_bytes()).hexdigest(),
        is_virtual=is_virtual,
    )


def host_facts() -> HostFacts:
    return HostFacts(smidgen.__version__, platform.python_version(), f"{platform.system()} {platform.machine()}")
