"""The benchmark runs, and its answer has what the documentation and the results table read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

CLAIMS = {
    "dbos_sqlite", "dbos_postgres", "langgraph", "sqlite_floor", "sqlite_floor_sustained", "sequential_step",
    "short_run", "parked_memory", "parked_threads", "start_up", "decision", "burst", "replay", "gateway",
    "growth_runs", "growth_steps", "import", "help",
}  # fmt: skip
NEED_PEERS = {"dbos_sqlite", "dbos_postgres", "langgraph"}


def benchmark(*options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.engine", "--quick", "--json", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_quick_run_without_peers_measures_everything_else() -> None:
    report = benchmark("--no-peers")
    assert {name: entry["error"] for name, entry in report["contestants"].items()} == {
        "sqlite": None, "backstay": None, "backstay-parked": None, "backstay-growth": None, "backstay-startup": None,
    }  # fmt: skip
    assert {target["name"] for target in report["targets"]} == CLAIMS
    assert {target["name"] for target in report["targets"] if target["value"] is None} == NEED_PEERS


def test_a_quick_run_judges_nothing() -> None:
    report = benchmark("--only", "sqlite")
    assert {target["passed"] for target in report["targets"]} == {None}
