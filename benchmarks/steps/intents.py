"""How well a classifier tells 77 intents apart from 5 or 10 examples of each, and whether its word on itself holds.

`python -m benchmarks.steps.intents [--words] [--json] [--save]`. The questions are made by `intent_sets`; no public set is used.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from backstay.ai.calibration import separation
from backstay.ai.embeddings import local_embedder
from backstay.ai.fitting import Answer, Fit, Task
from backstay.ai.learning import Example, learn
from benchmarks.steps.intent_sets import Pairs, drawn, elsewhere, noisy, wordings

NONE = "none of these"
RESULT = Path(__file__).parent.parent / "results" / "steps_intents.json"


def fitted(learned: Pairs, embedder: Any) -> tuple[Fit, float]:
    """A fit for a target of 95 %, and the processor's seconds it took."""
    begun = time.process_time()
    task = Task(labels=dict.fromkeys(wordings(), ""), target=0.95, none=NONE)
    fit = learn(task, [Example(*each) for each in learned], embedder).fit
    return fit, round(time.process_time() - begun, 1)


def scores(answers: list[Answer]) -> Any:
    """The confidence that a text belongs to the label that is named; nothing where none is."""
    return np.array([0.0 if each.label == NONE else each.confidence for each in answers])


def measure(shots: int, seed: int, embedder: Any) -> dict[str, Any]:
    """One draw of examples and questions."""
    learned, asked = drawn(shots, 8, seed)
    fit, seconds = fitted(learned, embedder)
    answers = fit.answers([text for text, _ in asked], embedder)
    outside = fit.answers(elsewhere(), embedder)
    right = np.array([each.label == label for each, (_, label) in zip(answers, asked, strict=True)])
    sure, inside, out = np.array([each.sure for each in answers]), scores(answers), scores(outside)
    return {
        "accuracy": float(right.mean()), "coverage": float(sure.mean()),
        "realised": float(right[sure].mean()) if sure.any() else None, "promised": fit.report["coverage"],
        "outside_auroc": separation(inside, out), "outside_let_through_at_93": float((out >= np.quantile(inside, 0.07)).mean()),
        "outside_sure": float(np.mean([each.sure for each in outside])), "fit_seconds": seconds,
        "curve": curve(inside, right),
    }  # fmt: skip


def curve(confidence: Any, right: Any) -> list[list[float]]:
    """Accuracy among the most confident share of answers, for shares from 5 % to all."""
    ordered = right[np.argsort(-confidence, kind="stable")]
    return [
        [share / 100, round(float(ordered[: max(1, len(ordered) * share // 100)].mean()), 4)]
        for share in range(5, 101, 5)
    ]


def few(embedder: Any) -> dict[str, Any]:
    """80 examples in all, three in ten with a wrong label: what can be sure then?"""
    fit, _ = fitted(noisy(80, 0.3, 1), embedder)
    answers = fit.answers([text for text, _ in drawn(1, 4, 2)[1]], embedder)
    return {"answers": len(answers), "sure": sum(each.sure for each in answers)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--words", action="store_true", help="words alone, without vectors")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", action="store_true", help=f"write {RESULT.name}")
    given = parser.parse_args()
    embedder = None if given.words else local_embedder()
    report: dict[str, Any] = {"vectors": "" if embedder is None else embedder.name, "target": 0.95}
    for shots in (5, 10):
        draws = [measure(shots, seed, embedder) for seed in range(100, 100 + given.draws)]
        report[f"{shots}_examples"] = {
            name: round(float(np.mean([each[name] for each in draws])), 4) for name in draws[0] if name != "curve"
        } | {"curve": np.mean([each["curve"] for each in draws], axis=0).round(4).tolist()}
    report["80_noisy"] = few(embedder)
    if given.save:
        RESULT.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    if given.json:
        print(json.dumps(report, indent=2))
        return
    for name, one in report.items():
        print(
            name,
            json.dumps({key: value for key, value in one.items() if key != "curve"} if isinstance(one, dict) else one),
        )


if __name__ == "__main__":
    main()
