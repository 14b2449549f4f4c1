"""Board descriptions: what the project ships, how strictly files are read, and `smidgen boards`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from command_process import run_command
from smidgen.boards import BOARDS_VARIABLE, Evidence, FlashMethod, UsbRole, catalog, find_board, load_boards
from smidgen.boards.reader import read_board
from smidgen.errors import InputError
from smidgen.link.virtual import VIRTUAL_BOARDS

SHIPPED = Path(__file__).resolve().parents[2] / "boards"
ON_A_CABLE = ["esp32", "esp32c3", "esp32c6", "esp32s2", "esp32s3", "pico", "pico2", "pico2_w", "pico_w"]
VIRTUAL = ["sim:cortex-m3", "sim:cortex-m4", "sim:pico", "sim:riscv", "sim:unix"]

Edit = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def _no_boards_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BOARDS_VARIABLE, raising=False)


@pytest.fixture
def edited(tmp_path: Path) -> Edit:
    """A copy of the Pico's description with one replacement."""

    def edit(old: str, new: str, board: str = "pico") -> Path:
        text = (SHIPPED / f"{board}.toml").read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
        file = tmp_path / f"{board}.toml"
        file.write_text(text.replace(old, new), encoding="utf-8")
        return file

    return edit


def test_all_boards_are_described() -> None:
    assert [board.name for board in load_boards()] == ON_A_CABLE + VIRTUAL


def test_every_virtual_board_that_can_be_started_is_described() -> None:
    assert set(VIRTUAL_BOARDS) <= {board.name for board in load_boards() if board.is_virtual}


def test_a_description_is_read_completely() -> None:
    board = find_board("pico")
    assert (board.chip, board.natmod, board.micropython_board) == ("RP2040", "armv6m", "RPI_PICO")
    assert (board.core.name, board.core.count, board.core.clock_hz) == ("Cortex-M0+", 2, 125_000_000)
    assert (board.sram_bytes, board.heap.bytes, board.heap.evidence) == (264 << 10, 241_936, Evidence.MEASURED)
    assert board.flash is not None and board.i2c is not None and board.supply is not None
    assert (board.flash.bytes, board.flash.memory_mapped, board.flash.romfs) == (2 << 20, True, False)
    assert (board.flashing.method, board.flashing.uf2_family) == (FlashMethod.UF2, 0xE48BFF56)
    assert (board.i2c.id, board.i2c.sda, board.i2c.scl) == (0, 4, 5)
    assert [(usb.text, usb.role) for usb in board.usb] == [
        ("2e8a:0005", UsbRole.REPL),
        ("2e8a:0003", UsbRole.BOOTLOADER),
    ]
    assert (board.supply.volts, board.supply.sleep.amperes) == (5.0, 0.0013)


@pytest.mark.parametrize(
    ("name", "natmod", "dsp"),
    [
        ("pico2", "armv7emsp", True),
        ("esp32", "xtensawin", False),
        ("esp32s2", "xtensawin", False),
        ("esp32s3", "xtensawin", False),
        ("esp32c3", "rv32imc", False),
        ("esp32c6", "rv32imc", False),
        ("sim:unix", "x64", False),
        ("sim:pico", "armv6m", False),
        ("sim:cortex-m3", "armv7m", False),
        ("sim:cortex-m4", "armv7emsp", True),
        ("sim:riscv", "rv32imc", False),
    ],
)
def test_architectures(name: str, natmod: str, dsp: bool) -> None:
    board = find_board(name)
    assert (board.natmod, board.core.dsp) == (natmod, dsp)


@pytest.mark.parametrize(
    ("name", "offset"), [("esp32", 0x1000), ("esp32s2", 0x1000), ("esp32s3", 0), ("esp32c3", 0), ("esp32c6", 0)]
)
def test_where_esptool_writes(name: str, offset: int) -> None:
    flashing = find_board(name).flashing
    assert (flashing.method, flashing.esptool_chip, flashing.offset) == (FlashMethod.ESPTOOL, name, offset)
    assert flashing.uf2_family is None


def test_rp2350_firmware_is_for_another_uf2_family() -> None:
    assert find_board("pico2").flashing.uf2_family == find_board("pico2_w").flashing.uf2_family == 0xE48BFF59


def test_heaps_of_virtual_boards() -> None:
    heaps = {board.name: board.heap.bytes for board in load_boards() if board.is_virtual}
    assert heaps == {
        "sim:unix": 240 << 10,
        "sim:pico": find_board("pico").heap.bytes,
        "sim:cortex-m3": 240 << 10,
        "sim:cortex-m4": 448 << 10,
        "sim:riscv": 240 << 10,
    }


@pytest.mark.parametrize("name", ON_A_CABLE)
def test_currents_name_their_source(name: str) -> None:
    supply = find_board(name).supply
    assert supply is not None
    for current in (supply.active, supply.sleep):
        assert (current.evidence is Evidence.ESTIMATE) or "Datasheet" in current.source


def test_an_unknown_board_is_refused_with_what_there_is() -> None:
    with pytest.raises(InputError, match=r"no board 'pico2w'; did you mean 'pico2_w'\? There are: esp32, .*sim:unix"):
        find_board("pico2w")
    with pytest.raises(InputError, match=r"no board '\?'; there are: esp32, "):
        find_board("?")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("sda = 4", "sda = 4\nmosi = 3", r"i2c\.mosi is not known here; known are: id, sda, scl"),
        ('title = "Raspberry Pi Pico"\n', "", r"title is missing; found here: name, vendor"),
        ("[i2c]", "[i3c]", r"i2c is missing; found here: .*i3c"),
        ("clock_hz = 125_000_000\n", "", r"core\.clock_hz is missing"),
        ("sram_bytes = 270_336", "", r"sram_bytes is missing"),
        ("count = 2", 'count = "2"', r"core\.count is '2', must be a whole number from 1 to 16"),
        ("count = 2", "count = true", r"core\.count is True, must be a whole number"),
        ("count = 2", "count = 0", r"core\.count is 0, must be a whole number from 1"),
        ("bytes = 241_936", "bytes = -1", r"heap\.bytes is -1, must be a whole number from 1"),
        ("bytes = 241_936", "bytes = 270_337", r"heap\.bytes is 270,337, must not exceed sram_bytes, 270,336"),
        ("dsp = false", "dsp = 0", r"core\.dsp is 0, must be true or false"),
        ('natmod = "armv6m"', 'natmod = "armv6n"', r"natmod is 'armv6n', must be one of: x86, x64, .*rv32imc"),
        ('natmod = "armv6m"', "natmod = []", r"natmod is \[\], must be one of"),
        ('method = "uf2"', 'method = "dfu"', r"flashing\.method is 'dfu', must be one of: uf2, esptool, none"),
        ('method = "uf2"', 'method = "none"', r"flashing\.method is 'none', which is for virtual boards"),
        ('method = "uf2"', 'method = "esptool"', r"flashing\.esptool_chip is missing; found here: method, uf2_family"),
        ("uf2_family = 0xe48bff56", "uf2_family = 0x1e48bff56", r"flashing\.uf2_family is 8129347414, must be"),
        ("scl = 5", "scl = 4", r"i2c\.scl is 4, must be another pin than sda"),
        ("pid = 0x0003", "pid = 0x10000", r"usb\[1\]\.pid is 65536, must be a whole number from 0 to 65,535"),
        ("volts = 5.0", 'volts = "5 V"', r"supply\.volts is '5 V', must be a number from 0\.1 to 60"),
        ("volts = 5.0", "volts = nan", r"supply\.volts is nan, must be a number"),
        ("amperes = 0.02\n", "amperes = -0.02\n", r"supply\.active\.amperes is -0\.02, must be a number"),
        ("amperes = 0.02\n", "amperes = 20\n", r"supply\.active\.amperes is 20, must be a number from 1e-09 to 10"),
        (
            "amperes = 0.0013",
            "amperes = 0.03",
            r"supply\.sleep\.amperes is 0\.03, must not exceed active",
        ),
        (
            'evidence = "measured"',
            'evidence = "hearsay"',
            r"heap\.evidence is 'hearsay', must be one of: measured",
        ),
        ('vendor = "Raspberry Pi"', 'vendor = " "', r"vendor is ' ', must be text that is not empty"),
        ('name = "pico"', 'name = "Pico"', r"name is 'Pico', must be small letters"),
        ('name = "pico"', 'name = "pico3"', r"name is 'pico3', so the file must be called pico3\.toml"),
        ('vendor = "Raspberry Pi"', 'vendor = "Raspberry Pi', r"is not a TOML file: .*line 3"),
        ('chip = "RP2040"', 'chip = "RP2040"\nstands_for = "me"', r"stands_for is not known here"),
    ],
)
def test_wrong_files_are_refused(edited: Edit, old: str, new: str, words: str) -> None:
    file = edited(old, new)
    with pytest.raises(InputError, match=words) as caught:
        read_board(file)
    assert str(caught.value).startswith(str(file))


def test_tables_of_the_wrong_kind_are_refused(tmp_path: Path) -> None:
    text = (SHIPPED / "sim-unix.toml").read_text(encoding="utf-8")
    file = tmp_path / "sim-unix.toml"
    file.write_text(text + "\n[i2c]\nid = 0\nsda = 1\nscl = 2\n", encoding="utf-8")
    assert read_board(file).i2c is not None
    file.write_text("i2c = 3\n" + text, encoding="utf-8")
    with pytest.raises(InputError, match="i2c is 3, must be a table"):
        read_board(file)
    file.write_text(text + '\n[flashing]\nmethod = "none"\n', encoding="utf-8")
    with pytest.raises(InputError, match="flashing is not known here"):
        read_board(file)


@pytest.mark.parametrize(
    ("usb", "words"),
    [("{ vid = 1 }", "usb is .*, must be an array of tables"), ("[3]", r"usb\[0\] is 3, must be a table")],
)
def test_usb_must_be_an_array_of_tables(tmp_path: Path, usb: str, words: str) -> None:
    head, _, rest = (SHIPPED / "pico.toml").read_text(encoding="utf-8").partition("[[usb]]")
    file = tmp_path / "pico.toml"
    file.write_text(f"usb = {usb}\n{head}{rest[rest.index('[supply]') :]}", encoding="utf-8")
    with pytest.raises(InputError, match=words):
        read_board(file)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "odd.toml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"odd\.toml is not a TOML file"):
        read_board(file)
    with pytest.raises(InputError, match=r"none\.toml cannot be read: No such file"):
        read_board(tmp_path / "none.toml")


def test_own_boards_are_added_and_replace_shipped_ones(edited: Edit, monkeypatch: pytest.MonkeyPatch) -> None:
    own = edited('title = "Raspberry Pi Pico"', 'title = "My Pico"')
    mine = own.read_text(encoding="utf-8").replace('name = "pico"', 'name = "bench-7"')
    (own.parent / "bench-7.toml").write_text(mine, encoding="utf-8")
    monkeypatch.setenv(BOARDS_VARIABLE, str(own.parent))
    assert find_board("pico").title == find_board("bench-7").title == "My Pico"
    assert len(load_boards()) == len(ON_A_CABLE + VIRTUAL) + 1


def test_a_missing_folder_of_own_boards_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BOARDS_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"SMIDGEN_BOARDS names '.*nowhere', which is not a folder"):
        load_boards()


def test_an_installed_package_reads_its_own_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boards = tmp_path / "site-packages" / "smidgen" / "boards"
    boards.mkdir(parents=True)
    monkeypatch.setattr(catalog, "__file__", str(boards / "catalog.py"))
    with pytest.raises(InputError, match=r"no board descriptions \(\*\.toml\) in: .*site-packages/smidgen/boards"):
        load_boards()
    (boards / "pico.toml").write_bytes((SHIPPED / "pico.toml").read_bytes())
    assert [board.name for board in load_boards()] == ["pico"]


def boards_command(*arguments: str, own: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **({BOARDS_VARIABLE: str(own)} if own else {})}
    return run_command("boards", *arguments, environment=environment)


def test_the_command_lists_all_boards_one_line_each() -> None:
    lines = [line.split() for line in boards_command().stdout.splitlines() if line.strip()]
    assert [line[0] for line in lines[2:]] == ON_A_CABLE + VIRTUAL
    pico2 = next(line for line in lines if line[0] == "pico2")
    assert pico2[-7:] == ["150", "~481", "KiB", "4", "MiB", "armv7emsp", "uf2"]
    assert lines[-1][-5:] == ["240", "KiB", "-", "x64", "none"]


def test_the_command_shows_one_board() -> None:
    shown = boards_command("esp32s3").stdout
    for words in ("ESP32_GENERIC_S3", "bus 0, sda pin 8, scl pin 9", "303a:1001", "offset 0x0", "Table 5-10"):
        assert words in shown
    assert "uf2, family 0xe48bff56" in boards_command("pico").stdout
    assert "ESP32-C3" in boards_command("sim:riscv").stdout  # what it stands for


def test_the_command_prints_one_json_document() -> None:
    documents = json.loads(boards_command("--json").stdout)
    assert [document["name"] for document in documents] == ON_A_CABLE + VIRTUAL
    one = json.loads(boards_command("pico", "--json").stdout)
    assert one in documents
    assert one["virtual"] is False and documents[-1]["virtual"] is True
    assert one["usb"][0] == {"vid": 0x2E8A, "pid": 5, "role": "repl"}
    assert one["heap"]["evidence"] == "measured"


def test_the_command_refuses_what_is_wrong(edited: Edit) -> None:
    unknown = boards_command("picoo", "--json")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "did you mean 'pico'?" in unknown.stderr
    broken = boards_command(own=edited("count = 2", "count = 99").parent)
    assert (broken.returncode, broken.stdout) == (6, "")
    assert "core.count is 99" in broken.stderr
