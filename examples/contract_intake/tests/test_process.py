"""The stories of contract intake: who reviews in which order, who approves, who may not, and what is signed."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.errors import Conflict, InvalidInput, NotAllowed
from examples.contract_intake.registry import RefusedByRegistry
from examples.contract_intake.tests.desk import ARCHITECTURE, LEGAL, SECURITY, desk, planning_is_reviewed

# --- from the offer to the signature --------------------------------------------------------------------------


async def test_a_small_contract_is_reviewed_by_legal_approved_and_signed_over_three_days(home: Path) -> None:
    async with desk(home) as it:
        run = await it.arrives("cleaning")
        assert it.queues() == ["legal"]
        await it.it.advance("26h")
        await it.it.client.claim(it.item("legal"), by="lotte")
        await it.reviews("legal", LEGAL, by="lotte")
        await it.it.advance("24h")
        await it.approves("head-of-purchasing", by="paul")
        assert (it.queues(), it.registry.signed()) == (["signatories"], [])
        await it.approves("signatories", by="sigrid")
        assert await it.it.result(run) == {"status": "signed", "code": "", "reason": "", "signature": "SIG-00001"}
        assert it.registry.states() == {"SV-2026-011": "signed"}


async def test_reviews_of_medium_risk_go_on_at_once_and_in_any_order(home: Path) -> None:
    async with desk(home) as it:
        await it.arrives("helpdesk")
        assert it.queues() == ["architecture", "legal", "security"]
        await it.reviews("security", SECURITY, by="sam")
        await it.reviews("legal", LEGAL, by="leo", verdict="conditions", conditions=["no automatic renewal"])
        assert it.queues() == ["architecture"]
        await it.reviews("architecture", ARCHITECTURE, by="anna")
        assert it.queues() == ["head-of-purchasing"]
        (asked,) = it.it.events(it.run_of("head-of-purchasing"), "approval_requested")
        assert [(each["review"], each["conditions"]) for each in asked.evidence] == [
            ("legal", ["no automatic renewal"]), ("security", []), ("architecture", []),
        ]  # fmt: skip


async def test_reviews_of_high_risk_build_on_one_another_and_two_of_the_board_approve(home: Path) -> None:
    async with desk(home) as it:
        run = await it.arrives("planning")
        assert it.queues() == ["legal"]
        assert [clause["what"] for clause in it.shown("legal")["clauses"]] == [
            "unlimited liability", "automatic renewal", "foreign law", "no termination",
        ]  # fmt: skip
        await it.reviews("legal", LEGAL, by="lotte", verdict="conditions", conditions=["cap the liability"])
        assert it.queues() == ["security"]
        assert it.shown("security")["before"][0]["conditions"] == ["cap the liability"]
        await it.reviews("security", SECURITY, by="sara")
        await it.reviews("architecture", ARCHITECTURE, by="anna")
        await it.approves("board", by="bea")
        assert it.queues() == ["board"]
        await it.it.advance("48h")
        await it.approves("board", by="birgit")
        await it.it.advance("24h")
        await it.approves("signatories", by="sigrid")
        assert (await it.ending(run), it.registry.signed()) == ("signed", ["SW-2026-002"])


async def test_a_review_that_says_stop_spares_the_others_and_gives_its_code(home: Path) -> None:
    async with desk(home) as it:
        run = await it.arrives("planning")
        await it.reviews("legal", LEGAL, by="lotte", verdict="stop", code="liability", liability_capped=False)
        assert it.queues() == []
        assert await it.it.result(run) == {
            "status": "stopped", "code": "liability", "reason": "legal says stop", "signature": "",
        }  # fmt: skip
        assert it.registry.states() == {"SW-2026-002": "stopped"}


async def test_a_form_that_does_not_fit_is_refused_by_field_and_the_task_stays(home: Path) -> None:
    async with desk(home) as it:
        await it.arrives("cleaning")
        with pytest.raises(InvalidInput, match="governing_law"):
            await it.reviews("legal", {"verdict": "fine", "liability_capped": True}, by="lotte")
        with pytest.raises(InvalidInput, match="code"):
            await it.reviews("legal", LEGAL, by="lotte", verdict="stop", code="bad mood")
        assert it.queues() == ["legal"]


# --- hand-overs -----------------------------------------------------------------------------------------------


async def test_a_review_is_handed_over_with_its_comments_and_files(home: Path) -> None:
    async with desk(home) as it:
        await it.arrives("helpdesk")
        item, run = it.item("security"), it.run_of("security")
        await it.it.client.claim(item, by="sam")
        await it.it.client.comment(
            item, "their certificate", by="sam", files={"iso27001.pdf": b"%PDF-1.7 certificate of Fjordlight AS"}
        )
        await it.it.client.reassign(item, by="sam", to="sara", reason="I am on leave from tomorrow")
        with pytest.raises(NotAllowed, match="meant for 'sara'"):
            await it.reviews("security", SECURITY, by="sam")
        await it.reviews("security", SECURITY, by="sara")
        (said,) = it.it.events(run, "item_commented")
        assert (said.by, said.files[0]["name"], said.files[0]["bytes"]) == ("sam", "iso27001.pdf", 37)
        (moved,) = it.it.events(run, "item_reassigned")
        assert (moved.to, moved.reason) == ("sara", "I am on leave from tomorrow")


async def test_a_review_goes_to_another_discipline_which_fills_in_the_form(home: Path) -> None:
    async with desk(home) as it:
        await it.arrives("cleaning")
        await it.it.client.reassign(it.item("legal"), by="lotte", queue="head-of-legal", reason="unusual clause 4")
        with pytest.raises(NotAllowed, match="not among those"):
            await it.reviews("head-of-legal", LEGAL, by="lotte")
        await it.reviews("head-of-legal", LEGAL, by="hedwig")
        assert it.queues() == ["head-of-purchasing"]


# --- who decides ----------------------------------------------------------------------------------------------


async def test_nobody_votes_twice_and_one_rejection_of_the_board_decides(home: Path) -> None:
    async with desk(home) as it:
        run = await it.arrives("planning")
        await planning_is_reviewed(it)
        await it.approves("board", by="bea")
        with pytest.raises(Conflict, match="voted already"):
            await it.approves("board", by="BEA")
        with pytest.raises(InvalidInput, match="one of too-dear, too-risky, not-needed"):
            await it.rejects("board", by="bruno", code="no")
        await it.rejects("board", by="bruno", code="too-dear", reason="the old system does it")
        assert (await it.it.result(run))["code"] == "too-dear"
        assert (it.registry.states(), it.registry.signed()) == ({"SW-2026-002": "rejected"}, [])


async def test_the_substitute_of_a_board_member_votes_once_for_both(home: Path) -> None:
    async with desk(home) as it:
        await it.arrives("planning")
        await planning_is_reviewed(it)
        await it.it.client.delegate("bruno", "petra", until="2026-02-01T00:00:00Z", queue="board", by="bruno")
        await it.approves("board", by="petra")
        with pytest.raises(Conflict, match="voted already"):
            await it.approves("board", by="bruno")
        await it.approves("board", by="bea")
        assert it.queues() == ["signatories"]


async def test_whoever_asked_for_it_neither_approves_nor_signs(home: Path) -> None:
    async with desk(home) as it:
        await it.arrives("cleaning")  # rita's
        await it.it.client.delegate("paul", "rita", until="2026-02-01T00:00:00Z", by="paul")
        await it.it.client.delegate("sigrid", "rita", until="2026-02-01T00:00:00Z", by="sigrid")
        await it.reviews("legal", LEGAL, by="lotte")
        with pytest.raises(NotAllowed, match="rita"):
            await it.approves("head-of-purchasing", by="rita")
        await it.approves("head-of-purchasing", by="paul")
        with pytest.raises(NotAllowed, match="rita"):
            await it.approves("signatories", by="rita")
        assert it.registry.signed() == []


# --- the signature --------------------------------------------------------------------------------------------


async def test_a_signature_that_is_refused_is_asked_for_again_or_dropped(home: Path) -> None:
    async with desk(home) as it:
        run = await it.arrives("cleaning")
        await it.reviews("legal", LEGAL, by="lotte")
        await it.approves("head-of-purchasing", by="paul")
        await it.rejects("signatories", by="sigrid", code="too-risky", reason="who is their insurer?")
        shown = it.shown("contract-desk")
        assert (shown["refused"], shown["code"], shown["by"]) == ("who is their insurer?", "too-risky", "sigrid")
        await it.reviews("contract-desk", {"verdict": "ask again"}, by="doris")
        await it.rejects("signatories", by="sigrid", code="too-risky", reason="still not named")
        await it.reviews("contract-desk", {"verdict": "drop", "comment": "they do not say"}, by="doris")
        assert (await it.ending(run), it.registry.states()) == ("dropped", {"SV-2026-011": "dropped"})
        assert (await it.it.result(run))["code"] == "too-risky"


async def test_the_signature_is_for_exactly_the_text_that_arrived(home: Path) -> None:
    async with desk(home) as it:
        run = await it.arrives("cleaning")
        await it.reviews("legal", LEGAL, by="lotte")
        await it.approves("head-of-purchasing", by="paul")
        (held,) = it.it.events(run, "approval_requested")
        (kept,) = it.registry.texts.iterdir()
        assert (held.args["text"], held.args["value"]) == (kept.stem, "18400.00")


async def test_the_same_reference_twice_is_one_case(home: Path) -> None:
    async with desk(home) as it:
        assert await it.arrives("cleaning") == await it.arrives("cleaning")
        assert it.queues() == ["legal"]


async def test_a_case_that_an_operator_stops_is_withdrawn_from_the_registry(home: Path) -> None:
    async with desk(home) as it:
        run = await it.arrives("helpdesk")
        await it.it.cancel(run, by="it-service", reason="sent by mistake")
        assert (it.it.status(run), it.queues()) == ("cancelled", [])
        assert it.registry.states() == {"CL-2026-004": "withdrawn"}


async def test_a_text_that_was_changed_after_it_arrived_is_not_read(home: Path) -> None:
    async with desk(home) as it:
        await it.arrives("cleaning")
        (kept,) = it.registry.texts.iterdir()
        kept.write_bytes(kept.read_bytes().replace(b"500,000", b"5,000"))
        with pytest.raises(RefusedByRegistry, match="was changed after it arrived"):
            it.registry.read(kept.stem)
