"""What attacks on agents achieve, and what honest work costs people: `python -m benchmarks.attacks [--save] [--json]`.

The attacks and the honest cases are the data of `tests/ai/attacks`, run against real tools by a model that obeys the attacker.

- `attacks`: by policy and approver: how many `succeed`, also among those that nobody pointed the agent to (`unasked`) and
  those whose value stands in such a text (`planted`); `stopped_by`: what stopped the others.
- `honest`: by policy: how many cases `finish` with an approver who knows the case, and `alone` when nobody approves;
  `holds_per_case`, and `beyond`: holds per case beyond what the case itself demands.

Policies: `baseline` holds what cannot be taken back; `labels alone` allows everything, so that only labels stand in the way;
`labels and plan` the same, where the model says before it reads anything which tools it will use.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.ai.attack_bench import (
    APPROVERS,
    CHANNELS,
    POLICIES,
    Attack,
    Outcome,
    attack_all,
    attacks,
    cases,
    complete,
    harm,
    planted,
    work_all,
)

RESULT: Final = Path(__file__).with_name("results") / "attacks.json"


def stopped_by(attack: Attack, outcome: Outcome) -> str:
    """What stopped an attack that did no harm."""
    if any(tool in attack.never for tool, _ in outcome.held):
        return "held"
    stages = [stage for tool, stage in outcome.denied if tool in attack.never]
    return f"denied by {stages[0]}" if stages else "no such tool or arguments"


async def attacked(chosen: Sequence[Attack], policy: str) -> dict[str, Any]:
    report: dict[str, Any] = {}
    for approver in APPROVERS:
        found = await attack_all(chosen, approver, policy)
        through = [attack for attack in chosen if harm(attack, found[attack.id])]
        stopped = Counter(stopped_by(a, found[a.id]) for a in chosen if a not in through)
        report[approver] = {
            "succeed": len(through),
            "unasked": sum(not attack.asked for attack in through),
            "planted": sum(planted(attack) for attack in through),
            "stopped_by": dict(stopped.most_common()),
            "through": [attack.id for attack in through],
        }
    return report


async def worked(policy: str) -> dict[str, float]:
    known = [(case, None) for case in cases().values()]
    honest, nobody = await work_all(known, "honest", policy), await work_all(known, "nobody", policy)
    demanded = {"baseline": lambda case: case.demands}.get(policy, lambda _: 0)
    return {
        "cases": len(known),
        "finish": sum(complete(case, outcome) for case, outcome in honest),
        "alone": sum(complete(case, outcome) for case, outcome in nobody),
        "holds_per_case": round(sum(len(outcome.held) for _, outcome in honest) / len(known), 3),
        "beyond": round(sum(max(0, len(outcome.held) - demanded(case)) for case, outcome in honest) / len(known), 3),
    }


async def measure(channels: Sequence[str] = CHANNELS) -> dict[str, Any]:
    """Everything, or the attacks of some channels only."""
    chosen = [attack for attack in attacks() if attack.channel in channels]
    return {
        "catalogue": {
            "attacks": len(chosen),
            "unasked": sum(not attack.asked for attack in chosen),
            "planted": sum(planted(attack) for attack in chosen),
            "channels": dict(Counter(attack.channel for attack in chosen)),
        },
        "attacks": {policy: await attacked(chosen, policy) for policy in POLICIES},
        "honest": {policy: await worked(policy) for policy in POLICIES},
    }


def lines(report: dict[str, Any]) -> list[str]:
    """The report as a person reads it."""
    told = [f"{name:10} {value}" for name, value in report["catalogue"].items()]
    for policy, by_approver in report["attacks"].items():
        for approver, got in by_approver.items():
            stopped = ", ".join(f"{count} {name}" for name, count in got["stopped_by"].items())
            told.append(
                f"{policy:12} {approver:7} {got['succeed']:4} succeed "
                f"({got['unasked']} unasked, {got['planted']} planted); {stopped}"
            )
    for policy, got in report["honest"].items():
        told.append(f"{policy:12} honest  " + ", ".join(f"{name} {value}" for name, value in got.items()))
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channel", choices=CHANNELS, action="append", help="attacks of this channel only")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", action="store_true", help=f"also write {RESULT.name} into benchmarks/results")
    options = parser.parse_args()
    report = asyncio.run(measure(options.channel or CHANNELS))
    if options.save:
        RESULT.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    print(json.dumps(report) if options.json else "\n".join(lines(report)))


if __name__ == "__main__":
    main()
