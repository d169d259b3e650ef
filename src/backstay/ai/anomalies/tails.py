"""How rare is this surprise among those of the past: an upper tail that is learned row by row, in constant time and memory.

Peaks over a threshold, as in Siffer et al., "Anomaly detection in streams with extreme value theory" (KDD 2017): a high
quantile is tracked, and what exceeds it follows a generalised Pareto distribution, fitted by its moments (Hosking and
Wallis, 1987) with forgetting.
"""

from __future__ import annotations

import math
from typing import Final

SHARE: Final = 0.02
"""Share of the rows above the threshold."""
WARM: Final = 100
"""Rows before the tail says anything."""
PEAKS: Final = 60
"""Peaks that count: older ones fade."""
LIGHTEST: Final = 0.05
"""The least shape: real tails are never quite exponential."""
_START: Final = -math.log10(SHARE)
_DECADES: Final = 1 / math.log(10)


class Tail:
    """The upper tail of the surprises of one channel."""

    __slots__ = ("mean", "peaks", "rows", "square", "threshold")

    def __init__(self) -> None:
        self.threshold = 0.0
        """The quantile that a share of the rows exceeds."""
        self.mean = 0.5
        """Mean of what exceeds it."""
        self.square = 0.5
        """Mean of its square."""
        self.rows = 0
        self.peaks = 1

    def rank(self, surprise: float) -> float:
        """Decades of rarity: 3 for once in a thousand rows, 0 for what is usual. Learns from it."""
        rows = self.rows = self.rows + 1
        over, mean = surprise - self.threshold, self.mean
        step = mean * (0.03 if rows > 400 else 12.0 / rows if rows > 40 else 0.5)
        if over <= 0.0:
            self.threshold -= step * SHARE
            return 0.0
        self.threshold += step * (1.0 - SHARE)
        if rows < WARM:
            # What a series does first, such as its first step ever, says nothing of its tail.
            self.mean = max(0.02, mean + (min(over, 4.0 * mean) - mean) * 0.1)
            self.square = 2.0 * self.mean**2
            return 0.0
        ratio = mean * mean / max(self.square - mean * mean, 1e-12)
        shape = 0.5 * (1.0 - ratio)
        if shape < LIGHTEST:
            shape, scale = LIGHTEST, mean * (1.0 - LIGHTEST)
        else:
            scale = 0.5 * mean * (1.0 + ratio)
        self._learn(over)
        return _START + _DECADES * math.log1p(shape * over / scale) / shape

    def _learn(self, over: float) -> None:
        if self.peaks < PEAKS:
            self.peaks += 1
        # One huge peak must not make the next one look usual.
        held = min(over, 10.0 * self.mean)
        self.mean = max(0.02, self.mean + (held - self.mean) / self.peaks)
        self.square += (held * held - self.square) / self.peaks
