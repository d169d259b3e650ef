"""Supervision: bounded verbs over the runs of an application, for an agent or a workflow that looks after them.

It wakes when retries are exhausted or an outcome is unknown. Each verb is an action, so the gate judges it, and is carried
out through the client as a service, so the client checks its rights and the run that is touched records who touched it.
What may have moved money is never done again: whoever retries says what it is, a rule denies what must not be, and the
verb refuses unless the journal says the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel

from backstay import events as ev
from backstay.actions import Action, Retry, action
from backstay.ai.agents import Agent, AgentLimits, Callee
from backstay.commands import task
from backstay.engine.client import Client
from backstay.engine.gateway import Alert
from backstay.errors import JournalCorrupted, NotRetryable, OperatorError, RequestError, StoreUnavailable
from backstay.events import Event
from backstay.governance.approvals import folded
from backstay.governance.policy import Rule
from backstay.language import Workflow, workflow
from backstay.operations.failing import WAITS, Failing, Standing, State, failed_run, failing_call, standing
from backstay.operations.log import tell
from backstay.store.views import Run, Wait
from backstay.types import Duration, Effect, IdempotencyKey, Json, Outside, seconds

log = logging.getLogger("backstay")

MOST: Final = 1000
"""Items of one kind that are looked at together."""

SHOWN: Final = 50
"""Of these, so many are shown at once: reading their journals takes time, and a model reads no more."""

NEVER_TWICE: Final = Rule(
    id="supervision-never-twice", verdict="deny", action="retry_call", owner="backstay",
    when='state != "queued" or effect == "irreversible"', reason="money may have moved: a person settles it",
)  # fmt: skip
"""Belongs into the policy of every application that is supervised."""

GOAL: Final = "Find out why calls fail; do what helps and cannot harm."
ADVICE: Final = """\
Look at failing_calls first. Several alike point at the target: open one incident, and divert the action if it goes on.
A fault that may have passed: retry_call, once. A wrong input of a run that failed: repair_input, which a person confirms.
An unknown outcome, an effect that cannot be taken back, what was retried already, what you cannot explain: escalate."""


class Case(BaseModel):
    """What a supervisor is woken for."""

    about: str
    """The action whose calls fail, or the workflow whose runs do."""
    failing: int
    since: str


class Matter(BaseModel):
    """What a person takes over."""

    kind: Literal["escalation", "incident"]
    queue: str
    about: str
    items: list[str] = []
    summary: Annotated[str, Outside()]
    proposal: Annotated[str, Outside()] = ""


class Resolution(BaseModel):
    """What a person did about a matter."""

    cause: str
    measure: str = ""


class Assessment(BaseModel):
    """What a supervising agent comes back with."""

    cause: str
    done: list[str] = []


@workflow
async def attend(matter: Matter) -> Resolution:
    """A matter that the supervision hands over: a person finds the cause and says what was done."""
    return await task(matter.queue, title=f"{matter.kind}: {matter.about}", show=matter, form=Resolution)


class Supervision:
    """The verbs, and what wakes whoever uses them. `async with supervision.over(client, supervisor)` begins it.

    by: the service that carries the verbs out; where anybody is registered it needs the role operator. queue: where a
    person takes over. incidents: their queue, if another. again: how often it may retry one call. at_least: failures of
    one action before it wakes. repairs: workflow -> fields of its input, such as "invoice.currency", that may be mended.
    """

    def __init__(
        self, *, by: str = "supervision", queue: str = "operators", incidents: str = "", again: int = 1, at_least: int = 1,
        repairs: Mapping[str, Sequence[str]] | None = None,
    ) -> None:  # fmt: skip
        self.by, self.queue, self.incidents = by, queue, incidents or queue
        self.again, self.at_least, self.repairs = again, at_least, dict(repairs or {})
        self._bound: tuple[Client, Workflow[..., Any]] | None = None
        self._wake = asyncio.Event()
        read: dict[str, Any] = {"effect": "read", "on_failure": "raise"}
        common: dict[str, Any] = {"on_failure": "raise", "approvers": queue, "retry": Retry(attempts=6)}
        verb: dict[str, Any] = {"effect": "write", **common}
        self.failing_calls: Action[Any] = action(**read, name="failing_calls")(self._failing_calls)
        self.run_history: Action[Any] = action(**read, name="run_history", untrusted=True)(self._run_history)
        self.retry_call: Action[Any] = action(**verb, name="retry_call", sinks=["item"])(self._retry_call)
        self.repair_input: Action[Any] = action(
            effect="irreversible", **common, name="repair_input", sinks=["run", "field", "value"]
        )(self._repair_input)
        self.divert_action: Action[Any] = action(**verb, name="divert_action", sinks=["action"])(self._divert_action)
        self.stop_run: Action[Any] = action(**verb, name="stop_run", sinks=["run"])(self._stop_run)
        self.escalate: Action[Any] = action(**verb, name="escalate", sinks=["item"])(self._escalate)
        self.open_incident: Action[Any] = action(**verb, name="open_incident", sinks=["action"])(self._open_incident)

    @property
    def verbs(self) -> list[Action[Any]]:
        """What may be done: each through the gate, and recorded where it was done."""
        return [
            self.retry_call,
            self.repair_input,
            self.divert_action,
            self.stop_run,
            self.escalate,
            self.open_incident,
        ]

    @property
    def actions(self) -> list[Action[Any]]:
        """The verbs, and what shows what they are about."""
        return [self.failing_calls, self.run_history, *self.verbs]

    def agent(
        self, name: str = "supervisor", *, tools: Sequence[Callee] = (), model: str = "careful", instructions: str = "",
        limits: AgentLimits | None = None,
    ) -> Agent[Assessment]:  # fmt: skip
        """An agent that supervises: its tools are the verbs and `tools`; where it gets nowhere, a person of the queue does."""
        return Agent(
            name, goal=GOAL, tools=[*self.actions, *tools], output=Assessment, instructions=f"{ADVICE}\n{instructions}",
            model=model, limits=limits, evidence=[self.failing_calls], escalate=self.queue, autonomy="execute",
        )  # fmt: skip

    # --- waking ---

    @asynccontextmanager
    async def over(
        self, client: Client, wakes: Workflow[..., Any], *, every: Duration | None = "1m"
    ) -> AsyncGenerator[None, None]:
        """Supervise what a client shows: start `wakes`, an agent or a workflow of one `Case`, where something fails.

        It looks at the beginning, when an alert was heard, and every so often; None only after alerts.
        """
        self._bound, self._wake = (client.acting(self.by), wakes), asyncio.Event()
        watching = asyncio.create_task(self._watch(None if every is None else seconds(every)))
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            self._bound = None

    def hear(self, alert: Alert) -> None:
        """For `App(on_alert=[...])`. An alert says only that it is time to look: what fails stands in the store."""
        del alert
        self._wake.set()

    async def _watch(self, every: float | None) -> None:
        while True:
            self._wake.clear()
            try:
                await self.sweep()
            except (RequestError, OperatorError) as error:  # a right that is missing, a full disk: it may pass
                log.warning("supervision: %s", error)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), every)

    async def sweep(self) -> list[str]:
        """Start a case for each action or workflow that fails and that no open case is about; the cases' runs.

        What fails and was a case before does not start another: the newest failure is the case's key.
        """
        client, wakes = self._over()
        failing: dict[str, list[tuple[str, str]]] = {}
        for wait in self._waiting():
            failing.setdefault(self._about(wait), []).append((wait.opened_at, wait.id))
        for row in self._failed():
            failing.setdefault(row.workflow, []).append((row.updated_at, row.id))
        handled = {(run.key or "").partition("@")[0] for run in self._open(wakes.name)}
        cases: list[str] = []
        for about, items in failing.items():
            if about in handled or len(items) < self.at_least:
                continue
            case = Case(about=about, failing=len(items), since=min(items)[0])
            at, newest = max(items)
            given, key = {wakes.parameters[0]: case.model_dump()}, f"{about}@{at} {newest} {self._times(newest)}"
            cases.append(await client.start(wakes, given, key=key, trigger="supervision"))
        return cases

    def _times(self, item: str) -> int:
        """How often an item has failed for good: once more is news, also within one tick of the clock."""
        run, _, command = item.partition("/")
        with suppress(JournalCorrupted):
            return sum(
                isinstance(event, ev.CallQueued | ev.CallUnknown | ev.AttentionRaised)
                and getattr(event, "command", command) == command
                for event in self._events(run)
            )
        return 0

    def _over(self) -> tuple[Client, Workflow[..., Any]]:
        if self._bound is None:
            raise StoreUnavailable("supervision has not begun: open it with `supervision.over(client, ...)`")
        return self._bound

    @property
    def _client(self) -> Client:
        return self._over()[0]

    def _open(self, name: str) -> list[Run]:
        return [
            run
            for status in ("running", "waiting", "attention")
            for run in self._client.runs(status=status, workflow=name, limit=MOST)
        ]

    def _waiting(self) -> list[Wait]:
        return [
            wait
            for kind in WAITS
            for wait in self._client.inbox(kind=kind, limit=MOST)
            if not self._is_own(self._client.run(wait.run))
        ]

    def _about(self, wait: Wait) -> str:
        """The action that fails, or the workflow whose run cannot go on."""
        return wait.subject or self._client.run(wait.run).workflow

    def _failed(self) -> list[Run]:
        """Runs that failed, that a verb may mend, and that none has."""
        client = self._client
        return [
            row
            for name in self.repairs
            for begun in [{run.key for run in client.runs(workflow=name, limit=MOST)}]
            for row in client.runs(status="failed", workflow=name, limit=MOST)
            if row.parent is None and _repaired(row.id) not in begun
        ]

    def _is_own(self, row: Run) -> bool:
        """Whether a run supervises, or was started by one that does: what fails there is for people alone."""
        client, wakes = self._over()
        while row.workflow not in (wakes.name, attend.name) and row.parent is not None:
            row = client.run(row.parent)
        return row.workflow in (wakes.name, attend.name)

    # --- looking ---

    async def _failing_calls(self, about: str = "") -> list[Failing]:
        """What fails now: calls of an action, or runs of a workflow; of all when `about` is left out. The first fifty."""
        with _in_words():
            waits = [wait for wait in self._waiting() if about in ("", self._about(wait))]
            runs = [row for row in self._failed() if about in ("", row.workflow)]
            found = [self._seen(wait) for wait in waits[:SHOWN]]
            return [*found, *(failed_run(row, self._standing(row.id)) for row in runs[:SHOWN])]

    async def _run_history(self, run: str) -> list[str]:
        """What happened in a run so far, line by line."""
        with _in_words():
            return [f"{line.at} {line.text}" for line in tell(self._client.run(run), self._client.events(run))]

    def _seen(self, wait: Wait) -> Failing:
        row = self._client.run(wait.run)
        try:
            return failing_call(wait, row, self._events(wait.run), self._standing(wait.run), self.by)
        except JournalCorrupted as error:  # the others go on
            return failing_call(wait, row, (), (), self.by).model_copy(
                update={"state": "attention", "fault": str(error)}
            )

    def _events(self, run: str) -> list[Event]:
        return [stored.event for stored in self._client.events(run)]

    def _standing(self, run: str) -> list[Standing]:
        """What a run and those that it started have done."""
        events = self._events(run)
        children = [event.run for event in events if isinstance(event, ev.ChildStarted) and event.run]
        return [*standing(events), *(effect for child in children for effect in self._standing(child))]

    def _at(self, run: str) -> Run:
        """A run that may be touched."""
        row = self._client.run(run)
        if self._is_own(row):
            raise NotRetryable(f"run {run} belongs to the supervision itself; only people may touch it")
        return row

    # --- the verbs ---

    async def _retry_call(
        self, item: str, action: str, effect: Effect | Literal["none"], state: State, why: str, key: IdempotencyKey
    ) -> str:
        """Send a call that failed back to the gate. Repeat what failing_calls says of it: action, effect, state.

        Never for what cannot be taken back, and never where it is unknown whether it happened.
        """
        with _in_words():
            row, (mark, sent) = self._at(item.partition("/")[0]), (f"({key[:12]})", "it was sent back to the gate")
            if self._did(row.id, ev.CallRetried, mark):
                return sent
            waits = [wait for wait in self._client.waits_of(row.id) if wait.id == item and wait.kind in WAITS]
            if not waits:
                raise NotRetryable(f"{item} is no call that waits for a retry any more")
            found = self._seen(waits[0])
            if (action, effect, state) != (found.action, found.effect, found.state):
                raise NotRetryable(
                    f"{item} is a call of {found.action!r}, effect {found.effect!r}, state {found.state!r}: "
                    "say what it is, then it can be judged"
                )
            if found.state != "queued" or found.effect == "irreversible":
                raise NotRetryable(f"{item}: money may have moved ({found.effect}, {found.state}); escalate it")
            if found.sent_back >= self.again:
                raise NotRetryable(f"{item} was sent back {found.sent_back} time(s) already; escalate it")
            await self._client.retry(item, reason=f"{why} {mark}")
            return sent

    async def _repair_input(self, run: str, field: str, value: Any, why: str, key: IdempotencyKey) -> str:
        """Begin a run anew that failed, or that was stopped here, with one field of its input mended; the new run's id.

        Only where nothing that it did still stands: what it did would be done twice.
        """
        del key  # the run that failed is the key: it is begun anew once
        with _in_words():
            row = self._at(run)
            if field not in self.repairs.get(row.workflow, ()):
                listed = ", ".join(self.repairs.get(row.workflow, ())) or "nothing"
                raise NotRetryable(f"{field!r} may not be mended; of {row.workflow!r}: {listed}")
            if row.parent is not None or not (row.status == "failed" or self._did(row.id, ev.CancelRequested)):
                raise NotRetryable(f"run {run} is {row.status}: only one that failed or was stopped here is begun anew")
            if stands := self._standing(row.id):
                raise NotRetryable(f"run {run} would do again: {'; '.join(map(str, stands))}; escalate it")
            began = self._events(row.id)[0]
            if not isinstance(began, ev.RunStarted) or began.refs:
                raise NotRetryable(
                    f"the input of run {run} is private or large: a person must start it anew; escalate it"
                )
            given = _replaced(began.input, field.split("."), value)
            requester = row.requester if _is_person(self._client, row.requester) else None
            return await self._client.start(
                row.workflow, given, key=_repaired(row.id), trigger=f"repair: {why}", requester=requester
            )

    async def _divert_action(self, action: str, why: str, key: IdempotencyKey) -> str:
        """Let further calls of an action wait in its backlog instead of being made; a person lets them go on."""
        del key  # a switch that is off is off
        with _in_words():
            if action in {each.name for each in self.actions}:
                raise NotRetryable(f"{action} is a verb of the supervision itself; only people may stop it")
            if f"action:{action}" not in self._client.switches:
                await self._client.switch(f"action:{action}", off=True, reason=why)
            return f"calls of {action} wait until a person switches it on again"

    async def _stop_run(self, run: str, why: str, key: IdempotencyKey) -> str:
        """Stop a run; what it did is undone. Never where money may have moved."""
        with _in_words():
            row, (mark, stopped) = self._at(run), (f"({key[:12]})", f"run {run} was asked to stop")
            if self._did(row.id, ev.CancelRequested, mark):
                return stopped
            if moved := [effect for effect in self._standing(row.id) if effect.moved]:
                raise NotRetryable(f"run {run} is not stopped: {'; '.join(map(str, moved))}; escalate it")
            await self._client.cancel(row.id, reason=f"{why} {mark}")
            return stopped

    async def _escalate(self, item: str, summary: str, proposal: str, key: IdempotencyKey) -> str:
        """Hand an item to a person, with what was found out and what you propose."""
        with _in_words():
            matter = Matter(
                kind="escalation", queue=self.queue, about=item, items=[item], summary=summary, proposal=proposal
            )
            return await self._client.start(attend, {"matter": matter}, key=f"escalation/{key}", trigger="supervision")

    async def _open_incident(self, action: str, summary: str, items: list[str], key: IdempotencyKey) -> str:
        """Open an incident about an action, or name the one that is open; its id."""
        with _in_words():
            about = f"incident/{action}@"
            found = next((run.id for run in self._open(attend.name) if (run.key or "").startswith(about)), None)
            matter = Matter(kind="incident", queue=self.incidents, about=action, items=items, summary=summary)
            return found or await self._client.start(attend, {"matter": matter}, key=about + key, trigger="supervision")

    def _did(self, run: str, kind: type[Event], mark: str = "") -> bool:
        """Whether this supervision did something to a run before: with a mark, in an earlier attempt at the same verb."""
        return any(
            isinstance(event, kind)
            and folded(event.by) == folded(self.by)
            and getattr(event, "reason", "").endswith(mark)
            for event in self._events(run)
        )


@contextmanager
def _in_words() -> Generator[None]:
    """A request that the client refuses is an answer to whoever asked: another attempt cannot help."""
    try:
        yield
    except (RequestError, JournalCorrupted) as error:
        raise NotRetryable(str(error)) from None


def _repaired(run: str) -> str:
    return f"repaired {run}"


def _is_person(client: Client, name: str) -> bool:
    known = client.directory.find(name)
    return client.directory.empty or (known is not None and known.kind == "person")


def _replaced(given: Json, path: Sequence[str], value: Json) -> Json:
    """An input with another value at a path; raises NotRetryable where it has no such field."""
    if not isinstance(given, dict) or path[0] not in given:
        raise NotRetryable(f"the input has no field {path[0]!r}")
    return {**given, path[0]: value if len(path) == 1 else _replaced(given[path[0]], path[1:], value)}
