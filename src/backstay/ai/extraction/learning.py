"""What a correction teaches: where on this vendor's papers the right value stood, and which candidates were right. Pure.

A lesson holds labels, places and numbers, and the sender's name and tax number by which its next paper is known; no other value.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from backstay.ai.extraction.candidates import candidates
from backstay.ai.extraction.evidence import Candidate, Evidence, Habit, neighbour
from backstay.ai.extraction.fields import Shape, Wanted
from backstay.ai.extraction.figures import key
from backstay.ai.extraction.layout import Run
from backstay.ai.extraction.reading import VendorHabits
from backstay.ai.extraction.scoring import Fit, group
from backstay.ai.extraction.vocabulary import letters
from backstay.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ENOUGH: Final = 20
"""Corrected papers from which weights may change; places count from the first."""
PRIOR: Final = 25.0
"""How strongly shipped weights hold against own papers."""
EACH: Final = 12
"""Candidates of one field that a lesson keeps."""
LAST: Final = 5
"""Papers of one vendor whose places count: layouts change."""


LIKELY: Final = 0.9
"""How likely a company is the sender at least that is taken for it without a field that says so."""


class Lesson(BaseModel):
    """One corrected paper."""

    document: str
    """Its digest."""
    vendor: str
    """The sender as it is right, or as the paper says where the model asks for none; empty where nothing tells."""
    keys: list[str] = []
    """By which its papers are recognised."""
    habits: dict[str, Habit] = {}
    """Field -> where the right value stood."""
    examples: dict[str, list[tuple[dict[str, float], bool]]] = {}
    """Group -> candidates as numbers, and whether they were right."""
    absent: list[str] = []
    """Fields whose right value stands nowhere on the paper as it was read."""


@dataclass(frozen=True)
class Report:
    """What another fit would change, judged on papers that had no part in it."""

    papers: int
    before: float
    """Share of fields whose best candidate was right with the fit in use."""
    after: float


def lesson(
    document: str, evidence: Evidence, shape: Shape, right: Mapping[str, Any], fit: Fit, private: Collection[str] = (),
    sealed: Callable[[str], bool] = lambda _: False,
) -> Lesson:  # fmt: skip
    """What a paper with its right values teaches. right: by the field's path; what is not there is not learned from.

    private: fields of which no value is kept; a sender that is private is not known again. sealed: whether a text is.
    """
    telling = {name: value for name, value in right.items() if name not in private}
    vendor, keys = _sender(shape, telling), _keys(shape, telling)
    if all(each.concept != "vendor" for each in shape.fields):
        told = [each for each in printed(evidence, fit, shape) if not sealed(each)]
        vendor, keys = next(iter(told), ""), [letters(each) for each in told]
    learned = Lesson(document=document, vendor=vendor, keys=keys)
    for wanted in shape.fields:
        if (value := right.get(wanted.name)) in (None, ""):
            continue
        made = candidates(wanted, evidence)
        hits = [each for each in made if same(each.value, value)]
        if not hits and wanted.kind in ("identifier", "company", "address", "text"):
            made += (hits := stands(wanted, evidence, str(value)))
        if not hits:
            learned.absent.append(wanted.name)
            continue
        best = max(hits, key=lambda each: fit.score(wanted, each))
        if best.run is not None:
            depth, left = evidence.sheet.depth(best.run), best.run.box[0]
            learned.habits[wanted.name] = Habit(best.label, best.relation, round(depth, 4), round(left, 1))
        others = sorted((each for each in made if each not in hits), key=lambda each: -fit.score(wanted, each))
        kept = [(_rounded(each), True) for each in hits[:3]] + [(_rounded(each), False) for each in others[:EACH]]
        learned.examples.setdefault(group(wanted), []).extend(kept)
    return learned


def same(value: Any, truth: Any) -> bool:
    """Whether two values say the same."""
    return key(value) == key(truth) if isinstance(value, str) and isinstance(truth, str) else bool(value == truth)


def stands(wanted: Wanted, evidence: Evidence, value: str) -> list[Candidate]:
    """Where the right value stands although it was no candidate: any run of words that spells it."""
    found: list[Candidate] = []
    for run in [each for row in evidence.sheet.rows for each in (*row.items, *row.cells)]:
        for start in range(len(run.tokens)):
            spelled = ""
            for end in range(start, len(run.tokens)):
                spelled += key(run.tokens[end].text)
                if spelled == key(value):
                    part = Run(run.tokens[start : end + 1], run.page, run.row, run.cell)
                    label, relation = neighbour(evidence.sheet, part)
                    features = {"own": 0.0, "unlabelled": 1.0, "depth": evidence.sheet.depth(part)}
                    found.append(Candidate(wanted.fits(value), part, features, label, relation))
    return found


def habits(lessons: Iterable[Lesson]) -> list[VendorHabits]:
    """What is remembered of each vendor; of one paper that was corrected twice the last word counts."""
    latest = {each.document: each for each in lessons if each.vendor and each.keys}
    by_vendor: defaultdict[str, list[Lesson]] = defaultdict(list)
    for each in latest.values():
        by_vendor[key(each.vendor)].append(each)
    return [
        VendorHabits(
            vendor=papers[-1].vendor, keys=frozenset(spelled for each in papers for spelled in each.keys),
            places={
                name: [each.habits[name] for each in papers[-LAST:] if name in each.habits]
                for name in {name for each in papers[-LAST:] for name in each.habits}
            },
            values={},
        )
        for papers in by_vendor.values()
    ]  # fmt: skip


def _sender(shape: Shape, right: Mapping[str, Any]) -> str:
    return next(
        (str(right[each.name]) for each in shape.fields if each.concept == "vendor" and right.get(each.name)), ""
    )


class Sender(BaseModel):
    """What is looked for to know whose paper it is, where a model does not ask."""

    vendor: str
    vat_id: str


def printed(evidence: Evidence, fit: Fit, shape: Shape) -> list[str]:
    """Who sent a paper by its own words: a company with a legal form that is likely the sender, and the only tax number.

    A tax number that the model says is private is left out.
    """
    vendor, number = Shape(Sender).fields
    found: list[str] = []
    named = [each for each in candidates(vendor, evidence) if each.features.get("form") and not each.features["ours"]]
    best = max(named, key=lambda each: fit.score(vendor, each), default=None)
    if best is not None and not best.features["buyer"] and fit.score(vendor, best) >= LIKELY:
        found.append(str(best.value))
    numbers = {
        str(each.value)
        for each in candidates(number, evidence)
        if not each.features["ours"] and not each.features["buyer"]
    }
    if len(numbers) == 1 and all(each.kind != "vat" for each in shape.fields):
        found += numbers
    return found


def _keys(shape: Shape, right: Mapping[str, Any]) -> list[str]:
    told = [right.get(each.name) for each in shape.fields if each.concept in ("vendor", "vat_id")]
    return [letters(str(value)) for value in told if value]


def _rounded(candidate: Candidate) -> dict[str, float]:
    return {name: round(value, 4) for name, value in candidate.features.items() if value}


# --- another fit ----------------------------------------------------------------------------------------


def refitted(fit: Fit, lessons: Sequence[Lesson]) -> tuple[Fit, Report]:
    """The fit with weights moved by corrected papers, and what that is worth on papers held out in five folds.

    Raises InvalidInput where there are too few.
    """
    latest = list({each.document: each for each in lessons}.values())
    if len(latest) < ENOUGH:
        raise InvalidInput(f"{len(latest)} papers were corrected, and another fit takes {ENOUGH}: go on correcting")
    before = after = total = 0
    for fold in range(5):
        held = latest[fold::5]
        trial = _moved(fit, [each for at, each in enumerate(latest) if at % 5 != fold])
        for each in held:
            for name, rows in each.examples.items():
                total += 1
                before += _first_is_right(fit, name, rows)
                after += _first_is_right(trial, name, rows)
    return _moved(fit, latest), Report(len(latest), before / max(total, 1), after / max(total, 1))


def _first_is_right(fit: Fit, name: str, rows: Sequence[tuple[dict[str, float], bool]]) -> bool:
    from backstay.ai.extraction.scoring import weighed

    return max(rows, key=lambda row: weighed(fit.candidates.get(name, {}), row[0]))[1]


def _moved(fit: Fit, lessons: Sequence[Lesson]) -> Fit:
    rows: defaultdict[str, list[tuple[dict[str, float], bool]]] = defaultdict(list)
    for each in lessons:
        for name, examples in each.examples.items():
            rows[name] += examples
    moved = {name: posterior(fit.candidates.get(name, {}), examples) for name, examples in rows.items()}
    body = json.dumps(moved, sort_keys=True)
    return replace(
        fit,
        candidates={**fit.candidates, **moved},
        version=f"{fit.version}+{hashlib.sha256(body.encode()).hexdigest()[:8]}",
    )


def posterior(
    prior: Mapping[str, float], rows: Sequence[tuple[Mapping[str, float], bool]], ridge: float = PRIOR
) -> dict[str, float]:
    """Weights of a logistic regression that are held to earlier ones by a ridge, all but the bias: Newton's method."""
    import numpy as np

    names = sorted({"bias", *prior, *(name for features, _ in rows for name in features)})
    start: NDArray[np.float64] = np.array([prior.get(name, 0.0) for name in names])
    table = np.array([[1.0 if name == "bias" else features.get(name, 0.0) for name in names] for features, _ in rows])
    yes, weights = np.array([answer for _, answer in rows], float), start.copy()
    held = np.array([ridge / 100 if name == "bias" else ridge for name in names])
    for _ in range(40):
        told = 1 / (1 + np.exp(-np.clip(table @ weights, -30, 30)))
        slope = table.T @ (yes - told) - held * (weights - start)
        curve = (table.T * (told * (1 - told))) @ table + np.diag(held)
        step = np.linalg.solve(curve, slope)
        weights += np.clip(step, -2, 2)
        if float(np.abs(step).max()) < 1e-6:
            break
    return {name: round(float(weight), 5) for name, weight in zip(names, weights, strict=True)}
