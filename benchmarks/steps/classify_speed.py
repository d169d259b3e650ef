"""Classifications a second on one core, by words alone and with vectors: `python -m benchmarks.steps.classify_speed [--json] [--save]`.

Set OPENBLAS_NUM_THREADS=1 and OMP_NUM_THREADS=1. What counts is the processor's time of this process, so that others on the
machine disturb it less. The questions are made by `intent_sets`: about ten words each.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from backstay.ai.embeddings import local_embedder
from benchmarks.steps.intent_sets import drawn
from benchmarks.steps.intents import fitted

RESULT = Path(__file__).parent.parent / "results" / "steps_classify_speed.json"


def rate(fit: Any, embedder: Any, texts: list[str], portion: int) -> float:
    """Texts a second, `portion` at a time; the best of three passes."""
    best = 0.0
    for _ in range(3):
        begun = time.process_time()
        for start in range(0, len(texts), portion):
            fit.answers(texts[start : start + portion], embedder)
        best = max(best, len(texts) / (time.process_time() - begun))
    return round(best, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", action="store_true", help=f"write {RESULT.name}")
    given = parser.parse_args()
    learned, asked = drawn(10, 8, 100)
    texts = [text for text, _ in asked]
    report: dict[str, Any] = {
        "texts": len(texts),
        "words_a_text": round(sum(len(text.split()) for text in texts) / len(texts), 1),
    }
    for name, embedder in (("words", None), ("vectors", local_embedder())):
        if name == "vectors" and embedder is None:
            continue
        fit, seconds = fitted(learned, embedder)
        report[name] = {
            "a_second": rate(fit, embedder, texts, 256), "a_second_one_by_one": rate(fit, embedder, texts[:200], 1),
            "fit_seconds": seconds,
        }  # fmt: skip
    if given.save:
        RESULT.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    print(json.dumps(report, indent=2) if given.json else json.dumps(report))


if __name__ == "__main__":
    main()
