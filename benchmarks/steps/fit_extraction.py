"""Fits the weights of the extractor on generated papers, and writes them where the package ships them.

`python -m benchmarks.steps.fit_extraction [--papers 900] [--save]`. Two thirds of the papers teach what candidates are worth,
the rest how likely the chosen one is right. Nothing that a benchmark measures on has a part in it.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from difflib import SequenceMatcher
from random import Random
from typing import Any, Final

from pydantic import BaseModel

from backstay.ai.extraction.candidates import candidates
from backstay.ai.extraction.fields import Shape, Wanted
from backstay.ai.extraction.figures import key
from backstay.ai.extraction.learning import posterior
from backstay.ai.extraction.reading import prepare, read
from backstay.ai.extraction.scoring import FITS, Fit, from_json, group, told_of
from benchmarks.steps.fit_papers import invoice, receipt
from benchmarks.steps.papers import Paper, as_document

GIVEN: Final = {"habit": 10.0, "unlike": -6.0, "known": 3.0, "ours": -6.0}
"""Weights of what generated papers do not show: what corrections and master data say."""
BY_HAND: Final = {
    "text": {"bias": -2.0, "own": 4.5, "beaten": -2.0, "again": 0.5, "words": -0.3, **GIVEN},
    "address": {"bias": -0.5, "order": -2.5, "postcode": 1.0, "street": 0.6, "first": 1.0, "lines": 0.8, "own": 2.0, "buyer": -3.0, **GIVEN},
}  # fmt: skip
STEPS: Final = 60
"""Steps of a curve."""


class Receipt(BaseModel):
    vendor: str
    issued: date
    total: Decimal
    number: str | None = None
    tax: Decimal | None = None
    cash: Decimal | None = None
    change: Decimal | None = None
    currency: str | None = None


class Invoice(BaseModel):
    vendor: str
    number: str
    issued: date
    total: Decimal
    net: Decimal | None = None
    tax: Decimal | None = None
    due: date | None = None
    po_number: str | None = None
    buyer: str | None = None
    iban: str | None = None
    vat_id: str | None = None


def papers(count: int, start: int = 0) -> Iterator[tuple[Paper, Shape, Any]]:
    """Papers with the shape that is looked for in them, half of them as a recogniser gives them."""
    shapes = Shape(Receipt), Shape(Invoice)
    for number in range(start, start + count):
        seed = f"fit {number}"
        paper = receipt(seed) if number % 2 else invoice(seed)
        dice = Random(f"noise {number}") if number % 4 > 1 else None
        yield paper, shapes[0] if number % 2 else shapes[1], as_document(paper, dice)


def true(paper: Paper, wanted: Wanted) -> Any:
    if wanted.name == "currency":
        return None
    return paper.truth.get(wanted.name)


def right(value: Any, truth: Any, *, nearly: bool = False) -> bool:
    """Whether a value is what the paper says; nearly: as well as it could be recognised."""
    if truth is None or value is None:
        return truth is None and value is None
    if isinstance(truth, str):
        one, other = key(str(value)), key(truth)
        return one == other or (nearly and SequenceMatcher(None, one, other).ratio() > 0.85)
    return bool(value == truth)


def learned(rows: Sequence[tuple[dict[str, float], bool]]) -> dict[str, float]:
    """Weights of a logistic regression with a small ridge."""
    return posterior({}, rows, ridge=0.5) if rows else {"bias": 0.0}


def fit_candidates(count: int) -> dict[str, dict[str, float]]:
    rows: defaultdict[str, list[tuple[dict[str, float], bool]]] = defaultdict(list)
    for paper, shape, document in papers(count):
        evidence = prepare(document, shape)
        for wanted in shape.fields:
            if wanted.name == "currency":
                continue
            truth = true(paper, wanted)
            for candidate in candidates(wanted, evidence):
                rows[group(wanted)].append(
                    (candidate.features, right(candidate.value, truth, nearly=True) and truth is not None)
                )
    fitted = {name: {**learned(found), **GIVEN} for name, found in rows.items()}
    currency = {"bias": -0.5, "share": 2.0, "only": 1.5, "beside": 1.5, "own": 2.0, "times": 1.0, **GIVEN}
    return {**BY_HAND, "currency": currency, **fitted}


def fit_chosen(
    fit: Fit, count: int, start: int
) -> tuple[dict[str, dict[str, float]], dict[str, list[tuple[float, int, int]]]]:
    """Weights of what was chosen, and curves of how often it was right, each half judged by what the other taught."""
    told: defaultdict[str, list[tuple[int, dict[str, float], bool]]] = defaultdict(list)
    wholes: list[tuple[int, list[tuple[str, dict[str, float]]], bool]] = []
    for number, (paper, shape, document) in enumerate(papers(count, start)):
        outcome, whole, fine = read(prepare(document, shape), shape, fit), list[tuple[str, dict[str, float]]](), True
        for choice in outcome.choices:
            if choice.best is None or choice.wanted.name == "currency":
                fine = fine and not choice.wanted.required
                continue
            features, hit = told_of(choice.best, choice.losers), right(choice.best.value, true(paper, choice.wanted))
            told[group(choice.wanted)].append((number // 4 % 2, features, hit))
            if choice.wanted.required:
                whole.append((group(choice.wanted), features))
                fine = fine and hit
        if len(whole) == sum(wanted.required for wanted in shape.fields):  # where one is missing there is no answer
            wholes.append((number // 4 % 2, whole, fine))
    weights, curves = dict[str, dict[str, float]](), dict[str, list[tuple[float, int, int]]]()
    halves = [
        replace(fit, chosen={name: learned([(f, hit) for half, f, hit in rows if half != side]) for name, rows in told.items()})
        for side in (0, 1)
    ]  # fmt: skip
    for name, rows in told.items():
        weights[name] = learned([(f, hit) for _, f, hit in rows])
        curves[name] = curve([(_confidence(halves[half], name, f), hit) for half, f, hit in rows])
    documents = [(half, _whole(halves[half], whole), fine) for half, whole, fine in wholes]
    weights["document"] = learned([(f, fine) for _, f, fine in documents])
    sides = [
        replace(fit, chosen={"document": learned([(f, fine) for half, f, fine in documents if half != side])})
        for side in (0, 1)
    ]
    curves["document"] = curve([(_confidence(sides[half], "document", f), fine) for half, f, fine in documents])
    return weights, curves


def _confidence(fit: Fit, name: str, features: dict[str, float]) -> float:
    from backstay.ai.extraction.scoring import sigmoid, weighed

    return sigmoid(weighed(fit.chosen[name], features))


def _whole(fit: Fit, whole: list[tuple[str, dict[str, float]]]) -> dict[str, float]:
    import math

    logs = [math.log(max(_confidence(fit, name, features), 1e-4)) for name, features in whole]
    return {"logs": sum(logs), "least": min(logs, default=0.0)}


def curve(answers: Sequence[tuple[float, bool]]) -> list[tuple[float, int, int]]:
    """How many answers there are from a confidence on, and how many are right, in steps from the surest down."""
    ordered = sorted(answers, key=lambda each: -each[0])
    size = max(1, len(ordered) // STEPS)
    parts = [ordered[at : at + size] for at in range(0, len(ordered), size)]
    return [(round(part[-1][0], 5), len(part), sum(hit for _, hit in part)) for part in parts]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--papers", type=int, default=900)
    asked.add_argument("--save", action="store_true")
    given = asked.parse_args()
    first = given.papers * 2 // 3
    fit = Fit(candidates=fit_candidates(first), chosen={})
    chosen, curves = fit_chosen(fit, given.papers - first, first)
    for name, steps in curves.items():
        number, hits = sum(each[1] for each in steps), sum(each[2] for each in steps)
        print(f"{name:12} {number:6} chosen, {hits / number:6.1%} right")
    body = {"papers": given.papers, "candidates": fit.candidates, "chosen": chosen, "curves": curves}
    done = from_json(body)
    for name in curves:
        print(f"{name:12} sure from {done.threshold(name, 0.95):.3f} for 95 %")
    if given.save:
        FITS.write_text(json.dumps(body, indent=1) + "\n", "utf-8")
        print(f"fit {done.version} saved")


if __name__ == "__main__":
    main()
