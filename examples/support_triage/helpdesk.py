"""The example's helpdesk, with its own database: customers, orders, tickets, refunds, and the mail that leaves.

Only actions call it. Every call opens the file, does one transaction and closes it, so it is safe for threads and
processes. A write takes an idempotency key, and with the same key again it returns what the first call made.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

from backstay import NotRetryable
from examples.sqlite_file import statements, transaction
from examples.support_triage.models import Customer, Letter, Mail, Order, Record, Sender, Subscription

HERE: Final = Path(__file__).parent

CUSTOMERS: Final = (
    ("C-1001", "Dana Cole", "dana.cole@mailbox.example", "standard"),
    ("C-1002", "Viktor Hale", "viktor@halebuild.example", "enterprise"),
    ("C-1003", "Ines Park", "ines.park@mailbox.example", "business"),
)
ORDERS: Final = (
    ("ORD-1042", "C-1001", "Desk lamp Arc", 10, "39.90", "paid"),
    ("ORD-1043", "C-1001", "Standing desk", 12, "420.00", "paid"),
    ("ORD-1044", "C-1001", "Set of bulbs", 8, "12.50", "paid"),
    ("ORD-2001", "C-1002", "Team licence, 20 seats", 45, "1200.00", "paid"),
    ("ORD-3001", "C-1003", "Monitor arm", 5, "89.00", "open"),
)
"""Number, customer, product, how many days ago it was ordered, price in euro, payment."""
SUBSCRIPTIONS: Final = (("C-1002", "Team", 320, "Unused licences are refunded within 60 days of the order."),)
"""Customer, plan, days until it renews, what was agreed."""
BLOCKED: Final = ("prize-draw.example",)


class RefusedByHelpdesk(NotRetryable):
    """The helpdesk will not do this, however often it is asked."""

    code = "REFUSED_BY_HELPDESK"


class HelpdeskUnavailable(Exception):
    """The helpdesk does not answer; a later attempt may work."""


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A mail that is to leave the house."""

    id: str
    recipient: str
    subject: str
    text: str
    status: Literal["queued", "sending", "sent"]


def queries() -> dict[str, str]:
    """The statements by their names."""
    return statements(HERE / "helpdesk_queries.sql")


class Helpdesk:
    """One helpdesk, in the database file at `path`; a new one has the example's customers, as of `today`."""

    def __init__(self, path: Path, today: date | None = None) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with transaction(self.path) as db:
            if db.execute("PRAGMA user_version").fetchone()[0] == 0:
                _seed(db, today or date.today())

    # --- reading ---

    def sender(self, address: str) -> Sender:
        """Whose address it is, and whether its domain is blocked."""
        email = address.strip().casefold()
        with transaction(self.path) as db:
            row = _one(db, "customer_by_email", email=email)
            blocked = _one(db, "is_blocked", domain=email.rpartition("@")[2]) is not None
        return Sender(customer=_customer(row), blocked=blocked)

    def customer(self, customer_id: str) -> Customer | None:
        with transaction(self.path) as db:
            return _customer(_one(db, "customer_by_id", id=customer_id))

    def orders(self, ticket: str) -> list[Order]:
        """What the customer of a ticket bought, newest first."""
        with transaction(self.path) as db:
            return _orders(db, ticket)

    def subscription(self, ticket: str) -> Subscription | None:
        with transaction(self.path) as db:
            row = _one(db, "subscription", ticket=_number(ticket))
        return Subscription.model_validate(dict(row)) if row else None

    def letters(self, ticket: str) -> list[Letter]:
        """The thread of a ticket, oldest first."""
        with transaction(self.path) as db:
            rows = _all(db, "letters", ticket=_number(ticket))
        return [
            Letter(direction=row["direction"], subject=row["subject"], lines=row["text"].splitlines()) for row in rows
        ]

    def record(self, ticket: str) -> Record:
        """How a ticket stands."""
        number = _number(ticket)
        with transaction(self.path) as db:
            draft = _one(db, "newest_draft", ticket=number)
            return Record(
                ticket=ticket,
                refunded=_sum(_all(db, "refunds_of_ticket", ticket=number)),
                draft=draft["text"] if draft else "",
                timeline=[row["what"] for row in _all(db, "history", ticket=number)],
            )

    def is_open(self, ticket: str) -> bool:
        with transaction(self.path) as db:
            row = _one(db, "ticket", ticket=_number(ticket))
        return row is not None and row["status"] == "open"

    def opened_by(self, ticket: str, customer: str) -> str | None:
        """Digest of the mail with which a customer's ticket was opened; None when they have no such ticket."""
        with transaction(self.path) as db:
            row = _one(db, "ticket", ticket=_number(ticket))
        return row["mail"] if row is not None and row["customer"] == customer else None

    def ticket_under(self, key: str) -> str | None:
        """The number of the ticket that was opened under this key; None when none was."""
        with transaction(self.path) as db:
            row = _one(db, "ticket_by_key", key=key)
        return f"T-{row['id']:06}" if row else None

    def refund_under(self, key: str) -> str | None:
        """The id of the refund that was made under this key; None when none was."""
        with transaction(self.path) as db:
            row = _one(db, "refund_by_key", key=key)
        return f"R-{row['id']:06}" if row else None

    def outgoing_under(self, key: str) -> Outgoing | None:
        """The mail under this key."""
        with transaction(self.path) as db:
            row = _one(db, "outgoing_by_key", key=key)
        if row is None:
            return None
        return Outgoing(
            id=f"M-{row['id']:06}", recipient=row["recipient"], subject=row["subject"], text=row["text"],
            status=row["status"],
        )  # fmt: skip

    def listed(self, query: Literal["tickets", "refunds", "outgoing", "alerts"]) -> list[dict[str, Any]]:
        """All rows of a kind, for those who look at the helpdesk itself."""
        with transaction(self.path) as db:
            return [dict(row) for row in _all(db, query)]

    # --- writing ---

    def open_ticket(self, mail: Mail, customer: str, priority: str, due: datetime, key: str) -> str:
        """Open a ticket with its first mail and answer with its number."""
        self._may_fail("open_ticket")
        known = self.ticket_under(key)
        if known:
            return known
        with transaction(self.path) as db:
            row = _one(
                db, "add_ticket", customer=customer, mail=mail.digest, subject=mail.subject, priority=priority,
                due=due.isoformat(), key=key,
            )  # fmt: skip
            _run(db, "add_letter", ticket=row["id"], direction="in", subject=mail.subject, text=_text(mail), key=key)
            _run(db, "add_history", ticket=row["id"], what=f"mail: {mail.subject}")
        return f"T-{row['id']:06}"

    def add_letter(self, ticket: str, mail: Mail, key: str) -> None:
        """Add a mail that came in to the thread."""
        with transaction(self.path) as db:
            _once(db, ticket, f"mail: {mail.subject}", "add_letter", direction="in", subject=mail.subject, text=_text(mail), key=key)  # fmt: skip

    def route(self, ticket: str, intent: str, sentiment: str, queue: str) -> None:
        """Say what a ticket is about and who works on it; saying it twice is the same as once."""
        with transaction(self.path) as db:
            _run(db, "route_ticket", ticket=_number(ticket), intent=intent, sentiment=sentiment, queue=queue)

    def draft(self, ticket: str, text: str, key: str) -> str:
        """Write down a reply that nobody has sent."""
        with transaction(self.path) as db:
            _once(db, ticket, "reply drafted", "add_draft", text=text, key=key)
            return f"D-{_one(db, 'draft_by_key', key=key)['id']:06}"

    def refund(self, ticket: str, order: str, amount: Decimal, currency: str, key: str) -> str:
        """Give money back; raises RefusedByHelpdesk when it is not this customer's order, or more than is left."""
        known = self.refund_under(key)
        if known:
            return known
        with transaction(self.path) as db:
            found = next((each for each in _orders(db, ticket) if each.number == order), None)
            if found is None or found.currency != currency:
                raise RefusedByHelpdesk(f"the customer of {ticket} has no order {order} in {currency}")
            if amount <= 0 or amount > found.total - found.refunded:
                raise RefusedByHelpdesk(f"{amount} {currency} of {order} cannot be given back")
            number = _number(ticket)
            row = _one(db, "add_refund", ticket=number, number=order, amount=f"{amount:f}", currency=currency, key=key)
            _run(db, "add_history", ticket=number, what=f"refunded {amount:f} {currency} of {order}")
        return f"R-{row['id']:06}"

    def queue_mail(self, ticket: str, text: str, key: str) -> None:
        """Put a mail to the customer of a ticket into the outgoing queue."""
        number = _number(ticket)
        with transaction(self.path) as db:
            subject = f"Re: {_one(db, 'ticket', ticket=number)['subject']} [{ticket}]"
            _run(db, "add_outgoing", ticket=number, subject=subject, text=text, key=key)

    def mark_mail(self, ticket: str, status: Literal["queued", "sending", "sent"], key: str) -> None:
        """Note how far a mail has come; one that was sent belongs to the thread."""
        with transaction(self.path) as db:
            _run(db, "set_outgoing", status=status, key=key)
            if status == "sent":
                mail = _one(db, "outgoing_by_key", key=key)
                _once(db, ticket, "reply sent", "add_letter", direction="out", subject=mail["subject"],
                      text=mail["text"], key=key)  # fmt: skip

    def close(self, ticket: str, status: str) -> None:
        with transaction(self.path) as db:
            _run(db, "set_status", ticket=_number(ticket), status=status)

    def raise_priority(self, ticket: str) -> None:
        with transaction(self.path) as db:
            _run(db, "raise_priority", ticket=_number(ticket))

    def alert(self, recipient: str, message: str, key: str) -> None:
        with transaction(self.path) as db:
            _run(db, "add_alert", recipient=recipient, message=message, key=key)

    # --- failures on demand, for tests ---

    def fail(self, operation: str, times: int) -> None:
        """Let an operation fail so many times."""
        with transaction(self.path) as db:
            _run(db, "add_outage", operation=operation, times=times)

    def _may_fail(self, operation: str) -> None:
        with transaction(self.path) as db:
            fails = _one(db, "take_outage", operation=operation) is not None
        if fails:
            raise HelpdeskUnavailable(f"{operation}: the helpdesk does not answer")

    # --- the file ---


def _seed(db: sqlite3.Connection, today: date) -> None:
    """Give a new helpdesk its customers, with orders counted back from a day."""
    for statement in (HERE / "helpdesk_schema.sql").read_text(encoding="utf-8").split(";\n"):
        db.execute(statement)
    for number, name, email, tier in CUSTOMERS:
        _run(db, "add_customer", id=number, name=name, email=email, tier=tier)
    for number, customer, product, days, total, payment in ORDERS:
        ordered = (today - timedelta(days=days)).isoformat()
        _run(db, "add_order", number=number, customer=customer, product=product, ordered=ordered, total=total,
             currency="EUR")  # fmt: skip
        _run(db, "add_payment", number=number, status=payment, account=f"account of {customer}")
    for customer, plan, days, terms in SUBSCRIPTIONS:
        renews = (today + timedelta(days=days)).isoformat()
        _run(db, "add_subscription", customer=customer, plan=plan, renews=renews, terms=terms)
    for domain in BLOCKED:
        _run(db, "add_blocked_domain", domain=domain)
    db.execute("PRAGMA user_version = 1")


def _run(db: sqlite3.Connection, query: str, **parameters: Any) -> int:
    """Change something, and answer with how many rows changed."""
    return db.execute(queries()[query], parameters).rowcount


def _once(db: sqlite3.Connection, ticket: str, what: str, query: str, **parameters: Any) -> None:
    """Add a row to a ticket once per key, and say so in its history."""
    if _run(db, query, ticket=_number(ticket), **parameters):
        _run(db, "add_history", ticket=_number(ticket), what=what)


def _all(db: sqlite3.Connection, query: str, **parameters: Any) -> list[sqlite3.Row]:
    return db.execute(queries()[query], parameters).fetchall()


def _one(db: sqlite3.Connection, query: str, **parameters: Any) -> Any:
    """The first row, or None."""
    return db.execute(queries()[query], parameters).fetchone()


def _orders(db: sqlite3.Connection, ticket: str) -> list[Order]:
    return [
        Order.model_validate({**dict(row), "refunded": _sum(_all(db, "amounts_refunded", number=row["number"]))})
        for row in _all(db, "orders", ticket=_number(ticket))
    ]


def _customer(row: sqlite3.Row | None) -> Customer | None:
    return Customer.model_validate(dict(row)) if row else None


def _text(mail: Mail) -> str:
    return "\n".join(mail.lines)


def _sum(rows: list[sqlite3.Row]) -> Decimal:
    """Money is text, so it is added here and not by SQLite."""
    return sum((Decimal(row["amount"]) for row in rows), Decimal("0.00"))


def _number(ticket: str) -> int:
    """The id in a ticket's number; one that is none finds nothing."""
    digits = ticket.removeprefix("T-")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0
