"""The stages to the letter: what each says when it stops a call, whom a rule is about, and which queue decides."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from backstay import ActionDenied, App, IdempotencyKey, Limits, Queue, Rule, action, workflow
from backstay.commands import Call
from backstay.engine import stages
from backstay.engine.frames import Open
from backstay.engine.stages import Gate, Refusal
from backstay.testing import Harness, harness


@action(effect="read", untrusted=True)
async def mail() -> dict[str, str]:
    return {"to": "mallory@example.org"}


@action(effect="write", sinks={"to", "cc"}, approvers="desk")
def send(to: str, cc: str, key: IdempotencyKey) -> str:
    return to


@action(effect="irreversible", approvers="desk")
def pay(amount: int, key: IdempotencyKey) -> int:
    return amount


@action(effect="write")
def post(what: str, key: IdempotencyKey) -> str:
    return what


@workflow
async def pays(amount: int) -> str:
    return f"paid {await pay(amount)}"


@workflow
async def believes() -> str:
    letter = await mail()
    return await send(letter["to"], "ann@example.org")


@workflow
async def posts(times: int, reads: int) -> str:
    made = 0
    try:
        for _ in range(reads):
            await mail()
        while made < times:
            await post(f"letter {made}")
            made += 1
    except ActionDenied as denied:
        return f"{made}, {denied.stage}: {denied.reason}"
    return f"{made}"


PROCESSES = [pays, believes, posts]
QUEUES = [Queue(name="desk", owner="dora"), Queue(name="chiefs", owner="chief")]


def an_app(*rules: Rule, **more: Any) -> App:
    return App("stages", workflows=PROCESSES, queues=QUEUES, policy=rules, **more)


# --- limits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "reads", "said"),
    [
        (Limits(), 3, "4"),
        (Limits(effects=3), 3, "3, budget: the run has used its 3 effects"),
        (Limits(calls=6), 3, "3, budget: the run has used its 6 calls"),
        (Limits(calls=7), 3, "4"),
        (Limits(effects=4), 3, "4"),
    ],
)
async def test_reads_count_as_calls_and_changes_as_both(limits: Limits, reads: int, said: str) -> None:
    async with harness(an_app(limits=limits)) as it:
        assert await it.result(await it.start(posts, times=4, reads=reads)) == said


# --- whom a rule is about ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("about", "stops"),
    [
        ({"agent": ""}, True),
        ({"agent": "?*"}, False),
        ({"autonomy": "propose"}, False),
        ({"workflow": "posts"}, True),
        ({"workflow": "pays"}, False),
        ({"action": "post"}, True),
        ({"action": "pay"}, False),
        ({"effect": "write"}, True),
        ({"effect": "read"}, False),
        ({"when": "what == 'letter 0'"}, True),
        ({"when": "what == 'letter 9'"}, False),
        ({"expires": "2026-01-05T09:00:01Z"}, True),
        ({"expires": "2026-01-05T09:00:00Z"}, False),
    ],
)
async def test_a_rule_speaks_of_the_calls_that_it_names(about: dict[str, Any], stops: bool) -> None:
    deny = Rule(id="r", verdict="deny", owner="risk", reason="no", **{"action": "post", **about})
    async with harness(an_app(deny)) as it:
        said = await it.result(await it.start(posts, times=1, reads=0))
        assert said == ("0, policy: no (rule 'r')" if stops else "1")


@pytest.mark.parametrize(("approvers", "queue"), [("chiefs", "chiefs"), ("", "desk")])
@pytest.mark.parametrize("process", ["pays", "believes"])
async def test_the_queue_of_the_rule_decides_before_that_of_the_action(
    process: str, approvers: str, queue: str
) -> None:
    rules = [
        Rule(id="h", verdict="hold", action="pay", owner="risk", reason="look", approvers=approvers),
        Rule(id="a", verdict="allow", action="send", effect="write", owner="risk", approvers=approvers),
    ]
    async with harness(an_app(*rules)) as it:
        run = await it.start(process, by="ann", **({"amount": 7} if process == "pays" else {}))
        (asked,) = it.events(run, "approval_requested")
        assert asked.queue == queue
        expected = "look (rule 'h')"
        if process == "believes":
            expected = "to: chosen by text from outside, so a person must confirm it"
        assert asked.reason == expected
        await it.approve(run, by="bob")
        assert it.status(run) == "finished"


# --- what a stage says -------------------------------------------------------------------------------------------------


def held_gate(it: Harness, run: str, name: str, args: Any) -> Gate:
    """A gate before a call that waits for its approval, as if it had been asked for under another name."""
    activation = it.client._runner.activation(run)
    (leaf,) = activation.machine.open.values()
    return Gate(activation, leaf, name, it.app.actions["pay"], args, str)


@pytest.mark.parametrize(
    ("name", "args", "refusal"),
    [
        (
            "post",
            {"amount": 7},
            Refusal(then="deny", stage="allow-list", reason="the definition does not list action 'post'"),
        ),
        (
            "pay",
            {"amount": "x"},
            Refusal(
                then="deny",
                stage="arguments",
                reason="arguments of action 'pay' do not fit: amount: Input should be a valid integer",
            ),
        ),
    ],
    ids=["not listed", "wrong"],
)
async def test_a_stage_says_exactly_this(name: str, args: Any, refusal: Refusal) -> None:
    async with harness(an_app()) as it:
        run = await it.start(pays, amount=7, by="ann")
        assert it.client._runner.gateway.pass_stages(held_gate(it, run, name, args)) == refusal


class Suspicious:
    """Labels of a case in which everything that an outsider wrote is smuggled, and suspect."""

    def smuggled(self, value: Any) -> bool:
        return "mallory" in str(value)

    suspects = smuggled


def sending(*, acting: bool = True, undoes: bool = False, to: str, cc: str) -> Gate:
    machine = SimpleNamespace(acting=[["helper", "execute"]] if acting else [], program=SimpleNamespace(agent=""))
    case: Any = SimpleNamespace(machine=machine, labels=Suspicious(), plan=None)
    leaf = Open("1", Call("send", {}), "send")
    leaf.undoes = undoes
    made: Any = an_app().actions["send"]
    return Gate(case, leaf, "send", made, {"to": to, "cc": cc}, str)


@pytest.mark.parametrize(
    ("gate", "named"),
    [
        (sending(to="mallory", cc="mallory"), "cc, to"),
        (sending(to="mallory", cc="ann"), "to"),
        (sending(to="bob", cc="ann"), None),
        (sending(to="mallory", cc="mallory", acting=False), None),
        (sending(to="mallory", cc="mallory", undoes=True), None),
    ],
    ids=["both", "one", "none", "no agent", "undoing"],
)
def test_what_was_smuggled_into_an_agents_call_is_named_and_denied(gate: Gate, named: str | None) -> None:
    rules: Any = None
    refusal = stages.labels(rules, gate)
    if named is None:
        assert refusal is None
    else:
        reason = f"{named}: this stands in a text that nobody asked about"
        assert refusal == Refusal(then="deny", stage="labels", reason=reason)
