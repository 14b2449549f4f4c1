"""Figures of others for the same networks, to compare with. Cycles are of a whole network on a Cortex-M0+."""

from __future__ import annotations

from dataclasses import dataclass

HALE = "Bosch HALE, MLPerf Tiny 1.2 results, Cortex-M0+ at 64 MHz"
TINYMAIX = "TinyMaix on an RP2040, the engine inside emlearn-micropython"
TFLM = "TFLite Micro, for the same files"


@dataclass(frozen=True)
class Published:
    """What is known of one network; None where nobody has published it."""

    cycles: int | None = None
    cycles_source: str = ""
    others: tuple[tuple[str, int], ...] = ()  # (source, cycles)
    tflm_arena_bytes: int | None = None


PUBLISHED = {
    "kws": Published(30_400_000, HALE, tflm_arena_bytes=24_000),
    "vww": Published(90_500_000, HALE, ((TINYMAIX, 217_000_000),), 104_000),
    "ic": Published(97_400_000, HALE, tflm_arena_bytes=56_000),
    "ad": Published(2_600_000, HALE, tflm_arena_bytes=4_000),
    "ad raw": Published(2_600_000, HALE, tflm_arena_bytes=4_000),
}
NOTHING = Published()


def published_notes(names: list[str]) -> list[str]:
    """Sentences that name the sources of the figures for these networks, and further figures."""
    known = [(name, PUBLISHED[name]) for name in names if name in PUBLISHED]
    notes = [f"published: {source}" for source in dict.fromkeys(figures.cycles_source for _, figures in known)]
    notes += [f"{name}: {cycles:,} cycles, {source}" for name, figures in known for source, cycles in figures.others]
    return notes + ([f"TFLM's arena: {TFLM}"] if known else [])
