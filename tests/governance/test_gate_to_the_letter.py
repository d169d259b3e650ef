"""The gate to the letter: every field of what it records, and what of it lies elsewhere."""

from __future__ import annotations

from dataclasses import asdict
from itertools import count
from typing import Any

import pytest

from backstay import (
    ActionDenied,
    ActionFailed,
    App,
    Breaker,
    IdempotencyKey,
    Queue,
    Retry,
    Rule,
    Sensitive,
    action,
    workflow,
)
from backstay.engine import gateway
from backstay.governance.approvals import proposal_digest
from backstay.governance.calendars import Calendar
from backstay.store.payloads import OFFLOAD_BYTES
from backstay.testing import Harness, harness

faults: list[BaseException] = []
NINE = "2026-01-05T09:00:00.000000Z"
ONCE = Retry(attempts=1)


@pytest.fixture(autouse=True)
def _new_world() -> None:
    faults.clear()


def step(what: str) -> str:
    if faults:
        raise faults.pop(0)
    return what


@action(effect="read", retry=Retry(attempts=2, first="10s", jitter=0), queue="desk")
async def look(what: str) -> str:
    return step(what)


@action(effect="read", retry=ONCE, on_failure="raise")
async def peek(what: str) -> str:
    return step(what)


@action(effect="write", retry=ONCE, queue="desk")
def post(what: str, key: IdempotencyKey) -> str:
    return step(what)


@action(effect="write", queue="desk", breaker=Breaker(failures=1, cooldown="30s"), retry=ONCE)
def guarded(what: str, key: IdempotencyKey) -> str:
    return step(what)


@action(effect="irreversible", queue="desk", approvers="chiefs")
def aim(what: str) -> str:
    return step(what)


@action(effect="write")
def note(guest: Sensitive["pii"], key: IdempotencyKey) -> str:
    return "noted"


@workflow
async def does(name: str, what: str) -> str:
    try:
        if name == "look":
            return await look(what)
        if name == "peek":
            return await peek(what)
        if name == "post":
            return await post(what)
        if name == "guarded":
            return await guarded(what)
        if name == "aim":
            return await aim(what)
    except (ActionDenied, ActionFailed) as refused:
        return f"refused: {refused}"
    return await note(what)


@workflow
async def writes_a_card(first: str) -> str:
    return await post(f"card {first} 1111 1111")


OFFICE = Calendar("office", zone="UTC", hours={"mon-fri": "09:00-17:00"})
QUEUES = [
    Queue(name="desk", owner="dora"), Queue(name="chiefs", owner="chief", calendar=OFFICE, within="8h", remind=("2h",))
]  # fmt: skip


def an_app(*rules: Rule) -> App:
    return App("letter", workflows=[does, writes_a_card], queues=QUEUES, policy=rules)


async def begun(it: Harness, name: str, *errors: BaseException, what: str = "a") -> str:
    faults[:] = errors
    return await it.start(does, name=name, what=what, by="ann")


DOWN = ConnectionError("no route")


# --- what is recorded ---------------------------------------------------------------------------------------------

NO = Rule(id="r", verdict="deny", action="post", owner="risk", reason="no a")
DRAFT = Rule(id="r", verdict="draft", action="post", owner="risk", reason="no a")
FAULT = {"type": "ConnectionError", "message": "no route", "line": None}
ARGS = {"what": "a"}
SWITCHED = {"type": "switch", "message": "switch 'action:post' is off: incident 7", "line": None}
DIVERTED = {"type": "breaker", "message": "action 'guarded' keeps failing; its breaker is open", "line": None}
POLICY = "<digest of the rule table>"

Row = tuple[str, list[BaseException], tuple[Rule, ...], str, dict[str, Any]]
RECORDED: dict[str, Row] = {
    "read": (
        "look", [], (), "call_returned",
        {
            "result": "a", "args": ARGS, "attempt": 1, "micros": 7000, "path": 'name == "look"', "refs": None,
            "approval": None, "rule": "baseline-reads", "policy": POLICY,
        },
    ),
    "failed read": (
        "look", [DOWN], (), "attempt_failed",
        {
            "attempt": 1, "fault": FAULT, "retry_at": "2026-01-05T09:00:10.000000Z", "first_at": NINE,
            "path": 'name == "look"',
        },
    ),
    "read that failed for good": (
        "peek", [DOWN], (), "call_failed", {"attempt": 1, "fault": FAULT, "path": 'name == "peek"'}
    ),
    "intent": (
        "post", [], (), "call_intended",
        {
            "effect": "write", "args": ARGS, "key": "<key>", "attempt": 1, "rule": "baseline-writes", "approval": None,
            "compensate": None, "path": 'name == "post"', "refs": None, "policy": POLICY,
        },
    ),
    "result of a write": (
        "post", [], (), "call_returned",
        {
            "result": "a", "args": None, "attempt": 1, "micros": 7000, "path": None, "refs": None, "approval": None,
            "rule": "", "policy": "",
        },
    ),
    "given up": (
        "post", [DOWN], (), "call_queued",
        {
            "queue": "desk", "attempt": 1, "fault": FAULT, "suggestion": "retry when the target is well again",
            "args": ARGS, "path": None, "refs": None,
        },
    ),
    "switched off": (
        "post", [], (), "call_queued",
        {
            "queue": "desk", "attempt": 0, "fault": SWITCHED, "args": ARGS, "path": 'name == "post"', "refs": None,
            "suggestion": "goes on by itself when the switch is on again",
        },
    ),
    "diverted": (
        "guarded", [], (), "call_queued",
        {
            "queue": "desk", "attempt": 0, "fault": DIVERTED, "args": ARGS, "path": 'name == "guarded"', "refs": None,
            "suggestion": "goes on by itself when the breaker closes",
        },
    ),
    "denied": (
        "post", [], (NO,), "call_denied",
        {"stage": "policy", "reason": "no a (rule 'r')", "path": 'name == "post"', "rule": "r", "policy": POLICY},
    ),
    "drafted": (
        "post", [], (DRAFT,), "call_drafted",
        {
            "effect": "write", "args": ARGS, "rule": "r", "reason": "no a (rule 'r')", "path": 'name == "post"',
            "refs": None,
        },
    ),
    "held": (
        "aim", [], (), "approval_requested",
        {
            "queue": "chiefs", "args": ARGS, "due": "2026-01-05T17:00:00.000000Z", "path": 'name == "aim"', "refs": None,
            "reason": "this cannot be taken back, so a person decides (rule 'baseline-irreversible')",
            "plan": [{"at": "2026-01-05T11:00:00.000000Z", "do": "remind"}], "calendar": OFFICE.to_json(),
            "policy": POLICY, "show": None, "evidence": None, "quorum": 1, "reject": "veto", "title": "", "exclude": None,
            "digest": "<call>", "shown": "<proposal>",
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", RECORDED)
async def test_an_event_holds_exactly_this(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, errors, rules, kind, expected = RECORDED[row]
    monkeypatch.setattr(gateway, "perf_counter_ns", count(5_000_000, 7_000_000).__next__)
    async with harness(an_app(*rules)) as it:
        if row == "switched off":
            await it.client.switch("action:post", off=True, by="ops", reason="incident 7")
        if row == "diverted":
            await begun(it, name, DOWN)
        run = await begun(it, name, *errors)
        (event,) = it.events(run, kind)
        policy = it.client._runner.gateway.policy.digest
    said: dict[str, Any] = {key: value for key, value in asdict(event).items() if key not in ("command", "site", "by")}
    said["path"] = said["path"][-1]["text"] if said["path"] else None
    if "key" in said:
        assert len(said["key"]) == 40
        said["key"] = "<key>"
    if "shown" in said:
        assert said["shown"] == proposal_digest(said["digest"], policy, None, None)
        said["digest"], said["shown"] = "<call>", "<proposal>"
    said = {key: POLICY if value == policy else value for key, value in said.items()}
    assert said == {"at": NINE, "action": name, **expected}


async def test_attempts_of_a_read_are_numbered_from_one() -> None:
    async with harness(an_app()) as it:
        run = await begun(it, "look", DOWN)
        await it.advance("10s")
        assert [event.attempt for event in it.events(run, "attempt_failed")] == [1]
        assert [event.attempt for event in it.events(run, "call_returned")] == [2]


LONG = "x" * OFFLOAD_BYTES


@pytest.mark.parametrize(("rules", "kind"), [((), "call_queued"), ((DRAFT,), "call_drafted")])
async def test_large_arguments_of_what_was_not_done_lie_beside_the_journal(rules: tuple[Rule, ...], kind: str) -> None:
    async with harness(an_app(*rules)) as it:
        if kind == "call_queued":
            await it.client.switch("action:post", off=True, by="ops", reason="incident 7")
        run = await begun(it, "post", what=LONG)
        (event,) = it.events(run, kind)
        ((pointer, place),) = event.refs.items()
        assert (event.args, pointer) == (None, "/args")
        assert place.startswith("blob:")
        assert it.client._runner.payloads.restore(event, {}).args == {"what": LONG}


@pytest.mark.parametrize(("more", "inline"), [(0, True), (1, False)])
async def test_arguments_of_just_the_limit_stay_in_the_journal(more: int, inline: bool) -> None:
    async with harness(an_app()) as it:
        run = await begun(it, "post", what="x" * (OFFLOAD_BYTES - len('{"what":""}') + more))
        (event,) = it.events(run, "call_intended")
        assert (event.refs is None) is inline


async def test_an_argument_that_only_the_action_tags_is_sealed_where_the_run_knows_no_secret() -> None:
    async with harness(an_app()) as it:
        run = await begun(it, "note", what="Wilhelmina")
        (event,) = it.events(run, "call_intended")
        assert event.args["guest"].startswith("pii:")
        assert list(event.refs) == ["/args/guest"]


async def test_a_detected_secret_in_arguments_is_sealed_where_the_run_knows_none() -> None:
    async with harness(an_app()) as it:
        run = await it.start(writes_a_card, first="4111 1111", by="ann")
        (event,) = it.events(run, "call_intended")
        assert "4111" not in str(event.args)
