"""Every number of a small story is what one counts by hand."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

from backstay import (
    App,
    Breaker,
    IdempotencyKey,
    NotRetryable,
    Retry,
    action,
    approval,
    gather,
    sleep,
    task,
    wait_for,
    workflow,
)
from backstay import events as ev
from backstay.errors import InvalidInput
from backstay.operations.metrics import Metrics, measure, moment
from backstay.operations.prometheus import HISTOGRAMS, exposition
from backstay.store.database import Reader
from backstay.store.journal import Journal, Write, genesis
from backstay.store.measures import Bucket, Window, measuring
from backstay.testing import START, Harness, harness

FAILURES = {"left": 0}


class Form(BaseModel):
    fine: bool


@action(effect="write", retry=Retry(attempts=2, first="1m", jitter=0), queue="backlog")
async def post(text: str, key: IdempotencyKey) -> str:
    if FAILURES["left"]:
        FAILURES["left"] -= 1
        raise RuntimeError("down")
    return text


@action(effect="write", queue="unclear")
async def phone(text: str) -> str:
    raise RuntimeError("the line went dead")


@action(effect="read", retry=Retry(attempts=1), breaker=Breaker(failures=1, cooldown="1h"), queue="backlog")
async def look_up(text: str) -> str:
    raise RuntimeError("down")


@action(effect="read")
async def refuse(text: str) -> str:
    raise NotRetryable("no such thing")


@workflow
async def posting(text: str) -> str:
    return await post(text)


@workflow
async def deciding(hours: int) -> str:
    decision = await approval("desk", show={"hours": hours}, within="10h")
    return decision.verdict


@workflow
async def checking() -> str:
    fine = False
    while not fine:
        form = await task("hands", form=Form, title="check it", within="2h")
        fine = form.fine
    return "fine"


@workflow
async def both() -> str:
    await gather(task("hands", title="left"), task("hands", title="right"))
    return "both"


@workflow
async def phoning() -> str:
    return await phone("x")


@workflow
async def looking() -> str:
    return await look_up("x")


@workflow
async def refusing() -> str:
    return await refuse("x")


@workflow
async def listening() -> str:
    return await wait_for("word", type=str)


@workflow
async def resting() -> str:
    await sleep("10h")
    return "rested"


APP = App(
    "shop",
    workflows=[posting, deciding, checking, both, phoning, looking, refusing, listening, resting],
)


def measured(it: Harness, since: datetime | None = None, until: datetime | None = None, workflow: str = "") -> Metrics:
    reader = Reader(it.home / "backstay.db")
    try:
        window = Window(since=since, until=until, workflow=workflow or None)
        return measure(reader, window, now=it.clock.now())
    finally:
        reader.close()


def row(metrics: Metrics, section: str, name: str) -> dict[str, Any]:
    """The one row of a section that is called so."""
    key = {"workflows": "workflow", "actions": "action", "queues": "queue", "approvals": "queue"}[section]
    return next(one for one in metrics.as_json()[section] if one[key] == name)


async def decide_after(it: Harness, hours: int, verdict: str = "approved", reason: str = "") -> str:
    run = await it.start(deciding, hours=hours)
    await it.advance(f"{hours}h")
    await (it.approve if verdict == "approved" else it.reject)(run, by="dana", reason=reason)
    return run


async def test_percentiles_are_values_that_were_measured(home: Path) -> None:
    async with harness(APP, home) as it:
        for hours in (1, 2, 3, 4, 9):
            await decide_after(it, hours)
        found = row(measured(it), "workflows", "deciding")
        assert found["cycle_seconds"] == {
            "count": 5, "sum": 19 * 3600, "p50": 3 * 3600, "p90": 9 * 3600, "p99": 9 * 3600, "max": 9 * 3600,
        }  # fmt: skip
        assert row(measured(it), "approvals", "desk")["turnaround_seconds"]["p50"] == 3 * 3600


async def test_throughput_counts_runs_where_they_started_and_where_they_ended(home: Path) -> None:
    async with harness(APP, home) as it:
        await it.start(posting, text="a")
        late = await it.start(deciding, hours=0)
        gone = await it.start(deciding, hours=0)
        await it.start(refusing)
        await it.advance("9h")
        await it.client.cancel(gone, by="dana", reason="not needed")
        await it.advance("30m")
        await it.approve(late, by="dana")
        await it.advance("6h")  # Tuesday, half past midnight, when the process had begun on Monday at nine
        await it.start(listening)
        body = measured(it).as_json()
        assert {(d["day"], d["workflow"]): (d["started"], d["finished"], d["failed"], d["cancelled"]) for d in body["days"]} == {
            ("2026-01-06", "listening"): (1, 0, 0, 0),
            ("2026-01-05", "deciding"): (2, 1, 0, 1),
            ("2026-01-05", "posting"): (1, 1, 0, 0),
            ("2026-01-05", "refusing"): (1, 0, 1, 0),
        }  # fmt: skip
        assert [(w["workflow"], w["waiting"]) for w in body["workflows"]][1] == ("listening", 1)


async def test_straight_through_means_that_nobody_was_asked(home: Path) -> None:
    async with harness(APP, home) as it:
        FAILURES["left"] = 2
        queued = await it.start(posting, text="a")
        await it.advance("1m")
        await it.start(posting, text="b")
        assert it.waits_in(queued) == ["backlog"]
        await it.client.retry(queued, by="dana", reason="")
        await it.settle()
        await it.start(resting)
        await it.advance("10h")
        await decide_after(it, 1)
        found = measured(it)
        assert (row(found, "workflows", "posting")["straight_through_rate"], it.status(queued)) == (0.5, "finished")
        assert row(found, "workflows", "resting")["straight_through_rate"] == 1.0
        assert row(found, "workflows", "deciding")["straight_through_rate"] == 0.0


async def test_attempts_failures_and_retries_of_an_action(home: Path) -> None:
    async with harness(APP, home) as it:
        FAILURES["left"] = 3
        await it.start(posting, text="a")  # fails twice, so it is queued
        await it.advance("1m")
        await it.start(posting, text="b")  # fails once, then returns
        await it.advance("1m")
        await it.start(posting, text="c")
        await it.start(refusing)
        found = row(measured(it), "actions", "post")
        kinds = ("attempts", "returned", "failed", "retries", "queued", "denied")
        assert [found[kind] for kind in kinds] == [5, 2, 3, 2, 1, 0]
        assert found["failure_rate"] == 0.6
        assert row(measured(it), "actions", "refuse")["failure_rate"] == 1.0


async def test_exceptions_by_queue(home: Path) -> None:
    async with harness(APP, home) as it:
        await it.start(phoning)
        await it.start(looking)  # fails and opens the breaker
        await it.start(looking)  # is diverted
        await it.client.switch("action:post", off=True, by="dana", reason="audit")
        await it.start(posting, text="a")
        found = measured(it)
        assert row(found, "queues", "unclear")["opened"] == {"unknown": 1}
        lying = {"diverted": 1, "queued": 1, "switched": 1}
        assert (row(found, "queues", "backlog")["opened"], row(found, "queues", "backlog")["open"]) == (lying, lying)
        assert row(found, "actions", "look_up")["breaker_opened"] == 1
        assert (row(found, "actions", "look_up")["attempts"], row(found, "actions", "look_up")["diverted"]) == (1, 1)
        assert (row(found, "actions", "post")["attempts"], row(found, "actions", "post")["switched"]) == (0, 1)


async def test_verdicts_and_reasons(home: Path) -> None:
    async with harness(APP, home) as it:
        await decide_after(it, 1)
        for reason in ("too much", "no order", "too much"):
            await decide_after(it, 2, "rejected", reason)
        await it.start(deciding, hours=0)
        await it.advance("10h")
        found = row(measured(it), "approvals", "desk")
        assert (found["approved"], found["rejected"], found["expired"], found["rejection_rate"]) == (1, 3, 1, 0.75)
        assert found["reasons"] == [{"reason": "too much", "count": 2}, {"reason": "no order", "count": 1}]
        assert found["turnaround_seconds"]["count"] == 4, "nobody decided the one that expired"


async def test_times_in_a_queue_due_times_and_loops_back(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(checking)
        await it.advance("30m")
        item = it.waits(run)[0].id
        await it.client.claim(item, by="mia")
        await it.advance("30m")
        await it.complete(item, {"fine": False}, by="mia")  # after one hour: on time
        await it.advance("3h")
        await it.complete(run, {"fine": False}, by="mia")  # after three: late
        await it.advance("1h")
        again = await it.start(checking)
        await it.advance("2h")  # both lie there; the first one's third task is overdue, the second's is just due
        found = row(measured(it), "queues", "hands")
        assert (found["opened"], found["open"], found["overdue"]) == ({"task": 4}, {"task": 2}, 1)
        assert (found["with_due"], found["on_time"], found["on_time_rate"]) == (2, 1, 0.5)
        assert found["again"] == 2
        assert (found["claim_seconds"]["count"], found["claim_seconds"]["p50"]) == (1, 1800)
        assert (found["handling_seconds"]["p50"], found["handling_seconds"]["max"]) == (3600, 3 * 3600)
        await it.complete(again, {"fine": True}, by="mia")
        assert row(measured(it), "queues", "hands")["on_time"] == 2, "at its due time is on time"


async def test_escalations_a_moved_due_time_and_the_queues_own_word_for_a_reason(home: Path) -> None:
    begin = ev.RunStarted(at=at(0), by="web", workflow="w", version="v", input=None)
    ask = ev.ApprovalRequested(at=at(1), command="1", site="1", queue="desk", due=at(10))
    events = [
        ev.ItemEscalated(at=at(5), command="1", queue="managers"),
        ev.ItemAnswered(at=at(8), by="web", command="1", answer="because", due=at(30)),
        ev.ApprovalDecided(at=at(21), by="dana", command="1", verdict="rejected", reason="in many words", code="late"),
    ]
    await written(home, a_run("r", [begin, ask, *events]))
    found = hand_measured(home)
    desk = row(found, "queues", "desk")
    assert (desk["escalated"], desk["with_due"], desk["on_time"], desk["handling_seconds"]["p50"]) == (1, 1, 1, 20)
    assert row(found, "approvals", "desk")["reasons"] == [{"reason": "late", "count": 1}]


async def test_the_due_time_that_counts_is_the_last_one_also_where_an_escalation_made_it_an_earlier_one(
    home: Path,
) -> None:
    begin = ev.RunStarted(at=at(0), by="web", workflow="w", version="v", input=None)
    ask = ev.ApprovalRequested(at=at(1), command="1", site="1", queue="desk", due=at(60))
    events = [
        ev.ItemEscalated(at=at(5), command="1", queue="managers", due=at(20), plan=[]),
        ev.ApprovalDecided(at=at(21), by="dana", command="1", verdict="approved"),
    ]
    await written(home, a_run("r", [begin, ask, *events]))
    desk = row(hand_measured(home), "queues", "desk")
    assert (desk["with_due"], desk["on_time"]) == (1, 0)


async def test_two_tasks_at_once_are_no_loop(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(both)
        for wait in it.waits(run):
            await it.complete(wait.id, by="mia")
        assert row(measured(it), "queues", "hands")["again"] == 0


async def test_waiting_for_what_has_no_due_time_and_no_owner_is_stuck(home: Path) -> None:
    async with harness(APP, home) as it:
        adrift = await it.start(listening)
        await it.start(resting)
        await it.start(deciding, hours=0)
        assert [(one.run, one.why, one.summary) for one in measured(it).stuck] == [(adrift, "adrift", "signal word")]
        await it.client.signal(adrift, "word", "hello", by="web")
        await it.settle()
        assert measured(it).stuck == []


async def test_a_run_that_nothing_moves_is_silent_and_one_that_cannot_go_on_needs_attention(home: Path) -> None:
    started = ev.RunStarted(at=at(0), by="web", workflow="gone", version="v", input=None)
    await written(home, a_run("lost", [started]))
    reader = Reader(home / "backstay.db")
    try:
        whys = {m: measure(reader, Window(), now=START + timedelta(minutes=m)).stuck for m in (15, 16)}
    finally:
        reader.close()
    assert (whys[15], [(one.run, one.why, one.since) for one in whys[16]]) == ([], [("lost", "silent", at(0))])
    async with harness(APP, home, prove=False) as it:
        await it.settle()
        found = measured(it)
        assert [(one.run, one.why) for one in found.stuck] == [("lost", "attention")]
        assert row(found, "queues", "operators")["open"] == {"attention": 1}


# --- spans of time ----------------------------------------------------------------------------------------


async def test_a_window_counts_what_fell_into_it(home: Path) -> None:
    async with harness(APP, home) as it:
        first = await it.start(checking)
        await it.advance("1h")
        await it.complete(first, {"fine": False}, by="mia")
        edge = it.clock.now() + timedelta(hours=1)
        await it.advance("2h")
        await it.start(resting)
        await it.complete(first, {"fine": False}, by="mia")  # opened before the edge, two hours before
        before, after = measured(it, until=edge), measured(it, since=edge)
        tasks = [row(found, "queues", "hands") for found in (before, after)]
        assert [(one["opened"]["task"], one["ended"], one["again"]) for one in tasks] == [(2, 1, 1), (1, 1, 1)]
        assert [one["handling_seconds"]["p50"] for one in tasks] == [3600, 7200]
        assert [(w.workflow, w.started) for w in after.throughput] == [("checking", 0), ("resting", 1)]
        await it.complete(first, {"fine": True}, by="mia")
        done = row(measured(it, since=it.clock.now()), "workflows", "checking")
        assert (done["finished"], done["straight_through"], done["cycle_seconds"]["p50"]) == (1, 0, 3 * 3600)


async def test_one_workflow_alone(home: Path) -> None:
    async with harness(APP, home) as it:
        await it.start(checking)
        await decide_after(it, 1)
        await it.start(posting, text="a")
        body = measured(it, workflow="deciding").as_json()
        names = ([w["workflow"] for w in body["workflows"]], body["actions"], [q["queue"] for q in body["queues"]])
        assert names == (["deciding"], [], ["desk"])
        assert {day["workflow"] for day in body["days"]} == {"deciding"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("24h", START - timedelta(hours=24)),
        ("7d", START - timedelta(days=7)),
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        ("2026-01-02T10:00:00+01:00", datetime(2026, 1, 2, 9, tzinfo=UTC)),
        ("", None),
    ],
)
def test_a_span_begins_where_one_says(text: str, expected: datetime | None) -> None:
    assert moment(text, START, "--since") == expected


def test_what_is_no_moment_is_told() -> None:
    with pytest.raises(InvalidInput, match="'yesterday' is no moment"):
        moment("yesterday", START, "--since")


# --- latency, by hand-written journals --------------------------------------------------------------------


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def a_run(run: str, events: list[ev.Event], status: str = "running") -> Write:
    write, head = Write(), genesis(run)
    for event in events:
        head = write.append(run, head, event)
    started: Any = events[0]
    values = (run, started.workflow, "v", status, None, None, None, "web", events[0].at, events[-1].at, *head, None)
    write.put("runs", run, values)
    return write


async def written(home: Path, *writes: Write) -> None:
    home.mkdir(parents=True, exist_ok=True)
    journal = Journal(home / "backstay.db", synchronous="OFF")
    try:
        for write in writes:
            await journal.submit(write)
    finally:
        journal.close()


def hand_measured(home: Path) -> Metrics:
    reader = Reader(home / "backstay.db")
    try:
        return measure(reader, Window(), now=START + timedelta(hours=1))
    finally:
        reader.close()


def calls(micros: list[int]) -> list[ev.Event]:
    begin = ev.RunStarted(at=at(0), by="web", workflow="calling", version="v", input=None)
    made = [ev.CallReturned(at=at(n), command=str(n), site="1", action="ask", micros=m) for n, m in enumerate(micros)]
    return [begin, *made, ev.RunFinished(at=at(len(micros)))]


async def test_latency_by_nearest_rank_and_what_a_probe_found_has_none(home: Path) -> None:
    micros = [n * 1_000_000 for n in range(100, 0, -1)]
    await written(home, a_run("r", calls([*micros, 0]), "finished"))
    metrics = hand_measured(home)
    found = row(metrics, "actions", "ask")
    assert (found["attempts"], found["failure_rate"]) == (101, 0.0)
    assert found["latency_seconds"] == {"count": 100, "sum": 5050, "p50": 50, "p90": 90, "p99": 99, "max": 100}
    buckets = [(one.bound, one.count) for one in metrics.buckets if one.measure == "call"]
    assert sorted(buckets, key=lambda bucket: bucket[0] or 0) == [(1, 1), (5, 4), (30, 25), (60, 30), (300, 40)]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=40))
def test_percentiles_of_any_durations(tmp_path_factory: pytest.TempPathFactory, micros: list[int]) -> None:
    home = tmp_path_factory.mktemp("store")
    asyncio.run(written(home, a_run("r", calls(micros), "finished")))
    ranked = sorted(micros)
    found = row(hand_measured(home), "actions", "ask")["latency_seconds"]
    for percent in (50, 90, 99):
        value = round(found[f"p{percent}"] * 1e6)
        assert value == ranked[-(-percent * len(ranked) // 100) - 1]


# --- what always holds ------------------------------------------------------------------------------------

STORIES = st.lists(st.sampled_from(["posting", "refusing", "listening", "deciding", "cancelled"]), max_size=8)


@settings(max_examples=15, deadline=None)
@given(STORIES)
def test_throughput_agrees_with_the_list_of_runs(tmp_path_factory: pytest.TempPathFactory, story: list[str]) -> None:
    async def told() -> None:
        async with harness(APP, tmp_path_factory.mktemp("store")) as it:
            for number, name in enumerate(story):
                values: dict[str, Any] = {"posting": {"text": "a"}, "deciding": {"hours": 1}}.get(name, {})
                run = await it.start("listening" if name == "cancelled" else name, **values)
                if name == "cancelled":
                    await it.client.cancel(run, by="dana", reason="no")
                await it.advance(f"{number}h")
            metrics = measured(it)
            listed = Counter((run.workflow, run.status) for run in it.client.runs(limit=100))
            counted = Counter[tuple[str, str]]()
            for one in metrics.throughput:
                for status in ("finished", "failed", "cancelled", "running", "waiting", "attention"):
                    counted[one.workflow, status] += getattr(one, status)
            assert +counted == listed
            assert sum(one.started for one in metrics.throughput) == len(story) == sum(d.started for d in metrics.days)
            for end in ("finished", "failed", "cancelled"):
                assert sum(getattr(d, end) for d in metrics.days) == sum(n for (_, s), n in listed.items() if s == end)

    asyncio.run(told())


async def test_measuring_twice_and_after_an_error_gives_the_same(home: Path) -> None:
    async with harness(APP, home) as it:
        await decide_after(it, 1)
        assert measured(it).as_json() == measured(it).as_json()
        reader = Reader(home / "backstay.db")
        now = it.clock.now()
        with pytest.raises(RuntimeError), measuring(reader, Window(), now=now, silent=timedelta(minutes=1)):
            raise RuntimeError("whoever measures stops in the middle")
        assert measure(reader, Window(), now=now) == measured(it)
        reader.close()


# --- Prometheus -------------------------------------------------------------------------------------------


async def test_the_exposition_is_what_prometheus_reads(home: Path) -> None:
    async with harness(APP, home) as it:
        FAILURES["left"] = 1
        await it.start(posting, text="a")
        await it.advance("1m")
        run = await decide_after(it, 2)
        await decide_after(it, 1, "rejected", "secret reason")
        await it.start(phoning)
        metrics = measured(it)
        text = exposition(metrics)
        families = {family.name: family for family in text_string_to_metric_families(text)}
        samples = {(s.name, *sorted(s.labels.items())): s.value for f in families.values() for s in f.samples}
        assert samples["backstay_runs_started_total", ("workflow", "deciding")] == 2
        assert samples["backstay_action_attempts_total", ("action", "post"), ("outcome", "failed")] == 1
        assert samples["backstay_approvals_total", ("queue", "desk"), ("verdict", "rejected")] == 1
        assert samples["backstay_items_open", ("kind", "unknown"), ("queue", "unclear")] == 1
        turnaround = "backstay_approval_turnaround_seconds"
        assert families[turnaround].type == "histogram"
        assert samples[f"{turnaround}_sum", ("queue", "desk")] == 3 * 3600
        assert samples[f"{turnaround}_bucket", ("le", "3600"), ("queue", "desk")] == 1
        assert samples[f"{turnaround}_bucket", ("le", "+Inf"), ("queue", "desk")] == 2
        assert run not in text
        assert "secret" not in text
        assert {label for s in samples for label, _ in s[1:]} <= {
            "workflow", "action", "queue", "kind", "status", "outcome", "verdict", "how", "why", "le",
        }  # fmt: skip


async def test_names_are_escaped_and_their_number_is_bounded(home: Path) -> None:
    begin = ev.RunStarted(at=at(0), by="web", workflow="w", version="v", input=None)
    tasks = [ev.TaskOpened(at=at(n), command=str(n), site="1", queue=f'q"\\\n{n:04}') for n in range(600)]
    await written(home, a_run("r", [begin, *tasks]))
    families = {f.name: f for f in text_string_to_metric_families(exposition(hand_measured(home)))}
    opened = families["backstay_items_opened"].samples
    assert (len(opened), opened[0].labels["queue"]) == (500, 'q"\\\n0000')


async def test_every_bound_of_a_histogram_is_one_of_the_query(home: Path) -> None:
    bounds = sorted({bound for *_, bounds, _ in HISTOGRAMS for bound in bounds})
    await written(home, a_run("r", calls([round(bound * 1e6) for bound in bounds]), "finished"))
    found = [one for one in hand_measured(home).buckets if one.measure == "call"]
    assert sorted(one.bound or 0.0 for one in found) == bounds
    assert all(isinstance(one, Bucket) and one.count == 1 for one in found)
