"""An agent's case, with the worker killed after every commit of its way: scenario 2 (an invoice that does not match) and
scenario 4 (an angry customer). The model is asked over HTTP.

What is guaranteed: an answer that was recorded is never asked for again. Of each death at most one question is asked twice,
the very one whose answer was on its way to the disk; the provider may bill that one twice. Every effect happens once.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backstay import App, Model, Models, Price
from backstay.errors import StoreFenced
from backstay.events.calls import CallReturned
from backstay.testing import START, Harness, ManualClock
from backstay.testing_provider import FakeProvider
from benchmarks.forking import processes, start_forking
from examples.accounts_payable import app as payables
from examples.accounts_payable.erp import Erp, seed
from examples.accounts_payable.inbox_folder import InboxFolder
from examples.accounts_payable.tests.test_investigation import SHORT, honest_over_http
from examples.support_triage import app as support
from examples.support_triage.arrivals import received
from examples.support_triage.demo import MAILS
from examples.support_triage.script import honest_over_http as support_over_http
from examples.support_triage.tests.desk import DANA, DESK

PARTS = 4
"""The boundaries are divided, so that they run side by side."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A case that can be told again from its beginning, and how the world must look at its end."""

    app: Callable[[Models], App]
    script: Callable[[Any], Any]
    prepare: Callable[[Path], None]
    """Sets up the world in a home, or finds it there."""
    tell: Callable[[Harness], Coroutine[Any, Any, None]]
    check: Callable[[Harness], Coroutine[Any, Any, None]]
    agent: str
    questions: int
    """How often the model is asked when nobody dies."""


# --- scenario 2: an agent looks into a mismatch, a person accepts it, the treasurer pays ------------------------------


def payables_at(home: Path) -> None:
    if not (home / "erp.db").exists():
        seed(home / "erp.db", faults=False)
    payables.set_up(home)


async def mismatch(it: Harness) -> None:
    inbox = InboxFolder(it.home / "drop", it.home, settle=0.0)
    shutil.copy(payables.INVOICES / SHORT, inbox.folder)
    await inbox.settled()
    await payables.start_cases(it.client, inbox)
    await it.advance("30s")
    for wait in it.client.inbox(queue="mismatch"):
        await it.complete(wait.id, {"verdict": "accept", "comment": "the rest comes on Friday"}, by="paula")
    for wait in it.client.inbox(queue="treasury"):
        await it.approve(wait.id, by="theo")


async def posted_and_paid_once(it: Harness) -> None:
    erp = Erp(it.home / "erp.db")
    assert erp.held_twice() == []
    with erp.transaction() as db:
        documents = [row[0] for row in db.execute("SELECT document FROM invoices WHERE document <> ''")]
        payments = db.execute("SELECT count(*) FROM payments").fetchone()[0]
    assert (len(documents), payments) == (1, 1)
    assert {row.workflow: row.status for row in it.client.runs()} == dict.fromkeys(
        ["process_invoice", "invoice-investigator", "pay_invoice"], "finished"
    )


# --- scenario 4: an agent refunds with the consent of finance, and drafts the reply that a person sends ---------------


def support_at(home: Path) -> None:
    support.set_up(home, today=START.date())


async def angry_customer(it: Harness) -> None:
    await support.arrive(it.client, received(MAILS / DESK))
    await it.settle()
    for queue, who in (("refund-approvals", "frank"), ("replies", "maria")):
        for wait in it.client.inbox(queue=queue):
            await it.approve(wait.id, by=who)


async def refunded_and_answered_once(it: Harness) -> None:
    desk = support.set_up(it.home)
    assert [(row["order_number"], row["amount"]) for row in desk.listed("refunds")] == [("ORD-1043", "420.00")]
    assert [(row["recipient"], row["status"]) for row in desk.listed("outgoing")] == [(DANA, "sent")]
    assert len(list((it.home / "outgoing").iterdir())) == 1
    assert [row["status"] for row in desk.listed("tickets")] == ["refunded"]
    assert desk.record("T-000001").timeline == [
        "mail: Refund for the desk", "refunded 420.00 EUR of ORD-1043", "reply drafted", "reply sent",
    ]  # fmt: skip
    decided = [event for row in it.client.runs() for event in it.events(row.id, "approval_decided")]
    assert len(decided) == 2


SCENARIOS = {
    "scenario 2": Scenario(
        app=payables.assisted, script=honest_over_http, prepare=payables_at, tell=mismatch, check=posted_and_paid_once,
        agent="invoice-investigator", questions=3,
    ),
    "scenario 4": Scenario(
        app=support.assisted, script=support_over_http, prepare=support_at, tell=angry_customer, check=refunded_and_answered_once,
        agent="support-agent", questions=5,
    ),
}  # fmt: skip


# --- one life and the next --------------------------------------------------------------------------------------------


async def killed_at(point: int, scenario: Scenario, home: Path) -> bool:
    """Kill the worker after this many commits and let another go on; False when the case ended before."""
    async with FakeProvider(scenario.script) as provider:
        app = scenario.app(models_at(provider.url))
        it = Harness(app, home, ManualClock())
        scenario.prepare(home)
        await it.open(crash_at=point)
        try:
            await scenario.tell(it)
            died = it.commits >= point
        except StoreFenced:
            died = True
        await it.close()
        recorded = await answers_recorded(app, scenario.agent, it)
        await go_on(it, scenario)
    if died:
        asked_what_it_may(scenario, questions(provider), recorded)
    else:
        assert (len(provider.requests), recorded) == (scenario.questions, scenario.questions)
    return died


def models_at(url: str) -> Models:
    return Models(careful=Model(name="any", url=url, price=Price(input="1", output="2")))


async def go_on(it: Harness, scenario: Scenario) -> None:
    """Another worker takes over and gets to the end; all is as it should be, and replays to what was recorded."""
    scenario.prepare(it.home)
    await it.open()
    await it.settle()
    await scenario.tell(it)
    await scenario.check(it)
    await it.close()
    it.prove()


def questions(provider: FakeProvider) -> list[str]:
    """What the model was asked, in order."""
    return [json.dumps(body["messages"]) for body in provider.requests]


async def answers_recorded(app: App, agent: str, it: Harness) -> int:
    """How many answers of the model the journal holds."""
    async with app.open(it.home, clock=it.clock, resume=False) as client:
        events = [item.event for row in client.runs() if row.workflow == agent for item in client.events(row.id)]
    return sum(isinstance(event, CallReturned) and event.action == "ask_model" for event in events)


def asked_what_it_may(scenario: Scenario, asked: list[str], recorded: int) -> None:
    """No recorded answer was asked for again, and of the others at most one, once."""
    distinct = list(dict.fromkeys(asked))
    twice = [question for question, times in Counter(asked).items() if times > 1]
    assert len(distinct) == scenario.questions
    assert len(asked) <= scenario.questions + 1
    assert twice in ([], [distinct[recorded]] if recorded < len(distinct) else [])


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", SCENARIOS)
async def test_killed_at_any_boundary_nothing_happens_twice_and_no_recorded_answer_is_asked_for_again(
    name: str, part: int, tmp_path: Path
) -> None:
    killed = 0
    for point in itertools.count(1 + part, PARTS):
        if not await killed_at(point, SCENARIOS[name], tmp_path / str(point)):
            break
        killed += 1
    assert 5 < killed < 20


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
@pytest.mark.parametrize(
    ("name", "question"), [(name, n) for name, it in SCENARIOS.items() for n in range(it.questions)]
)
async def test_killed_while_the_model_answers_only_that_question_is_asked_again(
    name: str, question: int, tmp_path: Path
) -> None:
    scenario = SCENARIOS[name]
    async with FakeProvider(scenario.script, faults={question + 1: "hang"}) as provider:
        start_forking(__name__, "pydantic_ai.models.openai", "openai")
        worker = processes.Process(target=live, args=(name, tmp_path, provider.url), daemon=True)
        worker.start()
        while len(provider.requests) <= question and worker.is_alive():
            await asyncio.sleep(0.01)
        worker.kill()
        worker.join()
        assert worker.exitcode == -signal.SIGKILL
        it = Harness(scenario.app(models_at(provider.url)), tmp_path, ManualClock.of_store(tmp_path))
        await go_on(it, scenario)
    asked = questions(provider)
    assert [text for text, times in Counter(asked).items() if times > 1] == [asked[question]]
    assert len(asked) == scenario.questions + 1


def live(name: str, home: Path, url: str) -> None:
    """What the worker does that is killed."""

    async def case() -> None:
        scenario = SCENARIOS[name]
        scenario.prepare(home)
        it = Harness(scenario.app(models_at(url)), home, ManualClock())
        await it.open()
        await scenario.tell(it)

    asyncio.run(case())
