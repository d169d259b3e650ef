"""Streaming anomalies: `StreamDetector` beside a windowed Gaussian, scored as the Numenta Anomaly Benchmark does.

The scorer is written from the published definition (Lavin and Ahmad, 2015, standard profile). The data is made by
`benchmarks.steps.anomaly_series`; it is not a public set. One threshold for all series, found on the tuned families.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from backstay.ai.anomalies import StreamDetector
from benchmarks.steps.anomaly_series import HELD_OUT, TUNED, Series, corpus

FALSE_ALARM: Final = 0.11
"""What a false alarm costs in the standard profile, where a found anomaly is worth 1 and a missed one costs 1."""
Scored = tuple[Series, list[float]]
Detector = Callable[[], Callable[[float, float], float]]


def gaussian(window: int) -> Detector:
    """A base line: the tail probability of the normal distribution over the last rows."""

    def make() -> Callable[[float, float], float]:
        rows: deque[float] = deque(maxlen=window)
        total = squares = 0.0

        def score(_: float, value: float) -> float:
            nonlocal total, squares
            surprise = 0.0
            if rows:
                mean = total / len(rows)
                deviation = math.sqrt(max(squares / len(rows) - mean * mean, 0.0)) or 1e-6
                surprise = 1 - 0.5 * math.erfc(abs(value - mean) / deviation / math.sqrt(2))
            if len(rows) == window:
                total, squares = total - rows[0], squares - rows[0] ** 2
            rows.append(value)
            total, squares = total + value, squares + value * value
            return surprise

        return score

    return make


def ours() -> Callable[[float, float], float]:
    return StreamDetector().score


def sigmoid(position: float) -> float:
    """Worth of an alarm by its place: -1 where a window begins, 0 where it ends, beyond that a false alarm."""
    return -1.0 if position > 3 else 2 / (1 + math.exp(5 * position)) - 1


def worth(series: Series, scores: Sequence[float]) -> Iterable[tuple[float, int | None, float]]:
    """(score, window, worth) of each row after the probationary part."""
    rows = len(scores)
    starts = [first for first, _ in series.windows]
    for i in range(int(min(0.15 * rows, 0.15 * 5000)), rows):
        at = bisect_right(starts, i) - 1
        if at >= 0 and i <= series.windows[at][1]:
            first, last = series.windows[at]
            yield scores[i], at, sigmoid(-(last - i + 1) / (last - first + 1)) / sigmoid(-1)
        elif at >= 0:
            first, last = series.windows[at]
            yield scores[i], None, FALSE_ALARM * sigmoid((i - last) / max(1, last - first))
        else:
            yield scores[i], None, -FALSE_ALARM


def curve(scored: Sequence[Scored]) -> list[tuple[float, float]]:
    """(threshold, score) from the highest threshold down, normalised: 100 is perfect, 0 is silence."""
    rows = sorted(
        ((score, n, window, value) for n, (series, scores) in enumerate(scored) for score, window, value in worth(series, scores)),
        key=lambda row: -row[0],
    )  # fmt: skip
    windows = sum(len(series.windows) for series, _ in scored)
    found: dict[tuple[int, int], float] = {}
    total, points, last = 0.0, [(1.1, 0.0)], 1.1
    for score, n, window, value in rows:
        if score != last:
            points.append((last, 100 * total / (2 * windows)))
            last = score
        if window is None:
            total += value
        elif (before := found.get((n, window), -1.0)) < value:
            total += value - before
            found[n, window] = value
    return [*points, (last, 100 * total / (2 * windows))]


def at_threshold(scored: Sequence[Scored], threshold: float) -> float:
    return [score for level, score in curve(scored) if level >= threshold][-1]


def run(make: Detector, data: Sequence[Series]) -> tuple[list[Scored], float]:
    """Scores of each series, and microseconds of one core a row."""
    began = time.process_time()
    scored: list[Scored] = []
    for series in data:
        score = make()
        scored.append((series, [score(at, value) for at, value in zip(series.times, series.values, strict=True)]))
    return scored, 1e6 * (time.process_time() - began) / sum(len(series.values) for series in data)


def counts(scored: Sequence[Scored], threshold: float) -> dict[str, int]:
    """Anomalies found and missed, and rows of false alarm."""
    found, false, windows = set[tuple[int, int]](), 0, 0
    for n, (series, scores) in enumerate(scored):
        windows += len(series.windows)
        for score, window, _ in worth(series, scores):
            if score >= threshold:
                if window is None:
                    false += 1
                else:
                    found.add((n, window))
    return {"found": len(found), "missed": windows - len(found), "false_alarms": false}


def alarms(data: Sequence[Series]) -> dict[str, float]:
    """How often a row of series with nothing wrong scores so high, after the first 500: what the score promises."""
    scores = sorted(score for _, of in run(ours, data)[0] for score in of[500:])
    return {
        str(level): round((len(scores) - bisect_left(scores, level)) / len(scores), 6)
        for level in (0.99, 0.999, 0.9999)
    }


def measure(each: int, seed: int) -> dict[str, object]:
    """Both detectors on both groups of families."""
    groups = {"tuned": corpus(TUNED, each, seed), "held_out": corpus(HELD_OUT, each, seed)}
    report: dict[str, object] = {"rows": {name: sum(len(s.values) for s in data) for name, data in groups.items()}}
    for name, make in {"ours": ours, "gaussian_1000": gaussian(1000), "gaussian_6400": gaussian(6400)}.items():
        done = {group: run(make, data) for group, data in groups.items()}
        threshold, tuned = max(curve(done["tuned"][0]), key=lambda point: point[1])
        held = done["held_out"][0]
        report[name] = {
            "threshold": threshold,
            "tuned": round(tuned, 1),
            "held_out": round(at_threshold(held, threshold), 1),
            "held_out_at_its_best": round(max(score for _, score in curve(held)), 1),
            "microseconds_a_row": round(statistics.mean(time for _, time in done.values()), 1),
            "held_out_counts": counts(held, threshold),
            "families": {
                family: round(at_threshold([s for s in scored if s[0].name.startswith(family)], threshold), 1)
                for scored in (done["tuned"][0], held)
                for family in dict.fromkeys(series.name.rsplit("-", 1)[0] for series, _ in scored)
            },
        }
    report["false_alarms_by_score"] = alarms(corpus(HELD_OUT, each, seed, harmed=False))
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=40, help="series of each family")
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/steps_anomalies.json")
    given = parser.parse_args()
    report = measure(given.each, given.seed)
    if given.save:
        path = Path(__file__).parent.parent / "results" / "steps_anomalies.json"
        path.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    if given.json:
        print(json.dumps(report, indent=2))
        return
    for name, one in report.items():
        print(name, json.dumps(one))


if __name__ == "__main__":
    main()
