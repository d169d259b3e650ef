"""Days pass: reminders, escalation, weekends, holidays, questions, and leave that begins before anybody decided."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.errors import Conflict, NotAllowed
from examples.leave_request.tests.office import office


async def test_a_manager_who_does_nothing_is_reminded_then_it_goes_to_their_manager(home: Path) -> None:
    async with office(home) as it:
        run = await it.asks()  # Monday, ten o'clock in Kraków; Tuesday is Epiphany
        (wait,) = [wait for wait in it.it.waits(run) if wait.queue]
        assert wait.due_at == "2026-01-08T09:00:00.000000Z"
        await it.it.advance("4d")
        assert it.happened(run, "item_escalated") == ["2026-01-08T09:00"]
        assert it.happened(run, "item_reminded") == ["2026-01-07T09:00", "2026-01-09T09:00"]  # the second one is hers
        assert it.it.waits_in(run) == ["head-of-operations"]
        with pytest.raises(NotAllowed, match="not among those"):
            await it.approves(run, by="marek")
        await it.approves(run, by="helena")
        assert it.hr.rows() == 1


async def test_a_weekend_is_no_time_to_decide(home: Path) -> None:
    async with office(home) as it:
        await it.it.advance("4d")
        run = await it.asks()  # Friday
        await it.it.advance("5d")
        assert it.happened(run, "item_escalated") == ["2026-01-13T09:00"]
        assert it.happened(run, "item_reminded") == ["2026-01-12T09:00", "2026-01-14T09:00"]


async def test_each_site_has_its_own_holidays(home: Path) -> None:
    async with office(home) as it:
        run = await it.asks("jonas", substitute="lena")  # in Hamburg, where Epiphany is a working day
        await it.it.advance("4d")
        assert it.happened(run, "item_escalated") == ["2026-01-07T09:00"]


async def test_a_question_to_the_employee_stops_the_clock_until_it_is_answered(home: Path) -> None:
    async with office(home) as it:
        run = await it.asks()
        await it.it.advance("2h")
        await it.it.client.ask(it.item(run), "Who writes the report of February?", by="marek")
        await it.it.advance("166h")  # Monday, ten o'clock: nothing ran out meanwhile
        assert it.happened(run, "item_reminded") == it.happened(run, "item_escalated") == []
        with pytest.raises(Conflict, match="waits for an answer"):
            await it.approves(run, by="marek")
        await it.it.client.answer(it.item(run), "I did, last week", by="nina")
        await it.it.advance("2d")
        assert it.happened(run, "item_reminded") == ["2026-01-12T15:00"]
        assert it.happened(run, "item_escalated") == ["2026-01-13T15:00"]


async def test_leave_that_begins_before_anybody_decided_is_not_approved(home: Path) -> None:
    async with office(home) as it:
        run = await it.asks()
        item = it.item(run)
        await it.it.advance("60d")
        assert (await it.ending(run), it.hr.rows()) == ("expired", 0)
        assert it.happened(run, "run_finished") == ["2026-02-08T23:00"]
        assert it.it.events(run, "approval_decided", verdict="approved") == []
        with pytest.raises(Conflict):
            await it.it.approve(item, by="helena")


async def test_a_question_that_nobody_answers_does_not_keep_the_leave_from_beginning(home: Path) -> None:
    async with office(home) as it:
        run = await it.asks()
        await it.it.client.ask(it.item(run), "Why?", by="marek")
        await it.it.advance("60d")
        assert (await it.ending(run), it.hr.rows()) == ("expired", 0)
