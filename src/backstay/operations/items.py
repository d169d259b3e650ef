"""One waiting item as the person sees it who must deal with it: what is shown, why it waits, what was said about it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from backstay import events as ev
from backstay.events import Event
from backstay.governance.approvals import folded
from backstay.governance.principals import Capability, Directory
from backstay.language import Program
from backstay.operations.decisions import Decisions
from backstay.operations.forms import Field, fields_of
from backstay.operations.wording import moment, plain
from backstay.store.views import Wait
from backstay.types import Json

OPENING: Final = (ev.ApprovalRequested, ev.TaskOpened, ev.CallQueued, ev.CallUnknown, ev.CallIntended)
LONG: Final = 600
"""Characters of a value that the view of a single item shows."""

COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "approval": ("approve {item}", "reject {item} --reason TEXT"),
    "queued": ("retry {item}", "settle {item} --happened --result JSON", "settle {item} --give-up --reason TEXT"),
    "diverted": ("retry {item}", "settle {item} --give-up --reason TEXT"),
    "switched": ("switch", "switch SCOPE --on"),
    "unknown": (
        "settle {item} --happened --result JSON", "settle {item} --not-happened", "settle {item} --give-up --reason TEXT",
    ),
    "attention": ("retry {item}",),
}  # fmt: skip
"""What may be typed for each kind of item; a task's command is made of its form."""

PAUSED: Final = ("answer {item} TEXT",)
"""What may be typed while a question is open."""

TAKES: Final[dict[str, Capability]] = {
    "approval": "decide", "task": "work", "queued": "settle", "unknown": "settle", "diverted": "retry",
    "switched": "retry", "attention": "retry",
}  # fmt: skip
"""What somebody must be able to do for an item of each kind to be theirs."""

LAST: Final = 3
"""Decisions before an item that are told with it; the log has the rest."""

ALL_OPTIONAL: Final = 2
"""Fields that the example of a form without required fields shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How a decision stands: what it is about, and who voted so far."""

    shown: str = ""
    """Digest of the proposal; a decision can name it, and then counts for nothing else."""
    args: Json = None
    """With what the call would be made that is to be decided."""
    quorum: int = 1
    votes: tuple[ev.VoteCast, ...] = ()
    excluded: tuple[str, ...] = ()
    """Whom the workflow does not let decide it; private names as pseudonyms."""

    @property
    def words(self) -> str:
        """The votes in a few words; empty where one person decides alone."""
        if self.quorum == 1:
            return ""
        against = len(self.votes) - self.approvals
        return f"{self.approvals} of {self.quorum} votes{f', {against} against' if against else ''}"

    @property
    def approvals(self) -> int:
        return sum(vote.verdict == "approved" for vote in self.votes)

    @property
    def still(self) -> str:
        """What is missing for an approval."""
        missing = self.quorum - self.approvals
        return f"still needs {missing} more vote{'' if missing == 1 else 's'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Something that happened to an item while it waited."""

    at: str
    by: str
    what: str
    text: str = ""
    files: tuple[dict[str, Json], ...] = ()

    def as_json(self) -> dict[str, Json]:
        return {"at": self.at, "by": self.by, "what": self.what, "text": self.text, "files": list(self.files)}

    @property
    def words(self) -> str:
        """On one line: when, who, what, and the files by the beginning of their digest."""
        kept = "".join(f" [{one['name']}, {one['bytes']} bytes, {str(one['digest'])[:12]}]" for one in self.files)
        return (
            f"{moment(self.at)} {' '.join(filter(None, (self.by, plain(self.text, LONG) if self.text else '')))}{kept}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A waiting item with what its event says."""

    wait: Wait
    show: Json = None
    why: str = ""
    action: str = ""
    args: Json = None
    evidence: Json = None
    error: str = ""
    suggestion: str = ""
    title: str = ""
    agent: str = ""
    """Whose run it is, if an agent's."""
    goal: str = ""
    """What that agent is after."""
    below: tuple[str, ...] = ()
    """Items of the child that it waits for, where a person has to do something."""
    decided: tuple[str, ...] = ()
    """The rules and branches that led here, in words."""
    form: Json = None
    """JSON Schema of the answer."""
    fields: tuple[Field, ...] = ()
    tally: Tally = Tally()
    reasons: tuple[str, ...] = ()
    """The queue's words, of which a rejection gives one."""
    history: tuple[Said, ...] = ()
    do: tuple[str, ...] = ()
    """Command lines, each after the program's name."""

    def as_json(self) -> dict[str, Json]:
        """What machines get besides the wait itself."""
        fields = [
            {"name": one.name, "type": one.type, "required": one.required, "allowed": list(one.allowed),
             "default": one.default, "about": one.about} | ({"variant": one.variant} if one.variant else {})
            for one in self.fields
        ]  # fmt: skip
        return {
            "agent": self.agent or None, "goal": self.goal or None, "show": self.show, "why": self.why, "action": self.action or None, "args": self.args,
            "decided": list(self.decided), "evidence": self.evidence, "error": self.error or None, "suggestion": self.suggestion or None,
            "form": self.form, "fields": fields, "shown": self.tally.shown or None, "quorum": self.tally.quorum,
            "exclude": list(self.tally.excluded), "reasons": list(self.reasons),
            "votes": [{"by": vote.by, "behalf": vote.behalf or None, "verdict": vote.verdict, "reason": vote.reason,
                       "code": vote.code or None, "at": vote.at} for vote in self.tally.votes],
            "history": [each.as_json() for each in self.history], "do": [f"backstay {line}" for line in self.do],
        }  # fmt: skip

    def facts(self) -> Iterator[tuple[str, str]]:
        """Labels and values, in the order in which somebody decides."""
        yield from (("needs", text) for text in self.below)
        said = isinstance(self.show, dict) and "agent" in self.show
        yield from (("agent", "" if said else self.agent), ("goal", self.goal))
        if self.action:
            yield "action", self.action
        yield from _pairs(self.args)
        yield from _pairs(self.show)
        yield "why", self.why
        yield from (("decided", text) for text in self.decided)
        yield "evidence", plain(self.evidence, LONG) if self.evidence else ""
        yield from (("error", self.error), ("suggestion", self.suggestion))
        yield "due", moment(self.wait.due_at) if self.wait.due_at else ""
        yield from self._standing()

    def _standing(self) -> Iterator[tuple[str, str]]:
        """Who has it, how the votes stand, and what was said about it."""
        wait, until = self.wait, f" until {moment(self.wait.claimed_until)}" if self.wait.claimed_until else ""
        yield "claimed by", f"{wait.claimed_by}{until}" if wait.claimed_by else ""
        yield "meant for", wait.assigned
        yield "paused", f"until {wait.requester} answers, since {moment(wait.asked_at)}" if wait.asked_at else ""
        yield "proposal", self.tally.shown[:12]
        yield "not by", ", ".join(self.tally.excluded)
        yield "so far", self.tally.words
        yield from ((each.what, each.words) for each in self.history)


def describe(
    wait: Wait, stored: Sequence[Event], short: str, program: Program | None = None, reasons: Sequence[str] = ()
) -> Item:
    """An item out of the event that opened it, the last one of its command.

    short: how its run may be named. reasons: its queue's words for a rejection.
    """
    decisions = Decisions(program)
    own = [event for event in stored if getattr(event, "command", "") == wait.command]
    opened = next((event for event in reversed(own) if isinstance(event, OPENING)), None)
    called = next((event for event in reversed(own) if getattr(event, "args", None) is not None), opened)
    form = opened.form if isinstance(opened, ev.TaskOpened) else None
    fields, item = tuple(fields_of(form)), f"{short}/{wait.command}"
    lines = tuple(line.format(item=item) for line in (PAUSED if wait.asked_at else COMMANDS.get(wait.kind, ())))
    if wait.kind == "approval" and not wait.asked_at and reasons:
        lines = (lines[0], f"reject {item} --code {shlex.quote('|'.join(reasons))}")
    fault: ev.Fault | None = getattr(opened, "fault", None)
    return Item(
        wait=wait,
        show=getattr(opened, "show", None),
        why=str(getattr(opened, "reason", "") or ""),
        action=str(getattr(opened, "action", "") or ""),
        args=getattr(called, "args", None),
        evidence=getattr(opened, "evidence", None),
        error=plain(f"{fault.type}: {fault.message}", LONG) if fault else "",
        suggestion=str(getattr(opened, "suggestion", "") or ""),
        title=str(getattr(opened, "title", "") or ""),
        agent=program.agent if program and wait.queue else "",
        goal=goal_of(program) if program and wait.queue else "",
        decided=tuple(decisions.tell(told)[0] for told in decisions.fold(getattr(opened, "path", None) or ()))[-LAST:],
        form=form,
        fields=fields,
        tally=tally(own),
        reasons=tuple(reasons) if wait.kind == "approval" else (),
        history=tuple(_history(own)),
        do=tuple(_done(item, fields, form)) if wait.kind == "task" and not wait.asked_at else lines,
    )


def goal_of(program: Program) -> str:
    """What the agent is after whose program it is, as its author wrote it; "" for a workflow."""
    if not program.agent:
        return ""
    first = str(program.namespace["AGENT"]["system"]).partition("\n")[0]
    return first.removeprefix(f"You are {program.agent}. Your goal: ")


def tally(own: Iterable[Event]) -> Tally:
    """How the decision stands that was asked for last, from the events of its command in order."""
    found = Tally()
    for event in own:
        if isinstance(event, ev.ApprovalRequested):
            found = Tally(shown=event.shown, args=event.args, quorum=event.quorum, excluded=tuple(event.exclude or ()))
        elif isinstance(event, ev.VoteCast):
            found = replace(found, votes=(*found.votes, event))
    return found


def _history(own: Sequence[Event]) -> Iterator[Said]:
    for event in own:
        told = SAID.get(type(event))
        if told is not None:
            what, words = told
            kept = cast("list[dict[str, Json]]", getattr(event, "files", None) or [])
            yield Said(at=event.at, by=event.by, what=what, text=words(event), files=tuple(kept))


SAID: Final[dict[type[Event], tuple[str, Callable[[Any], str]]]] = {
    ev.VoteCast: ("vote", lambda event: in_place(event, ": ".join(filter(None, (event.verdict, event.code, event.reason))))),
    ev.ItemAsked: ("question", lambda event: event.question),
    ev.ItemAnswered: ("answer", lambda event: event.answer),
    ev.ItemCommented: ("comment", lambda event: event.text),
    ev.ItemReassigned: ("reassigned", lambda event: ", ".join(filter(None, (f"to {given_to(event)}", event.reason)))),
    ev.ItemReminded: ("reminded", lambda event: ""),
    ev.ItemEscalated: ("escalated", lambda event: f"to {event.queue}"),
}  # fmt: skip
"""Event -> its label and words in an item's history."""


def in_place(event: Any, words: str) -> str:
    """What somebody did, and for whom if not for themselves."""
    return f"{words} (in place of {event.behalf})" if event.behalf else words


def given_to(event: ev.ItemReassigned) -> str:
    """Where an item went: to a queue, or to somebody of it."""
    return f"{event.to} ({event.queue})" if event.to else event.queue


def is_for(
    wait: Wait, name: str, members: Sequence[str], directory: Directory, at: str, *, started_by: str = ""
) -> bool:
    """Whether it is somebody's turn: they have it, it is meant for them, they may take it, or were asked something.

    started_by: who started the run, if not the requester.
    """
    persons, requesters = directory.persons_behind(name), (wait.requester, started_by or wait.requester)
    if wait.asked_at is not None:
        return bool(persons & directory.persons_behind(wait.requester))
    own = bool(persons & directory.persons_behind(*requesters))
    for one in (wait.claimed_by, wait.assigned):
        if one:
            return folded(one) == folded(name)
    if (wait.kind == "approval" and own) or TAKES.get(wait.kind) not in directory.capabilities(name):
        return False
    return not members or directory.stands_in(name, members, at, wait.queue, requesters=requesters) is not None


def _done(item: str, fields: Sequence[Field], form: Json) -> Iterator[str]:
    """The command that fills in a form: its required fields, else the first ones."""
    if form is None:
        yield f"done {item} --form comment=TEXT"
        return
    for variant in dict.fromkeys(field.variant for field in fields):
        own = [field for field in fields if field.variant == variant]
        needed = [field for field in own if field.required] or own[:ALL_OPTIONAL]
        yield " ".join([f"done {item}", *(f"--form {shlex.quote(f'{one.name}={_example(one)}')}" for one in needed)])


def _example(field: Field) -> str:
    if field.allowed:
        return "|".join(map(str, field.allowed))
    if field.type.startswith("list"):
        return "[...]"
    return "true|false" if field.type == "true or false" else field.type.partition(",")[0].upper().replace(" ", "-")


def _pairs(value: Json) -> list[tuple[str, str]]:
    """Labelled lines, those that somebody must not miss in whole."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return [(key, plain(item, LONG)) for key, item in items if item not in (None, "", [], {})]
    return [] if value in (None, "") else [("", plain(value, LONG))]
