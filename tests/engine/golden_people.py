"""More stories behind golden journals: people, the gate, and what happens to a run from outside.

`python tests/engine/golden_people.py` records those that are missing; nothing is ever recorded anew.
"""

from __future__ import annotations

from decimal import Decimal

from golden_records import Story, record_missing
from pydantic import BaseModel

from backstay import (
    ActionDenied,
    ActionDrafted,
    App,
    IdempotencyKey,
    Queue,
    Retry,
    Rule,
    TimedOut,
    action,
    approval,
    gather,
    race,
    start,
    task,
    wait_for,
    workflow,
)
from backstay.errors import ChildFailed
from backstay.governance.calendars import Calendar
from backstay.governance.queues import Escalation
from backstay.store.journal import SYSTEM
from backstay.testing import Harness

closed = {"times": 0}


class Report(BaseModel):
    fine: bool
    remark: str = ""


@action(effect="irreversible", approvers="treasury")
def pay(amount: int, key: IdempotencyKey) -> str:
    return f"paid {amount}"


@action(effect="read")
async def export(table: str) -> str:
    return f"rows of {table}"


@action(effect="write")
def erase(table: str, key: IdempotencyKey) -> str:
    return f"erased {table}"


@action(effect="write", on_failure="raise", retry=Retry(attempts=2, first="1s", jitter=0))
def file_it(what: str, key: IdempotencyKey) -> str:
    if closed["times"]:
        closed["times"] -= 1
        raise ConnectionError("the registry is closed")
    return f"filed {what}"


@action(effect="write")
def suggest(what: str, key: IdempotencyKey) -> str:
    return f"suggested {what}"


@workflow
async def suggests() -> str:
    try:
        return await suggest("a desk")
    except ActionDrafted as drafted:
        return f"written down: {drafted.reason}"


@workflow
async def by_two(veto: bool) -> str:
    if veto:
        return (await approval("board", quorum=2)).verdict
    return (await approval("board", quorum=2, reject="quorum")).verdict


@workflow
async def asks(queue: str) -> str:
    decision = await approval(queue, show={"what": "a desk"})
    return f"{decision.verdict} by {decision.by}: {decision.code or decision.reason}"


@workflow
async def soon(queue: str) -> str:
    return (await approval(queue, within="16h")).verdict


@workflow
async def works() -> str:
    report = await task("desk", form=Report, title="Look at it")
    return f"{report.fine} {report.remark}"


@workflow
async def approved_then_paid() -> str:
    """One approval, given beforehand, is good for one call; the other one is held."""
    await approval("treasury", action=pay(7))
    return ", ".join(await gather(pay(7), pay(7)))


@workflow
async def exported() -> str:
    await approval("privacy", action=export("people"))
    first = await export("people")
    try:
        return await erase("people")
    except ActionDenied as denied:
        return f"{first}; {denied.stage}: {denied.reason}"


@workflow
async def files(what: str) -> str:
    return await file_it(what)


@workflow
async def listens() -> str:
    """A signal in time, one that came early, and one that comes too late."""
    first, second = await wait_for("first", type=str), await wait_for("second", type=Decimal)
    found = f"{first} {second}"
    try:
        found += await wait_for("third", type=str, within="1h")
    except TimedOut:
        await wait_for("done")
    return found


@workflow
async def leads() -> str:
    """A child that fails, and one that loses a race."""
    try:
        first = await start(files, "the plan")
    except ChildFailed as failed:
        first = failed.message
    winner = await race(start(listens), approval("office"))
    return f"{first}, {winner.index}"


@workflow(deadline="1d")
async def hurries() -> str:
    return await start(asks, "desk")


OFFICE = Calendar("office", zone="UTC", hours={"mon-fri": "09:00-17:00"})
app = App(
    "golden-people",
    workflows=[by_two, asks, soon, works, approved_then_paid, exported, files, listens, leads, hurries, suggests],
    queues=[
        Queue(name="desk", owner="dora", lease="1h"),
        Queue(name="board", owner="chair", members=("group:board", "bea", "bob", "cleo")),
        Queue(
            name="office", owner="olga", calendar=OFFICE, remind=("4h",),
            escalate=(Escalation(after="12h", to="leads"),), reasons=("too-dear", "not-needed"),
        ),
        Queue(name="hall", owner="hal", remind=("4h", "8h"), escalate=(Escalation(after="12h", to="leads"),)),
        Queue(name="leads", owner="lea", priority=9),
        Queue(name="shut", owner="sam", calendar=OFFICE, after_hours="decline"),
    ],
    policy=[
        Rule(id="exports", verdict="hold", action="export", owner="risk", reason="personal data"),
        Rule(id="no-erasing", verdict="deny", action="erase", owner="risk", reason="not in this year"),
        Rule(id="drafts", verdict="draft", action="suggest", owner="risk", reason="only on paper"),
    ],
)  # fmt: skip


async def granted(it: Harness) -> str:
    run = await it.start(by_two, veto=True, by="ann")
    await it.approve(run, by="bea", reason="we need it")
    await it.approve(run, by="bob")
    return run


async def vetoed(it: Harness) -> str:
    run = await it.start(by_two, veto=True, by="ann")
    await it.approve(run, by="bea")
    await it.reject(run, by="bob", reason="we have one")
    return run


async def voted_down(it: Harness) -> str:
    run = await it.start(by_two, veto=False, by="ann")
    await it.reject(run, by="bea")
    await it.approve(run, by="bob")
    await it.reject(run, by="cleo", reason="not this year")
    return run


async def half_voted(it: Harness) -> str:
    run = await it.start(by_two, veto=False, by="ann")
    await it.approve(run, by="bea")
    return run


async def asked_back(it: Harness) -> str:
    run = await it.start(soon, queue="office", by="ann")
    await it.advance("1h")
    await it.client.ask(run, "Which desk?", by="olga")
    await it.advance("72h")
    await it.client.answer(run, "The tall one", by="ann")
    await it.restart()
    await it.client.decide(run, "rejected", by="olga", code="too-dear")
    await it.settle()
    return run


async def handed_on(it: Harness) -> str:
    run = await it.start(works, by="ann")
    await it.client.claim(run, by="dan")
    await it.client.release(run, by="dan")
    await it.client.claim(run, by="eve")
    await it.client.comment(run, "see the photograph", by="eve", files={"desk.txt": b"four legs"})
    await it.advance("61m")
    await it.client.reassign(run, by="dora", queue="leads", to="lea", reason="she knows")
    await it.complete(run, {"fine": True, "remark": "it wobbles"}, by="lea")
    return run


async def overdue(it: Harness) -> str:
    run = await it.start(soon, queue="hall", by="ann")
    await it.advance("1d")
    return run


async def escalated(it: Harness) -> str:
    run = await it.start(soon, queue="office", by="ann")
    await it.client.claim(run, by="olga")
    await it.advance("30h")
    return run


async def after_hours(it: Harness) -> str:
    await it.advance("12h")
    run = await it.start(asks, queue="shut", by="ann")
    await it.advance("1s")
    return run


async def stood_in(it: Harness) -> str:
    await registered(it)
    run = await it.start(by_two, veto=True, by="ann")
    await it.client.claim(run, by="cid")
    await it.approve(run, by="cid")
    await it.approve(run, by="bob")
    return run


async def registered(it: Harness) -> None:
    await it.client.register("root", roles=["administrator"], by="root")
    await it.client.register("ann", roles=["operator"], by="root")
    for name, groups in (("bea", ["board"]), ("bob", ["board"]), ("cid", [])):
        await it.client.register(name, roles=["approver"], groups=groups, by="root")
    await it.client.delegate("bea", "cid", until="2026-02-01T00:00:00Z", queue="board", by="bea")


async def consumed(it: Harness) -> str:
    run = await it.start(approved_then_paid, by="ann")
    await it.approve(run, by="bob")
    await it.restart()
    await it.approve(run, by="cleo", reason="this one too")
    return run


async def not_erased(it: Harness) -> str:
    run = await it.start(exported, by="ann")
    await it.approve(run, by="bob")
    return run


async def drafted(it: Harness) -> str:
    return await it.start(suggests, by="ann")


async def switched(it: Harness) -> str:
    await it.client.switch("effect:write", off=True, by="ops", reason="incident 7")
    run = await it.start(files, what="the plan", by="ann")
    await it.client.switch("effect:write", off=False, by="ops", reason="over")
    await it.settle()
    return run


async def listened(it: Harness) -> str:
    run = await it.start(listens, by="ann")
    await it.client.signal(run, "second", "so many")
    await it.client.signal(run, "second", "12.50", id="mail-1", by="post")
    await it.client.signal(run, "second", "13.50", id="mail-1", by="post")
    await it.client.signal(run, "first", "in time", id="mail-2", by="post")
    await it.advance("2h")
    await it.client.signal(run, "third", "too late")
    await it.client.signal(run, "done")
    await it.settle()
    return run


async def led(it: Harness) -> str:
    closed["times"] = 2
    run = await it.start(leads, by="ann")
    await it.advance("1s")
    await it.client.settle(next(w.subject for w in it.waits(run) if w.kind == "child"), "give-up", by="ops")
    await it.settle()
    await it.client.decide(f"{run}/2.1", "approved", by="olga")
    await it.settle()
    return run


async def too_late(it: Harness) -> str:
    run = await it.start(hurries, by="ann")
    await it.advance("2d")
    return run


async def mended(it: Harness) -> str:
    lacking = App("golden-people", workflows=[files])
    del lacking.actions["file_it"]
    it.app, whole = lacking, it.app
    await it.restart()
    run = await it.start(files, what="the plan", by="ann")
    it.app = whole
    await it.restart()
    await it.client.retry(run, by="ops", reason="it is deployed again")
    await it.settle()
    return run


async def installed(it: Harness) -> str:
    """What concerns no single run: people, a substitute, a switch."""
    await registered(it)
    await it.client.switch("action:pay", off=True, by="ann", reason="incident 7")
    await it.client.switch("workflow:files", off=True, by="ann", reason="incident 8")
    await it.client.switch("workflow:files", off=False, by="ann", reason="over")
    return SYSTEM


STORIES: dict[str, Story] = {
    "granted": granted,
    "vetoed": vetoed,
    "voted_down": voted_down,
    "half_voted": half_voted,
    "asked_back": asked_back,
    "handed_on": handed_on,
    "overdue": overdue,
    "escalated": escalated,
    "after_hours": after_hours,
    "stood_in": stood_in,
    "consumed": consumed,
    "not_erased": not_erased,
    "drafted": drafted,
    "switched": switched,
    "listened": listened,
    "led": led,
    "too_late": too_late,
    "mended": mended,
    "system/installed": installed,
}


if __name__ == "__main__":
    record_missing(app, STORIES)
