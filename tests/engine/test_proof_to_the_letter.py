"""A proof to the letter: for every field that the program decides, what was recorded, what replay asks for, and where."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from test_every_field_is_proved import Told

from backstay import (
    App,
    Calendar,
    IdempotencyKey,
    Queue,
    Rule,
    Sensitive,
    action,
    approval,
    gather,
    note,
    now,
    sleep,
    start,
    task,
    wait_for,
    workflow,
)
from backstay.errors import JournalCorrupted
from backstay.operations.proof import Differs, Proof, read_case
from backstay.store.database import Reader
from backstay.testing import harness


class Report(BaseModel):
    found: str


@action(effect="irreversible", approvers="chiefs")
def pay(amount: int, key: IdempotencyKey) -> int:
    return amount


@action(effect="write")
def post(what: str, key: IdempotencyKey) -> str:
    return what


@action(effect="write")
def sketch(what: str, key: IdempotencyKey) -> str:
    return what


@workflow
async def small(what: str) -> str:
    return what


@workflow
async def asks_for_everything() -> None:
    await note("it begins", data={"page": 1})
    began = await now()
    await post(f"letter of {began.year}")
    await gather(
        approval(
            "chiefs", title="Buy it?", show={"what": "desk"}, evidence={"offer": 7}, exclude=["eve"], quorum=2,
            reject="quorum", within="8h",
        ),
        approval("chiefs", action=pay(7)),
        task("desk", title="Look at it", show={"what": "desk"}, form=Report, within="2h"),
        wait_for("letter", within="3h"),
        sleep("1h"),
        start(small, what="a", detached=True),
        pay(8),
        sketch("b"),
    )  # fmt: skip


DRAFT = Rule(id="d", verdict="draft", action="sketch", owner="risk", reason="on paper first")
OFFICE = Calendar("office", zone="UTC", hours={"mon-fri": "09:00-17:00"})
QUEUES = [Queue(name="chiefs", owner="chief", calendar=OFFICE), Queue(name="desk", owner="dora", calendar=OFFICE)]
app = App("everything", workflows=[asks_for_everything, small], queues=QUEUES, policy=[DRAFT])

OTHERWISE: list[tuple[str, str, str, Any]] = [
    ("noted", "text", "text", "it ends"),
    ("noted", "data", "data", {"page": 2}),
    ("drawn", "what", "value", "random"),
    ("call_intended", "key", "key", "0" * 40),
    ("call_intended", "effect", "effect", "irreversible"),
    ("call_intended", "approval", "approval", "7"),
    ("call_intended", "args", "arguments", {"what": "another"}),
    ("call_drafted", "effect", "effect", "irreversible"),
    ("approval_requested", "queue", "queue", "desk"),
    ("approval_requested", "title", "title", "Sell it?"),
    ("approval_requested", "show", "show", {"what": "chair"}),
    ("approval_requested", "evidence", "evidence", {"offer": 8}),
    ("approval_requested", "exclude", "exclude", ["ann"]),
    ("approval_requested", "quorum", "quorum", 3),
    ("approval_requested", "reject", "reject", "veto"),
    ("approval_requested", "due", "due", "2026-01-06T17:00:00.000000Z"),
    ("approval of a call", "action", "action", "post"),
    ("approval of a call", "args", "arguments", {"amount": 9}),
    ("approval of a call", "title", "title", "Pay"),
    ("task_opened", "queue", "queue", "chiefs"),
    ("task_opened", "title", "title", "Look away"),
    ("task_opened", "show", "show", {"what": "chair"}),
    ("task_opened", "form", "form", {"type": "string"}),
    ("task_opened", "due", "due", "2026-01-06T11:00:00.000000Z"),
    ("wait_opened", "name", "signal", "parcel"),
    ("wait_opened", "due", "due", "2026-01-05T13:00:00.000000Z"),
    ("timer_set", "due", "due", "2026-01-05T11:00:00.000000Z"),
    ("child_started", "workflow", "workflow", "asks_for_everything"),
    ("child_started", "detached", "detached", False),
    ("held call", "title", "title", "Pay"),
    ("held call", "show", "show", {"what": "chair"}),
    ("held call", "quorum", "quorum", 2),
]
"""Kind of event, field, what a proof calls it, and something else that it could say."""

COMMANDS = {"approval_requested": "4.0", "approval of a call": "4.1", "held call": "4.6"}
NOTHING = {"title": "", "quorum": 1, "approval": None}
"""What a field says that does not stand in an event."""
ALIKE = "it was recorded with other arguments"
"""What the machine itself says of arguments, before the proof compares them."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    home = tmp_path_factory.mktemp("proved")

    async def tell() -> str:
        async with harness(app, home) as it:
            return await it.start(asks_for_everything, by="ann")

    return Told(home, asyncio.run(tell()))


def place(told: Told, kind: str) -> tuple[int, str, dict[str, Any]]:
    """The first event of a kind, or of a command."""
    for seq, each, body in told.events:
        said = json.loads(body)
        if each == kind or (each == "approval_requested" and said["command"] == COMMANDS.get(kind)):
            return seq, each, said
    raise LookupError(kind)


def line_of(proof: Proof) -> str:
    return Path(__file__).read_text("utf-8").splitlines()[proof.line - 1] if proof.line else ""


def test_the_story_is_equal_and_asks_for_everything(told: Told) -> None:
    whole = told.proof()
    assert (whole.equal, whole.mismatch, whole.erased) == (True, "", 0)
    assert {kind for kind, *_ in OTHERWISE} <= {kind for _, kind, _ in told.events} | set(COMMANDS)


@pytest.mark.parametrize(("kind", "field", "called", "other"), OTHERWISE, ids=lambda value: str(value)[:20])
def test_what_was_recorded_and_what_replay_asks_for_are_both_said(
    told: Told, kind: str, field: str, called: str, other: Any
) -> None:
    seq, each, said = place(told, kind)
    proof = told.proof(seq, **{field: other})
    derived, recorded = said.get(field, NOTHING.get(field)), other
    if called == "value":
        derived, recorded = (derived, ""), (recorded, "")
    words = f"event {seq} ({each}) recorded {called} {recorded!r}, replay asks for {derived!r}"
    if (kind, field) == ("call_intended", "args"):
        words = f"event {seq} ({each}) does not fit the definition: {ALIKE}"
    assert (proof.equal, proof.mismatch, proof.event) == (False, words, seq)
    if "." not in said["command"]:
        assert "await" in line_of(proof)


# --- how it ended ------------------------------------------------------------------------------------------------


@workflow
async def decides(fails: bool) -> str:
    decision = await approval("chiefs")
    if fails:
        raise ValueError(f"it was {decision.verdict}")
    return decision.verdict


class Guest(BaseModel):
    number: Sensitive["subject"]
    name: Sensitive["pii"]


@workflow
async def invites(guest: Guest) -> str:
    return await post(f"Dear {guest.name}")


ends = App("ends", workflows=[decides, invites], queues=QUEUES)
NINE = "2026-01-05T09:00:00.000000Z"
FAULT = {"type": "ValueError", "message": "it was rejected", "line": 1}


async def ended(home: Path, how: str) -> Told:
    async with harness(ends, home) as it:
        run = await it.start(decides, fails=how == "failed", by="ann")
        if how == "cancelled":
            await it.cancel(run, by="bob", reason="changed my mind")
        elif how != "open":
            await it.approve(run, by="bob")
        return Told(home, run)


def as_if(told: Told, seq: int, kind: str, body: dict[str, Any]) -> Proof:
    """The proof of the story with another event in one place."""
    told.events = [
        (number, kind, json.dumps(body)) if number == seq else (number, each, said)
        for number, each, said in told.events
    ]
    with closing(sqlite3.connect(told.home / "backstay.db")) as db, db:
        db.execute("UPDATE events SET kind = ? WHERE run = ? AND seq = ?", (kind, told.run, seq))
    return told.proof()


@pytest.mark.parametrize(
    ("how", "seq", "kind", "body", "words", "event"),
    [
        (
            "finished", 3, "run_finished", {"at": NINE, "result": "approved"},
            "event 3 ends the run, but on replay it still waits for 1 (approval)", 3,
        ),
        (
            "finished", 4, "run_failed", {"at": NINE, "fault": FAULT},
            "event 4 records failed, but on replay the run finished", 4,
        ),
        (
            "finished", 4, "run_finished", {"at": NINE, "result": "rejected"},
            "event 4 recorded the result 'rejected', replay gives 'approved'", 4,
        ),
        (
            "failed", 4, "run_failed", {"at": NINE, "fault": FAULT},
            "event 4 recorded Fault(type='ValueError', message='it was rejected', line=1), "
            "replay gives Fault(type='ValueError', message='it was approved', line=LINE)", 4,
        ),
        (
            "cancelled", 4, "run_cancelled", {"at": NINE, "reason": "no"},
            "event 4 recorded the reason 'no', replay gives 'changed my mind'", 4,
        ),
        (
            "finished", 3, "approval_decided", {"at": "noon", "by": "bob", "command": "1", "verdict": "approved"},
            "replay breaks off with ValueError: Invalid isoformat string: 'noon'", None,
        ),
        (
            "finished", 3, "approval_decided", {"at": NINE, "by": "bob", "command": "9", "verdict": "approved"},
            "event 3 (approval_decided): the workflow never asked for command '9'", 3,
        ),
        (
            "open", 1, "noted", {"at": NINE, "command": "1", "site": "note", "text": "x"},
            "the journal cannot be read, or does not begin with run_started", 1,
        ),
        (
            "finished", 4, "item_claimed", {"at": NINE, "by": "bob", "command": "1"},
            "the run is recorded as finished, but its journal has no end", 4,
        ),
    ],
    ids=["too soon", "failed", "result", "fault", "reason", "breaks", "unasked", "headless", "endless"],
)  # fmt: skip
async def test_an_end_that_replay_does_not_reach_is_told_in_these_words(
    tmp_path: Path, how: str, seq: int, kind: str, body: dict[str, Any], words: str, event: int | None
) -> None:
    proof = as_if(await ended(tmp_path, how), seq, kind, body)
    assert not proof.equal
    assert (re.sub(r"line=\d\d+", "line=LINE", proof.mismatch), proof.event) == (words, event)
    if how == "failed":
        assert "raise ValueError" in line_of(proof)


async def test_a_case_without_its_private_values_is_equal_as_far_as_it_goes_and_says_how_many_are_gone(
    tmp_path: Path,
) -> None:
    async with harness(ends, tmp_path) as it:
        run = await it.start(invites, guest={"number": "P-1", "name": "Wilhelmina"}, by="ann")
        await it.result(run)
        await it.client.erase("P-1", by="dpo", reason="asked")
    proof = Told(tmp_path, run).proof()
    assert (proof.equal, proof.mismatch, proof.status) == (True, "", "finished")
    assert proof.erased == 3
    assert (proof.events, proof.effects) == (4, 1)


async def test_a_case_is_read_with_its_whole_journal_or_not_at_all(tmp_path: Path) -> None:
    told = await ended(tmp_path, "finished")
    with closing(Reader(tmp_path / "backstay.db")) as reader:
        row, stored = read_case(reader, told.run)
        assert (row.id, row.status) == (told.run, "finished")
        assert [item.kind for item in stored] == [kind for _, kind, _ in told.events]
    for change, kind, words in (
        (
            "body = replace(body, 'approved', 'rejected')",
            Differs,
            "event 3 (approval_decided) does not match its hash chain",
        ),
        ("kind = 'unheard_of'", JournalCorrupted, "unheard_of"),
    ):
        with closing(sqlite3.connect(tmp_path / "backstay.db")) as db, db:
            db.execute(f"UPDATE events SET {change} WHERE run = ? AND seq = 3", (told.run,))
        with closing(Reader(tmp_path / "backstay.db")) as reader, pytest.raises(kind) as refused:
            read_case(reader, told.run)
        assert words in str(refused.value)
