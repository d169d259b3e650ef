"""What AI steps did: how much they took off people's hands, how often they were right, what changed, and what it cost.

Coverage and cost are read from the journal, accuracy from what people said of answers. Any action whose result is a value
with a confidence is listed; of a step that learns, its fits are looked at too.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from backstay.ai.calibration import stability, wilson
from backstay.canonical import json_text
from backstay.store.blobs import inlined, put_back
from backstay.store.database import Reader
from backstay.store.steps import Fitted, Outcome, Step, StepFile
from backstay.types import Json

PAGE: Final = 1000
"""Events that are read at once."""

DRIFT: Final = 50
"""Answers of a fit without which nothing is said about drift."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One answer of a step, as the journal has it."""

    run: str
    at: str
    micros: int
    value: str
    confidence: float
    sure: bool
    by: str


@dataclass(slots=True)
class Used:
    """What the questions of an agent to models used up."""

    calls: int = 0
    tokens: int = 0
    usd: Decimal = Decimal(0)


def told(reader: Reader) -> tuple[dict[str, list[Asked]], dict[str, Used]]:
    """By action, what gave a value with a confidence, oldest first; by agent, what its models used up."""
    found, models = dict[str, list[Asked]](), dict[str, Used]()
    for run, workflow, fields in _returned(reader):
        result = fields.get("result")
        if not isinstance(result, dict):
            continue
        if fields["action"] == "ask_model":
            used = models.setdefault(workflow, Used())
            used.calls += 1
            used.tokens += int(result.get("input_tokens") or 0) + int(result.get("output_tokens") or 0)
            used.usd += Decimal(str(result.get("usd") or 0))
        elif isinstance(result.get("sure"), bool) and isinstance(result.get("confidence"), int | float):
            asked = Asked(
                run=run, at=fields["at"], micros=int(fields.get("micros") or 0), value=_label(result.get("value")),
                confidence=float(result["confidence"]), sure=result["sure"], by=str(result.get("by") or ""),
            )  # fmt: skip
            found.setdefault(fields["action"], []).append(asked)
    return found, models


def _returned(reader: Reader) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Run, workflow and fields of what may be of use, with the values that lie aside."""
    position = 0
    while rows := reader.all("steps_returned", (position, PAGE)):
        values = inlined(reader, (row["body"] for row in rows))
        for row in rows:
            yield row["run"], str(row["workflow"] or ""), put_back(json.loads(row["body"]), values)
        position = rows[-1]["position"]


def _label(value: Json) -> str:
    return "" if value is None else value if isinstance(value, str) else json_text(value)


def report(reader: Reader, file: StepFile | None, name: str = "") -> list[dict[str, Json]]:
    """Every step, or one: by the name that it was given, or that of its action."""
    said, models = told(reader)
    steps = {} if file is None else {each.action: each for each in file.steps()}
    made = list[dict[str, Json]]()
    for action in sorted({*said, *steps}):
        step = steps.get(action)
        if name and name not in (action, step.name if step is not None else ""):
            continue
        made.append(_of_step(action, step, said.get(action, []), file, models))
    return made


def _of_step(
    action: str, step: Step | None, asked: Sequence[Asked], file: StepFile | None, models: dict[str, Used]
) -> dict[str, Json]:
    known = file is not None and step is not None
    outcomes = file.outcomes(step.name) if file is not None and step is not None else []
    fits = file.fits(step.name) if file is not None and step is not None else []
    current = file.current(step.name) if file is not None and step is not None else None
    used = models.get(f"judge_{step.name}", Used()) if step is not None else Used()
    return {
        "step": step.name if step is not None else "", "action": action,
        "target": step.declared.get("target") if step is not None else None,
        "answers": len(asked), "sure": sum(each.sure for each in asked),
        "coverage": _share(sum(each.sure for each in asked), len(asked)),
        "realised": realised(outcomes),
        "examples": file.counted(step.name) if file is not None and step is not None else {},
        "waiting_examples": waiting(file, step, current) if known else 0,
        "fit": None if current is None else current.version, "fits": len(fits),
        "accepted_by": None if current is None else current.accepted_by,
        "drift": drift(asked, current),
        "cost": {
            "calls": len(asked), "seconds": round(sum(each.micros for each in asked) / 1e6, 3), "reviews": len(outcomes),
            "model_calls": used.calls, "tokens": used.tokens, "usd": f"{used.usd:f}",
        },
    }  # fmt: skip


def waiting(file: StepFile | None, step: Step | None, current: Fitted | None) -> int:
    """Examples that the fit in use has not seen."""
    if file is None or step is None or current is None:
        return 0
    return len(file.examples(step.name, after=int(current.report.get("newest") or 0)))


def realised(outcomes: Sequence[Outcome]) -> dict[str, Json]:
    """How often answers were right, of those that people looked at: where they were sure, where not, and by fit."""
    by_fit = {fit: _counted([each for each in outcomes if each.fit == fit and each.sure]) for fit in dict.fromkeys(each.fit for each in outcomes)}  # fmt: skip
    return {
        "sure": _counted([each for each in outcomes if each.sure]),
        "unsure": _counted([each for each in outcomes if not each.sure]), "sure_by_fit": by_fit,
    }  # fmt: skip


def _counted(outcomes: Sequence[Outcome]) -> dict[str, Json]:
    right = sum(each.right for each in outcomes)
    low, high = wilson(right, len(outcomes), 1.96)
    share = _share(right, len(outcomes))
    return {"reviewed": len(outcomes), "right": right, "share": share, "between": [round(low, 4), round(high, 4)]}


def drift(asked: Sequence[Asked], current: Fitted | None) -> dict[str, Json]:
    """How the answers of the fit in use differ from what it was calibrated on: the population stability index.

    labels: which answers; confidences: how sure, in tenths; none: the share that belongs to no label, then and now. None until
    there are as many answers as are needed; that is None where a fit of too few examples gives nothing to compare with.
    """
    mark = "" if current is None else f"fit {current.version} ({current.digest[:8]})"
    newest = [each for each in asked if mark and each.by.endswith(mark)]
    counted: dict[str, Json] = {"answers": len(newest), "needed": DRIFT}
    if current is None or "confidences" not in current.report:
        return {**counted, "needed": None, "labels": None, "confidences": None, "none": None}
    if len(newest) < DRIFT:
        return {**counted, "labels": None, "confidences": None, "none": None}
    then: dict[str, int] = dict(current.report["answers"])
    now = Counter(each.value for each in newest)
    bins = Counter(min(int(each.confidence * 10), 9) for each in newest)
    *_, none = then
    return {
        **counted,
        "labels": round(stability([then[label] for label in then], [now[label] for label in then]), 4),
        "confidences": round(stability(current.report["confidences"], [bins[each] for each in range(10)]), 4),
        "none": [_share(then[none], sum(then.values())), _share(now[none], len(newest))],
    }  # fmt: skip


def _share(some: int, of: int) -> float | None:
    return round(some / of, 4) if of else None
