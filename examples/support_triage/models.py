"""The nouns of support: mails, customers and what they bought, what the agent comes back with, what people fill in."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from backstay.types import FromOutside, Sensitive

Tier = Literal["standard", "business", "enterprise"]
Sentiment = Literal["calm", "unhappy", "angry"]
Intent = Literal["refund", "billing", "bug", "feature request", "cancellation", "other"]


class Frozen(BaseModel):
    """Base of everything that travels through the process."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Mail(Frozen):
    """A mail as it arrived, cut to size; outsiders wrote all of it, the sender's address included."""

    digest: Annotated[str, Field(max_length=64)]
    """SHA-256 of the file: the same mail twice is one case."""
    sender: FromOutside[Sensitive["pii"]] = ""
    subject: FromOutside[Annotated[str, Field(max_length=300)]] = ""
    lines: FromOutside[Annotated[list[Annotated[str, Field(max_length=2_000)]], Field(max_length=500)]] = []
    """Its text. A line that holds a private value, such as the signature, is hidden from models whole; others are not."""
    attachments: FromOutside[list[str]] = []
    """Names only; what is in them is not read."""
    problem: str = ""
    """Why it cannot be read; a person does."""


class Customer(Frozen):
    """Who writes, as the helpdesk knows them."""

    id: str
    name: Sensitive["pii"]
    email: Sensitive["pii"]
    tier: Tier


class Sender(Frozen):
    """What the helpdesk knows of an address."""

    customer: Customer | None = None
    blocked: bool = False
    """Nothing from this domain is worked on."""


class Order(Frozen):
    """What a customer bought, and what became of the money."""

    number: str
    product: str
    ordered: date
    total: Decimal
    currency: str
    payment: Literal["paid", "open", "failed"]
    refunded: Decimal
    """What was given back so far."""


class Subscription(Frozen):
    """What a customer has subscribed to."""

    plan: str
    status: Literal["active", "cancelled"]
    renews: date
    terms: str
    """What was agreed with this customer, besides the policy of the house."""


class Letter(Frozen):
    """One mail of a ticket's thread."""

    direction: Literal["in", "out"]
    subject: FromOutside[str]
    lines: FromOutside[list[str]]


class Record(Frozen):
    """How a ticket stands: what was paid back, and the newest draft of a reply."""

    ticket: str
    refunded: Decimal = Decimal(0)
    draft: FromOutside[str] = ""
    timeline: FromOutside[list[str]] = []


class Refund(Frozen):
    """What became of a refund."""

    status: Literal["refunded", "not refunded"]
    refund_id: str = ""
    amount: Decimal = Decimal(0)
    reason: str = ""


class Assessment(Frozen):
    """What the agent comes back with."""

    sentiment: Sentiment
    intent: Intent
    decision: Literal["refunded", "answered", "escalate"]
    """refunded: a refund was made, and a reply is drafted. answered: a reply is drafted. escalate: a person must decide."""
    order: str = ""
    conflict: str = ""
    """Which rules contradict each other, or what is unclear, when it escalates."""


# --- what people fill in ---


class MailRead(Frozen):
    """What a person reads from a mail that no program could."""

    verdict: Literal["read", "drop"]
    sender: Sensitive["pii"] = ""
    subject: str = ""
    text: str = ""


class SenderJudged(Frozen):
    """Who an unknown sender is."""

    verdict: Literal["customer", "drop"]
    customer_id: str = ""


class Triaged(Frozen):
    """What a person says a mail is about."""

    intent: Intent
    sentiment: Sentiment = "calm"


class Handled(Frozen):
    """How a person settles a ticket; a text is sent as it stands."""

    verdict: Literal["refund", "answer", "close"]
    order: str = ""
    amount: Decimal = Field(default=Decimal(0), ge=0)
    text: str = ""
    comment: str = ""


class Outcome(Frozen):
    """How a mail ended."""

    status: Literal["refunded", "answered", "closed", "unanswered", "dropped", "refused"]
    """unanswered: the customer did not say which order. dropped: a person put it away. refused: its domain is blocked."""
    ticket: str = ""
    intent: str = ""
    by: Literal["", "agent", "person"] = ""
    """Who settled it; what leaves the house was approved by a person in either case."""
