"""What fails in an application, as a supervisor sees it: calls, runs, and the effects that still stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel

from backstay import events as ev
from backstay.events import Event
from backstay.governance.approvals import folded
from backstay.store.views import Run, Wait
from backstay.types import Effect, Outside

State: TypeAlias = Literal["queued", "undoing", "unknown", "attention", "failed"]
"""queued: its attempts ran out. undoing: what undoes an effect failed. unknown: nobody can tell whether it happened.
attention: the run cannot go on by itself. failed: the run has ended so."""

WAITS: Final[Mapping[str, State]] = {"queued": "queued", "unknown": "unknown", "attention": "attention"}
"""Kinds of waits that are a failure; what a breaker or a switch keeps back goes on by itself."""


class Failing(BaseModel):
    """A call that failed for good, or a run that cannot go on."""

    item: str
    """RUN/COMMAND, or the run where it has ended."""
    run: str
    workflow: str
    action: str = ""
    effect: Effect | Literal["none"] = "none"
    state: State
    since: str
    sent_back: int = 0
    """How often the supervision has retried it."""
    stands: list[str] = []
    """Effects of the run that happened, or may have, and are not undone."""
    fault: Annotated[str, Outside()] = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """An effect that was not undone."""

    intent: ev.CallIntended
    certain: bool
    """Whether it is known to have happened."""

    @property
    def moved(self) -> bool:
        """Whether money may have moved by it in a way that nothing here takes back."""
        return self.intent.effect == "irreversible" or not self.certain

    def __str__(self) -> str:
        return f"{self.intent.action} {'happened' if self.certain else 'may have happened'} ({self.intent.effect})"


def standing(events: Iterable[Event]) -> list[Standing]:
    """The effects of a run that happened or may have, and that were not undone."""
    found: dict[str, Standing] = {}
    for event in events:
        match event:
            case ev.CallIntended():
                found[event.command] = Standing(event, False)
            case ev.CallFailed() | ev.CallDenied() | ev.CallSettled(outcome="not-happened"):
                found.pop(event.command, None)
            case ev.CallReturned() | ev.CallSettled(outcome="happened") if event.command in found:
                done = found[event.command]
                found[event.command] = Standing(done.intent, True)
                if event.command.startswith("c"):  # it undid another
                    del found[event.command]
                    found.pop(event.command.removeprefix("c"), None)
            case _:
                pass
    return list(found.values())


def failing_call(wait: Wait, row: Run, events: Sequence[Event], stands: Sequence[Standing], by: str) -> Failing:
    """A call that waits, as its run's journal has it. by: whose retries are counted."""
    own = [event for event in events if getattr(event, "command", None) == wait.command]
    intents = [event for event in own if isinstance(event, ev.CallIntended)]
    retried = [event for event in own if isinstance(event, ev.CallRetried) and folded(event.by) == folded(by)]
    undoes = wait.kind == "queued" and wait.command.startswith("c")
    return Failing(
        item=wait.id, run=row.id, workflow=row.workflow, action=wait.subject, since=wait.opened_at, fault=wait.title,
        effect="none" if wait.kind == "attention" else intents[-1].effect if intents else "read",
        state="undoing" if undoes else WAITS[wait.kind], sent_back=len(retried), stands=[str(each) for each in stands],
    )  # fmt: skip


def failed_run(row: Run, stands: Sequence[Standing]) -> Failing:
    """A run that has failed."""
    return Failing(
        item=row.id, run=row.id, workflow=row.workflow, state="failed", since=row.updated_at, fault=row.summary or "",
        stands=[str(each) for each in stands],
    )  # fmt: skip
