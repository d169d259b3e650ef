"""Replay is pure and for ever: golden journals replay, and a journal that does not fit is named, parked, never failed."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import golden_people
import golden_sessions
import golden_stories
import pytest
from golden_records import FOLDER, record
from golden_stories import app

from backstay import events as ev
from backstay.engine.replay import Machine
from backstay.errors import JournalMismatch, NotAllowed
from backstay.governance.principals import Directory
from backstay.governance.switches import Switches
from backstay.language import compile_definition
from backstay.store.encoding import decode, encode
from backstay.store.journal import genesis, link
from backstay.store.payloads import EARLY
from backstay.testing import harness

STORIES = {
    **{name: (golden_stories.app, story) for name, story in golden_stories.STORIES.items()},
    **{name: (golden_people.app, story) for name, story in golden_people.STORIES.items()},
    **{name: (golden_sessions.app, story) for name, story in golden_sessions.STORIES.items()},
}
GOLDEN = sorted(FOLDER.glob("*.json"))
INSTALLED = FOLDER / "system" / "installed.json"
"""The system's own chain, which no workflow drives."""
STORED = [*GOLDEN, INSTALLED]
MAY_DIFFER = {"version", "digest", "shown", "policy", "micros", "outside"}
"""Fields of events that another checker, policy, clock or theory of labels may tell otherwise."""


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


def restored(event: ev.Event, private: dict[str, str]) -> ev.Event:
    """The event with its private values, which in a golden journal are all texts."""
    refs = getattr(event, "refs", None) or {}
    text = json.dumps({name: getattr(event, name) for name in {pointer.split("/")[1] for pointer in refs}})
    for ref in refs.values():
        token = ref.removeprefix("seal:")
        text = text.replace(json.dumps(token), json.dumps(private[token]))
    return replace(event, **json.loads(text))  # type: ignore[type-var]


def replay(golden: dict[str, Any], change: Callable[[list[ev.Event]], None] = lambda events: None) -> Machine:
    """Replay a golden journal, with its events changed if asked."""
    program = compile_definition(golden["definition"], golden["version"])
    events = [restored(decode(item["kind"], item["body"]), golden["private"]) for item in golden["events"]]
    change(events)
    started = events[0]
    assert isinstance(started, ev.RunStarted)
    secrets = {text: token for token, text in golden["private"].items() if not token.startswith(EARLY)}
    machine = Machine(golden["run"], program, started, secrets)
    for seq, event in enumerate(events[1:], 2):
        machine.apply(event, seq)
    return machine


def summary(machine: Machine) -> tuple[str, str | None]:
    outcome = machine.outcome
    if outcome is None:
        return "waiting", None
    fault = f"{outcome.fault.type}: {outcome.fault.message}" if outcome.fault else None
    return outcome.status, fault or (outcome.reason or None)


# --- for ever ---------------------------------------------------------------------------------------------------


def test_there_is_a_golden_journal_of_every_story() -> None:
    assert {path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.json")} == set(STORIES)


def test_every_kind_of_event_stands_in_a_golden_journal() -> None:
    assert {item["kind"] for path in STORED for item in load(path)["events"]} == set(ev.EVENTS)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_journal_replays(path: Path) -> None:
    golden = load(path)
    machine = replay(golden)
    assert summary(machine) == (golden["status"], golden["summary"])
    assert sorted(machine.open) == golden["open"]
    assert (machine.orphans, machine.trail) == ({}, [])
    if machine.outcome is not None:
        assert ending(golden, machine) == (golden["events"][-1]["kind"], golden["events"][-1]["body"])


def ending(golden: dict[str, Any], machine: Machine) -> tuple[str, str]:
    """The last event as replay alone writes it: what came out, besides when and by which decisions."""
    recorded, outcome = decode(golden["events"][-1]["kind"], golden["events"][-1]["body"]), machine.outcome
    assert outcome is not None
    told = {"at": recorded.at, "by": recorded.by, "path": recorded.path}  # type: ignore[attr-defined]
    if outcome.fault is not None:
        return encode(ev.RunFailed(fault=outcome.fault, **told))
    if outcome.status == "cancelled":
        return encode(ev.RunCancelled(reason=outcome.reason, **told))
    return encode(ev.RunFinished(result=outcome.result, refs=recorded.refs, outside=recorded.outside, **told))  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_a_golden_journal_keeps_its_chain_and_its_bytes(path: Path) -> None:
    golden = load(path)
    head = genesis(golden["run"])[1]
    for seq, item in enumerate(golden["events"], 1):
        head = link(head, golden["run"], seq, item["kind"], item["body"])
        assert head.hex() == item["hash"]
        assert encode(decode(item["kind"], item["body"])) == (item["kind"], item["body"])


@pytest.mark.parametrize("name", sorted(STORIES))
async def test_telling_the_story_again_gives_the_same_journal(name: str) -> None:
    """The engine of today writes whatever the engine that recorded it wrote; it may write more."""
    golden, told = load(FOLDER / f"{name}.json"), json.loads(json.dumps(await record(*STORIES[name])))
    assert [item["kind"] for item in told["events"]] == [item["kind"] for item in golden["events"]]
    assert (told.get("status"), told.get("open")) == (golden.get("status"), golden.get("open"))
    for now, then in zip(fields(told), fields(golden), strict=True):
        assert then.items() <= now.items()


def fields(journal: dict[str, Any]) -> list[dict[str, str]]:
    """What each event says, field by field as JSON, with the private values in place of their pseudonyms."""
    found: list[dict[str, str]] = []
    skipped = MAY_DIFFER | ({"key"} if journal.get("private") else set())  # then it hangs on the installation's secret
    for item in journal["events"]:
        body: str = item["body"]
        for token, value in journal.get("private", {}).items():
            body = body.replace(token, value)
        said = json.loads(body)
        found.append({name: json.dumps(value) for name, value in said.items() if name not in skipped})
    return found


def test_the_systems_golden_chain_still_says_who_may_what_and_what_is_off() -> None:
    events = [decode(item["kind"], item["body"]) for item in load(INSTALLED)["events"]]
    directory, switches = Directory.of(events), Switches()
    for event in events:
        if isinstance(event, ev.SystemRecorded) and event.what == "switch":
            switches.flip(event.subject, off=event.detail["off"], reason=event.detail["reason"])
    assert switches.off == {"action:pay": "incident 7"}
    assert directory.stands_in("cid", ("group:board",), AT, "board") == "bea"
    assert directory.stands_in("cid", ("group:board",), AT, "desk") is None
    with pytest.raises(NotAllowed, match="may not 'manage-people'"):
        directory.check("bea", "manage-people")


@pytest.mark.parametrize(
    ("story", "after", "states"),
    [
        ("still_waiting", "timer_set", {"4.0": "waiting", "4.1.0": "waiting", "4.1.1": "waiting", "4.2": "waiting"}),
        ("half_voted", "vote_cast", {"1": "waiting"}),
        ("still_held", "approval_requested", {"2": "held"}),
        ("handed_on", "task_opened", {"1": "waiting"}),
        ("switched", "call_queued", {"1": "queued"}),
        ("switched", "call_retried", {"1": "new"}),
        ("found_out", "call_unknown", {"3": "unknown"}),
        ("found_out", "call_settled", {"3": "new"}),
        ("given_up", "attempt_failed", {"3": "retrying"}),
        ("consumed", "call_intended", {"2.0": "new", "2.1": "new"}),
        ("toured", "child_started", {"6.0": "waiting", "6.1.0": "waiting", "6.1.1": "new", "6.2": "new"}),
    ],
)
def test_what_is_open_stands_like_this(story: str, after: str, states: dict[str, str]) -> None:
    golden = load(FOLDER / f"{story}.json")
    place = [item["kind"] for item in golden["events"]].index(after) + 1
    machine = replay({**golden, "events": golden["events"][:place]})
    assert {leaf.id: leaf.state for leaf in machine.unsettled} == states


def test_replay_is_the_same_in_a_fresh_process_with_another_hash_seed() -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import test_machine as t\n"
        "for path in t.GOLDEN:\n"
        "    m = t.replay(t.load(path)); print(path.stem, t.summary(m), sorted(m.open), m.calls, m.changes)"
    )
    seen = set[str]()
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", script, str(Path(__file__).parent)],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        seen.add(done.stdout)
    assert len(seen) == 1


def test_replaying_twice_changes_nothing() -> None:
    golden = load(FOLDER / "sold.json")
    assert [summary(replay(golden)) for _ in range(3)] == [("finished", None)] * 3


# --- a journal that does not fit -----------------------------------------------------------------------------------


def at(kind: type[ev.Event], which: int = 0) -> Callable[[list[ev.Event]], int]:
    return lambda events: [place for place, event in enumerate(events) if isinstance(event, kind)][which]


def changed(kind: type[ev.Event], **fields: Any) -> Callable[[list[ev.Event]], None]:
    def change(events: list[ev.Event]) -> None:
        place = at(kind)(events)
        events[place] = replace(events[place], **fields)  # type: ignore[type-var]

    return change


def dropped(kind: type[ev.Event]) -> Callable[[list[ev.Event]], None]:
    return lambda events: events.pop(at(kind)(events)) and None


def swapped(kind: type[ev.Event], other: ev.Event) -> Callable[[list[ev.Event]], None]:
    def change(events: list[ev.Event]) -> None:
        place = at(kind)(events)
        taken = {name: getattr(events[place], name) for name in ("command", "site") if hasattr(other, name)}
        events[place] = replace(other, **taken)  # type: ignore[type-var]

    return change


AT = "2026-01-05T09:00:00.000000Z"
PATH = [{"step": "large:1", "kind": "rule", "rule": "large", "verdict": False}]


@pytest.mark.parametrize(
    ("story", "change", "reason"),
    [
        ("sold", changed(ev.CallReturned, args={"article": "nut"}), "it was recorded with other arguments"),
        ("sold", changed(ev.CallReturned, action="reserve"), "it calls 'reserve', but the workflow asks for 'stock'"),
        ("sold", changed(ev.CallReturned, site="elsewhere"), "it belongs to step 'elsewhere'"),
        ("sold", changed(ev.CallReturned, command="7"), "the workflow never asked for command '7'"),
        ("sold", changed(ev.CallReturned, result="many"), "does not fit the definition"),
        ("sold", changed(ev.CallIntended, args={}), "it was recorded with other arguments"),
        ("sold", changed(ev.CallIntended, path=PATH), "recorded"),
        ("sold", dropped(ev.CallReturned), "recorded"),
        ("toured", dropped(ev.ChildEnded), "recorded"),
        ("toured", changed(ev.Drawn, what="random"), "it draws 'random', but the workflow asks for 'now'"),
        ("toured", changed(ev.WaitOpened, name="down"), "it waits for 'down', but the workflow asks for 'left'"),
        ("toured", changed(ev.ChildStarted, workflow="sell"), "it starts 'sell', but the workflow asks for 'check'"),
        ("sold", swapped(ev.TimerSet, ev.WaitOpened(at=AT, command="", site="", name="x")), "which is Sleep"),
        ("sold", swapped(ev.Noted, ev.TimerSet(at=AT, command="", site="", due=AT)), "which is Note"),
        ("sold", swapped(ev.TimerFired, ev.TaskCompleted(at=AT, command="", value=None)), "which is Sleep"),
    ],
)  # fmt: skip
def test_a_journal_that_does_not_fit_names_the_event(
    story: str, change: Callable[[list[ev.Event]], None], reason: str
) -> None:
    with pytest.raises(JournalMismatch, match=reason) as caught:
        replay(load(FOLDER / f"{story}.json"), change)
    if "does not fit the definition" not in reason:
        assert caught.value.seq is not None
        assert f"event {caught.value.seq} (" in str(caught.value)


def test_a_mismatch_names_the_line_of_the_workflow() -> None:
    golden = load(FOLDER / "sold.json")
    source = (Path(__file__).parent / "golden_stories.py").read_text("utf-8").splitlines()
    with pytest.raises(JournalMismatch) as caught:
        replay(golden, changed(ev.CallIntended, args={}))
    assert caught.value.line is not None
    assert "await reserve(order)" in source[caught.value.line - 1]
    assert f"(line {caught.value.line})" in str(caught.value)


def rehashed(home: Path, run: str, change: Callable[[str], str]) -> None:
    """Rewrite the bodies of a run and its whole chain, as a bad migration might."""
    with closing(sqlite3.connect(home / "backstay.db")) as connection, connection:
        head = genesis(run)[1]
        query = "SELECT seq, kind, body FROM events WHERE run = ? ORDER BY seq"
        for seq, kind, body in connection.execute(query, (run,)).fetchall():
            head = link(head, run, seq, kind, change(body))
            where = "UPDATE events SET body = ?, hash = ? WHERE run = ? AND seq = ?"
            connection.execute(where, (change(body), head, run, seq))


async def test_a_run_whose_journal_does_not_fit_is_parked_and_goes_on_when_it_fits_again() -> None:
    async with harness(app) as it:
        run = await it.start("tour", numbers=["1"], by="ann")
        await it.close()
        rehashed(it.home, run, lambda body: body.replace('"args":{"why":"1"}', '"args":{"why":"2"}'))
        rehashed(it.home, run, lambda body: body.replace('"name":"left"', '"name":"LEFT"'))
        with closing(sqlite3.connect(it.home / "backstay.db")) as connection, connection:
            connection.execute("UPDATE runs SET status = 'running' WHERE id = ?", (run,))
        await it.open()
        await it.settle()
        assert it.status(run) == "attention"
        assert "it waits for 'LEFT', but the workflow asks for 'left'" in (it.run(run).summary or "")
        assert "operators" in it.waits_in(run)
        kinds = it.kinds(run)
        await it.close()
        rehashed(it.home, run, lambda body: body.replace('"name":"LEFT"', '"name":"left"'))
        await it.open()
        assert it.status(run) == "attention"
        assert await it.client.retry(run, by="ann") == 1
        await it.settle()
        assert it.status(run) == "waiting"
        assert it.kinds(run) == [*kinds, "attention_cleared"]
        await it.client.signal(run, "left")
        assert (await it.result(run))[-2:] == ["0", "drawn"]
