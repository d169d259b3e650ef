"""The actions of support: everything by which the process and its agent read or change the world.

A ticket is the handle to a customer: orders, thread and address are looked up by it, so nobody names another customer's.
`ticket`, `order` and `amount` are sinks where they decide who or what: what a mail or a model made up is not taken.
"""

from __future__ import annotations

import os
import re
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from backstay import IdempotencyKey, OutcomeUnknown, Retry, action
from examples.support_triage.helpdesk import Helpdesk
from examples.support_triage.models import Customer, Letter, Mail, Order, Record, Sender, Subscription
from examples.support_triage.post import Folder, NotDelivered, Post, Smtp

HOME_VARIABLE = "SUPPORT_TRIAGE_HOME"
SMTP_VARIABLE = "SUPPORT_TRIAGE_SMTP"
"""HOST:PORT by which mail leaves; without it, it goes to the folder `outgoing` of the home."""
DEFAULT_HOME = ".backstay"
QUICK = Retry(attempts=4, first="100ms", longest="2s")
POLICY = Path(__file__).with_name("refund_policy.md")


class _Place:
    home: Path | None = None
    post: Post | None = None


def use(home: Path, post: Post | None = None) -> None:
    """Say where the helpdesk's database is, and how mail leaves."""
    _Place.home, _Place.post = home, post


def home() -> Path:
    return _Place.home or Path(os.environ.get(HOME_VARIABLE, DEFAULT_HOME))


def helpdesk() -> Helpdesk:
    return Helpdesk(home() / "helpdesk.db")


def post() -> Post:
    if _Place.post is not None:
        return _Place.post
    host, _, port = os.environ.get(SMTP_VARIABLE, "").rpartition(":")
    return Smtp(host, int(port)) if host else Folder(home() / "outgoing")


# --- reading: the process ---


@action(effect="read", retry=QUICK)
def find_sender(address: str) -> Sender:
    """What the helpdesk knows of an address."""
    return helpdesk().sender(address)


@action(effect="read", retry=QUICK)
def customer_by_id(customer_id: str) -> Customer | None:
    """The customer that a person named."""
    return helpdesk().customer(customer_id)


@action(effect="read", untrusted=True)
def orders_named(mail: Mail) -> list[str]:
    """The order numbers that stand in a mail."""
    found = re.findall(r"\bORD-\d{1,12}\b", " ".join([mail.subject, *mail.lines]).upper())
    return list(dict.fromkeys(found))


@action(effect="read", retry=QUICK)
def ticket_record(ticket: str) -> Record:
    """How a ticket stands."""
    return helpdesk().record(ticket)


@action(effect="read", retry=QUICK)
def is_open(ticket: str) -> bool:
    """Whether a ticket is still open."""
    return helpdesk().is_open(ticket)


@action(effect="read", retry=QUICK, sinks=["ticket", "order"])
def order_of(ticket: str, order: str) -> Order | None:
    """The order, if the customer of the ticket has it."""
    return next((each for each in helpdesk().orders(ticket) if each.number == order), None)


# --- reading: the agent, about the customer of its ticket only ---


@action(effect="read", retry=QUICK, sinks=["ticket"])
def search_orders(ticket: str) -> list[Order]:
    """All orders of the customer of a ticket, newest first: date, price, payment, and what was refunded already."""
    return helpdesk().orders(ticket)


@action(effect="read", retry=QUICK, sinks=["ticket"])
def subscription_of(ticket: str) -> Subscription | None:
    """The subscription of the customer of a ticket, with what was agreed with them; nothing when they have none."""
    return helpdesk().subscription(ticket)


@action(effect="read", retry=QUICK, sinks=["ticket"], untrusted=True)
def mail_thread(ticket: str) -> list[Letter]:
    """The mails of a ticket, oldest first."""
    return helpdesk().letters(ticket)


@action(effect="read")
def refund_policy() -> str:
    """The refund policy of the house."""
    return POLICY.read_text(encoding="utf-8")


# --- writing ---


def ticket_under(key: str) -> str | None:
    """Probe: whether a ticket was opened under a key."""
    return helpdesk().ticket_under(key)


@action(effect="write", retry=QUICK, on_failure="raise", probe=ticket_under)
def open_ticket(mail: Mail, customer_id: str, priority: str, due: datetime, key: IdempotencyKey) -> str:
    """Open a ticket with its first mail, and answer with its number."""
    return helpdesk().open_ticket(mail, customer_id, priority, due, key)


@action(effect="write", retry=Retry(attempts=1), on_failure="queue", queue="manual-backlog")
def open_ticket_from_backlog(mail: Mail, customer_id: str, priority: str, due: datetime, key: IdempotencyKey) -> str:
    """The same after operations were told: one attempt, then it waits in the manual backlog until somebody retries it."""
    return helpdesk().open_ticket(mail, customer_id, priority, due, key)


@action(effect="write", retry=QUICK)
def add_to_thread(ticket: str, mail: Mail, key: IdempotencyKey) -> None:
    """Add a mail that the customer sent to their ticket."""
    helpdesk().add_letter(ticket, mail, key)


@action(effect="write", retry=QUICK)
def route_ticket(ticket: str, intent: str, sentiment: str, queue: str, key: IdempotencyKey) -> None:
    """Say what a ticket is about, and whose it is."""
    del key  # saying it twice is the same as once
    helpdesk().route(ticket, intent, sentiment, queue)


@action(effect="write", retry=QUICK, sinks=["ticket"])
def draft_reply(ticket: str, text: str, key: IdempotencyKey) -> str:
    """Write down a reply to the customer of a ticket. It is not sent: a person reads it first. The newest one counts."""
    return helpdesk().draft(ticket, text, key)


@action(effect="write", retry=QUICK)
def close_ticket(ticket: str, status: str, key: IdempotencyKey) -> None:
    """Say that a ticket is done, and how."""
    del key  # closing twice is the same as once
    helpdesk().close(ticket, status)


@action(effect="write", retry=QUICK)
def raise_priority(ticket: str, key: IdempotencyKey) -> None:
    """Put an open ticket before others."""
    del key
    helpdesk().raise_priority(ticket)


@action(effect="write", retry=QUICK)
def alert(recipient: str, message: str, key: IdempotencyKey) -> None:
    """Tell somebody of the house."""
    helpdesk().alert(recipient, message, key)


# --- what cannot be taken back ---


def refund_under(key: str) -> str | None:
    """Probe: whether money was given back under a key."""
    return helpdesk().refund_under(key)


@action(
    effect="irreversible", approvers="refund-approvals", on_failure="raise", probe=refund_under,
    sinks=["ticket", "order", "amount"],
)  # fmt: skip
def issue_refund(
    ticket: str, order: str, amount: Decimal, currency: str, within_policy: bool, key: IdempotencyKey
) -> str:
    """Give money back to the account from which it came."""
    del within_policy  # it is for the rules, and for whoever approves
    return helpdesk().refund(ticket, order, amount, currency, key)


def sent_under(key: str) -> str | None:
    """Probe: whether a reply left under a key; raises OutcomeUnknown when nobody can tell."""
    mail = helpdesk().outgoing_under(key)
    if mail is None or mail.status == "queued":
        return None
    left = True if mail.status == "sent" else post().delivered(message_id(key))
    if left is None:
        raise OutcomeUnknown(f"{mail.id} was handed to the mail server, and no answer was recorded")
    return mail.id if left else None


@action(effect="irreversible", approvers="replies", timeout="30s", probe=sent_under, sinks=["ticket"])
def send_reply(ticket: str, text: str, source: str, key: IdempotencyKey) -> str:
    """Send a mail to the customer of a ticket; source: "draft" of the agent, written by a "person", or a "template"."""
    del source  # it is for the rules, and for whoever approves
    desk = helpdesk()
    desk.queue_mail(ticket, text, key)
    mail = desk.outgoing_under(key)
    assert mail is not None
    if mail.status == "sent":
        return mail.id
    desk.mark_mail(ticket, "sending", key)
    try:
        post().deliver(mail, message_id(key))
    except NotDelivered:
        desk.mark_mail(ticket, "queued", key)
        raise
    desk.mark_mail(ticket, "sent", key)
    return mail.id


def message_id(key: str) -> str:
    """The same for every attempt at one mail, so that it can be told apart from another."""
    return f"reply-{key[:32]}"
