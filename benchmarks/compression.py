"""How small networks become without retraining, and what it costs on inputs they were not compressed with.

    python -m benchmarks.compression [--model kws] [--json] [--plot FOLDER] [--jobs 1]

kws: calibrated with words spoken by espeak-ng; judged with other such words, with flite (another kind of voice), with
words of people (the two recordings, moved and with noise), and with the 32 golden inputs. vww: the photographs in two
halves, each once for calibration and once to be judged; figures over both. imu: the project's own network, calibrated
with people it was trained on and judged with others.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from benchmarks.quantization_inputs import keyword_inputs, models_folder
from benchmarks.spoken_words import Words, has_synthesizer, spoken_words
from rich.console import Console
from rich.table import Table

from smidgen.compress import Compression, Kind, Samples, Target, compress, plot_curve
from smidgen.compress.quality import Judge
from smidgen.compression import BlobSize
from smidgen.demo import recordings
from smidgen.demo.run import float_model
from smidgen.formats.tflite_reader import read_tflite
from smidgen.lower import lower
from smidgen.network import Network
from smidgen.passes import simplify
from smidgen.plan.channels import remove_constant_channels
from smidgen.quantize import quantize
from smidgen.samples import prepare

TARGETS = {"kws": (18_000, 15_000), "vww": (20_000, 16_000), "imu": (6_000, 5_000)}
_SPOKEN_CALIBRATION, _SPOKEN_JUDGED = 512, 240


@dataclass(frozen=True)
class Row:
    """One compressed network on one set of inputs. agreement, accuracy: parts of 1; distance: in int8 steps."""

    model: str
    target_bytes: int  # 0: the int8 network
    blob_bytes: int
    bits_per_weight: float
    inputs: str
    samples: int
    agreement: float
    distance: float
    accuracy: float | None
    int8_accuracy: float | None


@dataclass(frozen=True)
class Case:
    """A network, what to compress it with, and by name what to judge it with."""

    network: Network
    calibration: Samples
    judged: dict[str, Samples]
    metadata: dict[str, str]

    def size(self) -> BlobSize:
        return BlobSize([], self.metadata, keep_channels=False)


def _model_case(name: str, folder: Path) -> Network:
    return remove_constant_channels(lower(simplify(read_tflite(folder / f"mlperf-tiny/{name}.tflite"))))


def _metadata(name: str) -> dict[str, str]:
    """As long as what `pack` writes."""
    return {"name": name, "source": f"{name}.tflite", "source_sha256": "0" * 64, "packager": "smidgen 0.1.0"}


def keyword_case(folder: Path) -> Case:
    """Keyword spotting."""
    network = _model_case("kws_ref_model", folder)

    def samples(words: Words) -> Samples:
        return Samples([prepare(words.features, network, 0)], words.labels)

    people = keyword_inputs(folder)
    judged = {
        "espeak-ng, other words": samples(spoken_words("espeak-ng", _SPOKEN_JUDGED, seed=2)),
        "people": Samples([prepare(np.concatenate((people.calibration, people.evaluation)), network, 0)]),
    }
    if has_synthesizer("flite"):
        judged["flite"] = samples(spoken_words("flite", _SPOKEN_JUDGED, seed=3))
    with np.load(folder / "golden/kws_ref_model.npz") as golden:
        judged["golden, most of them random"] = Samples([golden["input"]])
    calibration = samples(spoken_words("espeak-ng", _SPOKEN_CALIBRATION, seed=1))
    return Case(network, Samples(calibration.inputs), judged, _metadata("kws_ref_model"))


def person_cases(folder: Path) -> list[Case]:
    """Visual wake words: two cases with the halves exchanged."""
    network = _model_case("vww_96_int8", folder)
    with np.load(folder / "vww200.npz") as images:
        inputs = (images["images"].astype(np.int16) - 128).astype(np.int8)[:, np.newaxis]
        labels = images["labels"].astype(np.int64)
    halves = [Samples([inputs[start::2]], labels[start::2]) for start in range(2)]
    metadata = _metadata("vww_96_int8")
    return [
        Case(network, Samples(first.inputs), {"other half": second}, metadata)
        for first, second in (halves, reversed(halves))
    ]


def motion_case() -> Case:
    """Exercises with a wrist-worn sensor."""
    split = recordings.split_by_subject(recordings.load_recordings())
    windows, labels = recordings.cut_windows(split.train)
    test, test_labels = recordings.cut_windows(split.test)
    network = lower(quantize(simplify(float_model()), windows[::8][:, np.newaxis]))
    calibration = Samples([prepare(windows[::8], network, 0)], labels[::8])
    judged = {"people not seen in training": Samples([prepare(test, network, 0)], test_labels)}
    return Case(network, calibration, judged, _metadata("imu_exercises"))


def cases(model: str, folder: Path | None) -> list[Case]:
    """Those of a model; none where something they need is missing."""
    if model == "imu":
        return [motion_case()]
    if folder is None:
        return _skip(model, "the folder of reference models is not here (SMIDGEN_MODELS)")
    if model == "vww":
        return person_cases(folder)
    if not has_synthesizer("espeak-ng"):
        return _skip(model, "espeak-ng is not installed (Debian: apt install espeak-ng flite)")
    return [keyword_case(folder)]


def _skip(model: str, reason: str) -> list[Case]:
    print(f"{model}: left out, {reason}", file=sys.stderr)
    return []


def measure(model: str, folder: Path | None, jobs: int, plots: Path | None) -> Iterator[Row]:
    """A row for each size and each set of inputs; sets of the same name are put together."""
    all_cases = cases(model, folder)
    for target in (0, *TARGETS[model]) if all_cases else ():
        results = [_compressed(case, target, jobs) for case in all_cases]
        if plots is not None and target == TARGETS[model][0] and isinstance(results[0], Compression):
            plot_curve(results[0], plots / f"compression-{model}.png", model)
        networks = [result.network if isinstance(result, Compression) else result for result in results]
        sizes = [case.size()(network) for case, network in zip(all_cases, networks, strict=True)]
        blob_bytes = max(size.blob_bytes for size in sizes)
        bits = max(size.bits_per_weight for size in sizes)
        for inputs in all_cases[0].judged:
            parts = [_judge(case, network, inputs) for case, network in zip(all_cases, networks, strict=True)]
            yield Row(model, target, blob_bytes, bits, inputs, *_mean(parts))


def _compressed(case: Case, target: int, jobs: int) -> Compression | Network:
    if not target:
        return case.network
    return compress(case.network, case.calibration, Target(Kind.BLOB_BYTES, target), case.size(), jobs=jobs)


Judged = tuple[int, float, float, float | None, float | None]


def _judge(case: Case, network: Network, inputs: str) -> Judged:
    samples = case.judged[inputs]
    judge = Judge(case.network, samples.inputs, samples.labels)
    quality = judge.quality(network)
    assert quality.agreement is not None
    return len(samples), quality.agreement, quality.output_distance, quality.accuracy, judge.reference().accuracy


def _mean(parts: list[Judged]) -> Judged:
    """Over parts of the same size."""
    columns = list(zip(*parts, strict=True))
    means = [None if None in column else float(np.mean(column)) for column in columns[1:]]
    assert means[0] is not None and means[1] is not None
    return sum(columns[0]), means[0], means[1], means[2], means[3]


def _print(rows: list[Row]) -> None:
    table = Table(title="Without retraining", title_justify="left")
    for column in ("model", "blob", "bits", "inputs", "samples", "same class", "distance", "accuracy", "of int8"):
        table.add_column(column, justify="left" if column in ("model", "inputs") else "right")
    for row in rows:
        accuracies = [
            "" if accuracy is None else f"{100 * accuracy:.1f} %" for accuracy in (row.accuracy, row.int8_accuracy)
        ]
        table.add_row(
            row.model, f"{row.blob_bytes:,}", f"{row.bits_per_weight:.2f}", row.inputs, str(row.samples),
            f"{100 * row.agreement:.1f} %", f"{row.distance:.2f}", *accuracies,
        )  # fmt: skip
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=TARGETS, action="append", help="only these")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--plot", type=Path, metavar="FOLDER", help="draw the curve of each model")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    folder = models_folder()
    rows = [row for model in options.model or TARGETS for row in measure(model, folder, options.jobs, options.plot)]
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        _print(rows)


if __name__ == "__main__":
    main()
