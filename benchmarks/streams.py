"""Whether boards keep up with sound at 16 kHz and motion at 100 Hz, in real time: python -m benchmarks.streams

Exit code 1 if sim:unix drops a window, or if a board does not account for every window of a stream.
"""

from __future__ import annotations

import argparse
import json
import sys
import wave
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from benchmarks.models import FILES
from benchmarks.power import demo_network
from benchmarks.quantization_inputs import models_folder
from benchmarks.tables import console
from rich import box
from rich.table import Table

from smidgen import graph as g
from smidgen.packer import pack, pack_graph
from smidgen.stream import StreamOptions, run_stream

AUDIO_HZ, MOTION_HZ = 16_000, 100
FAST, SLOW = "sim:unix", "sim:pico"  # the emulated Pico is slower than a real one, and its line carries 1 kB/s
SECONDS = 4


@dataclass(frozen=True)
class Case:
    """A blob and a source of SECONDS. windows: that the source has in it."""

    name: str
    blob: bytes
    hop: int
    windows: int
    is_motion: bool = False


@dataclass(frozen=True)
class StreamTrial:
    """windows: of the source; the other counts are what the stream says. Latency in milliseconds."""

    name: str
    port: str
    windows: int
    answered: int
    dropped: int
    late: int
    frames_not_sent: int
    keeps_up: bool
    load: float
    latency_p95: float | None

    @property
    def is_accounted_for(self) -> bool:
        return self.answered + self.dropped == self.windows


def cases() -> Iterator[Case]:
    features = {"kind": "mfcc"}  # 49 frames of 10 are a second, 20 ms apart
    frames = (SECONDS * 1000 - 40) // 20 + 1
    yield Case("16 kHz sound, samples", dense_network(1600), 1600, SECONDS * AUDIO_HZ // 1600)
    yield Case("16 kHz sound, features", dense_network(490, features), 10, (frames - 49) // 10 + 1)
    folder = models_folder()
    if folder:
        blob = pack(folder / f"{FILES['kws']}.tflite", preprocessing=features).data
        yield Case("16 kHz sound, kws", blob, 10, (frames - 49) // 10 + 1)
    yield Case("6 axes at 100 Hz", demo_network(), 16, (SECONDS * MOTION_HZ - 128) // 16 + 1, is_motion=True)


def dense_network(inputs: int, preprocessing: object = None) -> bytes:
    """The smallest network of so many inputs."""
    random = np.random.default_rng(0)
    graph = g.Graph(name="dense")
    graph.add(g.Tensor("x", (1, inputs), np.dtype(np.int8), g.Quantization.per_tensor(1 / 128, 0)))
    graph.add(g.Tensor("y", (1, 4), np.dtype(np.int8), g.Quantization.per_tensor(0.1, 0)))
    weights = random.integers(-127, 128, (4, inputs)).astype(np.int8)
    graph.add(g.Tensor("w", weights.shape, weights.dtype, g.Quantization.per_tensor(0.01, 0), weights))
    graph.operators = [g.FullyConnected(["x"], "y", weights="w", source="dense")]
    graph.inputs, graph.outputs = ["x"], ["y"]
    return pack_graph(graph, {} if preprocessing is None else {"preprocessing": preprocessing})


def trial(case: Case, port: str) -> StreamTrial:
    """Streams it in real time."""
    with TemporaryDirectory() as folder:
        blob = Path(folder, "network.smg")
        blob.write_bytes(case.blob)
        source = _motion(Path(folder)) if case.is_motion else _sound(Path(folder))
        options = StreamOptions(hop=case.hop, rate=MOTION_HZ if case.is_motion else None)
        timing = run_stream(blob, str(source), port, options).timing
    latencies = [1000 * latency for latency in timing.latencies]
    return StreamTrial(
        name=case.name,
        port=port,
        windows=case.windows,
        answered=timing.answered,
        dropped=timing.dropped,
        late=timing.late,
        frames_not_sent=timing.skipped_frames,
        keeps_up=timing.keeps_up,
        load=timing.load,
        latency_p95=float(np.percentile(latencies, 95)) if latencies else None,
    )


def _sound(folder: Path) -> Path:
    path = folder / "sound.wav"
    samples = np.random.default_rng(1).normal(0, 3000, SECONDS * AUDIO_HZ).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(AUDIO_HZ)
        file.writeframes(samples.tobytes())
    return path


def _motion(folder: Path) -> Path:
    path = folder / "motion.npy"
    np.save(path, np.random.default_rng(2).normal(size=(SECONDS * MOTION_HZ, 6)).astype(np.float32))
    return path


def _table(results: list[StreamTrial]) -> Table:
    table = Table(title=f"{SECONDS} s in real time", title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("stream", "board"):
        table.add_column(column, no_wrap=True)
    for column in ("windows", "answered", "dropped", "late", "frames not sent", "load", "95 % within", "keeps up"):
        table.add_column(column, justify="right")
    for one in results:
        counts = (one.windows, one.answered, one.dropped, one.late, one.frames_not_sent)
        latency = "" if one.latency_p95 is None else f"{one.latency_p95:,.1f} ms"
        table.add_row(
            one.name, one.port, *map(str, counts), f"{one.load:.0%}", latency, "yes" if one.keeps_up else "no"
        )
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one document on stdout")
    given = parser.parse_args()
    results = [trial(case, port) for port in (FAST, SLOW) for case in cases()]
    if given.json:
        print(json.dumps([asdict(one) for one in results], indent=2))
    else:
        console(stderr=False).print(_table(results))
    good = all(one.is_accounted_for and (one.port != FAST or not one.dropped) for one in results)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
