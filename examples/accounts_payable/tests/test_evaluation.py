"""The dataset of exceptions: an honest model passes it, and an agent that is not what it was does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay import Agent, App, Models
from backstay.ai.scripted import ScriptedModel
from backstay.operations.datasets import read_dataset
from backstay.operations.evals import evaluate
from backstay.operations.scores import compare
from backstay.testing import harness, recorded
from examples.accounts_payable import actions, evals
from examples.accounts_payable.evals import offline
from examples.accounts_payable.investigation import Advice, investigator, orders_of_vendor, past_invoices, vendors_like

EXCEPTIONS = read_dataset(Path(evals.__file__).parent / "exceptions.jsonl")


@pytest.fixture(autouse=True)
def books() -> None:
    actions.use(offline.HOME)


def broken() -> Agent[Advice]:
    """The investigator without the rules of the house."""
    return Agent(
        investigator.name, goal=investigator.goal, tools=[orders_of_vendor, past_invoices, vendors_like], output=Advice,
        confidence=investigator.confidence, autonomy="recommend", limits=investigator.limits,
    )  # fmt: skip


async def test_an_honest_model_passes_and_an_agent_without_its_rules_falls_behind() -> None:
    before = await evaluate(offline.app, EXCEPTIONS)
    assert (before.passed, before.attempts, before.models) == (7, 7, ("scripted",)), before
    blind = App("blind", workflows=[broken()], models=Models(careful=ScriptedModel(offline.honest)))
    held = compare(await evaluate(blind, EXCEPTIONS), before)
    assert len(held.worse) == 7
    assert held.regressions != ()


async def test_a_case_of_the_past_fails_as_a_test_when_the_rules_are_gone(home: Path) -> None:
    case = EXCEPTIONS.cases[0]
    async with harness(offline.app, home) as it:
        run = await it.start(investigator, input=case.input)
        it.trajectory(run).called("house_rules").before("house_rules", "finish").stopped("goal-met")
    recorded(home, run).rerun(investigator).called("house_rules").stopped("goal-met")
    with pytest.raises(AssertionError, match="house_rules"):
        recorded(home, run).rerun(broken()).stopped("goal-met")
