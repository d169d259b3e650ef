"""Proposals: what became of each thing that people were asked to approve, read from a run's journal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from backstay import events as ev
from backstay.store.views import Stored

State: TypeAlias = Literal["proposed", "claimed", "granted", "consumed", "rejected", "expired", "withdrawn"]
"""proposed: nobody has it. claimed: somebody does. granted: approved, and not used yet. consumed: the effect that it was
given for was intended, in the same transaction. rejected, expired: the answer was no. withdrawn: the run went on or ended
without it. An approval that is bound to no action stays granted."""


@dataclass(slots=True, kw_only=True)
class Proposal:
    """One approval and how it stands."""

    command: str
    state: State
    queue: str
    action: str | None
    digest: str | None
    """What it is bound to; None for an approval of no particular action."""
    shown: str
    """Digest of what was looked at, with the rules in force."""
    asked_at: str
    decided_at: str | None = None
    by: str = ""
    """Who has claimed or decided it."""
    behalf: str = ""
    reason: str = ""
    code: str = ""
    votes: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    quorum: int = 1


def proposals(stored: Iterable[Stored]) -> list[Proposal]:
    """Every proposal of a run, in the order in which they were made."""
    found: dict[str, Proposal] = {}
    for item in stored:
        event: Any = item.event
        if isinstance(event, ev.ApprovalRequested):
            found[event.command] = Proposal(
                command=event.command, state="proposed", queue=event.queue, action=event.action, digest=event.digest,
                shown=event.shown, asked_at=event.at, quorum=event.quorum,
            )  # fmt: skip
        elif isinstance(event, ev.RunFinished | ev.RunFailed | ev.RunCancelled | ev.CancelRequested):
            _withdraw(found.values())
        elif isinstance(event, ev.CallIntended | ev.CallReturned):
            if event.approval is not None and event.approval in found:
                found[event.approval].state = "consumed"
        elif (proposal := found.get(getattr(event, "command", ""))) is not None:
            _change(proposal, event)
    return list(found.values())


def _change(proposal: Proposal, event: Any) -> None:
    if isinstance(event, ev.ItemClaimed):
        proposal.state, proposal.by, proposal.behalf = "claimed", event.by, event.behalf
    elif isinstance(event, ev.ItemReleased):
        proposal.state, proposal.by, proposal.behalf = "proposed", "", ""
    elif isinstance(event, ev.ItemReassigned | ev.ItemEscalated):
        proposal.state, proposal.queue, proposal.by = "proposed", event.queue, ""
    elif isinstance(event, ev.VoteCast):
        proposal.state, proposal.by = "proposed", ""
        proposal.votes.append({"by": event.by, "verdict": event.verdict, "reason": event.reason, "at": event.at})
    elif isinstance(event, ev.ApprovalDecided):
        proposal.state = "granted" if event.verdict == "approved" else event.verdict
        proposal.by, proposal.behalf, proposal.decided_at = event.by, event.behalf, event.at
        proposal.reason, proposal.code = event.reason, event.code
        proposal.votes = event.votes or proposal.votes


def _withdraw(proposals: Iterable[Proposal]) -> None:
    for proposal in proposals:
        if proposal.state in ("proposed", "claimed"):
            proposal.state = "withdrawn"
