"""What a workflow may ask for: inert values that do nothing until the engine answers them.

Awaiting a command yields it to whoever drives the workflow; the answer is sent back in. A command holds data only.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Generic, Literal, TypeVar, cast, overload

from backstay.types import Decision, Done, Duration, Json, Received, Served, Tried, Winner

T = TypeVar("T")


@dataclass(eq=False, repr=False)
class Command(Generic[T]):
    """Base of everything a workflow can await; `site` is the step id that the checker gave to the `await`."""

    site: str = field(default="", init=False)

    def __await__(self) -> Generator[Any, Any, T]:
        return cast("T", (yield self))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


@dataclass(eq=False, repr=False)
class Call(Command[T]):
    """Run an action through the gateway."""

    action: str
    args: Mapping[str, Any]
    """Python values by parameter name; the engine writes them as JSON when the command is awaited."""
    returns: Any = None
    """Annotation of the result: how the answer is read back. None leaves JSON as it is."""


@dataclass(eq=False, repr=False)
class Start(Command[T]):
    """Run another workflow as a child; detached, its run id is the answer and nobody waits for it."""

    workflow: str
    args: Mapping[str, Any]
    returns: Any = None
    detached: bool = False
    key: str | None = None


@dataclass(eq=False, repr=False)
class Approval(Command[Decision]):
    """Ask a queue's members for a decision; with `action`, the decision is bound to exactly that call."""

    queue: str
    show: Any = None
    evidence: Any = None
    action: Call[Any] | None = None
    within: Duration | None = None
    quorum: int = 1
    reject: Literal["veto", "quorum"] = "veto"
    until: datetime | None = None
    title: str = ""
    exclude: Sequence[str] = ()


@dataclass(eq=False, repr=False)
class Task(Command[T]):
    """Ask a person to do something and report back, in a form made of a model."""

    queue: str
    show: Any = None
    form: Any = Done
    title: str = ""
    within: Duration | None = None
    until: datetime | None = None


@dataclass(eq=False, repr=False)
class WaitFor(Command[T]):
    """Wait for an event from outside; one that came early is kept for it."""

    name: str
    type: Any = None
    within: Duration | None = None
    details: bool = False
    """Whether the answer is a `Received` around the payload."""


@dataclass(eq=False, repr=False)
class Sleep(Command[None]):
    """Wait until a moment, or for a time."""

    duration: Duration | None = None
    until: datetime | None = None


@dataclass(eq=False, repr=False)
class Draw(Command[T]):
    """Take a value from outside the program: the clock, chance, an id, a setting. The journal remembers it."""

    kind: Literal["now", "random", "new_id", "setting"]
    name: str = ""


@dataclass(eq=False, repr=False)
class Note(Command[None]):
    """Write a remark into the case log."""

    text: str
    data: Any = None


@dataclass(eq=False, repr=False)
class Gather(Command[list[Any]]):
    """Do all of these; answers with their results in the order they were given. The first failure cancels the rest."""

    children: tuple[Command[Any], ...]


@dataclass(eq=False, repr=False)
class Race(Command[Winner]):
    """Do all of these; the first to finish wins and the rest are cancelled."""

    children: tuple[Command[Any], ...]


@dataclass(eq=False, repr=False)
class Attempt(Command[Tried]):
    """Do this; answers with its result, or with how it failed, and never raises a process error."""

    children: tuple[Command[Any], ...]
    """One command."""


@dataclass(eq=False, repr=False)
class Use(Command[Any]):
    """Call whatever the definition lists under a name: an action, a workflow or an agent. The answer is JSON."""

    name: str
    args: Mapping[str, Any]


@dataclass(eq=False, repr=False)
class Serve(Command[Served]):
    """Let a loop outside use what the definition lists, until it says that it has finished."""

    children: tuple[Command[Any], ...]
    """The wait for its last word; each tool that it uses becomes another."""


# --- what a workflow writes ---------------------------------------------------------------------------


def approval(
    queue: str,
    *,
    show: Any = None,
    evidence: Any = None,
    action: Command[Any] | None = None,
    within: Duration | None = None,
    quorum: int = 1,
    reject: Literal["veto", "quorum"] = "veto",
    until: datetime | None = None,
    title: str = "",
    exclude: Sequence[str] = (),
) -> Approval:
    """Ask for a decision; when its time is over it counts as rejected with the verdict `expired`, never as approved.

    within: a time, in the queue's working hours. until: a moment with a time zone instead. quorum: so many different
    people must approve. reject: "veto", one rejection decides; "quorum", as many must reject. title: what lists say.
    exclude: names of those who may not decide this one, such as `first.by`. Several queues one after the other are
    several approvals; at once, `gather` them.
    """
    return Approval(
        queue=queue, show=show, evidence=evidence, action=cast("Call[Any] | None", action), within=within,
        quorum=quorum, reject=reject, until=until, title=title, exclude=exclude,
    )  # fmt: skip


def task(
    queue: str,
    *,
    show: Any = None,
    form: type[T] = Done,
    title: str = "",
    within: Duration | None = None,
    until: datetime | None = None,
) -> Task[T]:
    """Hand a piece of work to a queue and wait for the filled-in `form`.

    within: due after this time, in the queue's working hours. until: due at this moment, with a time zone, instead.
    """
    return Task(queue=queue, show=show, form=form, title=title, within=within, until=until)


@overload
def wait_for(
    name: str, *, type: type[T], within: Duration | None = None, details: Literal[False] = False
) -> WaitFor[T]: ...
@overload
def wait_for(
    name: str, *, type: None = None, within: Duration | None = None, details: Literal[False] = False
) -> WaitFor[Any]: ...
@overload
def wait_for(
    name: str, *, type: type[T], within: Duration | None = None, details: Literal[True]
) -> WaitFor[Received[T]]: ...
@overload
def wait_for(
    name: str, *, type: None = None, within: Duration | None = None, details: Literal[True]
) -> WaitFor[Received[Any]]: ...
def wait_for(name: str, *, type: Any = None, within: Duration | None = None, details: bool = False) -> WaitFor[Any]:
    """Wait for a signal and answer with its payload; one that came before is taken first.

    type: what the payload must be. details: answer with a `Received`, which has `value`, `by` and `at`; most signals are
    what they say, so the sender is asked for where it matters. Raises `TimedOut` when none comes within the time given.
    """
    return WaitFor(name=name, type=type, within=within, details=details)


def sleep(duration: Duration | None = None, *, until: datetime | None = None) -> Sleep:
    """Wait durably: a timer is a row, not a thread."""
    return Sleep(duration=duration, until=until)


def start(workflow: Any, *args: Any, detached: bool = False, key: str | None = None, **named: Any) -> Start[Any]:
    """Start a child run; awaited it answers with the child's result, detached with the child's run id."""
    command = workflow(*args, **named)
    return Start(workflow=command.workflow, args=command.args, returns=command.returns, detached=detached, key=key)


def now() -> Draw[datetime]:
    """The store's clock, in UTC."""
    return Draw(kind="now")


def random() -> Draw[float]:
    """A number in [0, 1)."""
    return Draw(kind="random")


def new_id() -> Draw[str]:
    """A fresh identifier, 26 characters, ordered by time."""
    return Draw(kind="new_id")


def setting(name: str) -> Draw[Json]:
    """A setting of the application, as it was when the run asked; None when it has none of that name."""
    return Draw(kind="setting", name=name)


def note(text: str, data: Any = None) -> Note:
    """Write a remark into the case log."""
    return Note(text=text, data=data)


def gather(*commands: Command[Any]) -> Gather:
    """Do all of these at once."""
    return Gather(children=commands)


def race(*commands: Command[Any]) -> Race:
    """Do all of these at once and go on with the first that finishes."""
    return Race(children=commands)


def attempt(command: Command[Any]) -> Attempt:
    """Do this and be told how it went: `Tried.ok`, and the value or the error."""
    return Attempt(children=(command,))


def use(name: str, args: Mapping[str, Any]) -> Use:
    """Call a tool by name; one that the definition does not list is denied by the gateway."""
    return Use(name=name, args=dict(args))


FINISH: Final = "finish"
"""The signal by which a loop outside says that it has finished."""


def serve(within: Duration | None = None) -> Serve:
    """Let a loop outside use the tools that the definition lists; answers with what it did and its last word.

    Its calls pass the same gateway. Raises `TimedOut` when it has not finished within the time given.
    """
    return Serve(children=(WaitFor(name=FINISH, within=within),))
