"""Sessions: a loop outside (any framework's agent, a plain `while`) uses an agent's tools through the whole gate.

A session is a run of the agent. Each call of the loop is a command of that run, so it is judged, held, recorded, replayed
and audited as if the agent's own loop had made it; what the loop does besides is its own business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json, to_jsonable_python

from backstay import events as ev
from backstay.actions import Action, invalid, schema_of
from backstay.commands import FINISH
from backstay.engine.activation import Activation
from backstay.engine.answers import TRIGGER, Asked, Brief, Proposed, Refused, Returned, ToolAnswer
from backstay.engine.desk import Desk
from backstay.engine.frames import Fork, Open, adapter_for
from backstay.engine.serving import Attendance, unmet
from backstay.errors import AuthorError, Conflict, InvalidInput, NotAllowed, NotFound
from backstay.events import Event
from backstay.governance.approvals import folded
from backstay.governance.plans import PLAN, misplanned
from backstay.language import Workflow
from backstay.store.journal import Write
from backstay.store.payloads import from_outside
from backstay.store.views import read_events, read_wait
from backstay.types import Duration, Json, Tried, journalable, seconds

LONGEST_NAME: Final = 200
MOST_BYTES: Final = 4_000_000
"""Bytes of JSON that one call, or the last word, may bring."""
ON_PEOPLE: Final = frozenset({"approval", "task", "queued", "diverted", "switched", "unknown"})
"""Kinds of wait that end when a person does something."""


Callee: TypeAlias = "Action[Any] | Workflow[..., Any]"


class Session:
    """What a loop outside holds: `async with client.session(agent, goal=..., acting_for=...) as session`.

    `tools` tells a model what there is, `call` uses a tool, `finish` ends it with a finding. Leaving the block without that
    ends it too. It stays open when the process dies: the same `key` finds it again.
    """

    def __init__(self, desk: SessionDesk, agent: Workflow[..., Any], by: str, brief: Brief) -> None:
        self._desk, self._by, self._brief = desk, by, brief
        self.agent = agent.name
        self.run = ""
        """Id of the run, once it is open."""
        self.tools: list[dict[str, Json]] = agent.told_tools
        """Each with name, description and a JSON Schema of its arguments."""
        self.finding: Json = None
        """How it ended, as JSON of a `Finding`."""
        self._finish = agent.finish
        self._unmet = 0
        """So many last words did not hold."""

    @property
    def by(self) -> str:
        """Who runs the loop."""
        return self._by

    async def __aenter__(self) -> Self:
        self.run = await self._desk.begin(self.agent, self._brief, self._by)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self.finding is None and (error is None or isinstance(error, Exception)):
            with suppress(
                NotAllowed, Conflict
            ):  # whose rights have ended, or what needs an operator, is left to its time limit
                await self.leave("" if error is None else f"{type(error).__name__}: {error}")

    async def call(
        self, tool: str, args: Mapping[str, Any] | None = None, /, *, patience: Duration = "30s", key: str | None = None,
        **named: Any,
    ) -> ToolAnswer:  # fmt: skip
        """Use a tool; what the gate, a person or the tool itself says comes back and is never raised.

        patience: how long to wait for a tool that is slow; what needs a person is answered at once, with a `Proposed`.
        key: the loop's own word for this call; the same key is the same call, also after a crash. Arguments of a tool that
        are called like one of these go into `args`. Raises Conflict when the session is over, InvalidInput for arguments
        that are no JSON or too large, NotAllowed.
        """
        given = _written({**(args or {}), **named}, f"arguments of {tool[:LONGEST_NAME]!r}")
        if len(tool) > LONGEST_NAME:
            raise InvalidInput(f"no tool has a name of {len(tool)} characters", {"tool": "is too long"})
        asked = await self._desk.ask(self, tool, given, key)
        return asked if isinstance(asked, Refused) else await self._answer(asked, seconds(patience))

    def calls(self) -> list[Asked]:
        """What was asked so far, oldest first: a loop that comes back after a crash sees where it was."""
        return self._desk.asked(self)

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
        self._desk.allow(self)
        loop = asyncio.get_running_loop()
        until = None if patience is None else loop.time() + patience
        moved = asyncio.Event()
        with self._desk.watching(moved) as watched:
            while True:
                moved.clear()
                answer = self._desk.look(self, call, watched)
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
        It waits for whoever answers where the agent escalates. Raises InvalidInput naming the field; then it stays open. Claims
        that nothing supports are sent back like that as often as the agent's `limits.invalid`; after that they end it.
        """
        said = {"output": output, "summary": summary, "confidence": confidence, "claims": list(claims)}
        written = _written(said, "what the session ends with")
        try:
            self._finish.model_validate(written)
        except ValidationError as error:
            raise invalid("what the session ends with", error) from None
        if problem := self._desk.unmet(self, written, self._unmet):
            self._unmet += 1
            raise InvalidInput(problem, {"claims": problem})
        return await self._end(written, None)

    async def leave(self, why: str = "", *, patience: Duration = "10s") -> Json:
        """End it without a finding; None when others, such as whom the agent escalates to, still have the last word."""
        return await self._end({"left": why[:2000] or "the loop outside ended without a finding"}, seconds(patience))

    async def _end(self, said: Json, patience: float | None) -> Json:
        self.finding = await self._desk.end(self, said, patience)
        return self.finding


class SessionDesk(Desk):
    """What a session asks of the engine; each change checks anew whether its principal may."""

    async def begin(self, agent: str, brief: Brief, by: str) -> str:
        given, schema = _written(brief.input, "input of the session"), dict[str, Json]()
        if isinstance(brief.input, BaseModel):
            schema = schema_of(adapter_for(type(brief.input)))
        outside = from_outside(given, schema) if schema else []
        told, at = ({"goal": brief.goal, "input": given}, "/input/input") if brief.goal else (given, "/input")
        requester = self._requester(brief.acting_for, by)
        run = await self._runner.start(
            agent, {"input": told}, key=brief.key, by=by, trigger=TRIGGER, requester=requester,
            attended=Attendance([at + pointer for pointer in outside], brief.plan, _around(schema, at)),
        )  # fmt: skip
        if brief.key is not None:
            self._check_same(run, by, requester, {"input": told}, brief)
        return run

    def _check_same(self, run: str, by: str, requester: str | None, input_: Json, brief: Brief) -> None:
        """Raise unless a session that a key found is the one that was asked for."""
        first = self._runner.payloads.restore(read_events(self._reader, run)[0].event, {}, [])
        assert isinstance(first, ev.RunStarted)
        with self._recorded(by, run):
            if folded(first.by) != folded(by):
                raise NotAllowed(f"session {run} is of somebody else")
        if first.trigger != TRIGGER:
            raise Conflict(f"the key {brief.key!r} is that of run {run}, which is no session; take another")
        same = {
            "acting_for": first.requester == requester,
            "goal or input": first.input == input_,
            "plan": first.plan == brief.plan,
        }
        if differing := [name for name, equal in same.items() if not equal]:
            raise Conflict(f"session {run} was begun under this key with another {', '.join(differing)}")

    def allow(self, session: Session, case: Activation | None = None) -> Activation:
        """The run of a session; raises NotAllowed for whoever did not begin it, or may do so no more."""
        self._allow(session.by, "signal")
        case = self._loaded(session.run) if case is None else case
        started = case.machine.started if case.loaded else read_events(self._reader, case.row.id)[0].event
        with self._recorded(session.by, session.run):
            if folded(started.by) != folded(session.by):
                raise NotAllowed(f"session {session.run} is of somebody else")
        return case

    async def ask(self, session: Session, tool: str, args: Json, key: str | None) -> str | Refused:
        """Record that the loop wants a tool; gives the call's id once that is committed."""
        asked: list[str | Refused] = []

        def change(case: Activation, write: Write) -> bool:
            fork, staged = _serving(case), case.on_their_way(ev.CallAsked)
            known = {**fork.keys, **{event.key: event.command for event in staged if event.key}}
            number, most = len(fork.children) + len(staged), case.machine.program.namespace["AGENT"]["tool_calls"]
            if key is not None and key in known:
                asked.append(known[key])
            elif tool == PLAN and (wrong := misplanned(args)):
                asked.append(Refused(id="", kind="InvalidInput", reason=wrong))
            elif number > most:
                reason = f"the session has used up its {most} tool calls"
                asked.append(Refused(id="", kind="BudgetCrossed", reason=reason))
            else:
                refs, call = dict[str, str](), f"{fork.id}.{number}"
                packed = self._runner.payloads.pack(
                    write, args, "/args", refs, self._schema(tool), case.machine.secrets
                )
                case.stage(
                    write,
                    ev.CallAsked(
                        at=self._stamp(),
                        by=session.by,
                        command=call,
                        tool=tool,
                        args=packed,
                        key=key,
                        refs=refs or None,
                    ),
                )
                asked.append(call)
                return True
            return False

        async with self._runner.door:
            await self._runner.bring(self.allow(session), change)
        return asked[0]

    def _schema(self, tool: str) -> Json:
        """What says which arguments of a tool are private."""
        action, workflow = self._runner.gateway.actions.get(tool), self._runner.workflows.get(tool)
        if action is not None:
            return action.interface["arguments"] if action.seals_arguments else None
        return None if workflow is None else workflow.input_schema

    def asked(self, session: Session) -> list[Asked]:
        self.allow(session)
        events = (self._restored(stored.event) for stored in read_events(self._reader, session.run))
        return [
            Asked(id=event.command, tool=event.tool, args=event.args, key=event.key)
            for event in events
            if isinstance(event, ev.CallAsked)
        ]

    def _restored(self, event: Event) -> Event:
        return self._runner.payloads.restore(event, {}, [])

    @contextmanager
    def watching(self, moved: asyncio.Event) -> Generator[Callable[[str], None]]:
        """Within it, `moved` is set whenever something is applied to one of the runs that are named to what it gives."""
        watchers, named = self._runner.watchers, set[str]()

        def watch(run: str) -> None:
            named.add(run)
            watchers.follow(run, moved)

        try:
            yield watch
        finally:
            for run in named:
                watchers.leave(run, moved)

    def look(self, session: Session, call: str, watch: Callable[[str], None]) -> ToolAnswer | None:
        """What can be said of a call now; None while it is on its way."""
        watch(session.run)
        case = self._loaded(session.run)
        fork = case.machine.serving if case.loaded else None
        if case.row.ended or (fork is not None and fork.over):
            return self._recorded_answer(case, call)
        if fork is None:
            return Proposed(id=call, reason="the session needs attention", queue="operators", session=session)
        place = int(call.rpartition(".")[2])
        if place >= len(fork.children):
            return None
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

    def _recorded_answer(self, case: Activation, call: str) -> Returned | Refused | None:
        """What the journal says of a call of a session that is over; None when that is not known yet."""
        stored = [item.event for item in read_events(self._reader, case.row.id)]
        about = [self._restored(event) for event in stored if getattr(event, "command", None) == call]
        for event in reversed(about):
            match event:
                case ev.CallReturned() | ev.CallSettled(outcome="happened"):
                    return Returned(id=call, value=event.result)
                case ev.ChildEnded(status="finished"):
                    return Returned(id=call, value=event.result)
                case ev.CallFailed():
                    return Refused(id=call, kind="ActionFailed", reason=event.fault.message)
                case ev.CallDenied() | ev.CallDrafted() | ev.CallSettled(outcome="give-up"):
                    return Refused(id=call, kind="ActionDenied", reason=event.reason)
                case ev.ApprovalDecided() if event.verdict != "approved":
                    return Refused(id=call, kind="ActionDenied", reason=event.reason)
                case ev.ChildEnded():
                    return Refused(id=call, kind="ChildFailed", reason=event.reason)
                case _:
                    pass
        if not case.row.ended and any(isinstance(event, ev.CallIntended) for event in about):
            return None  # it may have happened, and the run does not end before that is known
        return Refused(id=call, kind="Cancelled", reason="the session ended before that was done")

    def unmet(self, session: Session, said: Json, before: int) -> str:
        """Why a last word does not hold and may be said again; before: so many did not hold. "" when it is to be taken."""
        case = self.allow(session)
        fork = case.machine.serving if case.loaded else None
        if fork is None or fork.over or before >= case.machine.program.namespace["AGENT"]["invalid"]:
            return ""
        return unmet(case.machine.program, fork, said)

    async def end(self, session: Session, said: Json, patience: float | None) -> Json:
        """Say the last word, unless that was said, and give the run's finding; None when it takes longer than patience."""

        def change(case: Activation, write: Write) -> bool:
            refs, fork = dict[str, str](), _serving(case)
            packed = self._runner.payloads.pack(write, said, "/payload", refs, None, case.machine.secrets)
            event = ev.SignalReceived(at=self._stamp(), by=session.by, name=FINISH, payload=packed, refs=refs or None)
            case.stage(write, event)
            case.clear_wait(write, f"{fork.id}.0")
            return True

        case = self.allow(session)
        fork = case.machine.serving if case.loaded else None
        if not case.row.ended and (fork is None or not fork.over):
            await self._runner.bring(case, change)
        try:
            async with asyncio.timeout(patience):
                ended = await self._runner.ended(session.run)
        except TimeoutError:
            return None
        told = self._restored(read_events(self._reader, ended.id, ended.seq - 1)[-1].event)
        if isinstance(told, ev.RunFinished):
            return told.result
        return {"reason": "error", "why": ended.summary or ended.status}


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
        a text from outside was read. Else the loop may say so first, with the tool `plan`. key: the same key opens the same
        session again, for the same principal and case. by: who runs the loop, default whom the client is bound to.
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
        desk = SessionDesk(self._runner, self._owners)
        desk._who, desk._key = self._who, self._key
        named = None if plan is None else [each if isinstance(each, str) else each.name for each in plan]
        return Session(desk, found, by, Brief(goal=goal, input=input, acting_for=acting_for, key=key, plan=named))


def _serving(case: Activation) -> Fork:
    """Where a loop outside may ask; raises Conflict when it may not."""
    fork = case.machine.serving if case.loaded else None
    if case.row.ended or (fork is not None and fork.over):
        raise Conflict(f"session {case.row.id} is over")
    if fork is None:
        raise Conflict(f"session {case.row.id} needs attention; `backstay retry` it, then go on")
    return fork


def _written(value: Any, what: str) -> Json:
    """A value as JSON; raises InvalidInput for what cannot be written, or is too large."""
    try:
        written = journalable(to_jsonable_python(value), what)
        size = len(to_json(written))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{what} cannot be kept as JSON: {error}", {"(whole value)": str(error)}) from None
    if size > MOST_BYTES:
        raise InvalidInput(f"{what} has {size} bytes; {MOST_BYTES} are the most", {"(whole value)": "is too large"})
    return written


def _around(schema: dict[str, Json], at: str) -> Json:
    """The schema of a run's input in which a value of this one stands at a pointer."""
    inner, defs = {name: part for name, part in schema.items() if name != "$defs"}, schema.get("$defs", {})
    for name in reversed(at.split("/")[1:]):
        inner = {"type": "object", "properties": {name: inner}}
    return {**inner, "$defs": defs}
