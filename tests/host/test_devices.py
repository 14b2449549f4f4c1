"""`find_devices`: a fake list of ports for every state, and the sentence that says what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from fake_ports import CP210X, PICO, S2_BOOTLOADER, UNKNOWN, usb_port
from serial.tools.list_ports_common import ListPortInfo

import smidgen.cli.devices as cli_devices
from smidgen.boards import load_boards
from smidgen.errors import BoardError
from smidgen.flash.volume import Volume
from smidgen.link.opening import PortError, Refusal
from smidgen.link.virtual import VIRTUAL_BOARDS, ProcessBoard
from smidgen.ports import Device, State, find_devices
from smidgen.ports.probe import Identity, describe

PORT = "/dev/ttyACM0"


def identity(
    machine: str = "Raspberry Pi Pico with RP2040",
    build: str = "",
    arch: str | None = "armv6m",
    version: str | None = "0.1.0",
    problem: str | None = None,
    interrupted: bool = False,
) -> Identity:
    return Identity("1.25.0", machine, build, arch, version, problem, interrupted)


def the_device(
    answer: Identity | BoardError | None, port: ListPortInfo | None = None, interrupt: bool = False
) -> Device:
    """The only device there is, when its board gives this answer."""

    def probe(path: str, may_interrupt: bool) -> Identity | None:
        assert (path, may_interrupt) == (PORT, interrupt)
        if isinstance(answer, BoardError):
            raise answer
        return answer

    ports = [port or usb_port(PORT, PICO, "E660")]
    (device,) = find_devices(interrupt=interrupt, list_ports=lambda: ports, list_volumes=list, probe_port=probe)
    return device


def not_to_be_opened(path: str, interrupt: bool) -> Identity | None:
    raise AssertionError(f"{path} must not be opened")


def test_a_board_at_its_prompt() -> None:
    device = the_device(identity())
    assert (device.state, device.advice) == (State.REPL, "ready")
    assert (device.board, device.chip, device.micropython) == ("pico", "RP2040", "1.25.0")
    assert (device.natmod_arch, device.smidgen_version, device.serial_number) == ("armv6m", "0.1.0", "E660")
    assert device.as_dict()["state"] == "repl"


@pytest.mark.parametrize(
    ("answer", "advice"),
    [
        (identity(version=None), "ready: smidgen install puts smidgen on it"),
        (identity(version=None, problem="ValueError('incompatible .mpy arch')"),
         "smidgen does not load (ValueError('incompatible .mpy arch')): smidgen install puts the right file there"),
        (identity(arch=None), "this firmware loads no native modules: flash an official one (docs/natmod.md)"),
        (identity(interrupted=True), "a program was stopped, a reset starts it again; ready"),
    ],
)  # fmt: skip
def test_what_is_missing_on_a_board(answer: Identity, advice: str) -> None:
    device = the_device(answer, interrupt=answer.interrupted)
    assert (device.state, device.advice) == (State.REPL, advice)


@pytest.mark.parametrize(
    ("interrupt", "words"),
    [
        (
            False,
            "no prompt: a program runs (smidgen devices --interrupt stops it and asks), or there is no MicroPython",
        ),
        (True, "it answers neither Enter nor Ctrl-C: there is no MicroPython, or it hangs"),
    ],
)
def test_no_answer(interrupt: bool, words: str) -> None:
    device = the_device(None, interrupt=interrupt)
    assert device.state is State.SILENT
    assert words in device.advice
    assert device.possible_boards == ("pico", "pico2", "pico2_w", "pico_w")  # as the USB id says
    assert device.board is None


@pytest.mark.parametrize(
    ("error", "state", "advice"),
    [
        (PortError(PORT, Refusal.BUSY, "close it"), State.BUSY, "close it"),
        (PortError(PORT, Refusal.NO_PERMISSION, "join the group"), State.NO_PERMISSION, "join the group"),
        (PortError(PORT, Refusal.OTHER, "odd"), State.FAILED, "odd"),
        (BoardError("the board is gone"), State.FAILED, "the board is gone"),
    ],
)
def test_a_port_that_cannot_be_used(error: BoardError, state: State, advice: str) -> None:
    device = the_device(error)
    assert (device.state, device.advice) == (state, advice)


def test_a_boot_loader_is_not_talked_to() -> None:
    (device,) = find_devices(
        list_ports=lambda: [usb_port(PORT, S2_BOOTLOADER)], list_volumes=list, probe_port=not_to_be_opened
    )
    assert (device.state, device.advice) == (State.BOOTLOADER, "waits for firmware: smidgen flash esp32s2")
    assert device.board == "esp32s2"


def test_a_port_that_is_named_is_asked_too() -> None:
    """Such as that of a served virtual board, which is in no list; once, if it is in the list."""
    asked = []

    def probe(port: str, interrupt: bool) -> None:
        asked.append(port)

    ports = [usb_port(PORT, PICO)]
    found = find_devices(named=["/dev/pts/7", PORT], list_ports=lambda: ports, list_volumes=list, probe_port=probe)
    assert [device.port for device in found] == [PORT, "/dev/pts/7"] and sorted(asked) == sorted([PORT, "/dev/pts/7"])
    assert all(device.state is State.SILENT for device in found)


def test_drives_of_boards_in_bootsel_mode() -> None:
    volumes = [Volume(Path("/media/RPI-RP2"), "RPI-RP2"), Volume(Path("/media/other"), "SAMD51-Feather")]
    pico, other = find_devices(list_ports=list, list_volumes=lambda: volumes)
    assert (pico.port, pico.state, pico.chip) == ("/media/RPI-RP2", State.BOOTSEL, "RP2040")
    assert pico.advice == "waits for firmware: smidgen flash pico or pico_w"
    assert (other.advice, other.chip, other.product) == (
        "waits for firmware: smidgen flash BOARD", None, "SAMD51-Feather",
    )  # fmt: skip


def test_volumes_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "drive").mkdir()
    (tmp_path / "drive" / "INFO_UF2.TXT").write_text("UF2 Bootloader v1.0\nModel: Raspberry Pi RP2\nBoard-ID: RP2350\n")
    monkeypatch.setenv("SMIDGEN_VOLUMES", str(tmp_path))
    (device,) = find_devices(list_ports=list)
    assert (device.state, device.possible_boards) == (State.BOOTSEL, ("pico2", "pico2_w"))


def test_what_is_opened() -> None:
    ports = [
        usb_port("/dev/a", PICO),
        usb_port("/dev/b", CP210X),
        usb_port("/dev/c", UNKNOWN),
        usb_port("/dev/d", None),
    ]
    opened: list[str] = []

    def probe(path: str, interrupt: bool) -> None:
        opened.append(path)

    found = find_devices(list_ports=lambda: ports, list_volumes=list, probe_port=probe)
    assert [device.port for device in found] == ["/dev/a", "/dev/b", "/dev/c"]
    assert sorted(opened) == ["/dev/a", "/dev/b"]
    assert (found[2].state, found[2].advice) == (
        State.NOT_ASKED,
        "its USB id is that of no board smidgen knows; --all asks it all the same",
    )
    opened.clear()
    assert len(find_devices(every_port=True, list_ports=lambda: ports, list_volumes=list, probe_port=probe)) == 4
    assert len(opened) == 4
    found = find_devices(ask=False, list_ports=lambda: ports, list_volumes=list, probe_port=not_to_be_opened)
    assert {device.state for device in found} == {State.NOT_ASKED}


def test_no_devices() -> None:
    assert find_devices(list_ports=list, list_volumes=list) == []


@pytest.mark.parametrize(
    ("machine", "build", "board"),
    [
        ("Raspberry Pi Pico with RP2040", "", "pico"),
        ("Raspberry Pi Pico W with RP2040", "", "pico_w"),
        ("Raspberry Pi Pico 2 with RP2350", "RPI_PICO2", "pico2"),
        ("Generic ESP32S3 module with ESP32S3", "", "esp32s3"),
        ("ESP32C3 module with ESP32C3", "", "esp32c3"),
        ("Generic ESP32 module with ESP32", "ESP32_GENERIC", "esp32"),
        ("Feather RP2040 with RP2040", "", None),  # two boards have this chip, and it is neither
        ("something else", "", None),
        ("", "", None),
    ],
)
def test_which_board_it_is(machine: str, build: str, board: str | None) -> None:
    found = describe(identity(machine, build), load_boards())
    assert (found.name if found else None) == board


def command(found: list[Device], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """What `smidgen devices` prints on stdout when this is there."""
    monkeypatch.setattr(cli_devices, "find_devices", lambda **_: found)
    result = CliRunner().invoke(cli_devices.devices, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_table_has_a_row_and_a_sentence_for_every_state(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Device(f"/dev/{state.value}", state, f"advice for {state.value}") for state in State]
    shown = command(found, monkeypatch)
    for state in State:
        assert f"/dev/{state.value}: advice for {state.value}" in shown
        assert any(line.startswith(f" /dev/{state.value} ") for line in shown.splitlines())


def test_the_table_of_a_board(monkeypatch: pytest.MonkeyPatch) -> None:
    row = command([the_device(identity())], monkeypatch).splitlines()[3]
    assert row.split() == [PORT, "pico", "RP2040", "1.25.0", "armv6m", "0.1.0", "E660", "REPL"]


def test_what_to_check_when_nothing_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = command([], monkeypatch)
    assert shown.startswith("no board was found. What to check:\n")
    for words in ("cable that carries data", "smidgen flash", "CH340", "usermod -a -G dialout $USER"):
        assert words in shown


@pytest.mark.parametrize(
    ("missing", "line"),
    [
        ({}, "virtual boards, no cable needed: sim:unix, sim:pico, sim:cortex-m3, sim:cortex-m4, sim:riscv"),
        ({"sim:pico": "needs an emulator"}, "virtual boards, no cable needed: sim:unix, sim:cortex-m3, "),
        (dict.fromkeys(VIRTUAL_BOARDS, "needs Linux"), "virtual boards, no cable needed: none on this computer"),
    ],
)
def test_virtual_boards_that_can_be_started(
    missing: dict[str, str], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProcessBoard, "missing", lambda board: missing.get(board.name))
    assert line in command([], monkeypatch)
    assert CliRunner().invoke(cli_devices.devices, []).stderr.splitlines() == list(missing.values())


def test_asking_and_not_asking_are_refused() -> None:
    assert CliRunner().invoke(cli_devices.devices, ["--interrupt", "--no-probe"]).exit_code == 2


def test_devices_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert json.loads(command([], monkeypatch, "--json")) == []
    (device,) = json.loads(command([the_device(identity())], monkeypatch, "--json"))
    assert (device["port"], device["state"], device["board"], device["usb_id"]) == (PORT, "repl", "pico", "2e8a:0005")
