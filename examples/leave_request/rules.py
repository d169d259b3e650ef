"""The rules of leave, each small enough to be read aloud. Pure."""

from __future__ import annotations

from backstay import DecisionTable, Received, rule
from examples.leave_request.models import Facts, LeaveRequest, Person, Withdrawal

KINDS = ["annual", "unpaid", "special"]

NOTICE = DecisionTable(
    "notice",
    inputs={"kind": KINDS, "days": "number"},
    rows=[
        {"kind": "special", "then": 0},
        {"days": "<= 2", "then": 2},
        {"days": "<= 10", "then": 5},
        {"then": 20},
    ],
)
"""How many working days before its first day leave must be asked for."""

CHECK = DecisionTable(
    "check",
    inputs={
        "kind": KINDS, "days": "number", "left_after": "number", "late": "bool",
        "blackout": "bool", "own": "bool", "substitute_away": "bool",
    },
    rows=[
        {"days": "<= 0", "then": "there is no working day in it"},
        {"own": True, "then": "you have leave in these days already"},
        {"kind": "annual", "left_after": "< 0", "then": "you have not enough days left"},
        {"kind": "not special", "blackout": True, "then": "nobody of your site should be away then"},
        {"late": True, "then": "it is too short a notice"},
        {"substitute_away": True, "then": "your substitute is on leave then"},
        {"then": ""},
    ],
)  # fmt: skip
"""Why a request is refused without asking anybody; empty when it goes to people."""

DECIDERS = DecisionTable(
    "deciders",
    inputs={"kind": KINDS, "days": "number"},
    rows=[
        {"days": "> 15", "then": ["lead", "hr"]},
        {"kind": "unpaid", "then": ["lead", "hr"]},
        {"then": ["lead"]},
    ],
)
"""Who decides, one after the other."""


@rule
def why_refused(request: LeaveRequest, facts: Facts) -> str:
    """The reason in words; empty when people may decide."""
    if request.substitute == request.employee:
        return "nobody is their own substitute"
    if request.first_day.year != request.last_day.year:
        return "ask for each year separately"
    return CHECK(
        kind=request.kind, days=facts.days, left_after=facts.left - facts.days, blackout=len(facts.blackouts) > 0,
        late=facts.notice < NOTICE(kind=request.kind, days=facts.days), own=len(facts.own) > 0,
        substitute_away=len(facts.substitutes) > 0,
    )  # fmt: skip


@rule
def is_own(withdrawal: Received[Withdrawal], request: LeaveRequest) -> bool:
    """Nobody withdraws another's leave."""
    return withdrawal.by == request.employee


@rule
def deciders(request: LeaveRequest, person: Person, facts: Facts) -> list[str]:
    """The queues that must agree, in their order."""
    return [person.decided_in if who == "lead" else who for who in DECIDERS(kind=request.kind, days=facts.days)]
