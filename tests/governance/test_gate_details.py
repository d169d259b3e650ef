"""The gate to the letter: what is bound when arguments are private, what a refusal says, whose approval is used up."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from backstay import (
    ActionDenied,
    App,
    IdempotencyKey,
    Retry,
    Rule,
    Sensitive,
    action,
    approval,
    wait_for,
    workflow,
)
from backstay.engine import gateway, stages
from backstay.governance.approvals import call_digest
from backstay.operations.proof import prove
from backstay.store.database import Reader
from backstay.store.payloads import Payloads
from backstay.testing import Harness, harness

done: list[str] = []
known: list[str] = []
"""What the target of `deliver` says was done."""


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()
    known.clear()


@action(effect="irreversible")
def pay(amount: str, key: IdempotencyKey) -> str:
    done.append(f"pay {amount}")
    return amount


@action(effect="irreversible")
def invite(guest: Sensitive["pii"], key: IdempotencyKey) -> str:
    done.append("invite")
    return "invited"


@action(effect="read", untrusted=True)
async def mail() -> dict[str, str]:
    return {"to": "mallory@example.org", "account": "DE99 MALLORY", "about": "a parcel"}


@action(effect="write", sinks={"to", "account"})
def transfer(to: str, account: str, about: str, key: IdempotencyKey) -> str:
    done.append("transfer")
    return to


@action(effect="write")
def measure(value: float, key: IdempotencyKey) -> str:
    done.append(f"measure {value}")
    return "measured"


def what_was_delivered(key: str) -> str | None:
    return known[0] if known else None


@action(effect="write", probe=what_was_delivered)
def deliver(what: str) -> str:
    if not done:
        done.append("failed")
        raise ConnectionError("no route")
    done.append(f"deliver {what}")
    return what


@workflow
async def pays() -> str:
    return await pay("7")


@workflow
async def invites(guest: str) -> str:
    return await invite(guest)


@workflow
async def pays_for_somebody(name: Sensitive["pii"]) -> str:
    return await pay("7")


@workflow
async def waits_for_somebody(name: Sensitive["pii"]) -> str:
    return await wait_for(f"letter of {name}", type=str)


@workflow
async def pays_again_later() -> list[str]:
    await approval("chiefs", action=pay("7"))
    first = await pay("7")
    await wait_for("go")
    return [first, await pay("7")]


@workflow
async def believes_mail() -> str:
    letter = await mail()
    return await transfer(letter["to"], letter["account"], letter["about"])


@workflow
async def half_believes_mail() -> str:
    letter = await mail()
    return await transfer("known@example.org", letter["account"], letter["about"])


@workflow
async def measures(value: float) -> str:
    huge = value * 1e308 * 10
    try:
        return await measure(huge - huge)
    except ActionDenied as denied:
        return f"{denied.stage}: {denied.reason}"


@workflow
async def tells() -> str:
    try:
        return await measure(1.0)
    except ActionDenied as denied:
        return f"{denied.stage}: {denied.reason}"


@action(effect="write", probe=what_was_delivered, retry=Retry(attempts=2, first="1s", jitter=0))
def ship(what: str, key: IdempotencyKey) -> str:
    done.append(f"ship {what} {key}")
    if len(done) == 1:
        raise ConnectionError("no route")
    return what


@workflow
async def ships() -> str:
    return await ship("a desk")


@workflow
async def delivers() -> str:
    return await deliver("a desk")


WORKFLOWS = [
    pays, invites, pays_for_somebody, pays_again_later, believes_mail, half_believes_mail, measures, tells, delivers, ships,
    waits_for_somebody,
]  # fmt: skip
app = App("details", workflows=WORKFLOWS)


def plain(it: Harness, run: str) -> str:
    """What anybody could compute who guesses the arguments."""
    (asked,) = it.events(run, "approval_requested")
    name: str = asked.action
    args = {"guest": "Wilhelmina"} if name == "invite" else {"amount": "7"}
    interface = app.actions[name].interface_digest
    return call_digest(version=it.run(run).version, action=name, interface=interface, args=args)


# --- what an approval is bound to ------------------------------------------------------------------------------


async def test_an_approval_is_bound_to_version_action_interface_and_arguments() -> None:
    async with harness(app) as it:
        run = await it.start(pays, by="ann")
        assert it.events(run, "approval_requested")[0].digest == plain(it, run)


@pytest.mark.parametrize(("process", "given"), [(invites, "guest"), (pays_for_somebody, "name")])
async def test_nobody_guesses_private_arguments_from_the_digest_and_the_approval_counts(
    process: Any, given: str
) -> None:
    async with harness(app) as it:
        run = await it.start(process, by="ann", **{given: "Wilhelmina"})
        (asked,) = it.events(run, "approval_requested")
        assert asked.digest != plain(it, run)
        assert asked.digest == it.client._runner.payloads.mac(plain(it, run))
        await it.restart()
        await it.approve(run, by="bob")
        assert it.status(run) == "finished"
        assert len(done) == 1
        with closing(Reader(it.home / "backstay.db")) as reader:
            assert prove(reader, Payloads(it.home, reader), run).mismatch == ""


async def test_a_signal_may_be_named_after_somebody_whom_no_journal_names() -> None:
    async with harness(app) as it:
        run = await it.start(waits_for_somebody, name="Wilhelmina", by="ann")
        (opened,) = it.events(run, "wait_opened")
        assert "Wilhelmina" not in str([opened, it.waits(run)])
        assert opened.name.startswith("letter of pii:")
        await it.client.signal(run, "letter of Wilhelmina", "hello")
        assert await it.result(run) == "hello"


@pytest.mark.parametrize("restarts", [False, True])
async def test_an_approval_that_a_write_used_up_is_gone_after_a_restart_too(restarts: bool) -> None:
    async with harness(app) as it:
        run = await it.start(pays_again_later, by="ann")
        await it.approve(run, by="bob")
        assert done == ["pay 7"]
        if restarts:
            await it.restart()
        await it.client.signal(run, "go")
        await it.settle()
        assert done == ["pay 7"]
        assert [wait.kind for wait in it.waits(run)] == ["approval"]


# --- what a refusal says -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("process", "named"), [(believes_mail, "account, to"), (half_believes_mail, "account")], ids=["both", "one"]
)
async def test_each_receiver_that_outsiders_chose_is_named(process: Any, named: str) -> None:
    async with harness(app) as it:
        run = await it.start(process, by="ann")
        (asked,) = it.events(run, "approval_requested")
        assert asked.reason == f"{named}: chosen by text from outside, so a person must confirm it"
        assert done == []
        await it.restart()
        await it.approve(run, by="bob")
        assert done == ["transfer"]


async def test_what_is_no_number_is_denied() -> None:
    async with harness(app) as it:
        said = await it.result(await it.start(measures, value=1.0))
        assert said.startswith("arguments: arguments of action 'measure' cannot be kept as JSON")
        assert done == []


@pytest.mark.parametrize(
    ("reason", "said"), [("year end", "policy: year end (rule 'r')"), ("", "policy: deny (rule 'r')")]
)
async def test_a_denial_names_its_rule_also_where_that_gives_no_reason(reason: str, said: str) -> None:
    deny = Rule(id="r", verdict="deny", action="measure", owner="risk", reason=reason)
    async with harness(App("details", workflows=WORKFLOWS, policy=[deny])) as it:
        assert await it.result(await it.start(tells)) == said


async def test_a_changed_interface_stops_the_call_before_anything_else_is_looked_at() -> None:
    async with harness(app) as it:
        run = await it.start(pays, by="ann")
        activation = it.client._runner.activation(run)
        (leaf,) = activation.machine.open.values()
        gate = stages.Gate(case=activation, leaf=leaf, name="pay", action=app.actions["invite"], args={}, mac=str)
        assert it.client._runner.gateway.pass_stages(gate) == stages.Refusal(
            then="attend",
            stage="pinned-interface",
            reason="the deployed action 'pay' no longer has the interface that this version was checked against",
        )


# --- what the target is asked -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("known_there", "made"), [([], ["failed", "deliver a desk"]), (["a desk"], ["failed"])])
async def test_a_failed_write_is_made_again_only_if_its_target_knows_nothing_of_it(
    known_there: list[str], made: list[str]
) -> None:
    async with harness(app) as it:
        run = await it.start(delivers)
        known[:] = known_there
        await it.advance("1h")
        assert await it.result(run) == "a desk"
        assert done == made


async def test_a_failed_write_with_a_key_is_repeated_under_it_and_its_target_is_not_asked() -> None:
    async with harness(app) as it:
        run = await it.start(ships, by="ann")
        known[:] = ["somebody else's desk"]
        await it.advance("1s")
        assert await it.result(run) == "a desk"
        assert len(done) == 2
        assert done[0] == done[1]


async def test_what_its_target_knows_nothing_of_is_denied_where_the_rules_changed_meanwhile() -> None:
    deny = Rule(id="r", verdict="deny", action="deliver", owner="risk", reason="not any more")
    async with harness(app) as it:
        run = await it.start(delivers)
        it.app = App("details", workflows=WORKFLOWS, policy=[deny])
        await it.restart()
        await it.advance("1h")
        assert it.run(run).summary == "ActionDenied: action 'deliver' was denied by policy: not any more (rule 'r')"
        assert done == ["failed"]


async def test_what_may_have_happened_is_unknown_when_a_stage_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("stage broke")

    async with harness(app) as it:
        run = await it.start(ships, by="ann")
        monkeypatch.setattr(gateway, "STAGES", (broken,))
        await it.advance("1s")
        (wait,) = it.waits(run)
        assert wait.kind == "unknown"
        assert wait.title == (
            "an earlier attempt may have happened, and broken stops another: "
            "the stage itself failed: ZeroDivisionError('stage broke')"
        )
        assert len(done) == 1
