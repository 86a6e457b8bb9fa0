"""How loud the sound is from beginning to end: a curve of bounded length.

Rule 1: the curve has at most `MOST` stretches of equal length for any length of the sound, which
may be declared wrong. So stretches are joined in pairs when there are more.

Rule 2: a stretch has the average power of its moments. A mean of decibels would be too low.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

#: The most stretches, and how long each is at first, in seconds.
MOST, FIRST_PACE = 600, 0.1
#: EBU R 128 measures nothing below, in LUFS.
NOTHING = -70.0


@dataclass(slots=True)
class Curve:
    """Takes the momentary loudness of EBU R 128, over 0.4 s, in order."""

    _every: float = FIRST_PACE
    #: Power and number of the moments of each stretch.
    _stretches: list[tuple[float, int]] = field(default_factory=list)

    def take(self, at: float, loudness: float | None) -> None:
        """`at`: seconds from zero of the file. `loudness` in LUFS; None: nothing can be heard."""
        audible = loudness is not None and loudness > NOTHING
        power = 10 ** (loudness / 10) if audible and loudness is not None else 0.0
        while at >= MOST * self._every:
            self._join()
        place = max(int(at / self._every + 1e-6), 0)
        if place == MOST:  # rounding
            self._join()
            place //= 2
        missing = place + 1 - len(self._stretches)
        self._stretches += [(0.0, 0)] * max(missing, 0)
        before, count = self._stretches[place]
        self._stretches[place] = before + power, count + 1

    def _join(self) -> None:
        joined = [*self._stretches, (0.0, 0)]
        pairs = zip(joined[::2], joined[1::2], strict=False)
        self._stretches = [(a[0] + b[0], a[1] + b[1]) for a, b in pairs]
        self._every *= 2

    def render(self) -> dict[str, Any] | None:
        """`every` in seconds, `values` in LUFS, None where nothing can be heard."""
        values = [_loudness(*stretch) for stretch in self._stretches]
        if all(value is None for value in values):
            return None
        return {"every": round(self._every, 3), "values": values}


def _loudness(power: float, count: int) -> float | None:
    value = 10 * math.log10(power / count) if power > 0 and count else -math.inf
    return round(value, 1) if value > NOTHING else None
