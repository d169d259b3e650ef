"""The stories of a leave request: who decides, what the rules refuse, what is booked, and how it is undone."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from backstay.errors import Conflict, InvalidInput, NotAllowed
from backstay.testing import harness
from examples.leave_request.app import app, ask_for_leave
from examples.leave_request.tests.office import MARCH, office, wish

BOOKED = [("nina", "annual", "2026-02-09", "2026-02-13", 5)]


# --- from the wish to the leave -------------------------------------------------------------------------------


async def test_a_week_is_approved_by_the_line_manager_booked_and_taken(home: Path) -> None:
    async with office(home) as it:
        run = await it.asks()
        assert it.it.waits_in(run) == ["lead-support"]
        assert it.it.client.owner("lead-support") == "marek"
        await it.it.advance("26h")
        await it.approves(run, by="marek")
        assert (it.hr.bookings(), it.hr.left("nina")) == (BOOKED, 21)
        assert it.it.status(run) == "waiting"
        await it.it.advance("40d")
        assert await it.it.result(run) == {
            "status": "taken", "reason": "", "booking": "LV-00001", "decided_by": ["marek"],
        }  # fmt: skip
        assert it.hr.messages() == [
            ("nina", "Your leave is booked", "5 working days, LV-00001"),
            ("tomek", "You stand in", "nina, 2026-02-09 to 2026-02-13"),
        ]


async def test_more_than_fifteen_working_days_need_hr_as_well_one_after_the_other(home: Path) -> None:
    async with office(home) as it:
        run = await it.asks(**MARCH)
        assert it.it.waits_in(run) == ["lead-support"]
        await it.approves(run, by="marek")
        assert (it.it.waits_in(run), it.hr.bookings()) == (["hr"], [])
        await it.it.client.claim(it.item(run), by="hanna")
        with pytest.raises(Conflict, match="claimed by 'hanna'"):
            await it.it.client.claim(it.item(run), by="hugo")
        await it.it.advance("24h")  # her lease has lapsed
        await it.approves(run, by="hugo")
        assert it.hr.bookings() == [("nina", "annual", "2026-03-02", "2026-03-27", 20)]
        await it.it.advance("90d")
        assert (await it.it.result(run))["decided_by"] == ["marek", "hugo"]


async def test_working_days_are_those_of_the_employees_site(home: Path) -> None:
    june: dict[str, Any] = {
        "first_day": date(2026, 6, 1),
        "last_day": date(2026, 6, 5),
    }  # with Corpus Christi, a Thursday
    async with office(home) as it:
        for employee, substitute, lead in (("nina", "tomek", "marek"), ("jonas", "lena", "clara")):
            run = await it.asks(employee, substitute=substitute, **june)
            await it.approves(run, by=lead)
        assert [(row[0], row[-1]) for row in it.hr.bookings()] == [("nina", 4), ("jonas", 5)]


async def test_a_rejection_gives_a_reason_of_the_queues_list_and_books_nothing(home: Path) -> None:
    async with office(home) as it:
        run = await it.asks()
        with pytest.raises(InvalidInput, match="one of understaffed, deadline, other"):
            await it.rejects(run, by="marek", code="no-mood")
        await it.rejects(run, by="marek", code="understaffed", reason="two are away already")
        assert (await it.it.result(run))["reason"] == "understaffed: two are away already"
        assert (it.hr.bookings(), it.hr.messages()[-1][0]) == ([], "nina")


async def test_hr_can_decline_what_the_line_manager_approved(home: Path) -> None:
    async with office(home) as it:
        run = await it.asks(kind="unpaid")
        await it.approves(run, by="marek")
        await it.rejects(run, by="hanna", code="other", reason="not in your first year")
        assert await it.ending(run) == "declined"
        assert it.hr.rows() == 0


# --- what the rules refuse ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"first_day": date(2026, 1, 10), "last_day": date(2026, 1, 11)}, "no working day"),
        ({"first_day": date(2026, 1, 6), "last_day": date(2026, 1, 6)}, "no working day"),
        ({"first_day": date(2026, 1, 8), "last_day": date(2026, 1, 9)}, "too short a notice"),
        ({"first_day": date(2026, 7, 1), "last_day": date(2026, 8, 31)}, "not enough days left"),
        ({"first_day": date(2026, 12, 28), "last_day": date(2027, 1, 8)}, "each year separately"),
        ({"substitute": "nina"}, "their own substitute"),
        ({"employee": "stranger"}, "HR does not know stranger"),
    ],
)
async def test_what_the_rules_refuse_asks_nobody(home: Path, fields: dict[str, Any], reason: str) -> None:
    async with office(home) as it:
        run = await it.asks(**fields)
        assert (await it.ending(run), it.it.client.inbox(), it.hr.rows()) == ("refused", [], 0)
        assert reason in (await it.it.result(run))["reason"]


async def test_nobody_is_away_in_a_blackout_unless_for_a_special_reason(home: Path) -> None:
    stocktaking = {"substitute": "lena", "first_day": date(2026, 6, 22), "last_day": date(2026, 6, 23)}
    async with office(home) as it:
        refused = await it.asks("jonas", **stocktaking)
        assert (await it.it.result(refused))["reason"] == "nobody of your site should be away then"
        asked = await it.asks("jonas", kind="special", **stocktaking)
        assert it.it.waits_in(asked) == ["lead-sales"]


async def test_a_substitute_who_is_away_cannot_stand_in(home: Path) -> None:
    async with office(home) as it:
        await it.approves(await it.asks("tomek", substitute="zofia"), by="marek")
        run = await it.asks("nina", substitute="tomek", first_day=date(2026, 2, 13), last_day=date(2026, 2, 16))
        assert (await it.it.result(run))["reason"] == "your substitute is on leave then"


async def test_days_that_were_taken_while_the_manager_thought_about_it_are_not_booked(home: Path) -> None:
    async with office(home) as it:
        first = await it.asks(first_day=date(2026, 3, 2), last_day=date(2026, 3, 20))
        second = await it.asks(first_day=date(2026, 7, 1), last_day=date(2026, 7, 21))
        await it.approves(first, by="marek")
        await it.approves(second, by="marek")
        assert await it.it.result(second) == {
            "status": "not booked", "reason": "nina has 11 days left, and this takes 15", "booking": "",
            "decided_by": ["marek"],
        }  # fmt: skip
        assert it.hr.rows() == 1


# --- changing one's mind --------------------------------------------------------------------------------------


async def test_a_request_that_is_withdrawn_leaves_the_inbox_and_approves_nothing(home: Path) -> None:
    async with office(home) as it:
        run = await it.asks()
        item = it.item(run)
        await it.withdraws(run, "the flat is not finished")
        assert await it.ending(run) == "withdrawn"
        assert it.it.client.inbox() == []
        with pytest.raises(Conflict):
            await it.it.approve(item, by="marek")
        assert it.hr.rows() == 0


async def test_nobody_withdraws_anothers_leave_before_or_after_it_is_booked(home: Path) -> None:
    async with office(home) as it:
        run = await it.asks()
        await it.withdraws(run, "I want these days", by="tomek")
        assert it.it.waits_in(run) == ["lead-support"]
        await it.approves(run, by="marek")
        await it.withdraws(run, "still", by="tomek")
        assert (it.it.status(run), it.hr.bookings()) == ("waiting", BOOKED)
        assert it.it.events(run, "noted", text="tomek cannot withdraw it") != []
        await it.withdraws(run, "snow")
        assert await it.ending(run) == "cancelled"


async def test_who_agreed_as_the_line_manager_does_not_agree_as_hr_too(home: Path) -> None:
    async with office(home) as it:
        await it.it.client.delegate("hanna", "marek", until="2026-02-01T00:00:00Z", by="hanna")
        run = await it.asks(**MARCH)
        await it.approves(run, by="marek")
        with pytest.raises(NotAllowed, match="marek"):
            await it.approves(run, by="marek")
        await it.approves(run, by="hugo")
        assert it.hr.rows() == 1


async def test_booked_leave_is_cancelled_until_it_begins_and_the_days_come_back(home: Path) -> None:
    async with office(home) as it:
        run = await it.asks()
        await it.approves(run, by="marek")
        assert it.hr.left("nina") == 21
        await it.it.advance("30d")
        await it.withdraws(run, "snow")
        assert (await it.ending(run), it.hr.bookings(), it.hr.left("nina")) == ("cancelled", [], 26)
        again = await it.asks(kind="special")
        await it.approves(again, by="marek")
        assert it.hr.bookings() == [("nina", "special", "2026-02-09", "2026-02-13", 5)]


async def test_leave_that_has_begun_cannot_be_cancelled_any_more(home: Path) -> None:
    async with office(home) as it:
        run = await it.asks()
        await it.approves(run, by="marek")
        await it.it.advance("35d")  # 2026-02-09, 09:00
        assert it.it.events(run, "run_finished")[0].at[:16] == "2026-02-08T23:00"
        with pytest.raises(Conflict):
            await it.withdraws(run)
        assert it.hr.left("nina") == 21


async def test_a_case_that_an_operator_stops_gives_the_days_back(home: Path) -> None:
    async with office(home) as it:
        run = await it.asks()
        await it.approves(run, by="marek")
        await it.it.cancel(run, by="hr-service", reason="she leaves the company")
        assert (it.it.status(run), it.hr.left("nina")) == ("cancelled", 26)


# --- who decides ----------------------------------------------------------------------------------------------


async def test_while_the_manager_is_away_their_substitute_decides(home: Path) -> None:
    async with office(home) as it:
        run = await it.asks()
        with pytest.raises(NotAllowed, match="not among those"):
            await it.approves(run, by="zofia")
        await it.it.client.delegate("marek", "zofia", until="2026-01-20T00:00:00Z", queue="lead-support", by="marek")
        await it.it.advance("24h")
        await it.approves(run, by="zofia")
        (decided,) = it.it.events(run, "approval_decided")
        assert (decided.by, decided.behalf) == ("zofia", "marek")
        late = await it.asks(first_day=date(2026, 5, 4), last_day=date(2026, 5, 8))
        await it.it.advance("15d")  # marek is back
        with pytest.raises(NotAllowed, match="not among those"):
            await it.approves(late, by="zofia")


async def test_the_substitute_does_not_decide_their_own_leave(home: Path) -> None:
    async with office(home) as it:
        await it.it.client.delegate("marek", "zofia", until="2026-01-20T00:00:00Z", by="marek")
        run = await it.asks("zofia")
        with pytest.raises(NotAllowed, match="zofia"):
            await it.approves(run, by="zofia")
        await it.approves(run, by="marek")
        assert it.hr.rows() == 1


async def test_a_lead_who_stands_in_for_the_head_does_not_decide_their_own_leave(home: Path) -> None:
    async with office(home) as it:
        await it.it.client.delegate("helena", "marek", until="2026-02-01T00:00:00Z", by="helena")
        run = await it.asks("marek")
        assert it.it.waits_in(run) == ["head-of-operations"]
        with pytest.raises(NotAllowed, match="marek"):
            await it.approves(run, by="marek")
        await it.approves(run, by="helena")
        assert it.hr.rows() == 1


# --- the same form twice --------------------------------------------------------------------------------------


async def test_a_form_that_is_sent_twice_is_one_case(home: Path) -> None:
    async with office(home) as it:
        runs = [await ask_for_leave(it.it.client, wish(), form="F-17") for _ in range(2)]
        await it.it.settle()
        assert len(set(runs)) == len(it.it.client.runs()) == 1


async def test_a_wish_that_is_no_request_is_refused_by_field() -> None:
    async with harness(app) as it:
        with pytest.raises(InvalidInput, match="last_day"):
            await it.start("request_leave", request={**wish().model_dump(mode="json"), "last_day": "soon"})
