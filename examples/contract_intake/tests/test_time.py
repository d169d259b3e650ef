"""Days pass: reminders, escalation, weekends and holidays, questions, signing hours, and offers that expire."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.errors import Conflict
from examples.contract_intake.tests.desk import LEGAL, SECURITY, desk, planning_is_reviewed


async def test_a_review_that_nobody_does_is_reminded_of_and_escalated_over_holiday_and_weekend(home: Path) -> None:
    async with desk(home) as it:
        await it.arrives("cleaning")  # Monday, ten o'clock in Vienna; Tuesday is Epiphany
        run = it.run_of("legal")
        await it.it.advance("9d")
        assert it.happened(run, "item_reminded") == ["2026-01-08T09:00"]
        assert it.happened(run, "item_escalated") == ["2026-01-13T09:00"]
        assert it.queues() == ["head-of-legal"]
        await it.reviews("head-of-legal", LEGAL, by="hedwig")
        assert it.queues() == ["head-of-purchasing"]


async def test_a_question_to_the_requester_stops_the_clock_of_one_review_only(home: Path) -> None:
    async with desk(home) as it:
        await it.arrives("helpdesk")
        legal, security = it.run_of("legal"), it.run_of("security")
        await it.it.client.ask(it.item("security"), "Which data go to Ireland?", by="sam")
        await it.it.advance("4d")
        assert it.happened(legal, "item_reminded") == ["2026-01-08T09:00"]
        assert it.happened(security, "item_reminded") == []
        await it.it.client.answer(it.item("security"), "Messages only", by="rita")
        await it.it.advance("5d")
        assert it.happened(security, "item_reminded") == ["2026-01-13T12:00"]  # Fridays are short
        await it.reviews("security", SECURITY, by="sam")


async def test_what_would_be_signed_after_hours_is_declined_and_asked_for_again_the_next_day(home: Path) -> None:
    async with desk(home) as it:
        run = await it.arrives("cleaning")
        await it.reviews("legal", LEGAL, by="lotte")
        await it.it.advance("9h")  # 19:00 in Vienna
        await it.approves("head-of-purchasing", by="paul")
        await it.it.advance("1m")
        assert (it.queues(), it.registry.signed()) == (["contract-desk"], [])
        assert it.shown("contract-desk")["refused"] == "asked for outside working hours"
        await it.it.advance("40h")  # Wednesday morning; Tuesday was a holiday
        await it.reviews("contract-desk", {"verdict": "ask again"}, by="doris")
        assert it.queues() == ["signatories"]
        await it.approves("signatories", by="sigrid")
        assert (await it.ending(run), it.registry.signed()) == ("signed", ["SV-2026-011"])


async def test_an_offer_that_expires_during_the_reviews_takes_them_out_of_every_inbox(home: Path) -> None:
    async with desk(home) as it:
        run = await it.arrives("helpdesk")
        item = it.item("legal")
        await it.it.advance("30d")
        assert (await it.ending(run), it.queues()) == ("expired", [])
        assert it.happened(run, "run_finished") == ["2026-01-30T16:00"]
        with pytest.raises(Conflict):
            await it.it.complete(item, LEGAL, by="lotte")
        assert it.registry.states() == {"CL-2026-004": "expired"}


async def test_an_offer_that_expires_between_two_votes_of_the_board_is_not_approved(home: Path) -> None:
    async with desk(home) as it:
        run = await it.arrives("planning")
        await planning_is_reviewed(it)
        await it.approves("board", by="bea")
        item = it.item("board")
        await it.it.advance("90d")
        assert await it.ending(run) == "expired"
        with pytest.raises(Conflict):
            await it.it.approve(item, by="bruno")
        assert it.registry.states() == {"SW-2026-002": "expired"}


async def test_an_offer_that_expires_on_the_signatories_desk_is_not_signed(home: Path) -> None:
    async with desk(home) as it:
        run = await it.arrives("cleaning")
        await it.reviews("legal", LEGAL, by="lotte")
        await it.approves("head-of-purchasing", by="paul")
        item = it.item("signatories")
        await it.it.advance("60d")
        assert await it.ending(run) == "expired"
        with pytest.raises(Conflict):
            await it.it.approve(item, by="sigrid")
        assert it.registry.signed() == []


async def test_an_offer_that_was_declined_after_hours_expires_on_the_contract_desk(home: Path) -> None:
    async with desk(home) as it:
        run = await it.arrives("cleaning")
        await it.reviews("legal", LEGAL, by="lotte")
        await it.it.advance("9h")
        await it.approves("head-of-purchasing", by="paul")
        await it.it.advance("60d")
        assert (await it.ending(run), it.registry.states()) == ("expired", {"SV-2026-011": "expired"})
