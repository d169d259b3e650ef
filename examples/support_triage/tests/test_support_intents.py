"""Scenario 3: from a real mail over SMTP to a ticket with its queue; what the step is not sure of, a clerk teaches it."""

from __future__ import annotations

import asyncio
import smtplib
from email.message import EmailMessage
from pathlib import Path

import pytest

from backstay.ai.steps import fit_again
from backstay.engine.application import LOCK_FILE, take_lock
from backstay.store.steps import step_file
from examples.support_triage import door
from examples.support_triage import send as sending
from examples.support_triage.app import triaging
from examples.support_triage.door import smtp_door
from examples.support_triage.intents import intent
from examples.support_triage.post import SENDER
from examples.support_triage.tests.desk import DANA, VIKTOR, Desk, desk

LIFTS = [
    "Forklift drivers ask for pallet labels", "Pallet labels missing for our forklift", "Forklift and pallet labels again",
    "Where are pallet labels for forklift drivers", "Our forklift needs pallet labels", "Pallet labels, forklift version",
]  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "support"


@pytest.fixture(autouse=True)
def no_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intent, "review", 0.0)


def written(subject: str, text: str, sender: str = DANA) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, SENDER, subject
    mail.set_content(text)
    return mail


async def send(port: int, mail: EmailMessage, to: str = SENDER) -> None:
    """As any mail program would."""

    def deliver() -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as connection:
            connection.send_message(mail, to_addrs=[to])

    await asyncio.to_thread(deliver)


def newest(it: Desk) -> str:
    """The run of the mail that came last."""
    return next(row.id for row in it.it.client.runs() if row.workflow == "triage_mail")


async def test_a_mail_over_smtp_becomes_a_ticket_in_the_queue_that_the_step_is_sure_of(home: Path) -> None:
    async with desk(home, triaging) as it, smtp_door(it.it.client) as port:
        await send(port, written("Invoice", "Please send me the invoice, the amount on the bill is wrong."))
        await it.it.settle()
        run = newest(it)
        assert it.queues() == ["billing"]
        (call,) = it.it.events(run, "call_returned", action="classify_intent")
        assert (call.result["value"], call.result["sure"]) == ("billing", True)
        (ticket,) = it.helpdesk.listed("tickets")
        assert (ticket["intent"], ticket["queue"]) == ("billing", "billing")
        await it.fills_in("billing", verdict="answer", text="Here it is.")
        assert (await it.ending(run))["intent"] == "billing"


async def test_a_mail_in_a_file_is_sent_to_the_door_by_a_command(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = Path(sending.__file__).with_name("mails") / "6-broken-wheel.eml"
    async with desk(home, triaging) as it, smtp_door(it.it.client) as port:
        await asyncio.to_thread(sending.main, str(file), str(port))
        await it.it.settle()
        assert len(it.helpdesk.listed("tickets")) == 1
    assert f"sent to {SENDER}" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="not sent: "):
        sending.main(str(file), str(port))


def test_a_store_that_another_program_has_is_one_line_and_no_traceback(home: Path) -> None:
    home.mkdir()
    lock = take_lock(home / LOCK_FILE)
    try:
        with pytest.raises(SystemExit, match="error: the store in .* is in use by process"):
            door.main(str(home), "0")
    finally:
        lock.close()


async def test_the_promise_of_an_enterprise_is_kept_by_a_timer_that_escalates(home: Path) -> None:
    async with desk(home, triaging) as it, smtp_door(it.it.client) as port:
        await send(
            port, written("Cancel", "We would like to cancel our subscription, please end the contract.", VIKTOR)
        )
        await it.it.settle()
        assert it.queues() == ["support"]
        (ticket,) = it.helpdesk.listed("tickets")
        assert (ticket["intent"], ticket["priority"]) == ("cancellation", "high")
        await it.it.advance("5h")
        assert [row["recipient"] for row in it.helpdesk.listed("alerts")] == ["support-leads"]


async def test_a_refund_without_an_order_number_is_asked_for_it_by_template_first(home: Path) -> None:
    async with desk(home, triaging) as it, smtp_door(it.it.client) as port:
        await send(port, written("Money", "I want a refund please."))
        await it.it.settle()
        ((recipient, text),) = it.sent()
        assert (recipient, "begins with ORD-" in text, it.queues()) == (DANA, True, [])
        (ticket,) = it.helpdesk.listed("tickets")
        await send(
            port,
            written(
                f"Re: Money [{ticket['id']}]", "Here you are: order ORD-1042, please refund it, I want my money back."
            ),
        )
        await it.it.settle()
        assert it.queues() == ["billing"]
        assert it.helpdesk.listed("tickets")[0]["intent"] == "refund"


async def test_mail_to_nobody_is_refused_at_the_door(home: Path) -> None:
    async with desk(home, triaging) as it, smtp_door(it.it.client) as port:
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            await send(port, written("Hi", "Hello"), to="ceo@nordkai.example")
        assert it.it.client.runs() == []


async def test_what_a_clerk_says_of_doubtful_mails_makes_the_next_fit_sure_of_such_mails(home: Path) -> None:
    async with desk(home, triaging) as it, smtp_door(it.it.client) as port:
        for number, text in enumerate(LIFTS):
            await send(port, written(f"Question {number}", text))
            await it.it.settle()
            assert it.shown("triage")["judged"]["sure"] is False
            await it.fills_in("triage", intent="feature request", by="maria")
            await it.fills_in("support", verdict="close")

        with step_file(it.it.home, readonly=False) as file:
            assert file is not None
            assert {each.by for each in file.examples("intent", "person")} == {"maria"}
            made = fit_again(file, "intent", None, by="head", at="2026-01-06T00:00:00Z")
            since = made.report["since"]
            assert (since["examples"], since["after"] > since["before"]) == (len(LIFTS), True)
            file.accept("intent", made.version, at="2026-01-06T00:00:00Z", by="head")

        await send(port, written("Question", "Pallet labels for forklift drivers"))
        await it.it.settle()
        assert it.queues() == ["support"]
        assert it.helpdesk.listed("tickets")[-1]["intent"] == "feature request"
