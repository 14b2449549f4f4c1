"""`smidgen boards`."""

from __future__ import annotations

import rich_click as click
from rich import box
from rich.table import Table

from smidgen.boards import BoardDescription, Current, Evidence, Flashing, FlashMethod, Heap, load_boards
from smidgen.cli.options import BOARD_NAME, json_option
from smidgen.cli.output import bytes_text, note, print_json, results


@click.command()
@click.argument("board", metavar="[NAME]", type=BOARD_NAME, required=False)
@json_option
def boards(board: BoardDescription | None, as_json: bool) -> None:
    """List the boards that smidgen knows, or show all about the board NAME.

    Own descriptions are read from the folder that SMIDGEN_BOARDS names.
    """
    if board is not None:
        if as_json:
            print_json(board.as_dict())
        else:
            results.print(_details(board))
    elif as_json:
        print_json([board.as_dict() for board in load_boards()])
    else:
        results.print(_overview(load_boards()))
        note("'~' marks an estimate; smidgen boards NAME shows where figures come from")


def _overview(known: tuple[BoardDescription, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0)
    for heading in ("name", "title", "chip", "core", "MHz", "heap", "flash", "natmod", "flashing"):
        table.add_column(heading, justify="right" if heading in ("MHz", "heap", "flash") else "left")
    for board in known:
        table.add_row(
            board.name, board.title, board.chip, _core(board), _megahertz(board.core.clock_hz),
            ("~" if board.heap.evidence is Evidence.ESTIMATE else "") + f"{board.heap.bytes / 1024:.0f} KiB",
            f"{board.flash.bytes >> 20} MiB" if board.flash else "-", board.natmod, board.flashing.method.value,
        )  # fmt: skip
    return table


def _details(board: BoardDescription) -> Table:
    table = Table(title=board.title, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    core = board.core
    table.add_row("name", board.name)
    if board.stands_for:
        table.add_row("stands for", board.stands_for)
    table.add_row("chip", f"{board.chip} ({board.vendor})")
    table.add_row("core", _core(board))
    if core.clock_hz:
        table.add_row("clock", f"{_megahertz(core.clock_hz)} MHz")
    table.add_row("float unit", core.float_unit.value)
    table.add_row("DSP, SIMD", f"{_yes(core.dsp)}, {_yes(core.simd)}")
    table.add_row("cycle counter", core.cycle_counter.value)
    table.add_row("natmod", board.natmod)
    if board.micropython_board:
        table.add_row("MicroPython board", board.micropython_board)
    if board.sram_bytes:
        table.add_row("SRAM", bytes_text(board.sram_bytes))
    table.add_row("heap", f"{bytes_text(board.heap.bytes)}, {_source(board.heap)}")
    if board.flash:
        table.add_row(
            "flash",
            f"{bytes_text(board.flash.bytes)}; memory mapped: {_yes(board.flash.memory_mapped)}; "
            f"ROMFS in stock firmware: {_yes(board.flash.romfs)}",
        )
    table.add_row("flashing", _flashing(board.flashing))
    if board.i2c:
        table.add_row("I2C", f"bus {board.i2c.id}, sda pin {board.i2c.sda}, scl pin {board.i2c.scl}")
    if board.usb:
        table.add_row("USB", ", ".join(f"{usb.text} {usb.role.value}" for usb in board.usb))
    if board.supply:
        table.add_row("supply", f"{board.supply.volts:g} V")
        table.add_row("  active", _current(board.supply.active))
        table.add_row("  sleep", _current(board.supply.sleep))
    return table


def _core(board: BoardDescription) -> str:
    return f"{board.core.count}x {board.core.name}" if board.core.count > 1 else board.core.name


def _megahertz(hertz: int | None) -> str:
    return f"{hertz / 1e6:g}" if hertz else "-"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _source(figure: Heap | Current) -> str:
    return f"{figure.evidence.value}: {figure.source}"


def _current(current: Current) -> str:
    return f"{current.amperes * 1000:g} mA, {_source(current)}"


def _flashing(flashing: Flashing) -> str:
    if flashing.method is FlashMethod.UF2:
        return f"uf2, family 0x{flashing.uf2_family:08x}"
    if flashing.method is FlashMethod.ESPTOOL:
        return f"esptool, chip {flashing.esptool_chip}, offset 0x{flashing.offset:x}"
    return "none"
