"""Working hours, moments and questions in a what-if: another time is reckoned as the engine would have reckoned it."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backstay import App, Calendar, Escalation, Queue, Workflow, approval, workflow
from backstay.operations.divergence import Divergence, compare
from backstay.operations.sweep import load_case
from backstay.store.database import Reader
from backstay.store.payloads import Payloads
from backstay.testing import harness


@workflow
async def in_hours() -> str:
    return (await approval("office", within="16h")).verdict


@workflow
async def in_fewer_hours() -> str:
    return (await approval("office", within="8h")).verdict


@workflow
async def in_plain_days() -> str:
    return (await approval("office", within="2d")).verdict


@workflow
async def until_noon() -> str:
    return (await approval("office", until=datetime(2026, 1, 6, 12, tzinfo=UTC))).verdict


@workflow
async def untimed() -> str:
    return (await approval("soon")).verdict


OFFICE = Calendar("office", zone="UTC", hours={"mon-fri": "09:00-17:00"})
offices = App(
    "offices",
    workflows=[in_hours, in_fewer_hours, in_plain_days, until_noon, untimed],
    queues=[
        Queue(name="office", owner="olga", calendar=OFFICE),
        Queue(name="soon", owner="olga", calendar=OFFICE, within="4h", escalate=(Escalation(after="6h", to="office"),)),
    ],
)


def differ(home: Path, run: str, old: Workflow[[], Any], new: Workflow[[], Any]) -> Divergence:
    with closing(Reader(home / "backstay.db")) as reader:
        return compare(load_case(reader, Payloads(home, reader), run), old.program, new.program, {})


async def asked_and_approved(home: Path, process: Workflow[[], Any]) -> str:
    """Opened on Monday at nine, asked back at ten, answered on Thursday at ten, approved at noon."""
    async with harness(offices, home) as it:
        run = await it.start(process, by="ann")
        await it.advance("1h")
        await it.client.ask(run, "Which one?", by="olga")
        await it.advance("72h")
        await it.client.answer(run, "The tall one", by="ann")
        await it.advance("2h")
        await it.approve(run, by="olga")
        return run


async def test_a_question_puts_off_another_time_but_not_a_moment(home: Path) -> None:
    run = await asked_and_approved(home, in_hours)
    assert differ(home, run, in_hours, in_fewer_hours).same
    assert differ(home, run, in_hours, until_noon).new.result == "expired"


async def test_fewer_working_hours_would_have_run_out(home: Path) -> None:
    async with harness(offices, home) as it:
        run = await it.start(in_hours, by="ann")
        await it.advance("25h")
        await it.approve(run, by="olga")
    assert differ(home, run, in_hours, in_fewer_hours).new.result == "expired"
    assert differ(home, run, in_hours, until_noon).same
    found = differ(home, run, in_hours, in_plain_days)
    assert found.new.status == "unknown"
    assert "'2d' is no working time" in found.changes[0].note


async def test_a_moment_that_passed_is_the_same_moment_in_a_what_if(home: Path) -> None:
    async with harness(offices, home) as it:
        run = await it.start(until_noon, by="ann")
        await it.advance("3d")
        assert await it.result(run) == "expired"
    assert differ(home, run, until_noon, until_noon).same
    found = differ(home, run, until_noon, in_hours)
    assert [change.note for change in found.changes] == ["nobody had answered when its time ran out in the recording"]


async def test_a_queues_own_time_ends_nothing_in_a_what_if_either(home: Path) -> None:
    async with harness(offices, home) as it:
        run = await it.start(untimed, by="ann")
        await it.advance("3d")
        await it.approve(run, by="olga")
    assert differ(home, run, untimed, untimed).same
