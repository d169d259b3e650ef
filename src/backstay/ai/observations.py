"""What a case was told, as its journal has it: by which names it can be cited, and whether a quote stands in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from backstay import events as ev
from backstay.actions import CallContext
from backstay.ai.asking import ask_model
from backstay.canonical import json_text
from backstay.errors import NotRetryable
from backstay.events import Event, Refs
from backstay.store.database import Reader
from backstay.store.payloads import Payloads
from backstay.store.views import read_events
from backstay.types import Json

STORE_FILE: Final = "backstay.db"

INPUT: Final = "input"
"""The name of what the case was started with."""

TOLD: Final = (ev.RunStarted, ev.SignalReceived, ev.TaskCompleted, ev.ChildEnded, ev.CallReturned, ev.CallSettled)
"""Events that bring something into a case."""


class NotObserved(NotRetryable):
    """What was to be kept is not supported by anything that this case observed."""

    code = "NOT_OBSERVED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Something that a case was told."""

    source: str
    """The action, agent, workflow, queue or signal that told it, or `input`."""
    command: str
    text: str
    """What it said, as JSON."""
    asked: str = ""
    """What it was asked with; to get that back supports nothing."""
    id: str = ""
    """The name by which an agent cites it: o1, o2, ..."""

    def says(self, quote: str) -> bool:
        """Whether a quote stands in it."""
        said = quote.strip()
        found = said in self.text or json_text(said)[1:-1] in self.text
        return len(said) > 2 and found and said not in self.asked


class Case:
    """One case as its journal has it, read from the store."""

    def __init__(self, context: CallContext) -> None:
        self._context = context
        self._told, self._said = dict[str, str](), dict[str, str]()
        """Private texts with their pseudonyms: as the case was told them, and within what was said with them."""
        with closing(Reader(context.home / STORE_FILE)) as reader:
            payloads = Payloads(context.home, reader)
            self._events = [self._read(payloads, stored.event) for stored in read_events(reader, context.run)]

    def _read(self, payloads: Payloads, event: Event) -> Event:
        """With its real values; of somebody who was erased, pseudonyms stay."""
        told = isinstance(event, TOLD) and getattr(event, "action", "") != ask_model.name
        refs: Refs = getattr(event, "refs", None) or {}
        results = {place: ref for place, ref in refs.items() if told and not place.startswith("/args")}
        if results:
            payloads.restore(replace(cast("Any", event), refs=results), self._told, [])
        return payloads.restore(event, self._said, [])

    def clean(self, text: str) -> str:
        """A text with pseudonyms for what is private in it. That the whole of it was sealed for a part makes it no secret."""
        secrets = {**self._said, **self._told}
        if text not in self._told:
            secrets.pop(text, None)
        return self._context.clean(text, secrets)

    def find(self, source: str, quote: str, without: Collection[str] = ()) -> Observation:
        """The observation that is named and says this; raises NotObserved, and says what there is to name.

        without: names of what is no source here.
        """
        seen = [each for each in observations(self._events) if each.source not in without]
        named = [each for each in seen if source in (each.id, each.source)]
        if not named:
            known = dict.fromkeys(each.source for each in seen)
            raise NotObserved(f"source: this case has no observation {source!r}; it has {', '.join(known)}")
        found = next((each for each in named if each.says(quote)), None)
        if found is None:
            raise NotObserved(f"quote: these words do not stand in {source!r}, or it was only asked with them")
        return found

    def answered(self, said: Json) -> tuple[str, str]:
        """Which person said this in a task of the case, last, and in answer to which command; raises NotObserved."""
        for event in reversed(self._events):
            if isinstance(event, ev.TaskCompleted) and _holds(event.value, said):
                return event.by, event.command
        raise NotObserved("no person has said this in a task of this case")

    def said(self) -> Iterator[tuple[str, Json]]:
        """What persons said in tasks of the case, newest first: who, and each value that they gave."""
        for event in reversed(self._events):
            if isinstance(event, ev.TaskCompleted):
                yield from ((event.by, leaf) for leaf in _leaves(event.value))

    def gave(self, actions: Collection[str], value: Json) -> bool:
        """Whether one of these actions, or a workflow that the case started, gave this value."""
        for event in self._events:
            if isinstance(event, ev.CallReturned):
                if event.action in actions and event.result == value:
                    return True
            elif isinstance(event, ev.ChildEnded) and event.status == "finished" and _holds(event.result, value):
                return True
        return False

    @property
    def approvers(self) -> tuple[str, ...]:
        """Who approved the call; empty where nobody was asked."""
        for event in self._events:
            if isinstance(event, ev.ApprovalDecided) and event.command == self._context.approval:
                voted = [str(vote["by"]) for vote in event.votes or () if vote["verdict"] == event.verdict]
                return tuple(voted or [event.by])
        return ()


def _holds(value: Json, said: Json) -> bool:
    """Whether a value is or contains another as a whole."""
    if value == said:
        return True
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_holds(each, said) for each in inner)


def _leaves(value: Json) -> Iterator[Json]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _leaves(each)
    else:
        yield value


def observations(events: Sequence[Event]) -> Iterator[Observation]:
    """Everything that a case was told by others than its model."""
    asked, names = dict[str, Json](), dict[str, str]()
    told = list[tuple[str, Json]]()
    for event in events:
        if isinstance(event, ev.RunStarted):
            yield Observation(source=INPUT, command="", text=json_text(event.input))
        elif isinstance(event, ev.SignalReceived):
            yield Observation(source=event.name, command="", text=json_text(event.payload))
        elif isinstance(event, ev.TaskOpened):
            names[event.command] = event.queue
        elif isinstance(event, ev.TaskCompleted):
            yield Observation(source=names[event.command], command=event.command, text=json_text(event.value))
        elif isinstance(event, ev.ChildStarted):
            names[event.command] = event.workflow
        elif isinstance(event, ev.CallIntended | ev.CallQueued):
            names[event.command], asked[event.command] = event.action, event.args
        elif isinstance(event, ev.CallReturned):
            names[event.command] = event.action
            asked.setdefault(event.command, event.args)
            told.append((event.command, event.result))
        elif isinstance(event, ev.ChildEnded) and event.status == "finished":
            told.append((event.command, _quotable(event.result)))
        elif isinstance(event, ev.CallSettled) and event.outcome == "happened":
            told.append((event.command, event.result))
    answers = [(c, value) for c, value in told if c in names and names[c] != ask_model.name and not c.startswith("c")]
    attended = any(isinstance(event, ev.CallAsked) for event in events)  # a loop outside knows them by its calls
    for number, (command, value) in enumerate(sorted(answers, key=_place), start=1):
        text, given = json_text(value), json_text(asked.get(command))
        number = _place((command, value))[-1] if attended else number
        yield Observation(source=names[command], command=command, text=text, asked=given, id=f"o{number}")


def _place(answer: tuple[str, Json]) -> tuple[int, ...]:
    """Where its command stands among those of the run: an agent numbers what it observes in that order."""
    return tuple(int(part) for part in answer[0].split("."))


def _quotable(result: Json) -> Json:
    """What another agent found, without what it merely tried or planned."""
    if isinstance(result, dict) and "observed" in result:
        return {name: value for name, value in result.items() if name not in ("tried", "plan")}
    return result
