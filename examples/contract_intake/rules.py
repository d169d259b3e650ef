"""The rules of contract intake: how risky it is, who reviews it in which order, and who approves. Pure."""

from __future__ import annotations

from backstay import DecisionTable, rule
from examples.contract_intake.models import Finding, Offer, Reading

RISKS = ["low", "medium", "high"]

RISK = DecisionTable(
    "risk",
    inputs={"value": "number", "months": "number", "personal_data": "bool", "clauses": "number"},
    rows=[
        {"value": ">= 250000", "then": "high"},
        {"clauses": ">= 3", "then": "high"},
        {"value": ">= 25000", "then": "medium"},
        {"personal_data": True, "then": "medium"},
        {"months": "> 36", "then": "medium"},
        {"clauses": "1..2", "then": "medium"},
        {"then": "low"},
    ],
)

REVIEWS = DecisionTable(
    "reviews",
    inputs={"kind": ["services", "software", "cloud"], "personal_data": "bool"},
    rows=[
        {"then": "legal"},
        {"personal_data": True, "then": "security"},
        {"kind": ["software", "cloud"], "then": "architecture"},
    ],
    hit="collect",
)
"""Who looks at it."""

ORDER = DecisionTable(
    "order",
    inputs={"risk": RISKS},
    rows=[
        {"risk": "high", "then": "one after the other"},
        {"then": "at once"},
    ],
)
"""With high risk each review builds on the one before it, and the first that says stop spares the rest."""

APPROVERS = DecisionTable(
    "approvers",
    inputs={"risk": RISKS},
    rows=[
        {"risk": "high", "then": {"queue": "board", "votes": 2}},
        {"then": {"queue": "head-of-purchasing", "votes": 1}},
    ],
)


@rule
def risk_of(offer: Offer, reading: Reading) -> str:
    return RISK(
        value=offer.value, months=offer.months, personal_data=offer.personal_data, clauses=len(reading.clauses)
    )  # fmt: skip


@rule
def stops(findings: list[Finding]) -> list[Finding]:
    """The findings with which nothing is signed."""
    return [finding for finding in findings if finding.verdict == "stop"]
