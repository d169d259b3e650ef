"""An application: its workflows, actions, queues and rules, and how it is opened on a store."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import AsyncGenerator, Callable, Collection, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final, Protocol

from backstay.actions import Action, check_action
from backstay.engine.client import Client
from backstay.engine.gateway import Alert, Gateway
from backstay.engine.items import Notice
from backstay.engine.runner import Runner
from backstay.engine.sessions import Session
from backstay.engine.streams import Piece
from backstay.errors import AuthorError, StoreLocked
from backstay.governance.budgets import AgentDay, Days, Limits
from backstay.governance.detectors import DEFAULT, DataClass, Detector
from backstay.governance.policy import Policy, Rule
from backstay.governance.queues import Queue, Queues
from backstay.language import Workflow
from backstay.store.clock import Clock
from backstay.store.database import Reader
from backstay.store.files import make_folder
from backstay.store.journal import Journal
from backstay.store.payloads import Payloads
from backstay.types import Json, journalable

STORE_FILE = "backstay.db"
LOCK_FILE = "backstay.lock"
LOCK_TRIES: Final = 50
LOCK_PAUSE: Final = 0.01
"""How often, and with how many seconds in between, a lock is tried that somebody holds."""

YOUNG_OBJECTS: Final = 20_000
"""New objects after which Python looks for cycles while an application is open."""


class Supplier(Protocol):
    """Something that brings actions of its own: the models, a server of tools."""

    @property
    def actions(self) -> Sequence[Action[Any]]: ...

    async def close(self) -> None:
        """Close its connections: the application is closed, and may be opened again."""
        ...


class App:
    """What is deployed together. `async with app.open(home) as client` runs it on the store in that directory.

    workflows: what may be started. actions: besides those that the workflows name. queues: owned queues; one that is not
    listed belongs to `operators`. policy: rules over the baseline. settings: what `setting(name)` gives.
    on_alert: called with an `Alert` when an operator should hear of something. on_notice: with a `Notice` about an item.
    budgets: what agents may use up in a day, each an `AgentDay`.
    suppliers: servers whose tools it uses, such as an `MCPServer`; their connections are closed with it.
    lifespan: each is called with the client when the application is opened to run, and what it gives is entered for as long:
    `lambda client: supervision.over(client, supervisor)`.
    Raises AuthorError for actions of one name, a policy that opens a door without an owner, an action without a schema.
    """

    def __init__(
        self,
        name: str,
        *,
        workflows: Sequence[Workflow[..., Any]],
        actions: Sequence[Action[Any]] = (),
        queues: Sequence[Queue] = (),
        policy: Sequence[Rule] = (),
        limits: Limits | None = None,
        budgets: Sequence[AgentDay] = (),
        settings: Mapping[str, Json] | None = None,
        on_alert: Sequence[Callable[[Alert], Any]] = (),
        on_notice: Sequence[Callable[[Notice], Any]] = (),
        detect: Collection[DataClass] = DEFAULT,
        models: Supplier | None = None,
        suppliers: Sequence[Supplier] = (),
        lifespan: Sequence[Callable[[Client], AbstractAsyncContextManager[Any]]] = (),
    ) -> None:
        self.name = name
        self.workflows = {workflow.name: workflow for workflow in workflows}
        brought = [action for supplier in suppliers for action in supplier.actions]
        named = [action for workflow in workflows for action in actions_of(workflow)]
        self.actions = _by_name([*actions, *brought, *named])
        self.suppliers = [*suppliers, *(() if models is None else (models,))]
        self.actions |= {action.name: action for supplier in self.suppliers for action in supplier.actions}
        self.queues = Queues(queues)
        self.on_notice = list(on_notice)
        self.policy = Policy(policy)
        self.limits, self.budgets = limits or Limits(), tuple(budgets)
        self.settings: dict[str, Json] = journalable(dict(settings or {}), f"the settings of app {name!r}")
        self.on_alert, self.lifespan = list(on_alert), list(lifespan)
        self.detector = Detector(detect)
        self._client: Client | None = None
        """While it is open."""
        self._check_children()
        self._check_budgets()

    def _check_children(self) -> None:
        for workflow in self.workflows.values():
            for interface in workflow.program.interfaces.values():
                if interface.kind in ("workflow", "agent") and interface.name not in self.workflows:
                    raise AuthorError(
                        f"workflow {workflow.name!r} starts {interface.name!r}, which is not part of app {self.name!r}; "
                        "add it to workflows=[...]"
                    )
                if interface.kind == "action" and interface.name not in self.actions:
                    raise AuthorError(
                        f"workflow {workflow.name!r} calls action {interface.name!r}, which app {self.name!r} cannot find; "
                        "add it to actions=[...]"
                    )

    def _check_budgets(self) -> None:
        agents = [name for name, workflow in self.workflows.items() if workflow.language_kind == "agent"]
        for name in Days(self.budgets).budgets:
            if name not in agents:
                has = f"it has {', '.join(sorted(agents))}" if agents else "it has none"
                raise AuthorError(f"a budget is given to agent {name!r}, which app {self.name!r} does not have; {has}")

    @asynccontextmanager
    async def open(
        self,
        home: str | os.PathLike[str],
        *,
        clock: Clock | None = None,
        synchronous: str = "FULL",
        resume: bool = True,
        on_commit: Callable[[int], None] | None = None,
        on_stream: Callable[[Piece], Any] | None = None,
    ) -> AsyncGenerator[Client, None]:
        """Own the store in `home`, resume what was left, and give the client.

        resume: False only opens it, to decide or look while nothing runs. on_commit: called in the writer's thread after
        each commit with its number. on_stream: called with each piece of what a model says, while it says it.
        Raises StoreLocked when another process has it, StoreMismatch, StoreUnavailable.
        """
        folder = Path(home)
        make_folder(folder)
        lock = take_lock(folder / LOCK_FILE)
        clock = clock or Clock()
        try:
            journal = Journal(folder / STORE_FILE, synchronous=synchronous, on_commit=on_commit)
            reader = Reader(folder / STORE_FILE)
            try:
                runner = self._runner(folder, journal, reader, clock)
                runner.gateway.streams.on_stream = on_stream
                if resume:
                    await runner.agents.load()
                    await runner.resume()
                else:
                    runner.dispatch.hold()
                self._client = Client(runner, self.queues.owners)
                try:
                    async with AsyncExitStack() as beside:
                        for begin in self.lifespan if resume else ():
                            await beside.enter_async_context(begin(self._client))
                        with _collector.calm():
                            yield self._client
                finally:
                    self._client = None
                    await runner.stop()
                    runner.gateway.streams.close()
                    await journal.drain()
                    for supplier in self.suppliers:
                        await supplier.close()
            finally:
                reader.close()  # before the journal, whose closing folds the log into the file only if it is the last
                await asyncio.to_thread(journal.close)
        finally:
            lock.close()

    @asynccontextmanager
    async def session(
        self, agent: Workflow[..., Any] | str, *, goal: str = "", input: Any = None, acting_for: str | None = None,
        plan: Sequence[Action[Any] | Workflow[..., Any] | str] | None = None, key: str | None = None,
        by: str | None = None, home: str | os.PathLike[str] = ".backstay",
    ) -> AsyncGenerator[Session, None]:  # fmt: skip
        """A session of an agent for a loop outside, as `Client.session`; an application that is not open is, in `home`."""
        async with AsyncExitStack() as stack:
            client = self._client or await stack.enter_async_context(self.open(home))
            made = client.session(agent, goal=goal, input=input, acting_for=acting_for, plan=plan, key=key, by=by)
            yield await stack.enter_async_context(made)

    def _runner(self, folder: Path, journal: Journal, reader: Reader, clock: Clock) -> Runner:
        newest = reader.value("newest_at")
        if newest is not None:
            clock.seen(datetime.fromisoformat(newest))
        payloads = Payloads(folder, reader, self.detector)
        gateway = Gateway(
            self.actions,
            clock=clock,
            payloads=payloads,
            policy=self.policy,
            limits=self.limits,
            queues=self.queues,
            on_alert=self.on_alert,
        )
        gateway.days = Days(self.budgets)
        return Runner(
            journal=journal,
            reader=reader,
            clock=clock,
            payloads=payloads,
            gateway=gateway,
            workflows=self.workflows,
            settings=self.settings,
            on_notice=self.on_notice,
        )


class _Collector:
    """The garbage collector's settings while applications are open: calls on their way to the disk are many, and no cycles.

    A higher setting of the process is left alone, and what stood before is put back.
    """

    def __init__(self) -> None:
        self._open = 0
        self._before = 0

    @contextmanager
    def calm(self) -> Generator[None, None, None]:
        """Let more young objects live before Python looks for cycles."""
        young, *older = gc.get_threshold()
        if not self._open and 0 < young < YOUNG_OBJECTS:
            gc.set_threshold(YOUNG_OBJECTS, *older)
            self._before = young
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            young, *older = gc.get_threshold()
            if not self._open and self._before:
                if young == YOUNG_OBJECTS:  # else the process has set it meanwhile
                    gc.set_threshold(self._before, *older)
                self._before = 0


_collector = _Collector()


def actions_of(workflow: Workflow[..., Any]) -> list[Action[Any]]:
    """The actions that a workflow's source names, as its module holds them, with the actions that undo them."""
    named = {interface.name for interface in workflow.program.interfaces.values() if interface.kind == "action"}
    values = [*workflow.fn.__globals__.values(), *workflow.scope.near.values()]
    return [value for value in values if isinstance(value, Action) and value.name in named]


def _by_name(actions: Sequence[Action[Any]]) -> dict[str, Action[Any]]:
    found: dict[str, Action[Any]] = {}
    for action in [*actions, *(action.compensate for action in actions if action.compensate)]:
        if found.setdefault(action.name, action) is not action:
            raise AuthorError(f"two actions are called {action.name!r}; give one of them another name=")
        check_action(action)
    return found


def take_lock(path: Path) -> IO[str]:
    """Lock a store for this process until the file is closed or the process dies; raises StoreLocked naming the owner.

    A lock that is taken is tried again for a while: whoever only looks at it holds it for an instant.
    """
    file = path.open("a+", encoding="utf-8")
    tries = LOCK_TRIES
    while not _lock(file):
        tries -= 1
        if not tries:
            file.seek(0)
            owner = file.read().strip() or "another process"
            file.close()
            raise StoreLocked(
                f"the store in {path.parent.name!r} is in use by {owner}; one process at a time may run it. "
                "Use the commands with the same --home (they talk to that process), or stop it first"
            )
        time.sleep(LOCK_PAUSE)
    file.seek(0)
    file.truncate()
    file.write(f"process {os.getpid()}")
    file.flush()
    return file


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock; others who look at the same moment are not taken for one."""
    with path.open("a+", encoding="utf-8") as file:
        return not _lock(file, shared=True)


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[str], *, shared: bool = False) -> bool:
        del shared  # there is no such lock here: somebody who looks may see another who looks
        file.seek(0x7FFFFFFF)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            file.seek(0)
        return True
else:
    import fcntl

    def _lock(file: IO[str], *, shared: bool = False) -> bool:
        try:
            fcntl.flock(file.fileno(), (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
