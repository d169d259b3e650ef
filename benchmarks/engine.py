"""Compare the engine with its targets and its neighbours, in one run: `python -m benchmarks.engine`.

Prints tables, or with `--json` one JSON object; progress goes to standard error. With `--check` the exit code is 1 when
a claim failed or could not be measured.
"""

from __future__ import annotations

import argparse
import json
import sys

from rich.console import Console

from benchmarks.contestants import CONTESTANTS, Contestant
from benchmarks.environments import HERE
from benchmarks.race import race
from benchmarks.report import save, show, summarize


def main() -> None:
    options = read_options()
    chosen = choose(options.only, peers=options.peers)
    progress = Console(stderr=True)
    with progress.status("starting") as status:

        def tell(text: str) -> None:
            status.update(text)
            if not progress.is_terminal:
                progress.print(text, highlight=False)

        rounds = race(chosen, rounds=1 if options.quick else options.rounds, quick=options.quick, progress=tell)
    report = summarize(chosen, rounds, quick=options.quick)
    text = json.dumps(report, indent=2)
    if options.save:
        save(report, text, HERE / "results")
    if options.json:
        print(text)
    else:
        show(report, Console())
    if options.check and not all(target["passed"] for target in report["targets"]):
        sys.exit(1)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often everyone takes part (default 5)")
    parser.add_argument("--only", metavar="NAME,...", help=f"of: {', '.join(each.name for each in CONTESTANTS)}")
    parser.add_argument(
        "--peers",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also install and measure the neighbours",
    )
    parser.add_argument("--quick", action="store_true", help="one tiny round: shows that all runs, judges nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument("--save", action="store_true", help="also write benchmarks/results/engine.json and engine.md")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a claim failed or was not measured")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    unknown = set((options.only or "").split(",")) - {each.name for each in CONTESTANTS} - {""}
    if unknown:
        parser.error(f"--only names no contestant: {', '.join(sorted(unknown))}")
    return options


def choose(only: str | None, *, peers: bool) -> list[Contestant]:
    names = {name for name in (only or "").split(",") if name}
    return [each for each in CONTESTANTS if (each.name in names if names else peers or not each.peer)]


if __name__ == "__main__":
    main()
