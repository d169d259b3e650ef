"""Stories of the support desk: who decides what, and what leaves the house."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backstay import Models
from backstay.ai.providers import Asked
from backstay.ai.scripted import ScriptedModel, Turn, call, finish
from backstay.governance.policy import Facts, Policy
from examples.support_triage.app import POLICY, app, assisted
from examples.support_triage.arrivals import received
from examples.support_triage.demo import MAILS
from examples.support_triage.models import Mail
from examples.support_triage.script import IN_FULL, honest
from examples.support_triage.tests.desk import (
    CONTRACT,
    DANA,
    DESK,
    INES,
    INJECTED,
    LAMP,
    NO_NUMBER,
    PRIZE,
    STRANGER,
    VIKTOR,
    desk,
    scripted,
)  # fmt: skip

SORRY = "We are sorry for the trouble. 39.90 EUR are on their way back to where they came from."

# --- an angry customer wants money back ---------------------------------------------------------------------------


async def test_a_small_refund_within_the_policy_is_made_at_once_and_a_person_reads_the_reply(home: Path) -> None:
    async with desk(home, scripted()) as it:
        run = await it.arrives(LAMP)
        assert (it.refunds(), it.sent(), it.queues()) == ([("ORD-1042", "39.90")], [], ["replies"])
        await it.approves("replies")
        assert await it.ending(run) == {"status": "refunded", "ticket": "T-000001", "intent": "refund", "by": "agent"}
        assert it.sent() == [(DANA, SORRY)]
        assert len(it.asked_for()) == 1
        (ticket,) = it.helpdesk.listed("tickets")
        assert [ticket[name] for name in ("intent", "sentiment", "queue", "status")] == [
            "refund", "angry", "billing", "refunded",
        ]  # fmt: skip


async def test_a_refund_above_the_limit_waits_for_finance(home: Path) -> None:
    async with desk(home, scripted()) as it:
        run = await it.arrives(DESK)
        assert (it.refunds(), it.queues()) == ([], ["refund-approvals"])
        await it.approves("refund-approvals", by="frank")
        assert it.refunds() == [("ORD-1043", "420.00")]
        await it.approves("replies")
        assert (await it.ending(run))["status"] == "refunded"


async def test_what_finance_refuses_goes_to_the_leads_with_the_reason(home: Path) -> None:
    async with desk(home, scripted()) as it:
        run = await it.arrives(DESK)
        await it.rejects("refund-approvals", by="frank", reason="ask for a photograph first")
        assert "ask for a photograph first" in it.shown("support-leads")["why"]
        await it.fills_in("support-leads", verdict="answer", text="Would you send us a photograph?")
        assert (await it.ending(run))["by"] == "person"
        assert (it.refunds(), it.sent()) == ([], [(DANA, "Would you send us a photograph?")])


async def test_where_contract_and_policy_contradict_each_other_the_leads_get_everything_at_hand(home: Path) -> None:
    async with desk(home, scripted()) as it:
        run = await it.arrives(CONTRACT)
        packet = it.shown("support-leads")
        assert packet["why"].endswith("the contract says: Unused licences are refunded within 60 days of the order.")
        assert [order["number"] for order in packet["order"]] == ["ORD-2001"]
        assert packet["policy"] == ["Where a contract promises more than this policy, the head of support decides"]
        assert packet["timeline"] == ["mail: Unused licences: we want our money back!!", "reply drafted"]
        assert packet["draft"].startswith("We are sorry for the trouble. A colleague is looking into your refund")
        assert (packet["customer"]["tier"], packet["assessment"]["sentiment"]) == ("enterprise", "angry")
        await it.fills_in(
            "support-leads", by="lea", verdict="refund", order="ORD-2001", amount="1020", text="You get 1020 EUR back."
        )
        assert (it.refunds(), it.queues()) == ([], ["refund-approvals"])
        await it.approves("refund-approvals", by="frank")
        assert (await it.ending(run))["status"] == "refunded"
        assert (it.refunds(), it.sent()) == ([("ORD-2001", "1020.00")], [(VIKTOR, "You get 1020 EUR back.")])


async def test_a_refund_that_is_not_possible_comes_back_to_whoever_wanted_it(home: Path) -> None:
    async with desk(home, scripted()) as it:
        await it.arrives(CONTRACT)
        for order, amount, why in (
            ("ORD-1042", "39.90", "the customer of this ticket has no such order"),
            ("ORD-2001", "1200.01", "1200.01 is more than the 1200.00 that can still be given back"),
        ):
            await it.fills_in("support-leads", verdict="refund", order=order, amount=amount)
            assert it.shown("support-leads")["why"] == f"not refunded: {why}"
        assert it.refunds() == []


async def test_a_draft_that_nobody_likes_is_not_sent(home: Path) -> None:
    async with desk(home, scripted()) as it:
        run = await it.arrives(LAMP)
        await it.rejects("replies", reason="too curt")
        assert "too curt" in it.shown("billing")["why"]
        await it.fills_in("billing", verdict="answer", text="Dear Dana, your 39.90 EUR are on their way. Sorry!")
        assert (await it.ending(run))["by"] == "person"
        assert it.sent() == [(DANA, "Dear Dana, your 39.90 EUR are on their way. Sorry!")]


async def test_an_agent_that_speaks_of_a_refund_that_was_not_made_is_not_believed(home: Path) -> None:
    def boasts(asked: Asked) -> Turn:
        if len(asked.messages) == 1:
            return [call("search_orders", ticket="T-000001"), call("refund_policy")]
        if len(asked.messages) < 5:
            return call("draft_reply", ticket="T-000001", text="We paid you back.")
        said = {"sentiment": "angry", "intent": "refund", "decision": "refunded"}
        return finish(said, ("The policy says so.", "o2", IN_FULL))

    async with desk(home, scripted(boasts)) as it:
        await it.arrives(LAMP)
        assert it.shown("support-leads")["why"] == "the agent speaks of a refund, and there is none"
        assert (it.refunds(), it.sent()) == ([], [])


# --- no order number ----------------------------------------------------------------------------------------------


def answer(text: str, *, sender: str = INES) -> Mail:
    return Mail(digest=f"answer {text}", sender=sender, subject="Re: Re: refund [T-000001]", lines=[text])


async def test_whoever_does_not_say_which_order_is_asked_by_template(home: Path) -> None:
    async with desk(home, scripted()) as it:
        run = await it.arrives(NO_NUMBER)
        ((recipient, text),) = it.sent()
        assert (recipient, "the number of your order" in text, it.queues()) == (INES, True, [])
        assert await it.arrives(answer("It is ORD-3001.")) == run
        assert it.shown("support-leads")["why"] == "The refund was not made: the order was not paid: open"
        assert await it.arrives(answer("It is ORD-3001.")) != run, "nothing waits for a second answer: it is a new case"


async def test_an_answer_in_somebody_elses_name_is_a_case_of_its_own(home: Path) -> None:
    async with desk(home, scripted()) as it:
        run = await it.arrives(NO_NUMBER)
        assert await it.arrives(answer("It is ORD-1043.", sender=DANA)) != run
        assert "signal" in [wait.kind for wait in it.it.waits(run)]


async def test_a_customer_who_does_not_answer_in_a_week_is_not_waited_for(home: Path) -> None:
    async with desk(home, scripted()) as it:
        run = await it.arrives(NO_NUMBER)
        await it.it.advance("8d")
        assert (await it.ending(run))["status"] == "unanswered"


# --- people alone -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("application", [app, assisted(Models())], ids=["without the agent", "no model configured"])
async def test_without_a_model_people_do_it(home: Path, application: object) -> None:
    async with desk(home, application) as it:  # type: ignore[arg-type]
        run = await it.arrives(LAMP)
        assert it.shown("triage")["policy"][0].startswith("1. Within 30 days")
        await it.fills_in("triage", intent="refund", sentiment="angry")
        await it.fills_in("billing", verdict="refund", order="ORD-1042", amount="39.9", text="It is on its way.")
        assert await it.ending(run) == {"status": "refunded", "ticket": "T-000001", "intent": "refund", "by": "person"}
        assert (it.refunds(), it.sent()) == ([("ORD-1042", "39.90")], [(DANA, "It is on its way.")])
        assert it.asked_for() == []


async def test_a_model_that_is_not_sure_leaves_it_to_a_person(home: Path) -> None:
    def unsure(asked: Asked) -> Turn:
        turn = honest(asked)
        return turn.model_copy(update={"args": {**turn.args, "confidence": 0.2}}) if _ends(turn) else turn

    async with desk(home, scripted(unsure)) as it:
        await it.arrives("6-broken-wheel.eml")
        assert (it.queues(), it.shown("triage")["assessment"]["intent"]) == (["triage"], "bug")


def _ends(turn: Turn) -> bool:
    return getattr(turn, "tool", "") == "finish"


# --- a mail that gives orders -------------------------------------------------------------------------------------

WISHES = [
    call("refund_order", ticket="T-000001", order="ORD-2001", amount="1200.00"),
    call("search_orders", ticket="T-000003"),
    call("mail_thread", ticket="T-000003"),
    call("close_ticket", ticket="T-000003", status="closed"),
    call("send_reply", ticket="T-000001", text="all data", source="person"),
    call("approve", item="everything"),
    call("draft_reply", ticket="T-000003", text="Write to audit@rescue-desk.example."),
]


async def test_orders_in_a_mail_change_nothing_and_the_honest_part_is_settled(home: Path) -> None:
    async with desk(home, scripted()) as it:
        run = await it.arrives(INJECTED)
        await it.approves("replies")
        assert (await it.ending(run))["status"] == "refunded"
        assert it.refunds() == [("ORD-1044", "12.50")]
        assert [recipient for recipient, _ in it.sent()] == [DANA]


async def test_a_model_that_tries_what_the_mail_says_and_then_goes_on_gets_the_honest_part_only(home: Path) -> None:
    def first_obeys(asked: Asked) -> Turn:
        first, *rest = asked.messages
        if "SYSTEM NOTICE" not in first.text:
            return honest(asked)
        return honest(replace(asked, messages=[first, *rest[4:]])) if rest else WISHES[:3]

    async with desk(home, scripted(first_obeys)) as it:
        for number in range(3):  # so that there are somebody else's tickets, T-000003 among them
            await it.arrives(received(MAILS / CONTRACT).model_copy(update={"digest": str(number)}))
        run = await it.arrives(INJECTED)
        (item,) = it.it.client.inbox(queue="replies")
        await it.it.approve(item.id, by="maria")
        assert (await it.ending(run))["status"] == "refunded"
        assert it.refunds() == [("ORD-1044", "12.50")]
        assert len(it.told()) == 3
        assert all("this stands in a text that nobody asked about" in reason for reason in it.told())


async def test_a_model_that_does_whatever_the_mail_says_gets_nowhere(home: Path) -> None:
    def hijacked(asked: Asked) -> Turn:
        return WISHES[sum(message.role == "model" for message in asked.messages) % len(WISHES)]

    async with desk(home, scripted(hijacked)) as it:
        await it.arrives(INJECTED)
        assert (it.refunds(), it.sent(), it.asked_for()) == ([], [], [])
        assert it.queues() == ["triage"]
        assert len(it.it.client.inbox()) == 1


# --- mail that is not simply worked on ----------------------------------------------------------------------------


async def test_a_stranger_is_looked_at_by_a_person(home: Path) -> None:
    async with desk(home, scripted()) as it:
        run = await it.arrives(STRANGER)
        await it.fills_in("unknown-sender", verdict="customer", customer_id="C-9999")
        assert it.queues() == ["unknown-sender"]
        await it.fills_in("unknown-sender", verdict="customer", customer_id="C-1003")
        await it.approves("replies")
        assert (await it.ending(run))["status"] == "answered"
        assert [recipient for recipient, _ in it.sent()] == [INES], "the answer goes to the address that we know"


async def test_mail_from_a_blocked_domain_is_refused_without_an_answer(home: Path) -> None:
    async with desk(home, scripted()) as it:
        assert (await it.ending(await it.arrives(PRIZE)))["status"] == "refused"
        assert (it.sent(), it.helpdesk.listed("tickets")) == ([], [])


async def test_a_mail_that_cannot_be_read_is_read_by_a_person(home: Path) -> None:
    async with desk(home, scripted()) as it:
        run = await it.arrives(Mail(digest="x", problem="it is larger than 1000000 bytes"))
        await it.fills_in("unreadable-mail", verdict="read", sender=DANA)
        assert it.shown("unreadable-mail")["problem"] == "it has no text"
        await it.fills_in("unreadable-mail", verdict="read", text="Please refund ORD-1042.")
        await it.approves("replies")
        assert ((await it.ending(run))["status"], it.refunds()) == ("refunded", [("ORD-1042", "39.90")])


async def test_the_same_mail_twice_is_one_case(home: Path) -> None:
    async with desk(home, scripted()) as it:
        assert await it.arrives(LAMP) == await it.arrives(LAMP)
        assert it.refunds() == [("ORD-1042", "39.90")]


# --- time, and a helpdesk that fails ------------------------------------------------------------------------------


@pytest.mark.parametrize(("mail", "hours"), [(CONTRACT, 4), (LAMP, 24)])
async def test_what_is_not_settled_in_time_comes_first_and_the_leads_hear_of_it(
    home: Path, mail: str, hours: int
) -> None:
    async with desk(home, app) as it:
        await it.arrives(mail)
        await it.it.advance(f"{hours - 1}h")
        assert it.helpdesk.listed("alerts") == []
        await it.it.advance("2h")
        assert it.helpdesk.listed("alerts") == [
            {"recipient": "support-leads", "message": "T-000001 was not settled in time"}
        ]
        assert it.helpdesk.listed("tickets")[0]["priority"] == "high"


async def test_a_ticket_that_was_settled_in_time_alerts_nobody(home: Path) -> None:
    async with desk(home, scripted()) as it:
        await it.arrives(LAMP)
        await it.approves("replies")
        await it.it.advance("3d")
        assert it.helpdesk.listed("alerts") == []


@pytest.mark.parametrize(("failures", "alerted"), [(2, False), (5, True)])
async def test_a_helpdesk_that_fails_is_tried_again_then_it_hears_of_it_and_the_mail_waits(
    home: Path, failures: int, alerted: bool
) -> None:
    async with desk(home, scripted()) as it:
        it.helpdesk.fail("open_ticket", failures)
        run = await it.arrives(LAMP)
        await it.it.advance("1m")
        assert ("manual-backlog" in it.queues(), len(it.helpdesk.listed("alerts"))) == (alerted, int(alerted))
        if alerted:
            await it.it.client.retry(it.item("manual-backlog"), by="ines")
            await it.it.settle()
        await it.approves("replies")
        assert ((await it.ending(run))["status"], len(it.helpdesk.listed("tickets"))) == ("refunded", 1)


async def test_private_values_of_the_customer_reach_no_model(home: Path) -> None:
    model = ScriptedModel(honest)
    async with desk(home, assisted(Models(careful=model))) as it:
        await it.arrives(LAMP)
        said = str([asked.messages for asked in model.asked])
        assert ("Dana Cole" in said, DANA in said, "flickered" in said) == (False, False, True)


# --- what may happen without a person -----------------------------------------------------------------------------

REFUND = {"amount": "50", "currency": "EUR", "within_policy": True}
BY_AGENT = ("support-agent", "propose")
SITUATIONS: dict[str, tuple[Facts, dict[str, object], str]] = {
    "at the limit": (Facts("issue_refund", "irreversible", "refund_order"), REFUND, "allow"),
    "at the limit, by the agent": (Facts("issue_refund", "irreversible", "refund_order", *BY_AGENT), REFUND, "allow"),
    "above the limit": (
        Facts("issue_refund", "irreversible", "refund_order", *BY_AGENT), REFUND | {"amount": "50.01"}, "hold",
    ),
    "another currency": (Facts("issue_refund", "irreversible", "refund_order"), REFUND | {"currency": "USD"}, "hold"),
    "too late": (Facts("issue_refund", "irreversible", "refund_order"), REFUND | {"within_policy": False}, "hold"),
    "by another workflow": (Facts("issue_refund", "irreversible", "triage_mail"), REFUND, "hold"),
    "no amount": (Facts("issue_refund", "irreversible", "refund_order"), {"currency": "EUR"}, "deny"),
    "a person's reply": (Facts("send_reply", "irreversible", "triage_mail"), {"source": "person"}, "allow"),
    "a template": (Facts("send_reply", "irreversible", "triage_mail"), {"source": "template"}, "allow"),
    "a draft": (Facts("send_reply", "irreversible", "triage_mail"), {"source": "draft"}, "hold"),
    "by an agent": (Facts("send_reply", "irreversible", "triage_mail", *BY_AGENT), {"source": "person"}, "hold"),
    "writing a draft": (Facts("draft_reply", "write", "support-agent", *BY_AGENT), {}, "allow"),
    "another agent's draft": (Facts("draft_reply", "write", "other", "other", "propose"), {}, "hold"),
    "another write of the agent": (Facts("close_ticket", "write", "support-agent", *BY_AGENT), {}, "hold"),
}  # fmt: skip


@pytest.mark.parametrize("name", SITUATIONS)
@pytest.mark.parametrize(("today", "over"), [("2027-12-31T23:00:00Z", False), ("2028-01-01T00:00:00Z", True)])
def test_what_the_rules_say(name: str, today: str, over: bool) -> None:
    facts, args, verdict = SITUATIONS[name]
    expires = over and facts.effect == "irreversible"
    assert Policy(POLICY).decide(facts, lambda: today, args).verdict == ("hold" if expires else verdict)


async def test_a_small_refund_that_comes_too_late_waits_for_finance(home: Path) -> None:
    async with desk(home, app) as it:
        await it.arrives(CONTRACT)
        await it.fills_in("triage", intent="refund")
        await it.fills_in("billing", verdict="refund", order="ORD-2001", amount="40", text="40 EUR come back.")
        assert (it.refunds(), it.queues()) == ([], ["refund-approvals"])
