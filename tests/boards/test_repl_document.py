"""The sessions in docs/repl.md are what a board answers. SMIDGEN_UPDATE_DOCUMENTS=1 writes the answers into it."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

import models
from availability import not_available
from smidgen.errors import InputError
from smidgen.link import natmod
from smidgen.link.prompt import visit
from smidgen.link.session import connect
from smidgen.link.terminal import PROMPT
from smidgen.link.transport import RawRepl
from smidgen.packer import pack

DOCUMENT = models.ROOT / "docs" / "repl.md"
UPDATE = os.environ.get("SMIDGEN_UPDATE_DOCUMENTS") == "1"
LABELS = ["down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes", "silence", "unknown"]

BLOCK = re.compile(r"(?<=```pycon\n).*?(?=```)", re.DOTALL)
VARYING = re.compile(r" *\d+ us|(?<=320000, )\d+|line \d+")  # times, and lines of the board's source
SLOWEST = r"(?<=row\[4\]\)\[1\]\n).*"  # which operator takes longest depends on the computer


def answered(line: RawRepl, block: str) -> str:
    """The block with the board's own answers to what is typed in it."""
    session = ""
    for typed in re.findall(r"^>>> (.*)$", block, re.MULTILINE):
        line.send(typed.encode() + b"\r")
        shown = b""
        while not shown.endswith(b"\n" + PROMPT):
            shown += line.receive()
        session += PROMPT.decode() + shown.removesuffix(PROMPT).decode().replace("\r\n", "\n")
    return session


def masked(document: str) -> str:
    return VARYING.sub("#", re.sub(SLOWEST, "#", document))


@pytest.fixture
def kws(tmp_path: Path, unix_port: None) -> Path:
    try:
        natmod.find("x64")
    except InputError as error:
        not_available(str(error))
    model = tmp_path / "kws.tflite"
    shutil.copyfile(models.model_path("kws_ref_model"), model)
    blob = tmp_path / "kws.smg"
    blob.write_bytes(pack(model, labels=LABELS, golden=models.golden_path("kws_ref_model")).data)
    return blob


def test_sessions_are_real(kws: Path) -> None:
    written = DOCUMENT.read_text()
    with connect("sim:unix") as board, visit(board, kws):
        line = board.friendly_prompt()
        document = BLOCK.sub(lambda block: answered(line, block.group()), written)
    if UPDATE:
        DOCUMENT.write_text(document)
    else:
        assert masked(document) == masked(written)
