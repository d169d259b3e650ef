"""The fits of an extractor in a home: what corrections made of the shipped one, and which of them answers.

A fit answers only when a person has seen its report and accepted it; the old ones stay.
"""

from __future__ import annotations

import json
from functools import lru_cache

from backstay.ai.extraction.learning import Lesson, refitted
from backstay.ai.extraction.scoring import Fit, from_json, shipped
from backstay.store.steps import Fitted, StepFile


def lessons_of(file: StepFile, name: str) -> list[Lesson]:
    """What people corrected, oldest first."""
    return [Lesson.model_validate_json(each.text) for each in file.examples(name, "person")]


def answering(file: StepFile, name: str) -> Fit:
    """The fit that answers: the one that was accepted last, else the shipped one."""
    current = file.current(name)
    return shipped() if current is None else _read(file.content(name, current.version))


@lru_cache(maxsize=16)
def _read(content: bytes) -> Fit:
    return from_json(json.loads(content))


def refit(file: StepFile, name: str, *, by: str, at: str) -> Fitted:
    """Make a fit of all corrections; its report says how many fields it gets right on papers that were held out.

    Raises InvalidInput where there are too few.
    """
    current = file.current(name)
    fit, report = refitted(answering(file, name), lessons_of(file, name))
    body = {"candidates": fit.candidates, "chosen": fit.chosen, "curves": fit.curves}
    content = json.dumps(body, sort_keys=True).encode()
    told = {
        "examples": report.papers, "accuracy": round(report.after, 4), "newest": file.newest(name),
        "evidence": "right: the share of fields whose best candidate is right, on corrected papers that were held out",
        "before": {"version": current.version if current else "shipped", "accuracy": round(report.before, 4)},
    }  # fmt: skip
    digest = from_json(body).version
    version = file.add_fit(name, digest=digest, origin="person", at=at, by=by, report=told, content=content)
    return next(each for each in file.fits(name) if each.version == version)
