"""The nouns of contract intake: what arrived, what reviewers fill in, and how a case can end."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Verdict = Literal["fine", "conditions", "stop"]


class Frozen(BaseModel):
    """Base of everything that travels through the process."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Offer(Frozen):
    """A contract as it arrived: what its requester says about it, and where its text is kept."""

    reference: str = Field(pattern=r"^[A-Z]{2}-\d{4}-\d{3}$")
    title: str
    counterparty: str
    kind: Literal["services", "software", "cloud"]
    value: Decimal = Field(gt=0)
    """Over the whole term, in euro."""
    months: int = Field(gt=0)
    personal_data: bool
    requester: str
    valid_until: datetime
    """The moment at which the counterparty is no longer bound."""
    text: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the contract's text, under which it is kept."""


class Clause(Frozen):
    """A sentence that a lawyer should see."""

    what: str
    quote: str


class Reading(Frozen):
    """What was found in the text of a contract."""

    words: int
    clauses: list[Clause]


class Finding(Frozen):
    """What a review came to."""

    review: str
    verdict: Verdict
    code: str = ""
    """Why not, in one word; empty unless the verdict is "stop"."""
    conditions: list[str] = []
    facts: dict[str, str] = {}


class LegalReview(Frozen):
    """What a lawyer fills in."""

    verdict: Verdict
    governing_law: str
    liability_capped: bool
    code: Literal["", "liability", "law", "term"] = ""
    conditions: list[str] = []

    def finding(self) -> Finding:
        facts = {"governing law": self.governing_law, "liability": "capped" if self.liability_capped else "unlimited"}
        return Finding(review="legal", verdict=self.verdict, code=self.code, conditions=self.conditions, facts=facts)


class SecurityReview(Frozen):
    """What security fills in."""

    verdict: Verdict
    data_stays_in: Literal["EU", "elsewhere", "unknown"]
    certificate: str = ""
    code: Literal["", "data-location", "no-evidence"] = ""
    conditions: list[str] = []

    def finding(self) -> Finding:
        facts = {"data": self.data_stays_in, "certificate": self.certificate or "none"}
        return Finding(review="security", verdict=self.verdict, code=self.code, conditions=self.conditions, facts=facts)


class ArchitectureReview(Frozen):
    """What an architect fills in."""

    verdict: Verdict
    replaces: str = ""
    exit_plan: bool
    code: Literal["", "duplicate", "no-exit"] = ""
    conditions: list[str] = []

    def finding(self) -> Finding:
        facts = {"replaces": self.replaces or "nothing", "exit plan": "yes" if self.exit_plan else "no"}
        return Finding(
            review="architecture", verdict=self.verdict, code=self.code, conditions=self.conditions, facts=facts
        )


class Clearance(Frozen):
    """Whether a contract may be signed, and what everybody said."""

    status: Literal["cleared", "stopped", "rejected"]
    code: str = ""
    reason: str = ""
    findings: list[Finding] = []


class NextStep(Frozen):
    """What the contract desk says when the signatories did not sign."""

    verdict: Literal["ask again", "drop"]
    comment: str = ""


class Outcome(Frozen):
    """How a case ended."""

    status: Literal["signed", "stopped", "rejected", "expired", "dropped"]
    """stopped: by a review. rejected: by those who approve. dropped: nobody wanted to sign."""
    code: str = ""
    reason: str = ""
    signature: str = ""
