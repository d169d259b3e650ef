"""How many small faults in the code that decides would be noticed by the tests.

`python -m benchmarks.mutation` copies the repository, lets mutmut make the mutants of `[tool.mutmut]` and find out which
tests reach them, runs those tests against each mutant, and says what survived. `--save` keeps the numbers in
`benchmarks/results/mutation.json`. It needs `uv sync --group mutation`, and about an hour of CPU.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from datetime import date
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any, Final

from benchmarks.mutation_runner import PLAN

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = ROOT / "benchmarks" / "results" / "mutation.json"
LEFT_OUT: Final = shutil.ignore_patterns(".git", ".venv", ".envs", "mutants", "__pycache__", ".hypothesis", "*.db")
FIRST: Final = "backstay.governance.approvals.x_check_person__mutmut_1"
"""Any mutant: mutmut makes all of them and finds out which tests reach what before it looks at one."""

SCOPE: Final = (
    "backstay.governance.approvals.*", "backstay.governance.policy.*", "backstay.engine.stages.*",
    "backstay.engine.human.*", "backstay.engine.people.*decide*", "backstay.engine.people.*ǁ_may__*",
    "backstay.engine.people.*ǁ_member__*", "backstay.engine.people.*ǁ_same__*", "backstay.engine.people.*ǁ_check_*",
    "backstay.engine.people.*ǁ_votes__*", "backstay.engine.people.x__check_still__*", "backstay.engine.people.x__decided__*",
    "backstay.engine.gateway.*", "backstay.engine.replay.*", "backstay.operations.proof.*",
)  # fmt: skip
"""Who may decide what, what the gate lets pass, what replay derives."""


def prepare(home: Path) -> None:
    """Make the mutants in a copy, and learn which tests reach which function."""
    shutil.copytree(ROOT, home, ignore=LEFT_OUT, dirs_exist_ok=True)
    made = subprocess.run(
        [sys.executable, "-m", "mutmut", "run", FIRST], cwd=home, check=False, capture_output=True, text=True
    )
    if made.returncode:
        raise SystemExit(f"{made.stdout[-2000:]}{made.stderr[-2000:]}\nthe tests must pass before anything is mutated")


def planned(home: Path, patterns: tuple[str, ...], sample: int | None = None) -> dict[str, list[str]]:
    """Mutant -> the tests that reach its function, quickest first; where none is known to, all."""
    stats = json.loads((home / "mutants" / "mutmut-stats.json").read_text("utf-8"))
    reached, durations = stats["tests_by_mangled_function_name"], stats["duration_by_test"]
    plan: dict[str, list[str]] = {}
    for meta in sorted((home / "mutants" / "src").rglob("*.meta")):
        names: list[str] = list(json.loads(meta.read_text("utf-8"))["exit_code_by_key"])
        names = [name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]
        for name in names if sample is None else Random(1).sample(names, min(sample, len(names))):
            tests = reached.get(name.rpartition("__mutmut_")[0], durations)
            plan[name] = sorted(tests, key=lambda test: durations.get(test, 0.0))
    return plan


def judge(home: Path, plan: dict[str, list[str]], jobs: int) -> dict[str, str]:
    """Mutant -> killed, timeout or survived."""
    out, mutants = home / "verdicts.jsonl", home / "mutants"
    (home / "plan.json").write_text(json.dumps({"jobs": jobs, "out": str(out), "mutants": plan}), "utf-8")
    settings = tomllib.loads((home / "pyproject.toml").read_text("utf-8"))["tool"]["mutmut"]
    paths = os.pathsep.join((str(mutants / "src"), str(mutants)))
    env = {**os.environ, PLAN: str(home / "plan.json"), "PYTHONPATH": paths, "MUTANT_UNDER_TEST": ""}
    command = [
        sys.executable, "-m", "pytest", "--rootdir=.", "-p", "benchmarks.mutation_runner",
        "-o", "tmp_path_retention_policy=none", *settings["pytest_add_cli_args"],
        *settings["pytest_add_cli_args_test_selection"],
    ]  # fmt: skip
    subprocess.run(command, cwd=mutants, env=env, check=True, stdout=subprocess.DEVNULL)
    told = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    return {each["mutant"]: each["verdict"] for each in told}


# --- telling -----------------------------------------------------------------------------------------------


def changes(home: Path, module: str) -> dict[str, list[str]]:
    """Mutant -> the lines that it takes away and puts in their place."""
    path = home / "mutants" / "src" / Path(*module.split(".")).with_suffix(".py")
    bodies = {
        node.name: ast.unparse(node).replace(node.name, node.name.partition("__mutmut_")[0]).splitlines()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and "__mutmut_" in node.name
    }
    found: dict[str, list[str]] = {}
    for name, body in bodies.items():
        origin = bodies[f"{name.rpartition('__mutmut_')[0]}__mutmut_orig"]
        lines = difflib.unified_diff(origin, body, n=0, lineterm="")
        found[name] = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    return found


def report(home: Path, verdicts: dict[str, str]) -> dict[str, Any]:
    """The score of each module, and what survived."""
    modules: dict[str, Counter[str]] = {}
    survivors: dict[str, list[str]] = {}
    for name, verdict in sorted(verdicts.items()):
        module = name.rpartition(".")[0]
        modules.setdefault(module, Counter())[verdict] += 1
        if verdict == "survived":
            survivors[name] = changes(home, module)[name.rpartition(".")[2]]
    scores = {
        module: {**count, "mutants": count.total(), "score": round(1 - count["survived"] / count.total(), 4)}
        for module, count in modules.items()
    }
    about = {"date": date.today().isoformat(), "python": platform.python_version(), "mutmut": version("mutmut")}
    return {**about, "modules": scores, "survivors": survivors}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("patterns", nargs="*", default=SCOPE, help="mutants, as mutmut names them; default: the scope")
    parser.add_argument("--home", type=Path, help="where to work; kept afterwards")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--sample", type=int, help="at most so many mutants of each module, chosen by lot")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="backstay-mutants-") as folder:
        home: Path = arguments.home or Path(folder)
        prepare(home)
        told = report(home, judge(home, planned(home, tuple(arguments.patterns), arguments.sample), arguments.jobs))
    for module, score in told["modules"].items():
        print(f"{module:40} {score['mutants']:5} mutants {score['score']:7.1%}")
    for name, lines in told["survivors"].items():
        print(name, *lines, sep="\n  ")
    if arguments.save:
        RESULTS.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
