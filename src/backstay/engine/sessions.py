"""Sessions: a loop outside (any framework's agent, a plain `while`) uses an agent's tools through the whole gate.

A session is a run of the agent. Each call of the loop is a command of that run, so it is judged, held, recorded, replayed
and audited as if the agent's own loop had made it; what the loop does besides is its own business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from backstay import events as ev
from backstay.actions import Action, schema_of
from backstay.canonical import json_text
from backstay.commands import FINISH
from backstay.engine.activation import Activation
from backstay.engine.desk import Desk
from backstay.engine.frames import Fork, Open, adapter_for
from backstay.engine.serving import Attended
from backstay.errors import AuthorError, Conflict, NotAllowed, NotFound
from backstay.language import Workflow
from backstay.store.journal import Write
from backstay.store.payloads import from_outside
from backstay.store.views import read_events, read_wait
from backstay.types import Duration, Json, Tried, journalable, seconds

ON_PEOPLE: Final = frozenset({"approval", "task", "queued", "diverted", "switched", "unknown"})
"""Kinds of wait that end when a person does something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The tool was used."""

    id: str
    value: Json

    @property
    def observation(self) -> str:
        """What a claim names as its source."""
        return f"o{self.id.rpartition('.')[2]}"

    @property
    def text(self) -> str:
        """What a model is told."""
        return self.value if isinstance(self.value, str) else json_text(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The tool was not used, or it failed."""

    id: str
    kind: str
    """"ActionDenied": the gate or a person said no. "ActionDrafted": it was written down and not done. "ActionFailed",
    "ChildFailed": it was tried in vain. "BudgetCrossed": the session has used up its calls."""
    reason: str

    @property
    def text(self) -> str:
        """What a model is told."""
        return f"It did not work: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """A person must do something first, or it takes longer than the caller wants to wait. Await it for how that ended."""

    id: str
    reason: str
    queue: str
    """Whose turn it is; "" when it is nobody's and the tool is just slow."""
    session: Session

    @property
    def text(self) -> str:
        """What a model is told."""
        why = f"this waits for a person of {self.queue!r} ({self.reason})" if self.queue else self.reason
        return f"Not done yet: {why}. Go on with something else, or finish."

    def __await__(self) -> Generator[Any, Any, Returned | Refused]:
        return self.session.settled(self.id).__await__()


Callee: TypeAlias = "Action[Any] | Workflow[..., Any]"
ToolAnswer: TypeAlias = Returned | Refused | Proposed


class Session:
    """What a loop outside holds: `async with client.session(agent, goal=..., acting_for=...) as session`.

    `tools` tells a model what there is, `call` uses a tool, `finish` ends it with a finding. Leaving the block without that
    ends it too. It stays open when the process dies: the same `key` finds it again.
    """

    def __init__(self, tools: Tools, agent: Workflow[..., Any], by: str, case: Case) -> None:
        self._tools, self._by, self._case = tools, by, case
        self.agent = agent.name
        self.run = ""
        """Id of the run, once it is open."""
        self.tools: list[dict[str, Json]] = agent.told_tools
        """Each with name, description and a JSON Schema of its arguments."""
        self.finding: Json = None
        """How it ended, as JSON of a `Finding`."""

    async def __aenter__(self) -> Self:
        self.run = await self._tools.begin(self.agent, self._case, self._by)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self.finding is None and (error is None or isinstance(error, Exception)):
            with suppress(NotAllowed):  # whose rights have ended leaves it to its time limit
                await self.leave("" if error is None else f"{type(error).__name__}: {error}")

    async def call(
        self, tool: str, args: Mapping[str, Any] | None = None, /, *, patience: Duration = "30s", **named: Any
    ) -> ToolAnswer:
        """Use a tool; what the gate, a person or the tool itself says comes back and is never raised.

        patience: how long to wait for a tool that is slow; what needs a person is answered at once, with a `Proposed`.
        Raises Conflict when the session is over, InvalidInput for arguments that are no JSON, NotAllowed.
        """
        given = journalable(to_jsonable_python({**(args or {}), **named}), f"arguments of {tool!r}")
        asked = await self._tools.ask(self, self._by, tool, given)
        return asked if isinstance(asked, Refused) else await self._answer(asked, seconds(patience))

    async def settled(self, call: str) -> Returned | Refused:
        """Wait until a call has ended, however long that takes."""
        answer = await self._answer(call, None)
        assert not isinstance(answer, Proposed)
        return answer

    async def standing(self, call: str, *, patience: Duration = 0) -> ToolAnswer:
        """How a call stands: how it ended, if it did before `patience` was over, else still a `Proposed`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds(patience)):
                return await self.settled(call)
        return await self._answer(call, 0)

    async def _answer(self, call: str, patience: float | None) -> ToolAnswer:
        """What became of a call, as soon as there is something to say; patience: None waits until it has ended."""
        loop = asyncio.get_running_loop()
        until = None if patience is None else loop.time() + patience
        moved = asyncio.Event()
        with self._tools.watching(moved) as watched:
            while True:
                moved.clear()
                answer = self._tools.look(self, call, watched)
                if answer is not None and (until is not None or not isinstance(answer, Proposed)):
                    return answer
                try:
                    await asyncio.wait_for(moved.wait(), None if until is None else until - loop.time())
                except TimeoutError:
                    return Proposed(id=call, reason="it takes long", queue="", session=self)

    async def finish(
        self, output: Any = None, *, summary: str = "", confidence: float = 1.0, claims: Sequence[Any] = ()
    ) -> Json:
        """End it with what was found, and give the finding as the run records it.

        output: what the agent must come back with. claims: each with text, source and quote; the source is the
        `observation` of a `Returned`: o1 for the first call, o2 for the second. Without claims that hold it is no goal met.
        """
        said = {"output": output, "summary": summary, "confidence": confidence, "claims": list(claims)}
        return await self._end(journalable(to_jsonable_python(said), "what the session ends with"))

    async def leave(self, why: str = "") -> Json:
        """End it without a finding."""
        return await self._end({"left": why or "the loop outside ended without a finding"})

    async def _end(self, said: Json) -> Json:
        self.finding = await self._tools.end(self, self._by, said)
        return self.finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a session is about."""

    goal: str
    input: Any
    acting_for: str | None
    key: str | None
    plan: list[str] | None


class Tools(Desk):
    """What a session asks of the engine; each change checks anew whether its principal may."""

    async def begin(self, agent: str, case: Case, by: str) -> str:
        given = journalable(to_jsonable_python(case.input), "input of the session")
        outside = (
            from_outside(given, schema_of(adapter_for(type(case.input)))) if isinstance(case.input, BaseModel) else []
        )
        told, at = ({"goal": case.goal, "input": given}, "/input/input") if case.goal else (given, "/input")
        return await self._runner.start(
            agent, {"input": told}, key=case.key, by=by, trigger="session", requester=self._requester(case.acting_for, by),
            attended=Attended([at + pointer for pointer in outside], case.plan),
        )  # fmt: skip

    async def ask(self, session: Session, by: str, tool: str, args: Json) -> str | Refused:
        """Record that the loop wants a tool; gives the call's id once that is committed."""
        self._allow(by, "signal")
        asked: list[str | Refused] = []

        def change(case: Activation, write: Write) -> bool:
            fork = _serving(case)
            number = len(fork.children) + case.on_their_way(ev.CallAsked)
            most = case.machine.program.namespace["AGENT"]["tool_calls"]
            if number > most:
                asked.append(
                    Refused(id="", kind="BudgetCrossed", reason=f"the session has used up its {most} tool calls")
                )
                return False
            refs: dict[str, str] = {}
            packed = self._runner.payloads.pack(write, args, "/args", refs, None, case.machine.secrets)
            call = f"{fork.id}.{number}"
            case.stage(write, ev.CallAsked(at=self._stamp(), command=call, tool=tool, args=packed, refs=refs or None))
            asked.append(call)
            return True

        async with self._runner.door:
            await self._runner.bring(self._loaded(session.run), change)
        return asked[0]

    @contextmanager
    def watching(self, moved: asyncio.Event) -> Generator[Callable[[str], None]]:
        """Within it, `moved` is set whenever something is applied to one of the runs that are named to what it gives."""
        watchers, named = self._runner.watchers, set[str]()

        def watch(run: str) -> None:
            if run not in named:
                named.add(run)
                watchers.setdefault(run, set()).add(moved)

        try:
            yield watch
        finally:
            for run in named:
                watchers[run].discard(moved)
                if not watchers[run]:
                    del watchers[run]

    def look(self, session: Session, call: str, watch: Callable[[str], None]) -> ToolAnswer | None:
        """What can be said of a call now; None while it is on its way."""
        watch(session.run)
        case = self._loaded(session.run)
        if case.row.ended:
            return Refused(id=call, kind="Cancelled", reason="the session ended before that was done")
        fork = case.machine.serving if case.loaded else None
        if fork is None:
            return Proposed(id=call, reason="the session needs attention", queue="operators", session=session)
        place = int(call.rpartition(".")[2])
        if place >= len(fork.children):
            return None if not fork.over else Refused(id=call, kind="Cancelled", reason="the session was over by then")
        tried: Tried | None = fork.results[place]
        if tried is not None and tried.ok:
            return Returned(id=call, value=to_jsonable_python(tried.value))
        if tried is not None:
            return Refused(id=call, kind=tried.type, reason=tried.error)
        leaf = fork.children[place]
        waits = [wait for wait in case.waits.values() if wait.command == call]
        if isinstance(leaf, Open) and isinstance(leaf.opened, ev.ChildStarted):
            watch(leaf.opened.run)
            waits = [read_wait(row) for row in self._reader.all("waits_of_run", (leaf.opened.run,))]
        held = next((wait for wait in waits if wait.kind in ON_PEOPLE), None)
        return None if held is None else Proposed(id=call, reason=held.title, queue=held.queue, session=session)

    async def end(self, session: Session, by: str, said: Json) -> Json:
        """Say the last word, unless the run has ended by itself, and give its finding."""
        self._allow(by, "signal")

        def change(case: Activation, write: Write) -> bool:
            refs, fork = dict[str, str](), _serving(case)
            packed = self._runner.payloads.pack(write, said, "/payload", refs, None, case.machine.secrets)
            event = ev.SignalReceived(at=self._stamp(), by=by, name=FINISH, payload=packed, refs=refs or None)
            case.stage(write, event)
            case.clear_wait(write, f"{fork.id}.0")
            return True

        with suppress(Conflict):  # it ended by itself
            await self._runner.bring(self._loaded(session.run), change)
        ended = await self._runner.ended(session.run)
        last = read_events(self._reader, ended.id, ended.seq - 1)[-1].event
        told = self._runner.payloads.restore(last, {})
        return (
            told.result
            if isinstance(told, ev.RunFinished)
            else {"reason": "error", "why": ended.summary or ended.status}
        )


class Sessions(Desk):
    """Lets loops outside work under the rules of an agent."""

    def session(
        self, agent: Workflow[..., Any] | str, *, goal: str = "", input: Any = None, acting_for: str | None = None,
        plan: Sequence[Callee | str] | None = None, key: str | None = None, by: str | None = None,
    ) -> Session:  # fmt: skip
        """A session of an agent; `async with` opens it.

        goal: what this case is about, in the words of who asks. input: more of the case; fields of a model that are tagged
        `FromOutside` are nobody's wish. acting_for: the person who asks; what it says is trusted, and it approves nothing
        itself. plan: the tools that this case may change something with, if not all: what is not among them is refused once
        a text from outside was read. Else the loop may say so first, with the tool `plan`. key: the same key opens the same session again. by: who runs the loop, default whom the client is bound to.
        Raises NotFound for an agent that the application does not have, AuthorError for a workflow; NotAllowed.
        """
        by = self._allow("system" if by is None and self._who is None else by, "start")
        name = agent if isinstance(agent, str) else agent.name
        found = self._runner.workflows.get(name)
        if found is None:
            raise NotFound(
                f"this application has no agent {name!r}; it has {', '.join(sorted(self._runner.workflows))}"
            )
        if found.attended is None:
            raise AuthorError(f"{name!r} is a workflow: a session needs an agent, which has tools and an autonomy")
        tools = Tools(self._runner, self._owners)
        tools._who, tools._key = self._who, self._key
        named = None if plan is None else [each if isinstance(each, str) else each.name for each in plan]
        return Session(tools, found, by, Case(goal=goal, input=input, acting_for=acting_for, key=key, plan=named))


def _serving(case: Activation) -> Fork:
    """Where a loop outside may ask; raises Conflict when it may not."""
    fork = case.machine.serving if case.loaded else None
    if case.row.ended or (fork is not None and fork.over):
        raise Conflict(f"session {case.row.id} is over")
    if fork is None:
        raise Conflict(f"session {case.row.id} needs attention; `backstay retry` it, then go on")
    return fork
