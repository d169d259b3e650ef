"""The execution log of a case, for its process owner: what happened, why, who did it, when, under which version.

Pure: events and the stored definition in, lines out. How lines look on a screen is the command line's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias, cast

from backstay import events as ev
from backstay.engine.cancelling import in_words
from backstay.engine.frames import stop_reason
from backstay.events import Event
from backstay.language import Program
from backstay.operations.decisions import Decisions, repeated
from backstay.operations.items import given_to, in_place
from backstay.operations.wording import moment, pairs, plain, span
from backstay.store.views import Run, Stored
from backstay.types import Json

ASKED: Final = "ask_model"
"""The action by which an agent asks its model."""

MOST_ABOUT: Final = 90
"""Characters of what people were asked that a line repeats."""

Mark: TypeAlias = Literal[
    "start",
    "decision",
    "action",
    "retry",
    "error",
    "problem",
    "asked",
    "answered",
    "rejected",
    "wait",
    "note",
    "undo",
    "end",
    "failed",
]
"""start: what set it off. decision: a branch or rule. action: something was done. retry, error: it did not work.
problem: it did not work, and a person must act.
asked, answered, rejected: a person is needed, has decided or worked, has said no or nothing. wait: time, signals, children. undo: a compensation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that happened."""

    at: str
    by: str
    """A person or service, or WORKFLOW@VERSION for the run itself."""
    version: str
    mark: Mark
    text: str
    details: tuple[tuple[str, str], ...] = ()
    """(label, value); the label may be empty."""
    events: tuple[int, ...] = ()
    """Numbers of the events it tells of."""
    step: str = ""
    line: int | None = None
    """Line of the workflow's source."""
    data: Json = None
    """The decision as the journal has it, for machines."""

    def as_json(self) -> dict[str, Json]:
        return {**asdict(self), "details": [{"label": label, "value": value} for label, value in self.details]}


@dataclass
class Teller:
    """Turns the events of one run into lines; remembers what later events refer back to."""

    workflow: str
    version: str
    program: Program | None
    lines: list[Line] = field(default_factory=list[Line])
    opened: dict[str, Event] = field(default_factory=dict[str, Event])
    """command -> the event that asked somebody or something outside."""
    asking: dict[str, ev.ApprovalRequested | ev.TaskOpened] = field(
        default_factory=dict[str, ev.ApprovalRequested | ev.TaskOpened]
    )
    """What people were asked and have not answered yet."""
    intents: dict[str, tuple[int, ev.CallIntended]] = field(default_factory=dict[str, tuple[int, ev.CallIntended]])
    """Calls whose outcome has not been told yet."""
    deciders: dict[str, str] = field(default_factory=dict[str, str])
    actions: dict[str, str] = field(default_factory=dict[str, str])
    told: set[str] = field(default_factory=set[str])
    """Values that an earlier line has shown."""
    alone: bool = False
    """Each line stands by itself, among those of other runs."""
    began: str = ""

    @property
    def actor(self) -> str:
        return f"{self.workflow}@{self.version[:7]}"

    @cached_property
    def decisions(self) -> Decisions:
        return Decisions(self.program)

    def tell(self, stored: Stored) -> None:
        event = stored.event
        self.began = self.began or event.at
        self.path(stored)
        if isinstance(event, ev.CallIntended):
            self.intents[event.command] = (stored.seq, event)
            self.actions[event.command] = event.action
            return
        handler = TELLERS.get(type(event))
        if handler is not None:
            handler(self, stored.seq, event)

    def add(self, seq: int, event: Event, mark: Mark, text: str, details: Any = (), **more: Any) -> None:
        who = event.by or self.actor
        seqs, line = (seq,), None
        command, step = getattr(event, "command", ""), getattr(event, "site", "")
        intent = self.intents.pop(command, None)
        if intent is not None:
            seqs = (intent[0], seq)
        if self.program is not None and step:
            line = self.program.line_of(step.split(".undo")[0])
        more = {"step": step, "line": line, "events": seqs} | more
        known = repeated(details, set() if self.alone else self.told)
        told = Line(at=event.at, by=who, version=self.version, mark=mark, text=text, details=known, **more)
        self.lines.append(told)

    def take(self) -> list[Line]:
        """The lines since last time."""
        taken, self.lines = self.lines, []
        return taken

    def finish(self) -> None:
        """Calls that were begun and never heard of again come last: their outcome is not known yet."""
        for seq, intent in list(self.intents.values()):
            del self.intents[intent.command]
            words = f"{self.about(intent.command, intent.action)} was begun; its outcome is not recorded yet"
            self.add(seq, intent, "action", words, pairs(intent.args))

    # --- decisions ---

    def path(self, stored: Stored) -> None:
        for told in self.decisions.fold(getattr(stored.event, "path", None) or ()):
            text, details = self.decisions.tell(told)
            self.lines.append(
                Line(
                    at=stored.event.at, by=self.actor, version=self.version, mark="decision", text=text,
                    details=repeated(details, set() if self.alone else self.told), events=(stored.seq,), step=told.step,
                    line=self.program.line_of(told.step) if self.program else None, data=told.entries(),
                )
            )  # fmt: skip

    # --- calls ---

    def about(self, command: str, action: str) -> str:
        if not command.startswith("c"):
            return action
        undone = self.actions.get(command[1:], "")
        return f"{action} (undoes {undone})" if undone else action

    def mark(self, command: str) -> Mark:
        return "undo" if command.startswith("c") else "action"

    def given(self, event: Any) -> list[tuple[str, str]]:
        """The arguments, and under whose authority the call was made."""
        intent = self.intents.get(event.command)
        details = pairs(intent[1].args if intent else getattr(event, "args", None))
        if intent and intent[1].approval:
            details.append(("approved by", self.deciders.get(intent[1].approval, "a person")))
        return details

    def returned(self, seq: int, event: ev.CallReturned) -> None:
        if event.action == ASKED and isinstance(event.result, dict):
            self.replied(seq, event, event.result)
            return
        again = f", attempt {event.attempt}" if event.attempt > 1 else ""
        result = _kept_aside(event, "/result") or plain(event.result)
        words = f"{self.about(event.command, event.action)}{again}"
        self.add(seq, event, self.mark(event.command), words, [*self.given(event), ("→", result)])

    def wanted(self, seq: int, event: ev.CallAsked) -> None:
        self.add(seq, event, "action", f"The loop outside wants {event.tool}", pairs(event.args))

    def replied(self, seq: int, event: ev.CallReturned, reply: dict[str, Json]) -> None:
        """What an agent's model answered: which tools it wants, or what it says, and what that cost."""
        calls = cast("list[dict[str, Json]]", reply.get("calls") or [])
        wants = ", ".join(str(call.get("tool")) for call in calls)
        given = [(str(call.get("tool")), plain(call.get("problem") or call.get("args"))) for call in calls]
        said = [("says", plain(reply["text"]))] if reply.get("text") else []
        usd = "price unknown" if reply.get("usd") is None else f"{reply['usd']} USD"
        tokens = f"{reply.get('input_tokens', 0)} tokens in, {reply.get('output_tokens', 0)} out, {usd}"
        words = f"{reply.get('model') or 'the model'} wants {wants}" if calls else f"{reply.get('model')} answers"
        self.add(seq, event, self.mark(event.command), words, [*said, *given, ("cost", tokens)])

    def attempt_failed(self, seq: int, event: ev.AttemptFailed) -> None:
        again = f"tried again at {moment(event.retry_at, date=False)}"
        details = [*self.given(event), ("error", _fault(event.fault)), ("next", again)]
        self.add(
            seq, event, "retry", f"{self.about(event.command, event.action)}: attempt {event.attempt} failed", details
        )

    def call_failed(self, seq: int, event: ev.CallFailed) -> None:
        details = [*self.given(event), ("error", _fault(event.fault))]
        words = f"{self.about(event.command, event.action)} failed for good after {event.attempt} attempt(s)"
        self.add(seq, event, "error", words, details)

    def denied(self, seq: int, event: ev.CallDenied) -> None:
        self.add(
            seq, event, "problem", f"{event.action} was not allowed", [("by", event.stage), ("reason", event.reason)]
        )

    def drafted(self, seq: int, event: ev.CallDrafted) -> None:
        details = [*self.given(event), ("rule", event.rule), ("reason", event.reason)]
        self.add(seq, event, "problem", f"{event.action} was written down and not done", details)

    def queued(self, seq: int, event: ev.CallQueued) -> None:
        self.opened[event.command], self.actions[event.command] = event, event.action
        details = [*self.given(event), ("error", _fault(event.fault)), ("suggestion", event.suggestion)]
        self.add(seq, event, "problem", f"{event.action} waits in {event.queue}", details)

    def retried(self, seq: int, event: ev.CallRetried) -> None:
        words = f"{self.actions.get(event.command, 'the call')} is tried again"
        self.add(seq, event, "answered" if event.by else "retry", words, [("reason", event.reason), *self.took(event)])

    def unknown(self, seq: int, event: ev.CallUnknown) -> None:
        self.opened[event.command] = event
        details = [*self.given(event), ("why", event.reason), ("settled by", event.queue)]
        self.add(seq, event, "problem", f"Nobody can tell whether {event.action} happened", details)

    def settled(self, seq: int, event: ev.CallSettled) -> None:
        action = self.actions.get(event.command, "the call")
        words = f"{action}: {SETTLED[event.outcome] if event.by else 'it did not happen'}"
        self.add(
            seq,
            event,
            "answered" if event.by else "error",
            words,
            [("reason", event.reason), *pairs(event.result), *self.took(event)],
        )

    # --- people ---

    def took(self, event: Any) -> list[tuple[str, str]]:
        asked = self.opened.get(event.command)
        return [("after", span(asked.at, event.at))] if asked is not None else []

    def approval_requested(self, seq: int, event: ev.ApprovalRequested) -> None:
        self.opened[event.command] = self.asking[event.command] = event
        if event.action:
            self.actions[event.command] = event.action
        asked = f"{event.action} needs a decision by {event.queue}" if event.action else f"{event.queue} must decide"
        asked += f": {event.title}" if event.title else ""
        shown = pairs(event.args) or _shown(event)
        details = [*shown, ("reason", event.reason), ("evidence", plain(event.evidence) if event.evidence else "")]
        details.append(("not by", ", ".join(event.exclude or ())))
        self.add(seq, event, "asked", asked, [*details, *_due(event.due)])

    def approval_decided(self, seq: int, event: ev.ApprovalDecided) -> None:
        self.asking.pop(event.command, None)
        votes = [f"{vote['by']} {vote['verdict']}" for vote in event.votes or ()]
        self.deciders[event.command] = ", ".join(str(vote["by"]) for vote in event.votes or ()) or event.by
        words = in_place(event, VERDICTS[event.verdict])
        reason = "" if event.verdict == "expired" else event.reason
        details = [("code", event.code), ("reason", reason), ("votes", ", ".join(votes)), *self.took(event)]
        self.add(seq, event, "answered" if event.verdict == "approved" else "rejected", words, details)

    def vote_cast(self, seq: int, event: ev.VoteCast) -> None:
        words = in_place(event, f"Voted: {event.verdict}")
        details = [("code", event.code), ("reason", event.reason), *self.took(event)]
        self.add(seq, event, "answered" if event.verdict == "approved" else "rejected", words, details)

    def task_opened(self, seq: int, event: ev.TaskOpened) -> None:
        self.opened[event.command] = self.asking[event.command] = event
        title = f": {event.title}" if event.title else ""
        self.add(seq, event, "asked", f"Task for {event.queue}{title}", [*_shown(event), *_due(event.due)])

    def task_completed(self, seq: int, event: ev.TaskCompleted) -> None:
        self.asking.pop(event.command, None)
        self.add(seq, event, "answered", in_place(event, "Task done"), [*pairs(event.value), *self.took(event)])

    def claimed(self, seq: int, event: ev.ItemClaimed) -> None:
        until = [("until", moment(event.until))] if event.until else []
        self.add(seq, event, "answered", in_place(event, "Took it on"), [*until, *self.took(event)])

    def released(self, seq: int, event: ev.ItemReleased) -> None:
        if event.by:
            self.add(seq, event, "answered", "Gave it back to the queue")
        else:
            self.add(seq, event, "wait", "Its time with one person ran out; it is back in the queue")

    def reassigned(self, seq: int, event: ev.ItemReassigned) -> None:
        self.add(seq, event, "asked", f"Gave it to {given_to(event)}", [("reason", event.reason)])

    def asked(self, seq: int, event: ev.ItemAsked) -> None:
        self.add(seq, event, "asked", "Asked back; the clock stands still", [("question", plain(event.question))])

    def item_answered(self, seq: int, event: ev.ItemAnswered) -> None:
        self.add(seq, event, "answered", "Answered", [("answer", plain(event.answer)), *_due(event.due)])

    def commented(self, seq: int, event: ev.ItemCommented) -> None:
        files = [("file", f"{one['name']}, {one['bytes']} bytes, {one['digest']}") for one in event.files or ()]
        self.add(seq, event, "note", f"Comment: {plain(event.text)}", files)

    def reminded(self, seq: int, event: ev.ItemReminded) -> None:
        self.add(seq, event, "wait", "Nobody has acted yet; the queue was reminded", self.took(event))

    def escalated(self, seq: int, event: ev.ItemEscalated) -> None:
        words = f"Nobody acted in time; it moved on to {event.queue}"
        self.add(seq, event, "asked", words, [*_due(event.due), *self.took(event)])

    # --- time, signals, children, values ---

    def timer_set(self, seq: int, event: ev.TimerSet) -> None:
        self.opened[event.command] = event
        self.add(seq, event, "wait", f"Waits until {moment(event.due)}")

    def timer_fired(self, seq: int, event: ev.TimerFired) -> None:
        opened = self.opened.get(event.command)
        missed = f"“{opened.name}” did not come in time" if isinstance(opened, ev.WaitOpened) else ""
        self.add(seq, event, "wait", missed or "The time has come", self.took(event))

    def wait_opened(self, seq: int, event: ev.WaitOpened) -> None:
        self.opened[event.command] = event
        self.add(seq, event, "wait", f"Waits for “{event.name}”", _due(event.due))

    def signal(self, seq: int, event: ev.SignalReceived) -> None:
        self.add(seq, event, "answered", f"“{event.name}” came in", pairs(event.payload))

    def child_started(self, seq: int, event: ev.ChildStarted) -> None:
        self.opened[event.command] = event
        words = "Starts" if event.detached else "Starts and waits for"
        self.add(seq, event, "wait", f"{words} {event.workflow}", [("run", event.run)])

    def child_ended(self, seq: int, event: ev.ChildEnded) -> None:
        opened = self.opened.get(event.command)
        name = opened.workflow if isinstance(opened, ev.ChildStarted) else "the child run"
        details = [("→", plain(event.result))] if event.status == "finished" else [("reason", event.reason)]
        self.add(seq, event, "wait", f"{name} {event.status}", [*details, *self.took(event)])

    def drawn(self, seq: int, event: ev.Drawn) -> None:
        words = DRAWN.get(event.what, event.what)
        value = moment(event.value) if event.what == "now" else _kept_aside(event, "/value") or plain(event.value)
        self.add(seq, event, "note", words.format(name=event.name), [("→", value)])

    def noted(self, seq: int, event: ev.Noted) -> None:
        self.add(seq, event, "note", f"Note: {plain(event.text)}", pairs(event.data))

    # --- begin and end ---

    def withdrawn(self, seq: int, event: Event) -> None:
        """What people were asked and nobody answered: the run went on or ended without it."""
        for asked in self.asking.values():
            action = asked.action if isinstance(asked, ev.ApprovalRequested) else ""
            about = plain(": ".join(filter(None, (action, asked.title))), MOST_ABOUT) if action or asked.title else ""
            words = f"Withdrawn, as the case went on or ended without it: {about or f'what {asked.queue} was asked'}"
            self.add(seq, event, "wait", words, [("asked of", asked.queue), ("after", span(asked.at, event.at))])
        self.asking.clear()

    def started(self, seq: int, event: ev.RunStarted) -> None:
        details = [*pairs(event.input), ("key", plain(event.key) if event.key else ""), ("trigger", event.trigger)]
        details.append(("for", event.requester or ""))
        aside = _kept_aside(event, "/input")
        self.add(
            seq, event, "start", f"{event.workflow} was started", [*details, ("input", aside)] if aside else details
        )

    def cancel(self, seq: int, event: ev.CancelRequested) -> None:
        self.add(seq, event, "answered", "Asked to stop the run", [("reason", event.reason)])

    def deadline(self, seq: int, event: ev.DeadlinePassed) -> None:
        self.add(seq, event, "problem", "The deadline of the workflow has passed")

    def finished(self, seq: int, event: ev.RunFinished) -> None:
        self.withdrawn(seq, event)
        result = _kept_aside(event, "/result") or plain(event.result)
        stopped = stop_reason(event.result) if self.program is not None and self.program.agent else ""
        details = [("→", result), ("took", span(self.began, event.at))]
        if stopped:
            self.add(seq, event, "failed", f"Finished without its goal; the agent stopped: {stopped}", details)
        else:
            self.add(seq, event, "end", "Finished", details)

    def failed(self, seq: int, event: ev.RunFailed) -> None:
        self.withdrawn(seq, event)
        where = {"line": event.fault.line} if event.fault.line else {}
        self.add(
            seq,
            event,
            "failed",
            "Failed",
            [("error", _fault(event.fault)), ("took", span(self.began, event.at))],
            **where,
        )

    def cancelled(self, seq: int, event: ev.RunCancelled) -> None:
        self.withdrawn(seq, event)
        left = [("not undone", in_words(effect)) for effect in event.not_undone or ()]
        took = ("took", span(self.began, event.at))
        self.add(seq, event, "failed", "Cancelled", [("reason", event.reason), *left, took])

    def attention(self, seq: int, event: ev.AttentionRaised) -> None:
        self.add(seq, event, "problem", "Cannot go on by itself; an operator must look", [("why", event.reason)])

    def cleared(self, seq: int, event: ev.AttentionCleared) -> None:
        self.add(seq, event, "answered", "Told it to try again", [("reason", event.reason)])


def tell(run: Run, stored: Sequence[Stored], program: Program | None = None) -> list[Line]:
    """The log of a run: one line per decision, action, person, wait and end. `program` adds lines of the source."""
    teller = Teller(run.workflow, run.version, program)
    for item in stored:
        teller.tell(item)
    teller.finish()
    return teller.take()


def _fault(fault: ev.Fault) -> str:
    return plain(f"{fault.type}: {fault.message}")


def _due(due: str | None) -> list[tuple[str, str]]:
    return [("due", moment(due))] if due else []


def _shown(event: ev.ApprovalRequested | ev.TaskOpened) -> list[tuple[str, str]]:
    aside = _kept_aside(event, "/show")
    return [("shown", aside)] if aside else pairs(event.show)


def _kept_aside(event: Any, pointer: str) -> str:
    large = (event.refs or {}).get(pointer, "").startswith("blob:")
    return "a large value, kept beside the journal" if large else ""


SETTLED: Final = {"happened": "it did happen", "not-happened": "it did not happen; tried again", "give-up": "given up"}
VERDICTS: Final = {
    "approved": "Approved",
    "rejected": "Rejected",
    "expired": "Nobody decided in time; it counts as rejected",
}
DRAWN: Final = {
    "now": "Looks at the clock",
    "random": "Draws a number",
    "new_id": "Makes an identifier",
    "setting": "Looks up the setting “{name}”",
}

TELLERS: Final[dict[type[Event], Callable[[Teller, int, Any], None]]] = {
    ev.RunStarted: Teller.started,
    ev.CancelRequested: Teller.cancel,
    ev.DeadlinePassed: Teller.deadline,
    ev.RunFinished: Teller.finished,
    ev.RunFailed: Teller.failed,
    ev.RunCancelled: Teller.cancelled,
    ev.AttentionRaised: Teller.attention,
    ev.AttentionCleared: Teller.cleared,
    ev.CallAsked: Teller.wanted,
    ev.CallReturned: Teller.returned,
    ev.AttemptFailed: Teller.attempt_failed,
    ev.CallFailed: Teller.call_failed,
    ev.CallDenied: Teller.denied,
    ev.CallDrafted: Teller.drafted,
    ev.CallQueued: Teller.queued,
    ev.CallRetried: Teller.retried,
    ev.CallUnknown: Teller.unknown,
    ev.CallSettled: Teller.settled,
    ev.ApprovalRequested: Teller.approval_requested,
    ev.ApprovalDecided: Teller.approval_decided,
    ev.TaskOpened: Teller.task_opened,
    ev.TaskCompleted: Teller.task_completed,
    ev.ItemClaimed: Teller.claimed,
    ev.ItemReleased: Teller.released,
    ev.ItemReassigned: Teller.reassigned,
    ev.ItemAsked: Teller.asked,
    ev.ItemAnswered: Teller.item_answered,
    ev.ItemCommented: Teller.commented,
    ev.ItemReminded: Teller.reminded,
    ev.ItemEscalated: Teller.escalated,
    ev.VoteCast: Teller.vote_cast,
    ev.TimerSet: Teller.timer_set,
    ev.TimerFired: Teller.timer_fired,
    ev.WaitOpened: Teller.wait_opened,
    ev.SignalReceived: Teller.signal,
    ev.ChildStarted: Teller.child_started,
    ev.ChildEnded: Teller.child_ended,
    ev.Drawn: Teller.drawn,
    ev.Noted: Teller.noted,
}
"""How each event is told. An intent waits for its outcome and is told with it."""
