"""The report on a blob, as tables."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table

from smidgen.cli.output import bytes_text, results
from smidgen.report import BlobReport, OperatorReport, RemovalReport


def print_report(report: BlobReport, removal: RemovalReport | None = None) -> None:
    """Operators, totals, and where every byte of the file goes. removal: known when the blob has just been packed."""
    results.print(_operators(report))
    if any(row.scratch_bytes for row in report.operators):
        results.print(_kernels(report))
    results.print(_totals(report, removal))
    results.print(_bytes(report))


def _shape(shape: list[int]) -> str:
    return "x".join(str(size) for size in shape)


def make_table(title: str, columns: list[tuple[str, bool]]) -> Table:
    """Columns: heading, and whether it holds numbers."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading, is_number in columns:
        table.add_column(heading, justify="right" if is_number else "left", no_wrap=True)
    return table


def _operators(report: BlobReport) -> Table:
    table = make_table(
        f"Operators of {report.name or 'the network'}",
        [("#", True), ("operator", False), ("tensor", True), ("output", True), ("MACs", True), ("weights", True),
         ("packed", True), ("bits", True)],
    )  # fmt: skip
    for row in report.operators:
        table.add_row(
            str(row.index), row.name, str(row.output_tensor), _shape(row.output_shape),
            f"{row.macs:,}" if row.macs else "", f"{row.weights:,}" if row.weights else "",
            f"{row.weight_bytes_packed:,}" if row.weights else "",
            f"{row.bits_per_weight:.2f}" if row.bits_per_weight is not None else "",
        )  # fmt: skip
    return table


def _kernels(report: BlobReport) -> Table:
    table = make_table(
        "Kernels that need working memory",
        [("#", True), ("operator", False), ("kernel", False), ("at a time", False), ("workspace", True),
         ("scratch", True)],
    )  # fmt: skip
    for row in report.operators:
        if row.scratch_bytes:
            table.add_row(
                str(row.index), row.name, *_kernel(row),
                f"{row.workspace_bytes:,}" if row.workspace_bytes else "", f"{row.scratch_bytes:,}",
            )  # fmt: skip
    return table


def _kernel(row: OperatorReport) -> tuple[str, str]:
    """Its name, and what it does at a time."""
    if row.kernel == 0:
        return "plain", f"{row.tile} channels"
    return ("streamed", "4 channels") if row.name == "FULLY_CONNECTED" else ("pairs", f"{row.tile} pairs of rows")


def _edges(tensors: list[dict[str, Any]]) -> str:
    return ", ".join(
        f"{_shape(t['shape'])} int8, scale {t['scale']:.6g}, zero point {t['zero_point']}" for t in tensors
    )


def _removed(removal: RemovalReport) -> str:
    return (
        f"{removal.channels:,} of {removal.model_channels:,} channels, because no output depends on them: "
        f"{removal.weights:,} of {removal.model_weights:,} weights, {removal.macs:,} of {removal.model_macs:,} MACs, "
        f"{bytes_text(removal.blob_bytes)} of the blob"
    )


def _totals(report: BlobReport, removal: RemovalReport | None) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column()
    table.add_row("input", _edges(report.inputs))
    table.add_row("output", _edges(report.outputs))
    table.add_row("MACs", f"{report.macs:,}")
    if removal is not None and removal.channels:
        table.add_row("removed", _removed(removal))
    table.add_row(
        "weights",
        f"{bytes_text(report.weight_bytes_raw)} raw, {bytes_text(report.weight_bytes_packed)} packed with code tables "
        f"({report.bits_per_weight:.2f} bits per weight)",
    )
    table.add_row(
        "memory",
        f"arena {bytes_text(report.arena_bytes)}, of which scratch up to {bytes_text(report.scratch_bytes)}",
    )
    if labels := report.metadata.get("labels"):
        table.add_row("labels", ", ".join(labels))
    if source := report.metadata.get("source"):
        table.add_row("source", f"{source}, SHA-256 {report.metadata.get('source_sha256', 'unknown')[:16]}…")
    return table


def _bytes(report: BlobReport) -> Table:
    table = make_table("Where the bytes go", [("what", False), ("bytes", True), ("share", True)])
    for purpose, size in report.spans.items():
        if size:
            table.add_row(purpose, f"{size:,}", f"{100 * size / report.blob_bytes:.1f} %")
    table.add_section()
    table.add_row("whole file", f"{report.blob_bytes:,}", "100.0 %")
    return table
