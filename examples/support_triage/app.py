"""The application: its workflows, the rules about what may happen without a person, the queues, and how mail arrives."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from backstay import App, Client, Models, Queue, Rule
from backstay.governance.queues import Escalation
from examples.support_triage import actions
from examples.support_triage.helpdesk import Helpdesk
from examples.support_triage.intents import intent
from examples.support_triage.investigation import support_agent
from examples.support_triage.models import Mail
from examples.support_triage.post import Post
from examples.support_triage.process import keep_promise, triage_mail
from examples.support_triage.refunds import refund_order

QUEUES = (
    Queue(name="unreadable-mail", owner="support-clerks", about="Mail that a person must read"),
    Queue(name="unknown-sender", owner="support-clerks", about="Mail from somebody whom we do not know"),
    Queue(name="triage", owner="support-clerks", about="Tickets of which nobody has said what they are about",
          within="2h", escalate=(Escalation(after="4h", to="support-leads"),)),
    Queue(name="billing", owner="billing-clerks", about="Money: refunds, invoices"),
    Queue(name="support", owner="support-clerks", about="Everything else"),
    Queue(name="support-leads", owner="head-of-support", about="What the agent or the clerks cannot settle", priority=5),
    Queue(name="replies", owner="support-clerks", about="Replies that the agent drafted: nothing leaves unread"),
    Queue(name="refund-approvals", owner="head-of-finance", about="Refunds above the limit or outside the policy"),
    Queue(name="manual-backlog", owner="it-service", about="Tickets that the helpdesk did not take"),
    Queue(name="operators", owner="it-service", about="Cases that cannot go on until something is mended"),
)  # fmt: skip

POLICY = (
    Rule(
        id="drafts", verdict="allow", action="draft_reply", effect="write", agent="support-agent",
        owner="head-of-support", reason="a draft goes nowhere until a person has read it",
        tests=[({}, "allow")],
    ),
    Rule(
        id="small-refunds", verdict="allow", action="issue_refund", effect="irreversible", workflow="refund_order",
        when='amount <= 50 and currency == "EUR" and within_policy', owner="head-of-finance", expires="2027-12-31",
        reason="clause 2 of the refund policy",
        tests=[
            ({"amount": "50.00", "currency": "EUR", "within_policy": True}, "allow"),
            ({"amount": "50.01", "currency": "EUR", "within_policy": True}, "hold"),
            ({"amount": "50.00", "currency": "USD", "within_policy": True}, "hold"),
            ({"amount": "50.00", "currency": "EUR", "within_policy": False}, "hold"),
        ],
    ),
    Rule(
        id="own-words", verdict="allow", action="send_reply", effect="irreversible", workflow="triage_mail", agent="",
        when='source in ["person", "template"]', owner="head-of-support", expires="2027-12-31",
        reason="a person of the house wrote it",
        tests=[({"source": "person"}, "allow"), ({"source": "template"}, "allow"), ({"source": "agent"}, "hold")],
    ),
)  # fmt: skip
"""What may happen without asking again. Where it is silent, an agent's changes and what cannot be taken back wait."""

WORKFLOWS = [triage_mail, keep_promise, refund_order, support_agent]

app = App("support-triage", workflows=WORKFLOWS, queues=QUEUES, policy=POLICY, suppliers=[intent])

triaging = App(
    "support-triage", workflows=WORKFLOWS, queues=QUEUES, policy=POLICY, suppliers=[intent], settings={"classify": True}
)
"""The same with an AI step that says what a mail is about; where it is not sure, a clerk does, and it learns from that."""


def assisted(models: Models) -> App:
    """The same application with an agent that looks into every ticket before a person does."""
    return App(
        "support-triage", workflows=WORKFLOWS, queues=QUEUES, policy=POLICY, models=models, suppliers=[intent],
        settings={"assist": True},
    )  # fmt: skip


def set_up(home: Path, *, today: date | None = None, post: Post | None = None) -> Helpdesk:
    """Point the actions at the helpdesk in `home`, which is made if there is none. Safe to repeat."""
    actions.use(home, post)
    return Helpdesk(home / "helpdesk.db", today)


async def arrive(client: Client, mail: Mail) -> str:
    """Hand a mail in: to the case that waits for it, if it answers one, else as a new case. Twice is the same as once."""
    run = _answered(client, mail)
    if run is None:
        return await client.start(triage_mail, {"mail": mail}, key=mail.digest, by="mail", trigger="mail")
    await client.signal(run, "reply", mail.model_dump(mode="json"), id=mail.digest, by="mail")
    return run


def _answered(client: Client, mail: Mail) -> str | None:
    """The run that waits for this mail: its subject names the ticket, and the customer of that ticket sent it."""
    desk = actions.helpdesk()
    ticket = mail.subject.rpartition("[")[2].partition("]")[0]
    customer = desk.sender(mail.sender).customer
    opened = desk.opened_by(ticket, customer.id) if customer is not None else None
    if opened is None:
        return None
    runs = (row for row in client.runs(workflow="triage_mail", status="waiting") if row.key == opened)
    return next((row.id for row in runs if any(wait.kind == "signal" for wait in client.waits_of(row.id))), None)
