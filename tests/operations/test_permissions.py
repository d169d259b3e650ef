"""What an agent can do at most is also what it can have done: by workflows and agents that it starts."""

from __future__ import annotations

from pydantic import BaseModel

from backstay import Agent, App, IdempotencyKey, Rule, action, workflow
from backstay.operations.permissions import look, matrix, unwatched

NOW = "2026-11-20T09:00:00.000000Z"


class Answer(BaseModel):
    text: str


@action(effect="irreversible")
async def pay(amount: int, key: IdempotencyKey) -> str:
    """Pay."""
    return "paid"


@workflow
async def pays(amount: int) -> str:
    """Pay."""
    return await pay(amount)


@workflow
async def passes_on(amount: int) -> str:
    """Let it be paid."""
    return await pays(amount)


clerk = Agent("clerk", goal="Work.", tools=[passes_on], output=Answer)
helped = Agent("helped", goal="Be helped.", tools=[clerk], output=Answer)
SMALL = Rule(id="small", verdict="allow", action="pay", effect="irreversible", workflow="pays", when="amount <= 50",
             owner="cfo", expires="2027-01-01")  # fmt: skip


def app(*rules: Rule) -> App:
    return App("shop", workflows=[pays, passes_on, clerk, helped], policy=rules)


def verdicts(of: App) -> dict[tuple[str, str], list[str]]:
    return {(each.caller, each.action): list(each.verdicts) for each in matrix(of, NOW) if each.action == "pay"}


def test_an_irreversible_act_of_a_workflow_that_an_agent_starts_is_the_agents() -> None:
    found = verdicts(app(SMALL))
    assert set(found[("pays for clerk", "pay")]) == set(found[("pays for helped", "pay")]) == {"allow", "hold"}
    alone = unwatched(look(app(SMALL), NOW))
    assert [(each.rule.id, each.caller) for each in alone] == [("small", "pays for clerk")]


def test_without_a_rule_a_person_decides_whoever_started_it() -> None:
    assert set(map(tuple, verdicts(app()).values())) == {("hold",)}
    assert unwatched(look(app(), NOW)) == []


def test_the_strictest_rule_about_anybody_in_the_chain_counts() -> None:
    never = Rule(id="never", verdict="deny", action="pay", agent="helped", owner="cfo", reason="it does not pay")
    found = verdicts(app(SMALL, never))
    assert found[("pays for helped", "pay")] == ["deny"]
    assert "allow" in found[("pays for clerk", "pay")]
