"""The trajectory of a case: what a run and those that it started did, in order, and what became of each call.

It is derived from the journal by replay, so calls that were refused have their arguments too. An assertion gives the
trajectory back, or raises `Missed`, which shows it. Private values are shown as pseudonyms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeAlias, cast

from pydantic_core import to_jsonable_python

from backstay import events as ev
from backstay.ai.agents import OWN_TOOLS
from backstay.ai.asking import ask_model
from backstay.ai.transcripts import Reply
from backstay.canonical import json_text
from backstay.engine.replay import Machine
from backstay.events import Event
from backstay.operations.proof import read_program
from backstay.operations.recording import Asked, Recording, asked_of, conceal
from backstay.operations.sweep import STORE_FILE, load_case
from backstay.operations.wording import counted
from backstay.store.database import Reader
from backstay.store.payloads import Payloads
from backstay.types import Json

Became: TypeAlias = Literal["done", "failed", "refused", "drafted", "waiting", "invalid"]
"""done: it was answered. failed: it raised. refused: by the gate or by a person. drafted: only written down. waiting: not
answered yet. invalid: there is no such tool, or its arguments did not fit, so nothing was tried."""

ACTS: Final = frozenset({"call", "undo", "start", "approval", "task"})
"""Kinds of commands that a trajectory lists."""

SHOWN: Final = 160
"""Characters of a value that a line of a trajectory shows."""


class Missed(AssertionError):
    """A trajectory is not as it should be: `why`, and then the whole of it."""

    def __init__(self, why: str, trajectory: Trajectory) -> None:
        self.why = why
        super().__init__(f"{why}\n{trajectory}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something that a run asked for."""

    by: str
    """The workflow or agent."""
    tool: str
    """The action, workflow or queue, or one of an agent's own two tools."""
    args: Json
    became: Became
    told: Json = None
    """What it was answered, or why not."""
    held: bool = False
    """Whether a person was asked."""
    turn: int = 0
    """Which answer of an agent's model asked for it, from 1; 0 in a workflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A question to a model, and its reply if it gave one."""

    reply: Reply | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """What a run did, those that it started included."""

    run: str
    workflow: str
    version: str
    reason: str
    """Why an agent stopped; of a workflow, and of whatever has not ended, how it stands."""
    why: str
    result: Json
    acts: tuple[Act, ...]
    asked: tuple[Asking, ...]
    reworded: int = 0
    """Questions that were worded otherwise when their recorded replies were given."""
    private: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    # --- looking ---

    @property
    def output(self) -> Json:
        """What an agent came back with; of a workflow, its result."""
        found = self.result
        return found["output"] if _is_finding(found) else found

    @property
    def steps(self) -> int:
        """Questions to models."""
        return len(self.asked)

    @property
    def tool_calls(self) -> int:
        """How often it used a tool; in a workflow, approvals and tasks count too."""
        return sum(act.tool not in OWN_TOOLS for act in self._tried())

    @property
    def holds(self) -> int:
        """How often a person was asked: held calls, approvals and tasks."""
        return sum(act.held for act in self.acts)

    @property
    def tokens(self) -> int:
        return sum(reply.input_tokens + reply.output_tokens for reply in self._replies())

    @property
    def usd(self) -> Decimal | None:
        """What the models cost; None when the price of a reply is not known."""
        costs = [reply.usd for reply in self._replies()]
        return None if None in costs else sum((cost for cost in costs if cost is not None), Decimal(0))

    @property
    def models(self) -> tuple[str, ...]:
        """The models that answered."""
        return tuple(dict.fromkeys(reply.model for reply in self._replies()))

    def calls(self, tool: str, /, **args: Any) -> list[Act]:
        """The calls of a tool that were tried, with these arguments among theirs; a value may be a predicate."""
        return [act for act in self._tried() if act.tool == tool and _fits(act.args, args)]

    def _tried(self) -> list[Act]:
        return [act for act in self.acts if act.became != "invalid"]

    def _replies(self) -> list[Reply]:
        return [asking.reply for asking in self.asked if asking.reply is not None]

    # --- asserting ---

    def called(self, tool: str, /, **args: Any) -> Self:
        """It used this tool, with these arguments among others, whatever became of it."""
        if self.calls(tool, **args):
            return self
        return self._missed(f"{_words(tool, args)} was not called", bool(self.calls(tool)) and "with other arguments")

    def not_called(self, tool: str, /, **args: Any) -> Self:
        """It did not even ask for this tool, nor in vain for one that it has not."""
        asked = [act for act in self.acts if act.tool == tool and _fits(act.args, args)]
        return self._missed(f"{_words(tool, args)} was called", asked[0].became) if asked else self

    def before(self, first: str, then: str) -> Self:
        """It used both, and knew what the first one had answered when it asked for the other one for the first time."""
        one, other = self._places(first), self._places(then)
        if not one or not other:
            return self._missed(f"{first} was not called before {then}", f"{then if one else first} was not called")
        alike = self.acts[one[0]].by == self.acts[other[0]].by
        together = alike and 0 < self.acts[one[0]].turn == self.acts[other[0]].turn
        late = one[0] > other[0] or together
        return self._missed(f"{first} was not called before {then}", together and "both in one turn") if late else self

    def at_most(self, most: int, tool: str = "") -> Self:
        """It used this tool no more often than that; without a name, all of them together."""
        found = len(self.calls(tool)) if tool else self.tool_calls
        return self._missed(f"{tool or 'tools'}: called {found} times, and at most {most}") if found > most else self

    def stopped(self, reason: str) -> Self:
        """It stopped for this reason."""
        return (
            self if self.reason == reason else self._missed(f"it stopped for {self.reason!r}, not {reason!r}", self.why)
        )

    def within(
        self, *, steps: int | None = None, tool_calls: int | None = None, tokens: int | None = None,
        usd: Decimal | str | None = None, holds: int | None = None,
    ) -> Self:  # fmt: skip
        """It used up no more than this. What a model of unknown price cost is more than any sum."""
        most = {"steps": steps, "tool_calls": tool_calls, "tokens": tokens, "holds": holds}
        over = [
            f"{name} {getattr(self, name)}, and at most {limit}"
            for name, limit in most.items()
            if limit is not None and getattr(self, name) > limit
        ]
        if usd is not None and (self.usd is None or self.usd > Decimal(usd)):
            over.append(f"usd {'unknown' if self.usd is None else f'{self.usd:f}'}, and at most {Decimal(usd):f}")
        return self._missed("; ".join(over)) if over else self

    def _places(self, tool: str) -> list[int]:
        tried = self.calls(tool)
        return [place for place, act in enumerate(self.acts) if any(act is one for one in tried)]

    def _missed(self, why: str, more: str | bool = "") -> Self:
        raise Missed(f"{why}: {more}" if more else why, self)

    # --- showing ---

    def lines(self) -> Iterator[str]:
        """One line for each act, with pseudonyms."""
        for act in self.acts:
            by = "" if act.by == self.workflow else f"{act.by}: "
            args, told = (_short(conceal(value, self.private)) for value in (act.args, act.told))
            ending = f"→ {told}" if act.became == "done" else f"[{act.became}] {told if act.told is not None else ''}"
            held = " (a person was asked)" if act.held and act.became != "waiting" else ""
            yield f"{act.turn or ''} {by}{act.tool} {args} {ending}".strip() + held

    def __str__(self) -> str:
        usd = "unknown" if self.usd is None else f"{self.usd:f}"
        used = f"{counted(self.steps, 'step')}, {counted(self.tool_calls, 'call')}, {self.tokens} tokens, {usd} USD"
        head = f"{self.workflow}@{self.version[:7]} {self.reason}: {used}, {counted(self.holds, 'hold')}"
        why = [f"  {conceal(self.why, self.private)}"] if self.why else []
        if self.reworded:
            words = f"{counted(self.reworded, 'question')} would be worded otherwise now"
            why.append(f"  {words}: the replies are those to the recorded words")
        return "\n".join([head, *why, *(f"  {line}" for line in self.lines())])


def _is_finding(result: Json) -> bool:
    return isinstance(result, dict) and {"agent", "reason", "output", "tried"} <= result.keys()


def _fits(args: Json, wanted: Mapping[str, Any]) -> bool:
    given: dict[str, Any] = args if isinstance(args, dict) else {}
    return all(
        name in given and bool(value(given[name]) if callable(value) else to_jsonable_python(value) == given[name])
        for name, value in wanted.items()
    )


def _words(tool: str, args: Mapping[str, Any]) -> str:
    named = {name: "(a predicate)" if callable(value) else value for name, value in args.items()}
    return f"{tool} {json_text(named)}" if named else tool


def _short(value: Json) -> str:
    text = " ".join((value if isinstance(value, str) else json_text(value)).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."


# --- deriving it from a journal -----------------------------------------------------------------------------


Below: TypeAlias = Callable[[str], "Trajectory | None"]
"""The trajectory of a run that was started, as far as there is one."""


def read_trajectory(home: Path, run: str) -> Trajectory:
    """The trajectory of a stored run; raises NotFound, or Differs when its journal does not hold."""
    with closing(Reader(home / STORE_FILE)) as reader:
        return _read(reader, Payloads(home, reader), run)


def _read(reader: Reader, payloads: Payloads, run: str) -> Trajectory:
    case = load_case(reader, payloads, run)
    program = read_program(reader, cast("ev.RunStarted", case.events[0]).version)
    recording = Recording(case, program)
    return derive(
        recording.way.asked, lambda asked: [event for _, event in recording.moves.get(asked.id, ())],
        recording.machine, case.private, lambda child: _read(reader, payloads, child),
    )  # fmt: skip


def derive(
    asked: Sequence[Asked], events_of: Callable[[Asked], Sequence[Event]], machine: Machine, private: Mapping[str, str],
    below: Below = lambda run: None, reworded: int = 0,
) -> Trajectory:  # fmt: skip
    """The trajectory of a run from what its program asked for, and the events about each of these."""
    acts, asking, known = list[Act](), list[Asking](), dict(private)
    by, turn, pending = machine.program.name, 0, list[Act]()
    for one in asked:
        events = events_of(one)
        if one.kind == "call" and one.subject == ask_model.name:
            turn += 1
            asking.append(Asking(reply=_reply(events)))
            said, pending = _said(by, turn, asking[-1].reply)
            acts += said
        elif one.kind in ACTS:
            acts.append(_act(by, turn, one, events))
            pending = []
            for event in events:
                child = below(event.run) if isinstance(event, ev.ChildStarted) and event.run else None
                if child is not None:
                    acts += child.acts
                    asking += child.asked
                    known |= child.private
    reason, why, result = _ended(machine)
    if pending:  # they would have crossed a limit, so nothing of that turn was done
        acts = [*(act for act in acts if (act.by, act.turn) != (by, turn)), *pending]
    if _is_finding(result):
        acts = [_concluded(act, by, turn if result["evidence"] else 0) for act in acts]
    return Trajectory(
        run=machine.run, workflow=by, version=machine.program.version, reason=reason, why=why, result=result,
        acts=tuple(acts), asked=tuple(asking), reworded=reworded, private={**known, **machine.secrets},
    )  # fmt: skip


def _reply(events: Iterable[Event]) -> Reply | None:
    returned = next((event for event in events if isinstance(event, ev.CallReturned)), None)
    return None if returned is None else Reply.model_validate(returned.result)


def _said(by: str, turn: int, reply: Reply | None) -> tuple[list[Act], list[Act]]:
    """What a model asked for that is no command: its own two tools, and what could not be carried out.

    And all of it as it stands if none of its other calls becomes a command; nothing if it has none.
    """
    acts, wanted = list[Act](), list[Act]()
    for call in reply.calls if reply is not None else ():
        act = Act(by=by, tool=call.tool, args=call.args, became="invalid", told=call.problem or "not tried", turn=turn)
        wanted.append(act)
        if call.problem:
            acts.append(act)
        elif call.tool in OWN_TOOLS:
            acts.append(replace(act, became="done", told="noted"))
    return acts, wanted if len(wanted) > len(acts) else []


def _concluded(act: Act, by: str, turn: int) -> Act:
    """A `finish` counts in the one turn in which it was accepted."""
    if (act.by, act.tool) != (by, "finish") or act.became == "invalid" or act.turn == turn:
        return act
    return replace(act, became="invalid", told="it was told what is missing")


def _act(by: str, turn: int, asked: Asked, events: Sequence[Event]) -> Act:
    became, told = _became(asked, events)
    held = asked.kind in ("approval", "task") or any(isinstance(event, ev.ApprovalRequested) for event in events)
    return Act(by=by, tool=asked.subject, args=asked.content, became=became, told=told, held=held, turn=turn)


def _became(asked: Asked, events: Sequence[Event]) -> tuple[Became, Json]:
    """What the newest event that decides says of a command."""
    for event in reversed(events):
        match event:
            case ev.CallReturned() | ev.ChildEnded(status="finished") | ev.CallSettled(outcome="happened"):
                return "done", event.result
            case ev.TaskCompleted():
                return "done", event.value
            case ev.ApprovalDecided(verdict="approved") if asked.kind == "approval":
                return "done", "approved"
            case ev.ApprovalDecided() if event.verdict != "approved":
                return "refused", event.reason or event.verdict
            case ev.CallDenied():
                return "refused", event.reason
            case ev.CallDrafted():
                return "drafted", event.reason or None
            case ev.CallFailed():
                return "failed", f"{event.fault.type}: {event.fault.message}"
            case ev.CallSettled(outcome="give-up"):
                return "failed", event.reason or "given up"
            case ev.ChildEnded():
                return "failed", event.reason or event.status
            case _:
                pass
    return "waiting", None


def _ended(machine: Machine) -> tuple[str, str, Json]:
    """Why a run stopped, in a word and in more, and its result."""
    outcome = machine.outcome
    if outcome is None:
        waits = [asked_of(leaf, machine.program) for leaf in machine.unsettled]
        return "waiting", f"it waits for {', '.join(f'{asked.kind} {asked.subject}'.strip() for asked in waits)}", None
    if machine.program.agent and _is_finding(outcome.result):
        return outcome.result["reason"], outcome.result["why"], outcome.result
    fault = "" if outcome.fault is None else f"{outcome.fault.type}: {outcome.fault.message}"
    return outcome.status, fault or outcome.reason, outcome.result
