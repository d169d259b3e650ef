"""From a document to chosen values: lay it out, make candidates, weigh them, choose such that no two fields claim one place. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from backstay.ai.documents.model import Document
from backstay.ai.extraction.candidates import candidates
from backstay.ai.extraction.doubts import DOUBTFUL, doubt
from backstay.ai.extraction.evidence import Candidate, Evidence, Habit
from backstay.ai.extraction.fields import Shape, Wanted
from backstay.ai.extraction.figures import key
from backstay.ai.extraction.layout import Sheet, link, sheet
from backstay.ai.extraction.line_items import find_heads, read_items
from backstay.ai.extraction.scoring import Fit, group, told_of
from backstay.ai.extraction.vocabulary import letters

WORTHLESS: Final = 0.003
"""A candidate below it is none."""
OPTIONAL: Final = 0.5
"""An optional field stays empty below it: most papers do not state everything."""
TWINS: Final = 0.6
"""How much remains of the confidence in a name that was recognised in two ways."""
LOSERS: Final = 3
"""Candidates that lost and are shown."""
TELLING: Final = 5
"""Letters and digits that a known value must have to be recognised by them anywhere in a text."""


@dataclass
class Choice:
    """What a field was decided to be."""

    wanted: Wanted
    best: Candidate | None = None
    losers: list[Candidate] = field(default_factory=list[Candidate])
    confidence: float = 0.0
    judged_as: str = ""
    """The group whose past tells from which confidence on it is sure."""
    doubt: str = ""
    """Why it is not sure, however likely it looks."""


@dataclass(frozen=True)
class VendorHabits:
    """What earlier corrections taught of one vendor."""

    vendor: str
    keys: frozenset[str]
    """By which its papers are recognised: keys of its name and numbers."""
    places: Mapping[str, Sequence[Habit]]
    values: Mapping[str, Any]
    """What is the same on all its papers, by field."""


@dataclass
class Outcome:
    """A document as it was read."""

    choices: list[Choice]
    evidence: Evidence
    vendor: VendorHabits | None = None
    record: Mapping[str, Any] | None = None
    """The master data that fits, if any."""


def prepare(document: Document, shape: Shape, ours: Iterable[str] = ()) -> Evidence:
    """Lay a document out and read its tables."""
    laid = sheet(document, shape.phrases)
    heads = find_heads(laid, shape.headings)
    link(laid)
    return Evidence(laid, read_items(laid, heads), frozenset(key(each) for each in ours if key(each)))


def read(
    evidence: Evidence,
    shape: Shape,
    fit: Fit,
    *,
    records: Iterable[Mapping[str, Any]] = (),
    habits: Iterable[VendorHabits] = (),
) -> Outcome:
    """Choose a value for each field. records: master data, each by field. habits: what is remembered of vendors."""
    record = _fitting(evidence, records)
    vendor = _recognised(evidence, habits)
    evidence.known = {**(vendor.values if vendor else {}), **(record or {})}
    evidence.habits = vendor.places if vendor else {}
    made = [_weighed(wanted, evidence, fit) for wanted in shape.fields]
    choices = [
        Choice(wanted, losers=[each for each in found if each.score >= WORTHLESS])
        for wanted, found in zip(shape.fields, made, strict=True)
    ]
    _choose(choices)
    for choice, found in zip(choices, made, strict=True):
        if choice.best is not None:
            value = choice.best.value
            rivals = [each for each in choice.losers if _key(each.value) != _key(value)]
            choice.confidence = fit.confidence(choice.wanted, told_of(choice.best, rivals))
            choice.judged_as = fit.judged_as(choice.wanted, choice.best)
            if group(choice.wanted) == "company":
                choice.confidence = min(choice.confidence, choice.best.score)
            others = {
                _place(each.wanted, each.best) for each in choices if each.best is not None and each is not choice
            }
            free = [
                each for each in found if _key(each.value) != _key(value) and _place(choice.wanted, each) not in others
            ]
            if reason := doubt(choice.wanted, choice.best, free, evidence):
                choice.doubt, choice.confidence = reason, min(choice.confidence, DOUBTFUL)
            if choice.best.features.get("twin"):
                choice.confidence *= TWINS
                choice.best.why.append("recognised in two ways")
            choice.losers = _distinct(rivals)[:LOSERS]
            if choice.confidence < OPTIONAL and not choice.wanted.required:
                choice.losers = [choice.best, *choice.losers][:LOSERS]
                choice.best, choice.confidence, choice.doubt = None, 0.0, ""
    return Outcome(choices, evidence, vendor, record)


def _weighed(wanted: Wanted, evidence: Evidence, fit: Fit) -> list[Candidate]:
    made = candidates(wanted, evidence)
    for candidate in made:
        candidate.score = fit.score(wanted, candidate)
    return sorted(made, key=lambda each: -each.score)


def _choose(choices: list[Choice]) -> None:
    """The best goes first; what it claims nobody else of the same kind may, unless its own label says so."""
    claimed: set[tuple[str, int, int, float, float]] = set()
    waiting = {id(choice): choice for choice in choices if choice.losers}
    while waiting:
        choice = max(waiting.values(), key=lambda each: each.losers[0].score)
        best = choice.losers[0]
        place = _place(choice.wanted, best)
        if place in claimed and best.features.get("own", 0.0) < 0.5:
            choice.losers.pop(0)
            if not choice.losers:
                del waiting[id(choice)]
            continue
        if place is not None:
            claimed.add(place)
        choice.best = choice.losers.pop(0)
        del waiting[id(choice)]


def _place(wanted: Wanted, candidate: Candidate) -> tuple[str, int, int, float, float] | None:
    run = candidate.run
    if run is None or wanted.kind in ("currency", "choice", "bool"):
        return None
    return wanted.kind, run.page, run.row, round(run.box[0]), round(run.box[2])


def _distinct(found: Iterable[Candidate]) -> list[Candidate]:
    kept: dict[str, Candidate] = {}
    for candidate in found:
        kept.setdefault(_key(candidate.value), candidate)
    return list(kept.values())


def _key(value: Any) -> str:
    """Values that say the same have one key."""
    if isinstance(value, Decimal):
        return str(value.normalize())
    return key(value) if isinstance(value, str) else str(value)


def _fitting(evidence: Evidence, records: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The record of which most stands in the document; a name or a number that is long enough to tell."""
    best: tuple[int, Mapping[str, Any]] | None = None
    for record in records:
        told = {letters(str(value)) for value in record.values() if value}
        weight = sum(len(each) for each in told if len(each) >= TELLING and each in evidence.everything)
        if weight and (best is None or weight > best[0]):
            best = weight, record
    return best[1] if best else None


def _recognised(evidence: Evidence, habits: Iterable[VendorHabits]) -> VendorHabits | None:
    found = [
        (max(len(each) for each in hits), known) for known in habits
        if (hits := [each for each in known.keys if len(each) >= TELLING and each in evidence.everything])
    ]  # fmt: skip
    return max(found, key=lambda pair: pair[0])[1] if found else None


def pages_of(laid: Sheet) -> int:
    """How many pages were read."""
    return len({row.page for row in laid.rows})
