"""What governing agents costs, and whether it holds under load: `python -m benchmarks.agents [--save] [--json]`.

- `gate_*_us`: all stages of the gate for one call of an agent that has seen 30 outsiders' texts of 2 to 5 kB, under 100
  rules with conditions, labels and budgets, without the commit. `burst`: 50 calls in one turn; `crowded`: the same, and all
  100 rules are about the action that is called; `alone`: one call a turn, for orientation: nothing of the gate is then in the
  processor's caches, as the transcript went through them; `cpu`: in time of the processor, which other programs disturb
  less. `gate_question_p50_us`: the same stages for asking the model, whose argument is the whole transcript, some 200 kB.
- `analysis_*_s`: exact analysis of what the examples ship, and of 100 rules with conditions.
- `budget_*`: 64 callers at once against one budget of money, and one of calls.
- `switch_*`: a kill switch pulled while 1,000 cases write and read.
- `bytes_*_ratio`: by how many bytes a case of 100 turns makes the store's file grow, over those of its distinct content, with
  mails of 2 to 5 kB; `rows`: what stands in rows, for orientation, without the room that SQLite leaves free in pages of 4 kB;
  `short`: with records of half a kB only, whose events are half overhead.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

from backstay import App
from backstay.engine.stages import Gate, Refusal
from backstay.governance.analysis import Analysis
from backstay.governance.policy import Rule
from backstay.operations.permissions import look
from benchmarks import agents_load, agents_size
from benchmarks.agents_case import ALONE, BURSTS, CASE, CROWDED, OBSERVATIONS, SPREAD, Plan, clerk_app, rules
from benchmarks.sides.measures import percentile
from examples.accounts_payable.app import app as payables
from examples.contract_intake.app import app as contracts
from examples.leave_request.app import app as leave

RESULT: Final = Path(__file__).parent / "results" / "agents.json"
NOW: Final = "2026-01-05T09:00:00.000000Z"
SHIPPED: Final = (payables, contracts, leave)

AIMS: Final[Mapping[str, tuple[str, float]]] = {
    "gate_burst_p50_us": ("<=", 50), "gate_burst_p99_us": ("<=", 200),
    "gate_crowded_p50_us": ("<=", 50), "gate_crowded_p99_us": ("<=", 200),
    "analysis_shipped_s": ("<=", 1), "analysis_100_rules_s": ("<=", 1),
    "budget_overshot_usd": ("<=", 0), "budget_overshot_calls": ("<=", 0),
    "switch_writes_after": ("<=", 0), "switch_reads_after": (">=", 1),
    "bytes_ratio": ("<=", 1.3),
}  # fmt: skip
"""What is aimed at; what has no aim is told for orientation."""


# --- the gate ------------------------------------------------------------------------------------------


async def gate(plan: Plan, table: Sequence[Rule], clock: Callable[[], int]) -> dict[str, list[float]]:
    """Microseconds in the stages, by kind of call, of one case in the real engine."""
    app, clerk = clerk_app(table, plan)
    taken: dict[str, list[float]] = {"tools": [], "questions": []}
    with tempfile.TemporaryDirectory() as folder:
        async with app.open(Path(folder), synchronous="OFF") as client:
            gateway: Any = client._runner.gateway  # pyright: ignore[reportPrivateUsage] - it is what we measure
            look_at, passed = gateway.pass_stages, 0

            def timed(gate: Gate) -> Refusal | None:
                nonlocal passed
                before = clock()
                refusal = look_at(gate)
                micros = (clock() - before) / 1000
                passed += 1
                if passed > 3 * OBSERVATIONS:
                    taken["questions" if gate.name == "ask_model" else "tools"].append(micros)
                return refusal

            gateway.pass_stages = timed
            await client.start(clerk, {"input": CASE}, by="ann")
            await client.quiet()
    if len(taken["tools"]) < plan.calls:
        raise RuntimeError(f"{plan.calls} calls were asked for, {len(taken['tools'])} went through the gate")
    return taken


def gates() -> dict[str, float]:
    """One round of each way to call; with the CPU's time of the first, which other programs disturb less."""
    found: dict[str, float] = {}
    ways = (
        ("burst", BURSTS, SPREAD, time.perf_counter_ns),
        ("burst_cpu", BURSTS, SPREAD, time.thread_time_ns),
        ("alone", ALONE, SPREAD, time.perf_counter_ns),
        ("alone_cpu", ALONE, SPREAD, time.thread_time_ns),
        ("crowded", BURSTS, CROWDED, time.perf_counter_ns),
    )
    for name, plan, table, clock in ways:
        taken = asyncio.run(gate(plan, rules(table), clock))
        found |= {f"gate_{name}_p{p}_us": percentile(taken["tools"], p) for p in (50, 99)}
        if name == "burst":
            found["gate_question_p50_us"] = percentile(taken["questions"], 50)
    return found


# --- analysis ------------------------------------------------------------------------------------------


def analysed(*apps: App) -> tuple[float, list[Analysis]]:
    before = time.perf_counter()
    found = [look(app, NOW) for app in apps]
    return time.perf_counter() - before, found


def analyses() -> dict[str, float]:
    shipped, _ = analysed(*SHIPPED)
    hundred, (found,) = analysed(clerk_app(rules(SPREAD), BURSTS)[0])
    crowded, (other,) = analysed(clerk_app(rules(CROWDED), BURSTS)[0])
    return {
        "analysis_shipped_s": shipped, "analysis_100_rules_s": max(hundred, crowded),
        "analysis_100_rules_situations": max(len(found.situations), len(other.situations)),
    }  # fmt: skip


# --- telling -------------------------------------------------------------------------------------------


def measure(rounds: int, cases: int) -> dict[str, Any]:
    """Medians over the rounds; of what must never happen, the worst of them."""
    told: list[dict[str, float]] = []
    for _ in range(rounds):
        told.append(gates() | analyses() | agents_load.budgets() | agents_load.switches(cases) | agents_size.sizes())
    measured = {name: statistics.median(each[name] for each in told) for name in told[0]}
    never = [name for name in AIMS if name.startswith(("budget", "switch"))]
    measured |= {name: (max if AIMS[name][0] == "<=" else min)(each[name] for each in told) for name in never}
    return {
        "date": date.today().isoformat(), "rounds": rounds, "cases": cases, "python": platform.python_version(),
        "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 2),
        "measured": {name: round(value, 4) for name, value in measured.items()},
        "lowest": {name: round(min(each[name] for each in told), 4) for name in told[0]},
        "missed": [name for name in AIMS if not reached(name, measured[name])],
    }  # fmt: skip


def reached(name: str, value: float) -> bool:
    sign, aim = AIMS[name]
    return value <= aim if sign == "<=" else value >= aim


def show(told: Mapping[str, Any]) -> None:
    load, cores = told["load"], told["cores"]
    print(f"{told['date']}, medians of {told['rounds']} round(s), Python {told['python']}, {cores} cores, load {load}.")
    if load > cores / 2:
        print("Other programs were busy too: times, and p99 most of all, are higher than on a quiet machine.")
    for name, value in told["measured"].items():
        sign, aim = AIMS.get(name, ("", ""))
        verdict = "" if name not in AIMS else "missed" if name in told["missed"] else "reached"
        print(f"{name:32} {value:14,.4f}   lowest {told['lowest'][name]:14,.4f}   {sign:2} {aim!s:5} {verdict}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", type=int, default=1_000, help="cases that run when the switch is pulled")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", action="store_true", help=f"also write {RESULT.name} into benchmarks/results")
    options = parser.parse_args()
    told = measure(options.rounds, options.cases)
    if options.save:
        RESULT.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    if options.json:
        print(json.dumps(told))
    else:
        show(told)


if __name__ == "__main__":
    main()
