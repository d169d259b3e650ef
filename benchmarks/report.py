"""Turns rounds into what people and machines read: one JSON object, terminal tables, a page of Markdown."""

from __future__ import annotations

import datetime
import os
import platform
import sqlite3
import statistics
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.contestants import Contestant
from benchmarks.race import Round
from benchmarks.targets import judge

Report = dict[str, Any]

SIDE_BY_SIDE = {
    "steps_per_second": "steps/s, 200 runs x 20",
    "write_steps_per_second": "with effect write",
    "step_ms": "one step alone, ms",
    "run_ms": "3-step run, ms",
    "parked_kb_each": "kB per parked run",
}
"""Measures that contestants share, in the order of the columns."""


def summarize(contestants: Sequence[Contestant], rounds: Sequence[Round], *, quick: bool) -> Report:
    """Everything that was measured, with medians, versions, the machine, and a verdict on each claim."""
    taken_part = [contestant for contestant in contestants if any(contestant.name in this for this in rounds)]
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "rounds": len(rounds),
        "quick": quick,
        "machine": machine(),
        "versions": versions(rounds),
        "contestants": {
            contestant.name: {
                "title": contestant.title,
                "setup": contestant.setup,
                "peer": contestant.peer,
                **medians(contestant.name, rounds),
            }
            for contestant in taken_part
        },
        "targets": judge(rounds, quick=quick),
    }


def machine() -> dict[str, Any]:
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


def versions(rounds: Sequence[Round]) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        found["backstay"] = version("backstay")
    except PackageNotFoundError:
        found["backstay"] = "not installed"
    for this in rounds:
        for measured in this.values():
            found.update(measured.get("versions", {}))
    return dict(sorted(found.items()))


def medians(name: str, rounds: Sequence[Round]) -> dict[str, Any]:
    """Medians over the rounds that worked, the error of the first that did not, and each round as it was."""
    mine = [this[name] for this in rounds if name in this]
    worked = [measured for measured in mine if measured.get("ok")]
    numbers = {
        key: statistics.median([measured[key] for measured in worked if key in measured])
        for key in dict.fromkeys(key for measured in worked for key in measured)
        if key != "ok" and all(isinstance(measured.get(key), int | float) for measured in worked)
    }
    errors = [measured["error"] for measured in mine if not measured.get("ok")]
    return {
        "ok": not errors,
        "error": errors[0] if errors else None,
        "medians": numbers,
        "rounds": [{key: value for key, value in measured.items() if key != "versions"} for measured in mine],
    }


# --- for people ---------------------------------------------------------------------------------------


def show(report: Report, console: Console) -> None:
    """Print both tables on a terminal."""
    console.print(f"[bold]Engine benchmark[/bold], {headline(report)}")
    for title, header, rows in tables(report):
        table = Table(*header, title=title, title_justify="left", show_edge=False)
        for row in rows:
            table.add_row(*row)
        console.print()
        console.print(table)


def markdown(report: Report) -> str:
    """The same tables as a page for the repository."""
    parts = ["# Engine benchmark", headline(report)]
    for title, header, rows in tables(report):
        parts.append(f"## {title}")
        parts.append("\n".join(line(row) for row in (header, ["---"] * len(header), *rows)))
    listed = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    parts.append(f"Versions: {listed}.")
    parts.append("Made by `python -m benchmarks.engine --save`; `benchmarks/README.md` says what each number means.")
    return "\n\n".join(parts) + "\n"


def line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def headline(report: Report) -> str:
    facts = report["machine"]
    size = "a quick run, " if report["quick"] else ""
    return (
        f"{report['date']}, {size}medians of {report['rounds']} round(s). {facts['cores']} cores, "
        f"{facts['memory_gb']} GB, {facts['system']} {facts['architecture']}, Python {facts['python']}, "
        f"SQLite {facts['sqlite']}. Every commit synced; ratios matter, absolutes depend on the disk."
    )


def tables(report: Report) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    yield "Side by side", ["contestant", *SIDE_BY_SIDE.values(), "set-up"], list(side_by_side(report))
    yield "Claims", ["", "claim", "target", "measured", "lowest to highest"], list(claims(report))
    yield "Everything measured", ["contestant", "measure", "median"], list(everything(report))


def side_by_side(report: Report) -> Iterator[list[str]]:
    for entry in report["contestants"].values():
        shared = {key: entry["medians"].get(key) for key in SIDE_BY_SIDE}
        floor = entry["medians"].get("rows_per_second")
        if floor is not None:
            shared |= {"steps_per_second": floor, "step_ms": entry["medians"]["append_ms"]}
        if entry["error"]:
            yield [entry["title"], *[number(value) for value in shared.values()], f"FAILED: {entry['error']}"]
        elif any(value is not None for value in shared.values()):
            yield [entry["title"], *[number(value) for value in shared.values()], entry["setup"]]


def claims(report: Report) -> Iterator[list[str]]:
    for target in report["targets"]:
        verdict = {True: "pass", False: "FAIL", None: "-"}[target["passed"]]
        spread = f"{number(target['lowest'])} to {number(target['highest'])}" if target["rounds"] else ""
        measured = f"{number(target['value'])} {target['unit']}".strip() if target["rounds"] else target["note"]
        yield [verdict, target["claim"], target["target"], measured, spread]


def everything(report: Report) -> Iterator[list[str]]:
    for name, entry in report["contestants"].items():
        for key, value in entry["medians"].items():
            yield [name, key, number(value)]


def number(value: float | None) -> str:
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def save(report: Report, text: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "engine.json").write_text(text + "\n", encoding="utf-8")
    (folder / "engine.md").write_text(markdown(report), encoding="utf-8")
