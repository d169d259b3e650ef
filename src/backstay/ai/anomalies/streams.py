"""Unusual rows of a stream of numbers, found as they come: constant time and memory a row, one state that can be stored.

Ten cheap views of a row (channels) each say how rare their surprise is in this very series. Together they make one score;
what goes on for some rows counts as in Numenta's anomaly likelihood (Lavin and Ahmad, 2015). One incident is told once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from backstay.ai.anomalies.rates import rate_of
from backstay.ai.anomalies.seasons import Profile, Season
from backstay.ai.anomalies.tails import Tail
from backstay.errors import InvalidInput

LONG: Final = 2000
"""Rows that are remembered: what is usual follows a drift as slowly as this."""
REST: Final = 120
"""Rows in which an incident that was told fades."""
WORSE: Final = 1.3
"""How many times as rare, in decades, a row must be for an incident that was told to be told again."""
ALIKE: Final = 0.5
"""Decades by which an episode as there were others before is less rare than their count says: some are forgotten."""
CHANGED: Final = 150
"""Rows beyond what is usual, on one side, after which they are the new level."""
EPISODES: Final = 16
RARER: Final = 0.9
"""Decades by which a first row of an incident is rarer than a surprising row: measured on series with nothing wrong, by
`benchmarks.steps.anomalies`."""
CHANNELS: Final = {
    "level": "{value:.6g} is far from the usual level of {mean:.6g}",
    "change": "{value:.6g} is a large step from the row before; {diff:.3g} is usual",
    "season": "{value:.6g} is not what is usual at this time: {expected:.6g}, give or take {error:.3g}",
    "short": "the last rows lie away from what is usual, which is {expected:.6g} now",
    "middle": "for some time the rows lie away from what is usual, which is {expected:.6g} now",
    "swing": "it varies more than usual: steps of {swing:.3g}, where {diff:.3g} is usual",
    "quiet": "it varies less than usual: steps of {swing:.3g}, where {diff:.3g} is usual",
    "run": "the same value {run} times in a row",
    "gap": "no row for {gap:.6g} s; every {step:.6g} s is usual",
    "sustained": "several things have been a little unusual for some rows",
}
_VIEWS: Final = tuple(CHANNELS.values())


class StreamDetector:
    """A series of numbers, row by row: `StreamDetector().score(at, value)`.

    alarms: how many false alarms may come, as in `"1/1000"` rows; `alarm` says whether the last row was one.
    The score is in [0, 1]: 0.999 is once in a thousand rows of a series like this one, with nothing wrong. Rows that
    belong to an incident already told score low unless it becomes worse. A detector has learned enough to say anything
    after a hundred rows or so; a season, after three of them. Raises AuthorError for what is no rate.
    """

    def __init__(self, *, alarms: str = "1/1000") -> None:
        self.limit = 1.0 - rate_of(alarms, "StreamDetector")
        self.alarm = False
        """Whether the last row is unusual enough."""
        self.rows = 0
        self.value = self.at = self.mean = self.spread = self.wide = self.diff = self.step = self.gap = 0.0
        self.expected = 0.0
        self.short = self.short_spread = self.middle = self.middle_spread = self.swing = self.swing_spread = 0.0
        self.busy = self.bar = self.highest = 0.0
        self.run = self.beyond = self.left = 0
        self.season = Season()
        self.tails = [Tail() for _ in CHANNELS]
        self.whole = Tail()
        self.ranks: list[float] = []
        """How rare each view finds the last row."""
        self.peaks: list[float] = []
        """The most surprising episodes so far."""

    def score(self, at: float | datetime, value: float) -> float:
        """How unusual this row is. at: seconds, or a time, whose own clock tells the time of day. NaN, for either, is a missing row."""
        if isinstance(at, datetime):
            offset = at.utcoffset()
            seconds = (at if offset is not None else at.replace(tzinfo=UTC)).timestamp()
            wall = seconds + (0.0 if offset is None else offset.total_seconds())
        else:
            seconds = wall = at
        self.alarm = False
        try:
            missing = not (math.isfinite(value) and math.isfinite(seconds))
        except (TypeError, OverflowError) as error:
            raise InvalidInput(
                f"StreamDetector: at and value are numbers, not {at!r:.80} and {value!r:.80}", {"value": "is no number"}
            ) from error
        if missing:
            return 0.0
        rows = self.rows = self.rows + 1
        if rows == 1:
            self.value, self.at, self.mean, self.expected = value, seconds, value, value
            return 0.0
        pace = 1.0 / rows if rows < LONG else 1.0 / LONG
        tiny = 0.01 * self.wide + 1e-9 * abs(value) + 1e-15
        change = abs(value - self.value)
        ranks = [
            *self._place(wall, value, pace, tiny, change),
            *self._swing(change, pace, tiny),
            *self._clock(seconds, change),
        ]
        self.value = value
        rarity = self._episode(self._join(ranks))
        score = 1.0 - 10.0 ** -min(rarity, 15.0)
        self.alarm = score >= self.limit
        return score

    @property
    def reason(self) -> str:
        """Why the last row is as unusual as it is, in words."""
        numbers = {**vars(self), "error": self.season.error or self.spread}
        told = sorted((rank, n) for n, rank in enumerate(self.ranks) if rank > 0)[::-1][:2]
        return "; ".join(_VIEWS[n].format(**numbers) for _, n in told) or "nothing about it is unusual"

    def _place(self, wall: float, value: float, pace: float, tiny: float, change: float) -> tuple[float, ...]:
        """Where the value lies: against the level, the row before, the season, and what was left of late."""
        level, step, season, short, middle = self.tails[:5]
        offset = value - self.mean
        far = abs(offset)
        of_level = level.rank(far / (self.spread + tiny)) if self.spread else 0.0
        of_step = step.rank(change / (self.diff + tiny))
        limit = 6.0 * self.spread + tiny
        seasons = self.season
        left = seasons.rest(wall, offset, limit, pace)
        error = seasons.error
        self.expected = value - left
        of_season = season.rank(abs(left) / (0.5 * (error + seasons.local) + tiny)) if seasons.which else 0.0
        self.mean += max(-limit, min(left, limit)) * pace
        self.spread += ((min(far, limit) if self.rows > 50 else far) - self.spread) * pace
        self.wide += (far - self.wide) * pace
        bound = 8.0 * error + tiny
        part = max(-bound, min(left, bound))
        self.short += (part - self.short) * 0.2
        self.middle += (part - self.middle) * 0.03
        far = abs(self.short)
        of_short = short.rank(far / (self.short_spread + tiny))
        self.short_spread += (far - self.short_spread) * pace
        far = abs(self.middle)
        of_middle = middle.rank(far / (self.middle_spread + tiny)) if self.rows > 100 else 0.0
        self.middle_spread += (far - self.middle_spread) * pace
        self._changed(part, 3.0 * error + tiny)
        return of_level, of_step, of_season, of_short, of_middle

    def _changed(self, part: float, usual: float) -> None:
        """Take a new level as given after so many rows, instead of being surprised for ever."""
        if abs(part) <= usual or (part > 0) != (self.middle > 0):
            self.beyond = 0
        elif (beyond := self.beyond + 1) <= CHANGED:
            self.beyond = beyond
        else:
            self.mean += self.middle
            self.middle = self.short = 0.0
            self.beyond = 0

    def _swing(self, change: float, pace: float, tiny: float) -> tuple[float, float]:
        """How much it varies of late: more than usual, less than usual."""
        louder, quieter = self.tails[5:7]
        usual = self.diff + tiny
        self.swing += (min(change, 8.0 * usual) - self.swing) * 0.1
        ratio = math.log((self.swing + 0.1 * tiny) / usual)
        far = abs(ratio)
        surprise = far / (self.swing_spread + 0.05)
        self.swing_spread += (far - self.swing_spread) * pace
        self.diff += ((min(change, 10.0 * usual) if self.rows >= 50 else change) - self.diff) * pace
        return (louder.rank(surprise), 0.0) if ratio > 0 else (0.0, quieter.rank(surprise))

    def _clock(self, seconds: float, change: float) -> tuple[float, float]:
        """Runs of one value, and rows that did not come."""
        run, gap = self.tails[7:9]
        self.run = 1 if change else self.run + 1
        of_run = run.rank(math.log(self.run)) if self.run > 1 else 0.0
        if not of_run and self.run <= 1:
            run.rank(-1.0)
        self.gap = seconds - self.at
        if self.gap <= 0:
            return of_run, 0.0
        late = self.gap > 1.01 * self.step > 0
        of_gap = gap.rank(math.log(self.gap / self.step)) if late else 0.0
        self.step += (self.gap - self.step) / min(self.rows, LONG) if self.step else self.gap
        self.at = seconds
        return of_run, of_gap

    def _join(self, ranks: list[float]) -> float:
        """One surprise of them all: the rarest view counts, the others a little."""
        top = max(ranks)
        others = sum(ranks) - top
        joined = top + 0.25 * others
        self.busy += (min(joined, 8.0) - self.busy) * 0.1
        sustained = self.tails[9].rank(self.busy)
        self.ranks = [*ranks, sustained]
        if sustained <= top:
            return joined + 0.25 * sustained
        return sustained + 0.25 * (top + others)

    def _episode(self, joined: float) -> float:
        """Decades of rarity of a surprise that is new: not one that was told, nor one as there were others before."""
        rarity = self.whole.rank(joined)
        if self.rows < 300:
            rarity = min(rarity, math.log10(self.rows))
        if joined > 1.5:
            alike = sum(peak >= joined for peak in self.peaks)
            if alike:
                rarity = min(rarity, math.log10(self.rows / (alike + 1.0)) - ALIKE)
            self.highest = max(self.highest, joined)
            self.left = self.left or REST
        if self.left:
            self.left -= 1
            if not self.left:
                self.peaks = sorted([*self.peaks, self.highest], reverse=True)[:EPISODES]
                self.highest = 0.0
        bar = self.bar
        if rarity > WORSE * bar + 0.1:
            self.bar = rarity
            return rarity + RARER
        self.bar = bar - bar / REST
        return 0.3 * rarity if rarity >= bar else 0.0

    def state(self) -> dict[str, Any]:
        """All that it has learned, as JSON: `restore` goes on exactly there."""
        plain = {name: one for name, one in vars(self).items() if name not in _PARTS}
        return plain | {
            "season": {
                **{name: getattr(self.season, name) for name in _SEASON},
                **{name: _read(getattr(self.season, name)) for name in ("day", "week")},
            },
            "tails": [_read(tail) for tail in self.tails],
            "whole": _read(self.whole),
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> StreamDetector:
        """A detector as it was when its `state()` was taken; raises InvalidInput where something is missing."""
        made = cls()
        if missing := sorted({*vars(made)} - {*state}):
            raise InvalidInput(
                f"StreamDetector: state: {', '.join(missing)} is missing", dict.fromkeys(missing, "is missing")
            )
        vars(made).update({name: one for name, one in state.items() if name not in _PARTS})
        for name in _SEASON:
            setattr(made.season, name, state["season"][name])
        _write(made.season.day, state["season"]["day"])
        _write(made.season.week, state["season"]["week"])
        for tail, kept in zip([*made.tails, made.whole], [*state["tails"], state["whole"]], strict=True):
            _write(tail, kept)
        return made


_PARTS: Final = ("season", "tails", "whole")
_SEASON: Final = ("error", "errors", "local", "which")


def _read(part: Tail | Profile) -> dict[str, Any]:
    return {name: getattr(part, name) for name in part.__slots__}


def _write(part: Tail | Profile, kept: Mapping[str, Any]) -> None:
    for name in part.__slots__:
        setattr(part, name, kept[name])
