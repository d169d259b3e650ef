"""What a changed program would have done with a recorded case: where it turns, what follows, what nobody can know."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from backstay import (
    App,
    Calendar,
    IdempotencyKey,
    Queue,
    Sensitive,
    TimedOut,
    Workflow,
    action,
    approval,
    gather,
    now,
    rule,
    sleep,
    task,
    wait_for,
    workflow,
)
from backstay import events as ev
from backstay.errors import JournalMismatch
from backstay.language import compile_definition
from backstay.operations.divergence import Divergence, compare
from backstay.operations.recording import Case
from backstay.operations.sweep import load_case
from backstay.store.database import Reader
from backstay.store.encoding import decode
from backstay.store.payloads import Payloads
from backstay.testing import harness

GOLDEN = sorted((Path(__file__).parents[1] / "engine" / "golden").glob("*.json"))
LOW = Decimal("100")
HIGH = Decimal("1000")
made: list[str] = []
"""What was really called."""


class Form(BaseModel):
    number: str


class Stricter(BaseModel):
    number: str
    signed: bool


class Person(BaseModel):
    name: Sensitive["pii"]
    initial: Sensitive["pii"]


@action(effect="read")
async def price(item: str) -> Decimal:
    made.append("price")
    return Decimal(150)


@action(effect="write")
async def unship(item: str, count: int, result: str, key: IdempotencyKey) -> None:
    made.append("unship")


@action(effect="write", compensate=unship)
async def ship(item: str, count: int, key: IdempotencyKey) -> str:
    made.append("ship")
    return f"{count} {item}"


@action(effect="write")
async def greet(text: str, key: IdempotencyKey) -> str:
    made.append("greet")
    return text


@rule
def high(amount: Decimal) -> bool:
    return amount > HIGH


@rule
def low(amount: Decimal) -> bool:
    return amount > LOW


@workflow
async def order(item: str) -> str:
    amount = await price(item)
    if high(amount):
        decision = await approval("desk", show=amount)
        if not decision.approved:
            return "rejected"
    return await ship(item, 1)


@workflow
async def order_low(item: str) -> str:
    amount = await price(item)
    if low(amount):
        decision = await approval("desk", show=amount)
        if not decision.approved:
            return "rejected"
    return await ship(item, 1)


@workflow
async def order_two(item: str) -> str:
    await price(item)
    return await ship(item, 2)


@workflow
async def order_nothing(item: str) -> str:
    amount = await price(item)
    return f"{await price(item) + amount}"


@workflow
async def order_failing(item: str) -> str:
    await price(item)
    sent = await ship(item, 1)
    raise ValueError(sent)


@workflow
async def order_refactored(item: str) -> str:
    cost, started = await price(item), await now()
    return await ship(item, 1) if cost < HIGH and started.year > 2000 else "none"


@workflow
async def order_numbered(number: int) -> str:
    return str(number)


@workflow
async def asking() -> str:
    form = await task("clerks", form=Form)
    return form.number


@workflow
async def asking_more() -> str:
    form = await task("clerks", form=Stricter)
    return form.number


@workflow
async def asking_others() -> str:
    form = await task("managers", form=Form)
    return form.number


@workflow
async def timed() -> str:
    decision = await approval("desk", within="2d")
    try:
        parcel = await wait_for("parcel", type=str, within="2d")
    except TimedOut:
        parcel = "lost"
    return f"{decision.verdict} {parcel}"


@workflow
async def timed_short() -> str:
    decision = await approval("desk", within="1h")
    try:
        parcel = await wait_for("parcel", type=str, within="1h")
    except TimedOut:
        parcel = "lost"
    return f"{decision.verdict} {parcel}"


@workflow
async def sleepy() -> str:
    before = await now()
    await sleep("3h")
    after = await now()
    return f"{(after - before).total_seconds():.0f}"


@workflow
async def welcome(person: Person) -> str:
    return await greet(f"Hello {person.name}")


@workflow
async def welcome_both(person: Person) -> str:
    await greet(f"Hi {person.name}")
    return person.initial


@workflow
async def many() -> int:
    counts = await gather(price("a"), price("b"), price("c"))
    return len(counts)


@workflow
async def many_turned() -> int:
    counts = await gather(price("c"), price("b"), price("a"))
    return len(counts)


FLOWS: list[Workflow[..., Any]] = [order, asking, timed, sleepy, welcome, many]
APP = App("shop", workflows=FLOWS)


def differ(home: Path, run: str, old: Workflow[..., Any], new: Workflow[..., Any], **assume: Any) -> Divergence:
    with closing(Reader(home / "backstay.db")) as reader:
        case = load_case(reader, Payloads(home, reader), run)
    before = len(made)
    found = compare(case, old.program, new.program, assume)
    assert len(made) == before, "a what-if called something"
    return found


async def ordered(home: Path) -> str:
    async with harness(APP, home) as it:
        return await it.start(order, item="desk")


def told(found: Divergence) -> list[tuple[str, str, str]]:
    return [(change.what, change.subject, change.note) for change in found.changes]


# --- the same -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_program_does_not_differ_from_itself(path: Path) -> None:
    found = compare(*golden(path))
    assert (told(found), found.old, found.same) == ([], found.new, True)


def golden(path: Path) -> tuple[Case, Any, Any]:
    stored = json.loads(path.read_text("utf-8"))
    private: dict[str, str] = stored["private"]
    program = compile_definition(stored["definition"], stored["version"])
    events = [decode(item["kind"], item["body"]) for item in stored["events"]]
    secrets = {text: token for token, text in private.items()}
    case = Case(
        run=stored["run"], workflow=program.name, events=tuple(restored(event, private) for event in events),
        secrets=secrets, private=secrets,
    )  # fmt: skip
    return case, program, program


def restored(event: Any, private: dict[str, str]) -> Any:
    refs = getattr(event, "refs", None) or {}
    text = json.dumps({name: getattr(event, name) for name in {pointer.split("/")[1] for pointer in refs}})
    for ref in refs.values():
        token = ref.removeprefix("seal:")
        text = text.replace(json.dumps(token), json.dumps(private[token]))
    return replace(event, **json.loads(text))


async def test_other_decisions_with_the_same_consequences_are_the_same(home: Path) -> None:
    found = differ(home, await ordered(home), order, order_refactored)
    assert (found.same, found.unchanged, found.turn) == (True, 2, None)


async def test_a_case_that_waits_in_both_is_the_same(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(asking)
    found = differ(home, run, asking, asking_more)
    assert (found.same, found.new.status, found.new.waits) == (True, "waiting", ("task clerks",))


# --- another way --------------------------------------------------------------------------------------------------


async def test_the_rule_that_turned_is_named_with_its_values_and_lines_in_both(home: Path) -> None:
    found = differ(home, await ordered(home), order, order_low)
    turn = found.turn
    assert turn is not None
    assert turn.new is not None
    assert turn.new.words == "Rule “low” → yes"
    assert turn.new.values == {"amount": "150", "LOW": "100"}
    assert turn.new.line is not None
    assert Path(__file__).read_text("utf-8").splitlines()[turn.new.line - 1] == "    return amount > LOW"
    assert turn.old is not None
    assert (turn.old.words, turn.old.values) == ("Rule “high” → no", {"amount": "150", "HIGH": "1000"})
    assert ("low", "rule", "added") in [(item.name, item.kind, item.change) for item in found.touched]


async def test_what_no_recording_answers_stops_the_what_if(home: Path) -> None:
    found = differ(home, await ordered(home), order, order_low)
    assert told(found) == [("new", "desk", "the recording has no answer to it"), ("gone", "ship", "not reached")]
    assert (found.old.status, found.old.result) == ("finished", "1 desk")
    assert (found.new.status, found.new.waits) == ("unknown", ("approval desk",))


@pytest.mark.parametrize(("answer", "result"), [(True, "1 desk"), ("too dear", "rejected")])
async def test_an_assumed_answer_lets_it_go_on(home: Path, answer: Any, result: str) -> None:
    found = differ(home, await ordered(home), order, order_low, desk=answer)
    assert (found.new.status, found.new.result, found.same) == ("finished", result, False)
    assert told(found)[0] == ("new", "desk", "answered as assumed")


async def test_other_arguments_at_the_same_step_get_the_recorded_answer_and_are_told(home: Path) -> None:
    found = differ(home, await ordered(home), order, order_two)
    assert [(change.what, change.subject) for change in found.changes] == [("changed", "ship")]
    assert (found.changes[0].old, found.changes[0].new) == ({"item": "desk", "count": 1}, {"item": "desk", "count": 2})
    assert found.new.result == "1 desk"


async def test_a_read_is_answered_again_and_a_call_that_is_not_made_is_gone(home: Path) -> None:
    found = differ(home, await ordered(home), order, order_nothing)
    assert [(what, subject) for what, subject, _ in told(found)] == [("again", "price"), ("gone", "ship")]
    assert found.new.result == "300"


async def test_what_would_be_undone_is_told(home: Path) -> None:
    found = differ(home, await ordered(home), order, order_failing)
    assert [(change.what, change.kind, change.subject) for change in found.changes] == [("new", "undo", "unship")]
    assert (found.new.status, found.new.reason) == ("failed", "ValueError: 1 desk")


async def test_another_order_is_a_difference(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(many)
    found = differ(home, run, many, many_turned)
    assert {change.what for change in found.changes} == {"moved"}
    assert found.new.result == 3


async def test_an_input_that_no_longer_fits_is_told(home: Path) -> None:
    found = differ(home, await ordered(home), order, order_numbered)
    assert (found.same, found.new.status) == (False, "failed")
    assert found.headline == "the changed workflow does not take the recorded input"


# --- people and time ----------------------------------------------------------------------------------------------


async def test_an_answer_that_does_not_fit_the_new_form_is_no_answer(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(asking)
        await it.complete(run, {"number": "7"}, by="ann")
    assert told(differ(home, run, asking, asking_more)) == [
        ("changed", "clerks", "the recorded answer does not fit: Field required")
    ]


async def test_another_queue_did_not_answer(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(asking)
        await it.complete(run, {"number": "7"}, by="ann")
    found = differ(home, run, asking, asking_others)
    assert told(found) == [("new", "managers", "the recording has no answer to it"), ("gone", "clerks", "not reached")]
    assert differ(home, run, asking, asking_others, managers={"number": "8"}).new.result == "8"


async def test_a_shorter_time_would_have_run_out(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(timed)
        await it.advance("3h")
        await it.approve(run, by="ann")
        await it.advance("3h")
        await it.client.signal(run, "parcel", "P-7")
        await it.settle()
    found = differ(home, run, timed, timed_short)
    assert (found.old.result, found.new.result) == ("approved P-7", "expired lost")


async def test_a_longer_time_has_no_recorded_end(home: Path) -> None:
    short = App("short", workflows=[timed_short])
    async with harness(short, home) as it:
        run = await it.start(timed_short)
        await it.advance("3h")
    found = differ(home, run, timed_short, timed)
    assert told(found) == [("changed", "desk", "nobody had answered when its time ran out in the recording")]


async def test_time_passes_by_itself(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(order, item="desk")
    with closing(Reader(home / "backstay.db")) as reader:
        case = load_case(reader, Payloads(home, reader), run)
    started = case.events[0]
    assert isinstance(started, ev.RunStarted)
    bare = replace(case, events=(replace(started, input={}),))
    assert compare(bare, many.program, sleepy.program).new.result == "10800"


# --- privacy, damage ----------------------------------------------------------------------------------------------


async def test_private_values_are_pseudonyms_the_short_ones_too(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(welcome, person={"name": "Wilhelmina", "initial": "W"})
    found = differ(home, run, welcome, welcome_both)
    assert "Wilhelmina" not in repr(found)
    assert found.changes[0].new["text"].startswith("Hi pii:")
    assert str(found.new.result).startswith("pii:")


async def test_a_case_that_does_not_replay_is_not_compared(home: Path) -> None:
    run = await ordered(home)
    with pytest.raises(JournalMismatch, match="does not fit"):
        differ(home, run, asking, order)


# --- working hours --------------------------------------------------------------------------------------------------


@workflow
async def in_hours() -> str:
    return (await approval("office", within="16h")).verdict


@workflow
async def in_days() -> str:
    return (await approval("office", within="2bd")).verdict


@workflow
async def reminded() -> str:
    return (await approval("busy", within="16h")).verdict


OFFICE = Calendar("office", zone="UTC", hours={"mon-fri": "09:00-17:00"})
offices = App(
    "offices",
    workflows=[in_hours, in_days, reminded],
    queues=[
        Queue(name="office", owner="olga", calendar=OFFICE),
        Queue(name="busy", owner="olga", calendar=OFFICE, remind=("4h",)),
    ],
)


@pytest.mark.parametrize(("process", "after"), [(in_hours, "25h"), (in_days, "25h"), (reminded, None)])
def test_a_time_that_counts_working_hours_counts_them_in_a_what_if_too(
    process: Workflow[[], Any], after: str | None, tmp_path: Path
) -> None:
    async def tell() -> str:
        async with harness(offices, tmp_path) as it:
            run = await it.start(process, by="ann")
            await it.advance(after or "7d")
            if after:
                await it.approve(run, by="olga")
            assert await it.result(run) == ("approved" if after else "expired")
            return run

    run = asyncio.run(tell())
    with closing(Reader(tmp_path / "backstay.db")) as reader:
        case = load_case(reader, Payloads(tmp_path, reader), run)
    found = compare(case, process.program, process.program, {})
    assert ([c.note for c in found.changes], found.old, found.same) == ([], found.new, True)
