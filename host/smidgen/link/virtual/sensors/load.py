"""A load's current over time, in nanoseconds of the board's clock."""

from __future__ import annotations

from bisect import bisect_right


class CurrentHistory:
    """Constant between changes. What is older than `forget_before` says is gone."""

    def __init__(self, amperes: float) -> None:
        self._times = [0.0]
        self._amperes = [amperes]

    def change(self, time: float, amperes: float) -> None:
        """The current is `amperes` from `time` on, which is not before the last change."""
        if amperes != self._amperes[-1]:
            self._times.append(time)
            self._amperes.append(amperes)

    def mean(self, start: float, end: float) -> float:
        first = max(bisect_right(self._times, start) - 1, 0)
        total = 0.0
        for place in range(first, len(self._times)):
            begin = max(self._times[place], start)
            if begin >= end:
                break
            following = self._times[place + 1] if place + 1 < len(self._times) else end
            total += self._amperes[place] * (min(following, end) - begin)
        return total / (end - start)

    def forget_before(self, time: float) -> None:
        keep = max(bisect_right(self._times, time) - 1, 0)
        del self._times[:keep], self._amperes[:keep]
