"""A proof to the letter: for every field that the program decides, what was recorded, what replay asks for, and where."""

from __future__ import annotations

import asyncio
import json
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
from backstay.operations.proof import Proof
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
