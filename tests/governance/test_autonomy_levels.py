"""How far an agent may go with an action: proposed from evidence, granted by a person for a time, taken back by what happens."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from backstay import Agent, App, IdempotencyKey, Rule, action
from backstay.ai.models import Models
from backstay.ai.providers import Asked
from backstay.ai.scripted import ScriptedModel, Turn, call, finish
from backstay.errors import Conflict, InvalidInput, NotAllowed, StoreFenced
from backstay.events import SystemRecorded
from backstay.governance.autonomy import BOUNDS, Bounds, Evidence, Place, wilson
from backstay.operations.autonomy import Row, autonomy
from backstay.store.database import Reader
from backstay.store.payloads import Payloads
from backstay.store.views import system_events
from backstay.testing import Harness, harness

done: list[str] = []
END_OF_YEAR = "2026-12-31"


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()


class Answer(BaseModel):
    text: str


@action(effect="read")
async def look(what: str) -> str:
    """Look."""
    return "seen well"


@action(effect="write")
async def unpost(amount: int, what: str, result: str, key: IdempotencyKey) -> str:
    """Take it back."""
    done.append(f"unpost {what}")
    return "gone"


@action(effect="write", compensate=unpost)
async def post(amount: int, what: str, key: IdempotencyKey) -> str:
    """Post."""
    done.append(f"post {what}")
    return "posted well"


@action(effect="irreversible")
async def pay(amount: int, key: IdempotencyKey) -> str:
    """Pay."""
    done.append(f"pay {amount}")
    return "paid well"


END = finish({"text": "done"}, ("it is so", "o1", "well"))


def script(asked: Asked) -> Turn:
    """It does what it was asked: posts, or pays."""
    turn = sum(message.role == "model" for message in asked.messages)
    wanted = json.loads(asked.messages[0].text)
    if "clerk" in asked.offered:
        return [call("look", what="it"), call("clerk", **wanted), END][turn]
    pays, stays = call("pay", amount=wanted["amount"]), wanted.pop("stay", False)
    turns = [
        call("look", what="it"),
        call("post", **wanted) if "what" in wanted else pays,
        *([pays] if stays else ()),
        END,
    ]
    return turns[min(turn, len(turns) - 1)]


def agent(name: str, autonomy: Any) -> Agent[Answer]:
    return Agent(name, goal="Do what is asked.", tools=[look, post, pay], output=Answer, autonomy=autonomy)


clerk, shy, bold = agent("clerk", "propose"), agent("shy", "recommend"), agent("bold", "execute")
boss = Agent("boss", goal="Have it done.", tools=[look, clerk], output=Answer, autonomy="propose")


def app_with(*rules: Rule) -> App:
    return App("trust", workflows=[clerk, shy, bold, boss], policy=rules, models=Models(careful=ScriptedModel(script)))


app = app_with()


@asynccontextmanager
async def office(app: App = app, home: Path | None = None) -> AsyncGenerator[Harness]:
    """A closed installation: rosa is the risk owner, ops looks after it, bea approves."""
    async with harness(app, home) as it:
        if it.client.directory.empty:
            for name, role in (
                ("root", "administrator"),
                ("rosa", "risk-owner"),
                ("ops", "operator"),
                ("bea", "approver"),
            ):
                await it.client.register(name, roles=[role], by="root")
        yield it


async def posts(it: Harness, what: str, *, amount: int = 1, by: str = "clerk") -> str:
    return await asked(it, by, amount=amount, what=what)


async def asked(it: Harness, name: str, **input: Any) -> str:
    return await it.start(name, by="ops", input=input)


async def grant(it: Harness, place: str = "clerk/post", level: Any = "execute", **more: Any) -> Any:
    name, _, act = place.partition("/")
    given = {"expires": END_OF_YEAR, "reason": "a good year", "by": "rosa", **more}
    return await it.client.grant_autonomy(name, act, level, **given)


def held(it: Harness, run: str) -> bool:
    return any(wait.kind == "approval" for wait in it.waits(run))


def rows(it: Harness, place: str = "clerk/post") -> list[Row]:
    reader = Reader(it.home / "backstay.db")
    try:
        found = autonomy(reader, Payloads(it.home, reader), it.clock.now())
    finally:
        reader.close()
    return [row for row in found if f"{row.agent}/{row.action}" == place]


def changes(it: Harness) -> list[tuple[str, str, str | None]]:
    """(who, why, what level) of each change."""
    events = system_events(it.client._reader, "autonomy")
    return [
        (each.by, each.detail["cause"], each.detail["level"]) for each in events if isinstance(each, SystemRecorded)
    ]


# --- granted --------------------------------------------------------------------------------------------


async def test_a_grant_counts_at_once_and_names_its_rule_beside_each_call() -> None:
    async with office() as it:
        assert held(it, await posts(it, "a"))
        told = await grant(it)
        assert told["evidence"]["decided"] == 0
        run = await posts(it, "b")
        assert it.status(run) == "finished"
        assert done == ["post b"]
        (intended,) = it.events(run, "call_intended")
        assert intended.rule == "granted:clerk/post"  # type: ignore[attr-defined]
        assert changes(it) == [("rosa", "granted", "execute")]


async def test_a_grant_is_for_one_agent_and_one_action() -> None:
    async with office() as it:
        await grant(it)
        assert held(it, await asked(it, "clerk", amount=1))
        run = await posts(it, "a", by="shy")
        assert it.kinds(run).count("call_drafted") == 1
        await grant(it, "shy/post", "propose")
        assert held(it, await posts(it, "b", by="shy"))


async def test_a_grant_ends_with_its_time() -> None:
    async with office() as it:
        await grant(it, expires="2026-01-10")
        await it.advance("5d")
        assert not held(it, await posts(it, "a"))
        await it.advance("1d")
        assert held(it, await posts(it, "b"))
        assert [row.level for row in rows(it)] == ["propose"]


async def test_a_grant_for_a_segment_counts_there_and_nowhere_else() -> None:
    async with office() as it:
        await grant(it, "clerk/pay", when="amount <= 50")
        assert (await it.result(await asked(it, "clerk", amount=50)))["reason"] == "goal-met"
        assert held(it, await asked(it, "clerk", amount=51))
        assert done == ["pay 50"]
        assert [(row.when, row.level) for row in rows(it, "clerk/pay")] == [
            ("", "propose"),
            ("amount <= 50", "execute"),
        ]


async def test_a_stricter_rule_of_the_policy_still_counts() -> None:
    never = Rule(id="never", verdict="deny", action="post", when="amount > 100", agent="?*", owner="risk")
    async with office(app_with(never)) as it:
        await grant(it)
        run = await posts(it, "a", amount=101)
        assert it.events(run, "call_denied", rule="never")
        assert it.status(await posts(it, "b", amount=1)) == "finished"
        assert done == ["post b"]


async def test_grants_survive_a_restart_and_are_nobodys_in_another_application(tmp_path: Path) -> None:
    async with office(app, tmp_path) as it:
        await grant(it)
        await it.restart()
        assert it.status(await posts(it, "a")) == "finished"


async def test_only_a_risk_owner_grants_and_whoever_may_pull_a_switch_takes_back() -> None:
    async with office() as it:
        for name in ("ops", "bea", "root"):
            with pytest.raises(NotAllowed, match="role risk-owner"):
                await grant(it, by=name)
        await grant(it)
        with pytest.raises(NotAllowed):
            await it.client.revoke_autonomy("clerk", "post", reason="x", by="bea")
        await it.client.revoke_autonomy("clerk", "post", reason="a complaint", by="ops")
        assert held(it, await posts(it, "a"))
        assert changes(it) == [("rosa", "granted", "execute"), ("ops", "revoked", None)]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"level": "always"}, "level"), ({"expires": "soon"}, "expires"), ({"expires": "2026-01-01"}, "expires"),
    ({"reason": " "}, "reason"), ({"when": "amount <="}, "when"), ({"place": "clark/post"}, "agent"),
    ({"place": "clerk/poste"}, "action"), ({"place": "clerk/look"}, "action"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "field"), WRONG)
async def test_a_grant_that_does_not_fit_names_the_field(given: dict[str, Any], field: str) -> None:
    async with office() as it:
        with pytest.raises(InvalidInput) as wrong:
            await grant(it, **given)
        assert list(wrong.value.fields) == [field]
        assert changes(it) == []


async def test_what_was_not_granted_cannot_be_taken_back() -> None:
    async with office() as it:
        with pytest.raises(Conflict, match="nothing was granted"):
            await it.client.revoke_autonomy("clerk", "post", reason="x", by="ops")


async def test_what_is_done_in_its_name_takes_a_grant_of_its_own() -> None:
    """The boss has no tool that posts: its clerk does. The rules are asked about both, and so are the grants."""
    async with office() as it:
        await grant(it)
        run = await asked(it, "boss", amount=1, what="a")
        (child,) = it.client.runs(workflow="clerk")
        assert held(it, child.id)
        await it.approve(child.id, by="bea")
        assert it.status(run) == "finished"
        assert [(row.level, row.evidence.approved) for row in rows(it, "boss/post")] == [("propose", 1)]
        await grant(it, "boss/post")
        assert it.status(await asked(it, "boss", amount=1, what="b")) == "finished"
        assert done == ["post a", "post b"]


# --- taken back -----------------------------------------------------------------------------------------


async def test_an_agent_that_declares_that_it_executes_proposes_after_an_incident_until_it_is_granted_anew() -> None:
    allows = Rule(id="small", verdict="allow", action="pay", effect="irreversible", agent="bold", when="amount <= 50",
                  owner="risk", expires="2099-01-01")  # fmt: skip
    async with office(app_with(allows)) as it:
        assert it.status(await asked(it, "bold", amount=5)) == "finished"
        await it.client.revoke_autonomy("bold", "pay", reason="paid twice", by="ops")
        assert held(it, await asked(it, "bold", amount=5))
        await it.restart()
        assert held(it, await asked(it, "bold", amount=5))
        assert not held(it, await posts(it, "a", by="bold"))
        await grant(it, "bold/pay", when="")
        assert it.status(await asked(it, "bold", amount=5)) == "finished"


@pytest.mark.parametrize("scope", ["all", "agent:clerk", "action:post", "effect:write", "workflow:clerk"])
async def test_a_pulled_switch_ends_what_was_granted_within_its_scope(scope: str) -> None:
    async with office() as it:
        await grant(it)
        await it.client.switch(scope, off=True, by="ops", reason="incident 7")
        await it.client.switch(scope, off=False, by="ops", reason="over")
        assert held(it, await posts(it, "a"))
        assert changes(it) == [("rosa", "granted", "execute"), ("ops", "switch", None)]


@pytest.mark.parametrize("scope", ["agent:bold", "action:pay", "effect:irreversible"])
async def test_a_switch_of_another_scope_ends_nothing(scope: str) -> None:
    async with office() as it:
        await grant(it)
        await it.client.switch(scope, off=True, by="ops", reason="incident 7")
        assert it.status(await posts(it, "a")) == "finished"


async def test_too_many_rejections_take_back_what_was_granted() -> None:
    """A rule still asks about large amounts; the third rejection is one too many, and small ones are asked about as well."""
    large = Rule(id="large", verdict="hold", action="post", when="amount > 100", agent="?*", owner="risk")
    async with office(app_with(large)) as it:
        await grant(it)
        for number in range(BOUNDS.overrides + 1):
            assert not held(it, await posts(it, f"small {number}"))
            await it.reject(await posts(it, "large", amount=500), by="bea", reason="no")
        assert held(it, await posts(it, "small"))
        assert changes(it)[1:] == [("", "overridden", None)]
        (told,) = [each.detail for each in system_events(it.client._reader, "autonomy") if not each.by]  # type: ignore[attr-defined]
        assert told["reason"] == "3 rejected and 0 undone of 3 since 2026-01-05"
        await it.restart()
        assert held(it, await posts(it, "small"))


async def test_a_crash_between_the_last_override_and_what_follows_of_it_loses_nothing() -> None:
    large = Rule(id="large", verdict="hold", action="post", when="amount > 100", agent="?*", owner="risk")
    async with office(app_with(large)) as it:
        await grant(it)
        for _ in range(BOUNDS.overrides):
            await it.reject(await posts(it, "large", amount=500), by="bea", reason="no")
        last = await posts(it, "large", amount=500)
        await it.close()
        await it.open(crash_at=1)
        with pytest.raises(StoreFenced):
            await it.reject(last, by="bea", reason="no")
        await it.close()
        await it.open()
        assert changes(it)[1:] == [("", "overridden", None)]
        assert held(it, await posts(it, "small"))
        await it.restart()
        assert changes(it)[1:] == [("", "overridden", None)]


async def test_a_rejection_counts_at_once_also_when_its_case_is_not_in_memory() -> None:
    large = Rule(id="large", verdict="hold", action="post", when="amount > 100", agent="?*", owner="risk")
    async with office(app_with(large)) as it:
        await grant(it)
        cases = [await posts(it, "large", amount=500) for _ in range(BOUNDS.overrides + 1)]
        await it.restart()
        for run in cases:
            assert run not in it.client._runner._hot
            await it.client.decide(f"{run}/{it.waits(run)[0].command}", "rejected", by="bea", reason="no")
            await it.settle()
        assert changes(it)[1:] == [("", "overridden", None)]


async def test_many_rejections_read_each_event_of_the_store_once(monkeypatch: pytest.MonkeyPatch) -> None:
    large = Rule(id="large", verdict="hold", action="post", when="amount > 100", agent="?*", owner="risk")
    read: list[int] = []
    async with office(app_with(large)) as it:
        await grant(it)
        reader = it.client._runner.reader
        everything = reader.all

        def counted(name: str, parameters: Any = ()) -> Any:
            rows = everything(name, parameters)
            if name == "conduct_after":
                read.append(len(rows))
            return rows

        monkeypatch.setattr(reader, "all", counted)
        for _ in range(12):
            await grant(it)
            await it.reject(await posts(it, "large", amount=500), by="bea", reason="no")
        assert max(read) == 2
        assert sum(read) == len(everything("conduct_after", (1,))) == 24


async def test_what_is_undone_counts_as_an_override() -> None:
    undoes = Rule(id="undo", verdict="allow", action="unpost", effect="write", agent="?*", owner="risk")
    async with office(app_with(undoes)) as it:
        await grant(it)
        for number in range(BOUNDS.overrides + 1):
            assert [row.evidence.undone for row in rows(it)] in ([], [number])
            run = await asked(it, "clerk", amount=2, what=f"n{number}", stay=True)
            assert held(it, run)
            await it.cancel(run, by="ops", reason="it was wrong")
        assert done == [f"{verb} n{number}" for number in range(3) for verb in ("post", "unpost")]
        assert changes(it)[1:] == [("", "overridden", None)]
        assert held(it, await posts(it, "a"))


# --- evidence -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hits", "of", "lower"),
    [(0, 0, 0.0), (0, 10, 0.0), (1, 1, 0.2065), (20, 20, 0.8389), (19, 20, 0.7639), (95, 100, 0.8882)],
)
def test_the_lower_end_of_the_interval_is_wilsons(hits: int, of: int, lower: float) -> None:
    assert wilson(hits, of) == pytest.approx(lower, abs=1e-4)


@pytest.mark.parametrize(
    ("approved", "rejected", "level", "proposed"),
    [(20, 0, "propose", "execute"), (19, 0, "propose", None), (22, 1, "propose", None), (30, 1, "propose", "execute"),
     (100, 0, "execute", None), (100, 0, "recommend", None)],
)  # fmt: skip
def test_a_level_is_proposed_from_enough_approvals(
    approved: int, rejected: int, level: Any, proposed: str | None
) -> None:
    assert Evidence(since="", approved=approved, rejected=rejected).proposes(level, Bounds()) == proposed


async def test_the_table_shows_the_evidence_the_proposal_and_then_the_grant() -> None:
    async with office() as it:
        for number in range(BOUNDS.decisions):
            run = await posts(it, f"n{number}", amount=number)
            await it.approve(run, by="bea")
        (row,) = rows(it)
        assert (row.declared, row.level, row.proposal, row.expires) == ("propose", "propose", "execute", None)
        assert (row.evidence.approved, row.evidence.decided) == (20, 20)
        assert row.evidence.sure == pytest.approx(0.8389, abs=1e-4)
        told = await grant(it)
        assert told["evidence"] == row.evidence.as_json()
        (row,) = rows(it)
        assert (row.level, row.proposal, row.expires, row.by) == ("execute", None, END_OF_YEAR, "rosa")


async def test_a_rejection_weighs_and_what_is_too_old_does_not_count() -> None:
    async with office() as it:
        for number in range(3):
            await it.approve(await posts(it, f"n{number}"), by="bea")
        await it.reject(await posts(it, "no"), by="bea", reason="no")
        (row,) = rows(it)
        assert (row.evidence.approved, row.evidence.rejected) == (3, 1)
        await it.advance(f"{BOUNDS.days + 1}d")
        await it.approve(await posts(it, "new"), by="bea")
        (row,) = rows(it)
        assert (row.evidence.approved, row.evidence.rejected) == (1, 0)


async def test_evidence_of_a_segment_is_that_of_its_calls() -> None:
    async with office() as it:
        for amount in (10, 60, 70):
            await it.approve(await asked(it, "clerk", amount=amount), by="bea")
        await it.advance("1h")
        await grant(it, "clerk/pay", when="amount <= 50")
        assert [(row.when, row.evidence.approved) for row in rows(it, "clerk/pay")] == [("", 3), ("amount <= 50", 0)]
        (evidence,) = it.client._runner.agents.trust.evidence(Place("clerk", "pay", "amount > 50"))
        assert evidence.approved == 2
