"""Whatever happens to the worker or to the definition, each contract ends as it should and is signed once."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backstay import App
from backstay.language import to_svg
from backstay.testing import Harness, crash_everywhere
from examples.contract_intake.app import OFFERS, QUEUES, app, arrive, set_up
from examples.contract_intake.process import clear_contract, intake_contract
from examples.contract_intake.tests.desk import (
    ARCHITECTURE,
    LEGAL,
    SECURITY,
    Desk,
    desk,
    planning_is_reviewed,
)  # fmt: skip

EXAMPLE = Path(__file__).parent.parent


async def worked(it: Harness, queue: str, form: dict[str, Any], by: str) -> None:
    """A review, unless it was done before the worker died."""
    for wait in it.client.inbox(queue=queue):
        await it.complete(wait.id, form, by=by)


async def decided(it: Harness, queue: str, *names: str) -> None:
    """Decisions, unless they were made before the worker died."""
    for name in names:
        for wait in it.client.inbox(queue=queue):
            if not it.events(wait.run, "vote_cast", by=name):
                await it.approve(wait.id, by=name)


async def test_killed_after_any_commit_from_the_offer_to_the_signature_it_is_signed_once() -> None:
    async def story(it: Harness) -> None:
        set_up(it.home)
        await arrive(it.client, OFFERS / "planning.json")
        await it.settle()
        await worked(it, "legal", LEGAL, "lotte")
        await worked(it, "security", SECURITY, "sam")
        await worked(it, "architecture", ARCHITECTURE, "anna")
        await decided(it, "board", "bea", "bruno")
        await decided(it, "signatories", "sigrid")

    async def check(it: Harness) -> None:
        (run,) = it.client.runs(workflow="intake_contract")
        registry = set_up(it.home)
        assert await it.result(run.id) == {"status": "signed", "code": "", "reason": "", "signature": "SIG-00001"}
        assert (registry.signed(), registry.states()) == (["SW-2026-002"], {"SW-2026-002": "signed"})
        assert {each.status for each in it.client.runs()} == {"finished"}
        assert len(it.client.runs()) == 5  # the contract, its clearance, three reviews

    assert await crash_everywhere(app, story, check) > 20


async def test_killed_after_any_commit_an_offer_that_expires_is_never_signed() -> None:
    async def story(it: Harness) -> None:
        set_up(it.home)
        await arrive(it.client, OFFERS / "helpdesk.json")
        await it.settle()
        await worked(it, "legal", LEGAL, "lotte")
        await it.advance("30d")

    async def check(it: Harness) -> None:
        registry = set_up(it.home)
        assert (registry.signed(), registry.states()) == ([], {"CL-2026-004": "expired"})
        assert it.client.inbox() == []
        assert all(run.ended for run in it.client.runs())

    assert await crash_everywhere(app, story, check) > 10


async def every_ending(it: Desk) -> None:
    """One contract that is signed, one that expires during its reviews, one that waits for the board."""
    await it.arrives("cleaning")
    await it.it.client.comment(it.item("legal"), "the annex", by="rita", files={"annex.txt": b"five evenings"})
    await it.reviews("legal", LEGAL, by="lotte")
    await it.approves("head-of-purchasing", by="paul")
    await it.rejects("signatories", by="sigrid", code="too-risky")
    await it.reviews("contract-desk", {"verdict": "ask again"}, by="doris")
    await it.approves("signatories", by="sigrid")
    await it.arrives("planning")
    await planning_is_reviewed(it)
    await it.approves("board", by="bea")
    await it.arrives("helpdesk")
    await it.it.client.ask(it.item("legal"), "Who signs for them?", by="lotte")
    await it.it.advance("30d")


async def test_every_case_replays_to_what_happened(home: Path) -> None:
    async with desk(home) as it:
        await every_ending(it)
        stand = sorted(run.status for run in it.it.client.runs(workflow="intake_contract"))
        cases = len(it.it.client.runs())
        assert stand == ["finished", "finished", "waiting"]
        assert it.it.prove() == cases


@pytest.fixture
def lenient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """The application as it is deployed next: the board is asked about nothing below five millions."""
    for name in ("rules", "process"):
        text = (EXAMPLE / f"{name}.py").read_text(encoding="utf-8")
        text = text.replace('">= 250000"', '">= 5000000"').replace('"clauses": ">= 3"', '"clauses": ">= 9"')
        text = text.replace('"1..2"', '"1..8"').replace("examples.contract_intake.rules", "lenient_rules")
        (tmp_path / f"lenient_{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    process = importlib.import_module("lenient_process")
    workflows = [process.intake_contract, process.clear_contract, process.review_contract]
    yield App("contract-intake", workflows=workflows, queues=QUEUES)
    for name in ("lenient_rules", "lenient_process"):
        del sys.modules[name]


async def test_a_contract_that_waits_for_the_board_is_decided_by_it_after_the_rules_changed(
    home: Path, lenient: App
) -> None:
    async with desk(home) as it:
        run = await it.arrives("planning")
        await planning_is_reviewed(it)
        await it.approves("board", by="bea")
    async with desk(home, lenient, it.it.clock) as it:
        await it.arrives("helpdesk")
        new, old = it.it.client.runs(workflow="clear_contract")  # newest first
        assert new.version != old.version
        await it.approves("board", by="bruno")
        await it.approves("signatories", by="sigrid")
        assert (await it.ending(run), it.registry.signed()) == ("signed", ["SW-2026-002"])


def test_the_pictures_in_the_readme_are_the_workflows() -> None:
    for workflow, picture in ((intake_contract, "intake.svg"), (clear_contract, "clearance.svg")):
        assert to_svg(workflow.program) == (EXAMPLE / picture).read_text("utf-8")
