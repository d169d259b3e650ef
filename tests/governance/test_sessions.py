"""Bound clients: whoever asks through one is checked at every call, read or change, and each refusal is recorded."""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from backstay import App, Client, Done, Queue, approval, task, wait_for, workflow
from backstay.errors import Conflict, InvalidInput, NotAllowed
from backstay.events import RunStarted, SystemRecorded
from backstay.governance.audit import verify
from backstay.governance.keys import id_of
from backstay.governance.principals import NO_KEY
from backstay.store.encoding import encode
from backstay.store.journal import Write
from backstay.store.views import system_events
from backstay.testing import Harness, harness

END = "2026-03-01T00:00:00Z"


@workflow
async def asks(what: str) -> str:
    return (await approval("desk", show=what)).verdict


@workflow
async def works(what: str) -> str:
    await task("desk", what, form=Done)
    return "done"


@workflow
async def listens() -> str:
    await wait_for("go")
    return "went"


@workflow
async def begins() -> str:
    return await asks("paper")


app = App("office", workflows=[asks, works, listens], queues=[Queue(name="desk", owner="paula")])


@asynccontextmanager
async def office() -> AsyncGenerator[Harness]:
    """A closed installation: ann, rev and mo have no role; mo answers for the portal and the helper."""
    async with harness(app) as it:
        register = it.client.acting("root").register
        await register("root", roles=["administrator"])
        for name, roles in (
            ("ann", []), ("rev", []), ("mo", []), ("bea", ["approver"]), ("ops", ["operator"]),
            ("vic", ["viewer"]),
        ):  # fmt: skip
            await register(name, roles=roles)
        await register("portal", kind="service", acts_for="mo")
        await register("helper", kind="agent", roles=["author"], acts_for="mo")
        KEYS["portal"] = id_of(await it.client.make_key("portal", by="root"))
        await it.client.delegate("bea", "ops", until=END, by="bea")
        yield it


async def denied(it: Harness) -> list[tuple[str, str]]:
    """Who was refused, and what, as the journal has it once all is committed that was handed in."""
    await it.client._runner.journal.submit(Write())
    events = system_events(it.client._reader, "denied")
    return [(event.by, event.subject) for event in events if isinstance(event, SystemRecorded)]


# --- whatever is asked is checked -------------------------------------------------------------------------

CALLS: dict[str, Callable[[Client, str], Any]] = {
    "acting": lambda client, item: client.acting("root"),
    "answer": lambda client, item: client.answer(item, "yes"),
    "ask": lambda client, item: client.ask(item, "why?"),
    "authorize": lambda client, item: client.authorize("bsk_no"),
    "cancel": lambda client, item: client.cancel(item.partition("/")[0]),
    "checkpoint": lambda client, item: client.checkpoint(),
    "claim": lambda client, item: client.claim(item),
    "comment": lambda client, item: client.comment(item, "hm", files={"a.txt": b"a"}),
    "complete": lambda client, item: client.complete(item, None),
    "counts": lambda client, item: client.counts(),
    "decide": lambda client, item: client.decide(item, "approved"),
    "decide_many": lambda client, item: client.decide_many([item], "approved"),
    "delegate": lambda client, item: client.delegate("bea", "vic", until=END),
    "directory": lambda client, item: client.directory,
    "drill": lambda client, item: client.drill("all", seconds=0.01),
    "erase": lambda client, item: client.erase("somebody", reason="asked"),
    "events": lambda client, item: client.events(item.partition("/")[0]),
    "fault": lambda client, item: client.fault,
    "fire_timers": lambda client, item: client.fire_timers(),
    "forget": lambda client, item: client.forget("m-1", reason="x"),
    "forget_expired": lambda client, item: client.forget_expired(),
    "grant_autonomy": lambda client, item: client.grant_autonomy("a", "b", "execute", expires=END, reason="x"),
    "idle": lambda client, item: client.idle(),
    "inbox": lambda client, item: client.inbox(),
    "make_key": lambda client, item: client.make_key("portal"),
    "next_timer": lambda client, item: client.next_timer(),
    "owner": lambda client, item: client.owner("desk"),
    "owners": lambda client, item: client.owners,
    "queues": lambda client, item: client.queues(),
    "quiet": lambda client, item: client.quiet(),
    "reassign": lambda client, item: client.reassign(item, to="bea"),
    "register": lambda client, item: client.register("new", roles=["operator"]),
    "release": lambda client, item: client.release(item),
    "result": lambda client, item: client.result(item.partition("/")[0]),
    "retry": lambda client, item: client.retry(item.partition("/")[0]),
    "revoke": lambda client, item: client.revoke("bea"),
    "revoke_autonomy": lambda client, item: client.revoke_autonomy("a", "b", reason="x"),
    "revoke_key": lambda client, item: client.revoke_key(KEYS["portal"]),
    "session": lambda client, item: client.session("works"),
    "run": lambda client, item: client.run(item.partition("/")[0]),
    "runs": lambda client, item: client.runs(),
    "settle": lambda client, item: client.settle(item, "not-happened"),
    "sign_in": lambda client, item: client.sign_in("bsk_no"),
    "signal": lambda client, item: client.signal(item.partition("/")[0], "go"),
    "start": lambda client, item: client.start(asks, {"what": "x"}),
    "switch": lambda client, item: client.switch("all", off=True, reason="x"),
    "switches": lambda client, item: client.switches,
    "undelegate": lambda client, item: client.undelegate("bea", "ops"),
    "wait": lambda client, item: client.wait(item.partition("/")[0]),
    "watch": lambda client, item: client.watch(item.partition("/")[0]),
    "waits_of": lambda client, item: client.waits_of(item.partition("/")[0]),
}
"""Every public name of the client, asked for something that is another's."""

KEYS: dict[str, str] = {}
"""Ids of the keys of the office."""


def test_every_public_name_of_the_client_is_tried() -> None:
    assert sorted(CALLS) == [name for name in dir(Client) if not name.startswith("_")]


@pytest.mark.parametrize("who", ["ann", "rev", "stranger"])
async def test_whoever_has_no_role_is_refused_everything_and_each_refusal_is_recorded_once(who: str) -> None:
    async with office() as it:
        run = await it.start(asks, by="ops", what="paper")
        item, before = it.waits(run)[0].id, it.kinds(run)
        await it.client.revoke("rev", by="root")
        bound = it.client.acting(who)
        for name, call in CALLS.items():
            assert await refused(call, bound, item), name
        assert it.kinds(run) == before
        assert len([what for by, what in await denied(it) if by == who]) == len(CALLS)


async def refused(call: Callable[[Client, str], Any], client: Client, item: str) -> bool:
    """Whether a call, a property or a method, is not allowed."""
    try:
        answer = call(client, item)
        if inspect.isawaitable(answer):
            await answer
    except NotAllowed:
        return True
    return False


# --- bound clients ----------------------------------------------------------------------------------------


async def test_a_bound_client_needs_no_name_and_takes_no_other() -> None:
    async with office() as it:
        ops = it.client.acting("OPS")
        run = await ops.start(asks, {"what": "x"})
        assert it.run(run).requester == "ops"
        await ops.cancel(run, by=" Ops")
        with pytest.raises(NotAllowed, match="acts as 'ops' and cannot act as 'bea'"):
            await ops.cancel(run, by="bea")
        with pytest.raises(NotAllowed, match="cannot act as 'root'"):
            ops.acting("root")
        key = await it.client.make_key("portal", by="root")
        with pytest.raises(NotAllowed, match="cannot act as 'portal'"):
            ops.sign_in(key)
        assert await denied(it) == [("ops", "by")] * 3
        assert [each.id for each in it.client.acting("vic").runs()] == [run]


async def test_an_unbound_client_says_that_a_name_is_missing() -> None:
    async with office() as it:
        run = await it.start(asks, by="ops", what="x")
        for attempt in (
            it.client.claim(run),
            it.client.cancel(run),
            it.client.register("x"),
            it.client.decide_many([], "approved"),
        ):
            with pytest.raises(InvalidInput, match="by=NAME") as missing:
                await attempt
            assert missing.value.fields == {"by": "is missing"}
        with pytest.raises(NotAllowed, match="needs the name"):
            await it.client.claim(run, by=" ")
        assert it.client.runs()
        assert await denied(it) == [(" ", "by")]


async def test_a_revocation_counts_at_once_also_for_who_waits() -> None:
    async with office() as it:
        run = await it.start(asks, by="ops", what="x")
        vic = it.client.acting("vic")
        assert vic.run(run).status == "waiting"
        waiting = asyncio.ensure_future(vic.result(run))
        await asyncio.sleep(0)
        await it.client.revoke("vic", by="root")
        with pytest.raises(NotAllowed, match="'vic' is revoked"):
            vic.events(run)
        await it.approve(run, by="bea")
        with pytest.raises(NotAllowed, match="'vic' is revoked"):
            await waiting


async def test_a_signed_in_client_acts_until_its_key_ends() -> None:
    async with office() as it:
        run = await it.start(asks, by="ops", what="x")
        key = await it.client.make_key("bea", by="bea")
        other = await it.client.make_key("bea", by="bea", expires="2026-01-05T10:00:00Z")
        first, second = it.client.sign_in(key), it.client.sign_in(other)
        await first.claim(run)
        assert second.inbox()[0].claimed_by == "bea"
        await it.client.revoke_key(id_of(key), by="bea")
        it.clock.move("2h")
        for client in (first, second):
            with pytest.raises(NotAllowed, match=NO_KEY):
                client.inbox()
            with pytest.raises(NotAllowed, match=NO_KEY):
                await client.decide(run, "approved")
        assert await denied(it) == [("bea", "by")] * 4
        await it.client.acting("bea").release(run)


async def test_a_key_that_does_not_count_is_refused_in_the_same_words_and_recorded_without_its_secret() -> None:
    async with office() as it:
        key = await it.client.make_key("bea", by="bea")
        await it.client.revoke("bea", by="root")
        for wrong in (key, f"{key[:-1]}x", "password"):
            with pytest.raises(NotAllowed) as told:
                it.client.sign_in(wrong)
            assert str(told.value) == NO_KEY
        assert await denied(it) == [("", "sign-in")] * 3
        details = [getattr(event, "detail", None) for event in system_events(it.client._reader, "denied")]
        assert details == [{"why": NO_KEY, "key": number} for number in (id_of(key), "", "")]


async def test_a_key_is_authorized_for_one_thing() -> None:
    async with office() as it:
        key = await it.client.make_key("vic", by="vic")
        assert await it.client.authorize(key) == "vic"
        assert await it.client.authorize(key, "see", by="VIC") == "vic"
        for asked in ({"capability": "audit"}, {"by": "ops"}):
            with pytest.raises(NotAllowed):
                await it.client.authorize(key, **asked)  # type: ignore[arg-type]
        assert await denied(it) == [("vic", "audit"), ("vic", "by")]


async def test_refused_changes_of_the_directory_are_recorded() -> None:
    async with office() as it:
        with pytest.raises(NotAllowed, match="manage-people"):
            await it.client.register("eve", roles=["operator"], by="ops")
        with pytest.raises(NotAllowed, match="only 'bea' can make a key"):
            await it.client.make_key("bea", by="root")
        assert await denied(it) == [("ops", "manage-people"), ("root", "manage-people")]


# --- a request that a service feeds in --------------------------------------------------------------------


async def test_a_request_through_a_service_is_the_persons() -> None:
    async with office() as it:
        run = await it.client.acting("portal").start(asks, {"what": "paper"}, requester=" ANN")
        await it.settle()
        (started,) = it.events(run, "run_started", by="portal", requester="ann")
        assert isinstance(started, RunStarted)
        assert started.requested_by == "ann"
        (wait,) = it.waits(run)
        assert (it.run(run).requester, wait.requester) == ("ann", "ann")
        assert ("for", "ann") in it.log(run)[0].details
        await it.restart()
        await it.client.ask(run, "What for?", by="bea")
        for other in ("portal", "mo", "bea", "vic"):
            with pytest.raises(NotAllowed):
                await it.client.answer(run, "me", by=other)
        await it.client.answer(run, "To write on.", by="ann")
        await it.approve(run, by="bea")
        assert await it.result(run) == "approved"


async def test_neither_the_requester_nor_whoever_fed_it_in_nor_their_owner_decides() -> None:
    async with office() as it:
        for name in ("ann", "mo", "ops"):
            await it.client.register(name, roles=["approver", "operator"], by="root")
        through = await it.client.start(asks, {"what": "x"}, by="portal", requester="ann")
        typed = await it.client.start(asks, {"what": "y"}, by="ops", requester="ann")
        await it.settle()
        for run, names in ((through, ("ann", "mo")), (typed, ("ann", "ops"))):
            for name in names:
                with pytest.raises(NotAllowed, match="somebody else must"):
                    await it.client.decide(run, "approved", by=name)
            await it.approve(run, by="bea")
        assert [it.status(through), it.status(typed)] == ["finished", "finished"]


async def test_only_a_service_an_agent_or_an_operator_names_another_requester() -> None:
    async with office() as it:
        await it.client.register("paul", roles=["author"], by="root")
        with pytest.raises(NotAllowed, match="takes kind service or agent, or role operator"):
            await it.client.start(asks, {"what": "x"}, by="paul", requester="ann")
        assert await denied(it) == [("paul", "requester")]
        own = await it.client.start(asks, {"what": "x"}, by="paul", requester="PAUL")
        assert it.events(own, "run_started", requester=None)
        for by in ("portal", "helper", "ops"):
            await it.client.start(asks, {"what": "x"}, by=by, requester="ann")
        await it.client.revoke("rev", by="root")
        for nobody in ("stranger", "rev", "helper", " "):
            with pytest.raises(InvalidInput) as wrong:
                await it.client.start(asks, {"what": "x"}, by="portal", requester=nobody)
            assert "requester" in wrong.value.fields


async def test_an_open_installation_believes_the_name_of_a_requester() -> None:
    async with harness(app) as it:
        run = await it.client.start(asks, {"what": "x"}, by="portal", requester="ann")
        await it.settle()
        assert it.run(run).requester == "ann"
        with pytest.raises(NotAllowed, match="'Ann' asked for this"):
            await it.client.decide(run, "approved", by="Ann")
        with pytest.raises(NotAllowed, match="'portal' asked for this"):
            await it.client.decide(run, "approved", by="portal")
        await it.approve(run, by="bea")


async def test_a_child_has_the_requester_of_its_parent() -> None:
    async with harness(App("family", workflows=[asks, begins], queues=[Queue(name="desk", owner="paula")])) as it:
        await it.client.start(begins, {}, by="portal", requester="ann")
        await it.settle()
        (child,) = it.client.runs(workflow="asks")
        assert child.requester == "ann"
        for name in ("ann", "portal"):
            with pytest.raises(NotAllowed, match="asked for this"):
                await it.client.decide(child.id, "approved", by=name)


def test_a_run_that_nobody_fed_in_is_written_as_before() -> None:
    event = RunStarted(at="2026-01-05T09:00:00.000000Z", by="ann", workflow="w", version="v", input={})
    body = '{"at":"2026-01-05T09:00:00.000000Z","by":"ann","workflow":"w","version":"v","input":{}}'
    assert encode(event) == ("run_started", body)
    assert event.requested_by == "ann"


async def test_a_row_that_names_another_requester_is_found() -> None:
    async with office() as it:
        run = await it.client.start(asks, {"what": "x"}, by="portal", requester="ann")
        await it.settle()
        store = it.home / "backstay.db"
        await it.close()
        assert verify(store).ok
        change_row(store, run)
        (finding,) = verify(store).findings
        assert "requester 'mo', the journal 'ann'" in finding.what
        await it.open()


def change_row(store: Path, run: str) -> None:
    """What somebody could do who may write the store's file."""
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("UPDATE runs SET requester = 'mo' WHERE id = ?", (run,))


# --- one's own request ------------------------------------------------------------------------------------


async def test_a_person_without_a_role_answers_and_comments_on_their_own_request_and_does_nothing_else() -> None:
    async with office() as it:
        run = await it.client.start(asks, {"what": "paper"}, by="portal", requester="ann")
        await it.settle()
        item, ann = it.waits(run)[0].id, it.client.acting("ann")
        await it.client.ask(item, "What for?", by="bea")
        await ann.answer(item, "To write on.")
        await ann.comment(item, "See the offer.", files={"offer.txt": b"paper"})
        (remark,) = it.events(run, "item_commented")
        assert remark.by == "ann"
        allowed = {"answer", "comment"}
        for name, call in CALLS.items():
            if name not in allowed:
                assert await refused(call, ann, item), name


async def test_a_revoked_requester_answers_nothing_and_comments_nothing() -> None:
    async with office() as it:
        run = await it.client.start(asks, {"what": "paper"}, by="portal", requester="ann")
        await it.settle()
        item = it.waits(run)[0].id
        await it.client.ask(item, "What for?", by="bea")
        await it.client.revoke("ann", by="root")
        for attempt in (it.client.answer(item, "x", by="ann"), it.client.comment(item, "x", by="ann")):
            with pytest.raises(NotAllowed, match="'ann' is revoked"):
                await attempt
        assert await denied(it) == [("ann", item)] * 2
        await it.client.answer(item, "For letters.", by="ops")
        await it.approve(item, by="bea")


async def test_whoever_asked_before_the_first_registration_is_somebody_only_if_registered() -> None:
    async with harness(app) as it:
        run = await it.start(asks, by="ann", what="x")
        await it.client.ask(run, "why?", by="bea")
        await it.client.register("root", roles=["administrator"], by="root")
        with pytest.raises(NotAllowed, match="'ann' is not registered"):
            await it.client.answer(run, "so", by="ann")
        await it.client.register("ann", by="root")
        await it.client.answer(run, "so", by="ann")


async def test_an_item_is_spoken_of_only_to_whom_it_concerns() -> None:
    async with office() as it:
        run = await it.start(works, by="ops", what="x")
        with pytest.raises(NotAllowed, match="'portal' is without a role and may not 'work'"):
            await it.client.complete(f"{run}/99", by="portal")
        with pytest.raises(Conflict, match="does not wait for that"):
            await it.client.complete(f"{run}/99", by="bea")
        listening = await it.start(listens, by="ops")
        await it.client.signal(listening, "go", by="portal")
        assert await it.result(listening) == "went"
