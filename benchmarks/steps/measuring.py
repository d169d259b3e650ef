"""Measures an extractor on papers with known truth: all fields right, F1, the share automated, and what that took."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from backstay.ai.documents.door import reader
from backstay.ai.extraction import Extractor
from backstay.ai.extraction.scoring import shipped
from benchmarks.steps.fit_extraction import right
from benchmarks.steps.papers import Paper

RESULTS = Path(__file__).parents[1] / "results"


def options(about: str, papers: int) -> argparse.Namespace:
    asked = argparse.ArgumentParser(description=about)
    asked.add_argument("--papers", type=int, default=papers)
    asked.add_argument("--json", action="store_true")
    asked.add_argument("--save", action="store_true")
    asked.add_argument("--misses", action="store_true", help="print what was read wrongly")
    return asked.parse_args()


def counted(extractor: Extractor[Any], made: Iterable[tuple[Paper, bytes]], misses: bool = False) -> dict[str, float]:
    """What came out, as shares."""
    wanted = [field.name for field in extractor.shape.fields]
    papers = whole = given = hits = asked = sure = right_sure = 0
    reading = extracting = 0.0
    by_field = dict.fromkeys(wanted, 0)
    for paper, data in made:
        begun = time.perf_counter()
        document = reader.read_bytes(data, paper.name)
        middle = time.perf_counter()
        read = extractor.read(document)
        reading, extracting = reading + middle - begun, extracting + time.perf_counter() - middle
        values = {name: read.fields[name].value for name in wanted}
        fine = {
            name: right(
                extractor.shape.fields[at].fits(values[name]) if values[name] is not None else None,
                paper.truth.get(name),
            )
            for at, name in enumerate(wanted)
        }
        given += sum(value is not None for value in values.values())
        asked += sum(paper.truth.get(name) is not None for name in wanted)
        hits += sum(fine[name] for name in wanted if values[name] is not None)
        for name in wanted:
            by_field[name] += fine[name]
        needed = all(fine[field.name] for field in extractor.shape.fields if field.required)
        papers, whole = papers + 1, whole + needed
        sure, right_sure = sure + read.sure, right_sure + (read.sure and needed)
        if misses and not needed:
            print(
                paper.name,
                read.sure,
                round(read.confidence, 3),
                {
                    n: (str(values[n]), str(paper.truth.get(n)), round(read.fields[n].confidence, 3))
                    for n in wanted
                    if not fine[n]
                },
            )
        if misses and not read.sure:
            print("   unsure", paper.name, round(read.confidence, 3), read.why)
    precision, recall = hits / max(given, 1), hits / max(asked, 1)
    return {
        "papers": papers, "all required right": whole / papers, "F1": 2 * precision * recall / max(precision + recall, 1e-9), "automated": sure / papers,
        "realised": right_sure / sure if sure else 1.0, "seconds to read": reading / papers, "seconds to extract": extracting / papers,
        **{f"{name} right": number / papers for name, number in by_field.items()},
    }  # fmt: skip


def measured(
    name: str, extractor: Extractor[Any], made: Iterable[tuple[Paper, bytes]], given: argparse.Namespace
) -> dict[str, float]:
    """Count, print, and keep where asked."""
    found = {key: round(value, 4) for key, value in counted(extractor, made, given.misses).items()}
    print(
        json.dumps({name: found})
        if given.json
        else "\n".join([name, *(f"  {key:20} {value:.3f}" for key, value in found.items())])
    )
    if given.save:
        (RESULTS / f"steps_{name}.json").write_text(
            json.dumps({**found, "fit": shipped().version}, indent=1) + "\n", "utf-8"
        )
    return found
