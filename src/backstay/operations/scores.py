"""Scores: what an evaluation came to, and whether that is worse than before. Plain data, kept as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from math import sqrt
from pathlib import Path
from statistics import mean, median
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from backstay.errors import InvalidInput, NotFound
from backstay.operations.prompts import Prompt

Z: Final = 1.959964
"""Of a normal distribution, 95 % lie within so many standard deviations."""

GROWING: Final = ("steps", "tool_calls", "tokens", "usd")
"""What a case may use up more of than before, within a tolerance."""


class Kept(BaseModel):
    """Part of a report."""

    model_config = ConfigDict(frozen=True)


class Usage(Kept):
    """What was used up."""

    steps: float = 0
    tool_calls: float = 0
    tokens: float = 0
    usd: Decimal | None = Decimal(0)
    """None: the price of a model is not known."""
    holds: float = 0


class Attempt(Kept):
    """One run of a case."""

    passed: bool
    reasons: tuple[str, ...] = ()
    """What is not as expected."""
    reason: str
    """Why it stopped; "" when it could not be started."""
    used: Usage = Usage()
    models: tuple[str, ...] = ()
    trajectory: tuple[str, ...] = ()
    """What it did, a line for each act, with pseudonyms."""


class Score(Kept):
    """What came of a case."""

    id: str
    digest: str
    """Tells whether it is still the same case."""
    agent: str
    attempts: tuple[Attempt, ...]

    @property
    def passed(self) -> int:
        return sum(attempt.passed for attempt in self.attempts)

    @property
    def rate(self) -> float:
        return self.passed / len(self.attempts)

    @property
    def used(self) -> Usage:
        """The medians of its attempts."""
        return medians(self.attempts)


class Report(Kept):
    """What an evaluation came to."""

    app: str
    dataset: str
    digest: str
    at: str
    times: int
    agents: tuple[Prompt, ...]
    """Those that were evaluated or may have helped, with the versions of their prompts."""
    models: tuple[str, ...]
    attempts: int
    passed: int
    rate: float
    low: float
    high: float
    """Wilson's 95 % interval of the rate."""
    total: Usage
    median: Usage
    cases: tuple[Score, ...]


def report(app: str, dataset: str, digest: str, at: str, agents: Iterable[Prompt], cases: Sequence[Score]) -> Report:
    """Add up what came of the cases."""
    attempts = [attempt for case in cases for attempt in case.attempts]
    passed = sum(attempt.passed for attempt in attempts)
    low, high = wilson(passed, len(attempts))
    return Report(
        app=app, dataset=dataset, digest=digest, at=at, times=len(cases[0].attempts), agents=tuple(agents),
        models=tuple(dict.fromkeys(model for attempt in attempts for model in attempt.models)),
        attempts=len(attempts), passed=passed, rate=passed / len(attempts), low=low, high=high,
        total=total(attempts), median=medians(attempts), cases=tuple(cases),
    )  # fmt: skip


def wilson(passed: int, number: int) -> tuple[float, float]:
    """The 95 % score interval of a rate (E. B. Wilson, 1927)."""
    if not number:
        return 0.0, 1.0
    rate, share = passed / number, Z**2 / number
    middle = rate + share / 2
    away = Z * sqrt(rate * (1 - rate) / number + share / (4 * number))
    return max(0.0, (middle - away) / (1 + share)), min(1.0, (middle + away) / (1 + share))


def total(attempts: Sequence[Attempt]) -> Usage:
    """What all of them used up."""
    return _usage(attempts, sum)


def medians(attempts: Sequence[Attempt]) -> Usage:
    """What one of them used up, the one in the middle."""
    return _usage(attempts, median)


def _usage(attempts: Sequence[Attempt], of: Any) -> Usage:
    used = [attempt.used for attempt in attempts]
    costs = [one.usd for one in used]
    return Usage(
        **{name: of([getattr(one, name) for one in used]) for name in ("steps", "tool_calls", "tokens", "holds")},
        usd=None if None in costs else Decimal(of(costs)),
    )


# --- against a baseline --------------------------------------------------------------------------------------


class Comparison(Kept):
    """What became of the cases that two reports have in common."""

    compared: int
    worse: tuple[str, ...]
    """Cases that pass less often."""
    better: tuple[str, ...]
    new: tuple[str, ...]
    """Cases that the baseline does not have, or has with another content."""
    gone: tuple[str, ...]
    changed: tuple[str, ...]
    """What is another than before of prompts, definitions and models."""
    regressions: tuple[str, ...]
    """Why this is worse than the baseline; nothing when it is not."""


def read_report(path: Path) -> Report:
    """A report that was kept; raises NotFound, or InvalidInput when it is none."""
    if not path.is_file():
        raise NotFound(f"there is no report {str(path)!r}; `backstay eval APP DATASET --out {path}` writes one")
    try:
        return Report.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "report"
        raise InvalidInput(
            f"{path.name} is no report of an evaluation: {where}: {first['msg']}", {where: first["msg"]}
        ) from None


def compare(now: Report, before: Report, tolerance: float = 0.0, growth: float | None = None) -> Comparison:
    """Hold a report against a baseline. Only cases that both have with the same content are compared.

    tolerance: the share of attempts that may fail now where they passed; cases that were mended do not make up for it.
    growth: how much more a case may use up on average, 0.2 for a fifth; None does not look at it.
    """
    then = {case.id: case for case in before.cases}
    pairs = [(case, then[case.id]) for case in now.cases if case.id in then and then[case.id].digest == case.digest]
    known = {case.id for case, _ in pairs}
    worse = [case.id for case, old in pairs if case.rate < old.rate]
    regressions: list[str] = [] if pairs else ["no case of the baseline is in this dataset with the same content"]
    lost = sum(max(0.0, old.rate - case.rate) for case, old in pairs) / max(len(pairs), 1)
    if lost > tolerance + 1e-9:
        regressions.append(
            f"{lost:.1%} of the attempts fail that passed before, and {tolerance:.1%} may: {', '.join(worse)}"
        )
    if growth is not None and pairs:
        regressions += _grown([case for case, _ in pairs], [old for _, old in pairs], growth)
    return Comparison(
        compared=len(pairs), worse=tuple(worse), better=tuple(case.id for case, old in pairs if case.rate > old.rate),
        new=tuple(case.id for case in now.cases if case.id not in known),
        gone=tuple(name for name in then if name not in {case.id for case in now.cases}),
        changed=tuple(_changed(now, before)), regressions=tuple(regressions),
    )  # fmt: skip


def _changed(now: Report, before: Report) -> Iterator[str]:
    then = {prompt.agent: prompt for prompt in before.agents}
    for prompt in now.agents:
        old = then.get(prompt.agent, prompt)
        if old.version != prompt.version:
            yield f"{prompt.agent}: prompt {old.version[:7]} → {prompt.version[:7]}"
        if old.definition != prompt.definition:
            yield f"{prompt.agent}: definition {old.definition[:7]} → {prompt.definition[:7]}"
        if old.role != prompt.role:
            yield f"{prompt.agent}: model role {old.role} → {prompt.role}"
    if now.models != before.models:
        yield f"models: {', '.join(before.models) or 'none'} → {', '.join(now.models) or 'none'}"


def _grown(now: Sequence[Score], before: Sequence[Score], growth: float) -> list[str]:
    found: list[str] = []
    for name in GROWING:
        after, old = _mean(now, name), _mean(before, name)
        if after is None and old is not None:
            found.append(f"{name}: the price is not known any more")
        elif after is not None and old is not None and after > old * (1 + growth) + 1e-9:
            found.append(f"{name}: {after:.4g} in a case on average, {old:.4g} before, and {growth:.0%} more may be")
    return found


def _mean(cases: Sequence[Score], name: str) -> float | None:
    values = [getattr(attempt.used, name) for case in cases for attempt in case.attempts]
    return None if None in values else mean(map(float, values))
