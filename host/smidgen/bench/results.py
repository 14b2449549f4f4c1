"""What a session has measured, and its form in results.json."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from smidgen.bench.counter import Counter
from smidgen.bench.statistics import Summary, summarize
from smidgen.power import Battery, DutyCycle, EnergyResult

FORMAT = 1  # of results.json


@dataclass(frozen=True)
class OperatorFacts:
    """What the blob says of an operator. Bytes: of packed weights, and of the arena while it runs."""

    index: int
    name: str
    output_shape: tuple[int, ...]
    macs: int
    weight_bytes: int
    arena_bytes: int


@dataclass(frozen=True)
class BlobFacts:
    """Sizes in bytes."""

    file: str
    name: str
    sha256: str
    blob_bytes: int
    arena_bytes: int
    scratch_bytes: int
    macs: int
    operators: tuple[OperatorFacts, ...]


@dataclass(frozen=True)
class BoardFacts:
    """module_*: of the smidgen.mpy that this computer has for the board, which is the one on it."""

    port: str
    machine: str
    platform: str
    micropython: str
    natmod_arch: str | None
    smidgen: str | None
    module_file: str
    module_sha256: str
    is_virtual: bool


@dataclass(frozen=True)
class HostFacts:
    smidgen: str
    python: str
    system: str


@dataclass(frozen=True)
class MemoryUse:
    """Bytes of the board's heap in use after a collection: before the model, with it, and at most while it infers."""

    heap_bytes: int
    before: int
    loaded: int
    peak: int


@dataclass
class BenchResult:
    """Filled as the session goes on; is_partial until it has come to its end.

    ticks: of every inference. operator_ticks: by round, of every operator. load_microseconds: making the model of a
    blob that is in RAM. round_trips: seconds of a request over the link that asks for nothing. outputs_checked: golden
    vectors that the board got right, 0 if the blob has none.
    """

    started: str
    blob: BlobFacts
    board: BoardFacts
    host: HostFacts
    requested: int
    is_partial: bool = True
    problem: str | None = None
    seconds: float = 0.0
    counter: Counter | None = None
    transfer: dict[str, Any] | None = None
    load_microseconds: list[int] = field(default_factory=list)
    memory: MemoryUse | None = None
    outputs_checked: int = 0
    round_trips: list[float] = field(default_factory=list)
    ticks: list[int] = field(default_factory=list)
    operator_ticks: list[list[int]] = field(default_factory=list)
    energy: EnergyResult | None = None
    duty: DutyCycle | None = None
    battery: Battery | None = None
    battery_seconds: float | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def microseconds(self) -> list[float]:
        """Of every inference."""
        return [self.counter.microseconds(ticks) for ticks in self.ticks] if self.counter else []

    @property
    def latency(self) -> Summary | None:
        """Of an inference, in microseconds."""
        return summarize(self.microseconds)

    @property
    def operator_microseconds(self) -> list[float]:
        """Mean of the rounds, of every operator; empty if it was not measured."""
        if not self.counter or not self.operator_ticks:
            return []
        rounds = len(self.operator_ticks)
        return [self.counter.microseconds(sum(column) / rounds) for column in zip(*self.operator_ticks, strict=True)]

    def as_dict(self) -> dict[str, Any]:
        """For results.json and --json."""
        latency = self.latency
        middle = (
            self.counter.cycles(float(summary.median)) if self.counter and (summary := summarize(self.ticks)) else None
        )
        return {
            "format": FORMAT,
            "partial": self.is_partial,
            "problem": self.problem,
            "started": self.started,
            "seconds": round(self.seconds, 3),
            "blob": asdict(self.blob),
            "board": asdict(self.board),
            "host": asdict(self.host),
            "counter": asdict(self.counter) if self.counter else None,
            "latency": {
                "requested": self.requested,
                "microseconds": asdict(latency) if latency else None,
                "median_cycles": middle,
                "ticks": self.ticks,
            },
            "operators": {"microseconds": self.operator_microseconds, "ticks": self.operator_ticks},
            "load": {"transfer": self.transfer, "microseconds": self.load_microseconds},
            "memory": asdict(self.memory) if self.memory else None,
            "outputs_checked": self.outputs_checked,
            "link": {
                "round_trip_seconds": asdict(trip) if (trip := summarize(self.round_trips)) else None,
                "samples": self.round_trips,
            },
            "power": self._power(),
            "warnings": self.warnings,
        }

    def _power(self) -> dict[str, Any] | None:
        if self.energy is None:
            return None
        duty = None
        if self.duty:
            duty = {
                **asdict(self.duty),
                "average_watts": self.duty.average_watts,
                "active_share": self.duty.active_share,
            }
        return {
            **self.energy.as_dict(),
            "duty_cycle": duty,
            "battery": asdict(self.battery) if self.battery else None,
            "battery_seconds": self.battery_seconds,
        }
