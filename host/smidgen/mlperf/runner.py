"""smidgen's own runner: the two measurements of MLPerf Tiny that need no power meter, over the official protocol.

What the board answers is compared with the reference, sample by sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

from smidgen.errors import BoardError, MismatchError
from smidgen.mlperf.candidate import Candidate
from smidgen.mlperf.metrics import area_under_curve, top1_accuracy
from smidgen.mlperf.protocol import DutPort, Inference
from smidgen.mlperf.samples import BenchmarkSamples
from smidgen.mlperf.under_test import DeviceUnderTest

WINDOWS = 5  # of which the median counts
LEAST_SECONDS = 10.0  # that they have to take together
_ROUNDING = 0.0006  # results have three decimals, and a board may round in single precision
_RELATIVE = 1e-5  # the same for sums of many squares
Progress = Callable[[str, int, int], None]  # what, done, total


@dataclass(frozen=True)
class Performance:
    """windows: microseconds that `inferences` inferences took each. is_partial: interrupted before the last."""

    benchmark: str
    vendor: str
    inferences: int
    warmups: int
    windows: tuple[int, ...]
    is_partial: bool

    @property
    def throughputs(self) -> list[float]:
        """Inferences a second in each window."""
        return [self.inferences / (max(microseconds, 1) * 1e-6) for microseconds in self.windows]

    @property
    def median_throughput(self) -> float | None:
        return median(self.throughputs) if self.windows else None

    @property
    def seconds(self) -> float:
        """That the timed inferences took together."""
        return sum(self.windows) * 1e-6

    @property
    def sufficient_inferences(self) -> int:
        """In each window for LEAST_SECONDS in all, by the durations measured."""
        return max(1, int(np.ceil(LEAST_SECONDS / WINDOWS * (self.median_throughput or 1.0))))

    def as_dict(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "throughputs": self.throughputs,
            "median_throughput": self.median_throughput,
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class Accuracy:
    """samples: whose results equal the reference's. score: top-1 accuracy, or AUC for ad01; None without labels.

    floor: the least score of the closed division. is_partial: interrupted before the last sample.
    """

    benchmark: str
    vendor: str
    samples: int
    score: float | None
    floor: float
    is_partial: bool

    @property
    def suffices(self) -> bool | None:
        return None if self.score is None else self.score >= self.floor

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "suffices": self.suffices}


def measure_performance(
    candidate: Candidate,
    dut: DeviceUnderTest,
    samples: BenchmarkSamples,
    inferences: int,
    warmups: int,
    progress: Progress | None = None,
) -> Performance:
    """Five windows of so many inferences each, one sample a window.

    Raises BoardError, and MismatchError where the board's results are not the reference's.
    """
    windows: list[int] = []
    with _open(dut) as port:
        vendor = _identify(port, candidate)
        chosen = [samples.samples[window % len(samples.samples)] for window in range(WINDOWS)]
        is_partial = False
        try:
            for answer in _answers(candidate, port, chosen, inferences, warmups, "windows", progress):
                windows.append(answer.microseconds)
        except KeyboardInterrupt:
            is_partial = True
    return Performance(candidate.benchmark.name, vendor, inferences, warmups, tuple(windows), is_partial)


def measure_accuracy(
    candidate: Candidate, dut: DeviceUnderTest, samples: BenchmarkSamples, progress: Progress | None = None
) -> Accuracy:
    """One inference for each sample. Raises as `measure_performance` does."""
    results: list[tuple[float, ...]] = []
    with _open(dut) as port:
        vendor = _identify(port, candidate)
        is_partial = False
        try:
            for answer in _answers(candidate, port, samples.samples, 1, 0, "samples", progress):
                results.append(answer.results)
        except KeyboardInterrupt:
            is_partial = True
    score = _score(candidate, results, samples)
    return Accuracy(candidate.benchmark.name, vendor, len(results), score, candidate.benchmark.floor, is_partial)


def _open(dut: DeviceUnderTest) -> DutPort:
    return DutPort(dut.port, dut.slowness)


def _identify(port: DutPort, candidate: Candidate) -> str:
    """The vendor's name. Raises BoardError if this is a device for another benchmark."""
    vendor = port.name()
    _, model = port.profile()
    if model != candidate.benchmark.name:
        raise BoardError(f"the board on {port.port} says that its model is {model}, not {candidate.benchmark.name}")
    return vendor


def _answers(
    candidate: Candidate,
    port: DutPort,
    samples: list[bytes],
    inferences: int,
    warmups: int,
    what: str,
    progress: Progress | None,
) -> Iterator[Inference]:
    for number, sample in enumerate(samples):
        port.load(sample)
        answer = port.infer(inferences, warmups)
        _check(candidate, number, sample, answer)
        yield answer
        if progress:
            progress(what, number + 1, len(samples))


def _check(candidate: Candidate, number: int, sample: bytes, answer: Inference) -> None:
    expected = candidate.expected(sample)
    if len(answer.results) != len(expected):
        raise MismatchError(f"sample {number}: the board gave {len(answer.results)} results, expected {len(expected)}")
    for place, (result, wanted) in enumerate(zip(answer.results, expected, strict=True)):
        if not abs(result - wanted) <= _ROUNDING + _RELATIVE * abs(wanted):
            raise MismatchError(
                f"sample {number}: result {place} of the board is {result:.3f}, the reference says {wanted:.3f}"
            )


def _score(candidate: Candidate, results: list[tuple[float, ...]], samples: BenchmarkSamples) -> float | None:
    if samples.labels is None or not results:
        return None
    scores, labels = np.array(results), samples.labels[: len(results)]
    if candidate.benchmark.is_anomaly_detection:
        return area_under_curve(scores[:, 0], labels)
    return top1_accuracy(scores, labels)
