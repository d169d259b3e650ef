"""Open commands: what a run waits for, as the machine holds it between two events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias, cast

from pydantic import TypeAdapter
from pydantic_core import to_json, to_jsonable_python

from backstay import events as ev
from backstay.actions import schema_of
from backstay.commands import (
    Approval,
    Attempt,
    Call,
    Command,
    Draw,
    Gather,
    Note,
    Race,
    Serve,
    Sleep,
    Start,
    Task,
    WaitFor,
)
from backstay.engine.human import Item
from backstay.errors import InvalidInput
from backstay.events import Event, Fault
from backstay.language.guards import STORED_FILE
from backstay.store.payloads import redact
from backstay.types import BUSINESS_DAYS, Json, Served, Tried, Used, Winner, journalable, seconds

State: TypeAlias = Literal["new", "waiting", "retrying", "queued", "unknown", "held"]
"""new: the engine must make it happen. waiting: for the outside. retrying: another attempt at `retry_at`. queued: in
its backlog. unknown: somebody must settle it. held: a person must approve it."""

LONGEST_SECONDS: Final = 200 * 365 * 86400.0
"""How far ahead a timer may be set."""

LEAVES: Final = (Call, Start, Approval, Task, WaitFor, Sleep, Draw, Note)


@dataclass(slots=True, kw_only=True)
class Fork:
    """An open `gather`, `race`, `attempt` or `serve`."""

    command: Gather | Race | Attempt | Serve
    parent: Fork | None
    index: int
    children: list[Open | Fork] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)
    missing: int = 0
    over: bool = False
    id: str = ""
    site: str = ""
    keys: dict[str, str] = field(default_factory=dict[str, str])
    """Of a loop outside, its own words for its calls."""

    @property
    def next_id(self) -> str:
        """The id of the next call of a loop outside."""
        return f"{self.id}.{len(self.children)}"


@dataclass(eq=False)
class Open:
    """A command that has no answer yet, and what its journal says of it."""

    id: str
    command: Command[Any]
    site: str
    parent: Fork | None = None
    index: int = 0
    occurrence: int = field(default=0, init=False)
    args: Json = field(default=None, init=False)
    """Arguments of a call or of a child's input, as JSON."""
    state: State = field(default="new", init=False)
    attempt: int = field(default=0, init=False)
    """Attempts that were begun."""
    spent: int = field(default=0, init=False)
    """Attempts of earlier series, before somebody sent the call back to the gate."""
    number: int = field(default=0, init=False)
    """Which call of the run this is, from 1."""
    private: bool = field(default=False, init=False)
    """Whether the run knew any private text when it asked for this call."""
    effect_number: int = field(default=0, init=False)
    """Which call that changes something this is, from 1; 0 for a read."""
    first_at: str | None = field(default=None, init=False)
    retry_at: str | None = field(default=None, init=False)
    intent: ev.CallIntended | None = field(default=None, init=False)
    """The last intent, until its effect is known to have happened or not."""
    approval: str | None = field(default=None, init=False)
    """A granted approval that its next intent will consume."""
    approved: str | None = field(default=None, init=False)
    """Digest of the call that was approved."""
    opened: Event | None = field(default=None, init=False)
    item: Item | None = field(default=None, init=False)
    """What people have done with it, while it waits for them."""
    undoes: bool = field(default=False, init=False)
    """Whether it is the compensation of another call."""

    @property
    def may_have_happened(self) -> bool:
        """Whether an effect was intended and nobody knows yet what became of it."""
        return self.intent is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended."""

    status: Literal["finished", "failed", "cancelled"]
    result: Json = None
    fault: Fault | None = None
    reason: str = ""


_SHAPES: dict[Any, TypeAdapter[Any]] = {}


def shape_of(command: Command[Any]) -> TypeAdapter[Any] | None:
    """The adapter that reads a command's answer, or None when JSON is what the workflow gets."""
    shape: Any = None
    if isinstance(command, (Call, Start)):
        shape = command.returns
    elif isinstance(command, Task):
        shape = command.form
    elif isinstance(command, WaitFor):
        shape = command.type
    return None if shape is None else adapter_for(shape)


def read_answer(command: Command[Any], value: Json) -> Any:
    """An answer from the journal as the workflow gets it; raises ValidationError when it does not fit."""
    shape = command.returns if isinstance(command, Call) else None
    if type(shape) is not TypeAdapter:
        shape = shape_of(command)
    return value if shape is None else shape.validator.validate_python(value, strict=False)


def adapter_for(shape: Any) -> TypeAdapter[Any]:
    """The adapter of a type, made once."""
    if isinstance(shape, TypeAdapter):
        return cast("TypeAdapter[Any]", shape)
    try:
        found = _SHAPES.get(shape)
        if found is None:
            found = _SHAPES[shape] = TypeAdapter(shape)
        return found
    except TypeError:  # an unhashable annotation
        return TypeAdapter(shape)


def tried(value: Any, error: BaseException | None) -> Tried:
    """How an attempted command went."""
    if error is None:
        return Tried(ok=True, value=value)
    return Tried(ok=False, type=type(error).__name__, error=str(error))


def answer_of(fork: Fork, index: int, value: Any) -> Any:
    """What a finished fork gives the workflow; its last child gave it `value`."""
    if isinstance(fork.command, Gather):
        return fork.results
    if isinstance(fork.command, Serve):
        used = [
            Used(place=place, tool=tool_of(child.command), args=child.args, outcome=outcome)
            for place, (child, outcome) in enumerate(zip(fork.children, fork.results, strict=True))
            if isinstance(child, Open) and isinstance(child.command, Call | Start)
        ]
        return Served(finish=value, used=used)
    return Winner(index=index, value=value) if isinstance(fork.command, Race) else value


def stop_reason(result: Json) -> str:
    """Why an agent stopped, of its finding; "" when its goal is met, or a person has answered in its place."""
    reason = result.get("reason") if isinstance(result, dict) else None
    return reason if isinstance(reason, str) and reason not in ("goal-met", "person") else ""


def tool_of(command: Command[Any]) -> str:
    """Name of the action, workflow or agent that a command is about."""
    return command.action if isinstance(command, Call) else getattr(command, "workflow", "")


def fault_of(error: BaseException, secrets: Mapping[str, str]) -> Fault:
    """An error as data, with the last line of the workflow's own source that it passed."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.startswith(STORED_FILE):
            line = trace.tb_lineno
        trace = trace.tb_next
    message = str(redact(str(error), secrets))[:2000].encode("utf-8", "backslashreplace").decode()
    return Fault(type=type(error).__name__, message=message, line=line)


def wrong_duration(command: Command[Any]) -> ValueError | None:
    """What is wrong with the time that a command names, if anything."""
    duration = command.duration if isinstance(command, Sleep) else getattr(command, "within", None)
    if duration is None:
        return None
    if isinstance(duration, str) and isinstance(command, Approval | Task) and BUSINESS_DAYS.fullmatch(duration):
        return None
    try:
        usable = abs(seconds(duration)) <= LONGEST_SECONDS
    except (ValueError, TypeError, OverflowError):
        usable = False
    return (
        None
        if usable
        else ValueError(f"{duration!r} is not a duration that can be waited for; write for example '48h'")
    )


FIELDS: Final[dict[type[Command[Any]], tuple[tuple[str, type[Any]], ...]]] = {
    Approval: (("queue", str), ("title", str)),
    Task: (("queue", str), ("title", str)),
    WaitFor: (("name", str),),
    Draw: (("name", str),),
    Note: (("text", str),),
}
"""What a command must carry for its event to be readable again."""


def wrong_field(command: Command[Any]) -> Exception | None:
    """What a workflow gave a command that no journal could hold, if anything."""
    word = type(command).__name__
    for name, shape in FIELDS.get(type(command), ()):
        value = getattr(command, name)
        if not isinstance(value, shape):
            return TypeError(f"{word}: {name} must be text, not {type(value).__name__}")
    if isinstance(command, Sleep) and not isinstance(cast("Any", command.until), datetime | None):
        return TypeError(f"{word}: until must be a moment, not {type(command.until).__name__}")
    try:
        for name, _ in FIELDS.get(type(command), ()):
            getattr(command, name).encode()
        for name in ("show", "evidence", "data", "exclude"):
            if getattr(command, name, None) is not None:
                to_json(getattr(command, name))
        if isinstance(command, Approval) and command.action is not None:
            if not isinstance(cast("Any", command.action), Call):
                return TypeError(f"{word}: action must be a call of an action, not {type(command.action).__name__}")
            journalable(to_jsonable_python(command.action.args), f"arguments of {command.action.action!r}")
    except (ValueError, TypeError, RecursionError, InvalidInput) as error:
        return TypeError(f"{word}: what it is given cannot be written as JSON: {error}")
    if isinstance(command, Approval | Task) and (wrong := wrong_until(command)) is not None:
        return wrong
    if isinstance(command, Approval) and (wrong := wrong_exclude(command.exclude)) is not None:
        return wrong
    return wrong_duration(command)


def wrong_until(command: Approval | Task[Any]) -> InvalidInput | None:
    """What is wrong with the moment until which people have time, if anything."""
    until, word = cast("Any", command.until), type(command).__name__.lower()
    if until is None:
        return None
    if command.within is not None:
        return InvalidInput(f"{word}: give within or until, not both", {"until": "is given beside within"})
    if not isinstance(until, datetime):
        return InvalidInput(f"{word}: until must be a datetime, not {until!r}", {"until": "is no datetime"})
    if until.utcoffset() is None:
        return InvalidInput(
            f"{word}: until {until.isoformat()} has no time zone; give it one, for example tzinfo=UTC",
            {"until": "has no time zone"},
        )
    if not 1900 < until.year < 9800:
        return InvalidInput(f"{word}: until {until.isoformat()} is not in 1901 to 9799", {"until": "is out of range"})
    return None


def wrong_exclude(exclude: Any) -> InvalidInput | None:
    """What is wrong with the names of those who may not decide, if anything."""
    if isinstance(exclude, list | tuple) and all(isinstance(name, str) for name in cast("list[Any]", exclude)):
        return None
    return InvalidInput(f"approval: exclude must be a list of names, not {exclude!r:.80}", {"exclude": "is no list"})


@lru_cache(maxsize=1000)
def model_schema(shape: Any) -> dict[str, Json]:
    """JSON Schema of a type, made once: making it costs a millisecond."""
    return schema_of(adapter_for(shape))
