"""Looks for the price of a bit with which a compressed network meets a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

import numpy as np

from smidgen.compress.layers import compress_layers, curvatures, real_weights
from smidgen.compress.quality import Judge, Quality
from smidgen.compress.samples import Samples
from smidgen.compress.sensitivity import LayerSensitivity, Progress, measure_sensitivity
from smidgen.compress.steps import STEP_PER_PRICE, finest_steps
from smidgen.errors import InputError
from smidgen.network import Network, WeightedOperator

_COARSE_PRICES = 7  # from nearly lossless on
_COARSE_FACTOR = 4.0  # from one to the next: about one bit a weight
_FINE_ROUNDS, _FINE_PRICES = 2, 4
_NEGLIGIBLE = 1e-12  # of the largest price at which a channel has its finest step


class Kind(str, Enum):
    """What a target limits."""

    BLOB_BYTES = "target-bytes"
    BITS_PER_WEIGHT = "bits-per-weight"
    LOSS = "max-accuracy-loss"


@dataclass(frozen=True)
class Target:
    """limit: bytes, bits, or for LOSS a part of 1."""

    kind: Kind
    limit: float


@dataclass(frozen=True)
class Size:
    """blob_bytes: of the whole file. bits_per_weight: coded weights with their code tables."""

    blob_bytes: int
    bits_per_weight: float


@dataclass(frozen=True)
class Point:
    """A point of the trade-off curve. price: error that a bit is worth, 0 for the network as it was. loss: 1 is all."""

    price: float
    size: Size
    quality: Quality
    loss: float

    def value(self, kind: Kind) -> float:
        """What a target of this kind limits."""
        values = {
            Kind.BLOB_BYTES: self.size.blob_bytes,
            Kind.BITS_PER_WEIGHT: self.size.bits_per_weight,
            Kind.LOSS: self.loss,
        }
        return values[kind]


@dataclass(frozen=True)
class Compression:
    """The compressed network, and what was found on the way. curve: by falling size, the network as it was first."""

    network: Network
    target: Target
    chosen: Point
    curve: list[Point]
    loss_name: str
    calibration_samples: int
    judged_samples: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "target": asdict(self.target),
            "loss": self.loss_name,
            "calibration_samples": self.calibration_samples,
            "judged_samples": self.judged_samples,
            "chosen": asdict(self.chosen),
            "curve": [asdict(point) for point in self.curve],
        }


@dataclass(frozen=True, eq=False)
class _Problem:
    """All that a worker needs to try a price."""

    network: Network
    samples: Samples
    sensitivity: Mapping[int, LayerSensitivity]
    judge: Judge
    measure: Callable[[Network], Size]

    def compressed(self, price: float) -> Network:
        return compress_layers(self.network, self.samples.inputs, self.sensitivity, price)

    def point(self, price: float) -> Point:
        network = self.network if price == 0 else self.compressed(price)
        quality = self.judge.quality(network)
        return Point(price, self.measure(network), quality, quality.loss(self.judge.reference()))


def compress(
    network: Network,
    samples: Samples,
    target: Target,
    measure: Callable[[Network], Size],
    *,
    seed: int = 0,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Compression:
    """Compress `network` until it meets `target`.

    For a size: the network with the least divergence that is no larger. For a loss: the smallest network that loses no
    more, measured on a quarter of the samples that is kept apart. measure: the size of a network, called in other
    processes. jobs: processes, -1 for one on each core, None for what a surrounding `joblib.parallel_config` says (so a
    cluster can do it). The same seed gives the same result, whatever `jobs` is. Raises InputError for a target that is
    out of reach.
    """
    calibration, judged = samples.split(seed)
    sensitivity = measure_sensitivity(network, calibration.inputs, seed, progress)
    judge = Judge(network, judged.inputs, judged.labels)
    problem = _Problem(network, calibration, sensitivity, judge, measure)
    curve = _search(problem, target, jobs, progress)
    chosen = _choose(curve, target, judge.loss_name())
    result = network if chosen.price == 0 else problem.compressed(chosen.price)
    return Compression(result, target, chosen, curve, judge.loss_name(), len(calibration), len(judged))


def _search(problem: _Problem, target: Target, jobs: int | None, progress: Progress | None) -> list[Point]:
    """Points for prices far apart, and then closer ones where the target is met."""
    first = _least_price(problem)
    coarse = [0.0, *(first * _COARSE_FACTOR**step for step in range(_COARSE_PRICES))]
    total = len(coarse) + _FINE_ROUNDS * _FINE_PRICES
    curve = _points(problem, coarse, jobs)
    for _ in range(_FINE_ROUNDS):
        if progress is not None:
            progress("compressing: prices of a bit", len(curve), total)
        limits = _bracket(curve, target)
        if limits is None:
            break
        between = np.geomspace(*limits, _FINE_PRICES + 2)[1:-1]
        curve = sorted(curve + _points(problem, between.tolist(), jobs), key=lambda point: point.price)
    if progress is not None:
        progress("compressing: prices of a bit", total, total)
    return curve


def _points(problem: _Problem, prices: Sequence[float], jobs: int | None) -> list[Point]:
    try:
        from joblib import Parallel, delayed
    except ImportError as error:
        raise InputError("compression needs joblib: pip install 'smidgen[compress]'") from error
    points: list[Point] = Parallel(n_jobs=jobs)(delayed(problem.point)(price) for price in prices)
    return points


def _least_price(problem: _Problem) -> float:
    """A price at which most channels have the finest steps there are."""
    prices = []
    for index, layer in problem.sensitivity.items():
        operator = problem.network.operators[index]
        assert isinstance(operator, WeightedOperator)
        finest = finest_steps(real_weights(operator)[:, :-1])
        prices.append(finest**2 * curvatures(layer) / STEP_PER_PRICE)
    known = np.concatenate(prices) if prices else np.zeros(0)
    known = known[known > _NEGLIGIBLE * known.max(initial=0.0)]
    if not known.size:
        raise InputError("no output depends on any weight with these calibration samples; nothing can be compressed")
    return float(np.median(known))


def _bracket(curve: Sequence[Point], target: Target) -> tuple[float, float] | None:
    """Two neighbouring prices above 0, one on each side of the target; None if there are none."""
    met = [point.value(target.kind) <= target.limit for point in curve]
    pairs = [
        (first.price, second.price)
        for first, second, before, after in zip(curve, curve[1:], met, met[1:], strict=False)
        if before != after and first.price > 0
    ]
    if not pairs:
        return None
    return pairs[-1] if target.kind == Kind.LOSS else pairs[0]


def _choose(curve: Sequence[Point], target: Target, loss_name: str) -> Point:
    met = [point for point in curve if point.value(target.kind) <= target.limit]
    if met and target.kind == Kind.LOSS:
        return min(met, key=lambda point: (point.size.blob_bytes, point.quality.divergence))
    if met:
        return min(met, key=lambda point: (point.quality.divergence, point.size.blob_bytes))
    least = min(curve, key=lambda point: point.value(target.kind))
    if target.kind == Kind.BLOB_BYTES:
        found = f"the smallest blob found has {least.size.blob_bytes:,} bytes, {target.limit:,.0f} were asked for"
    else:
        found = f"the least found is {least.size.bits_per_weight:.2f} bits per weight, {target.limit:g} were asked for"
    raise InputError(
        f"{found}; there it loses {100 * least.loss:.1f} points of {loss_name}. Ask for more, or for a smaller network"
    )
