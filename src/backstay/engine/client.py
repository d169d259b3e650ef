"""The client: start, signal, decide, settle, retry, cancel, list, wait. The only way in.

The command line, tests, triggers and later the API and the console call this and nothing else. Every change names who
asks for it, is checked before anything is written, and is an event.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final, Self

from backstay import events as ev
from backstay.commands import WaitFor
from backstay.engine.activation import Activation
from backstay.engine.auditors import Auditors
from backstay.engine.autonomy import Autonomies
from backstay.engine.desk import EARLY_SCHEMA, LISTED, check_answer, clean
from backstay.engine.drills import Drills
from backstay.engine.erasure import Erasure
from backstay.engine.frames import Open, model_schema
from backstay.engine.memories import Remembering
from backstay.engine.registry import Registry
from backstay.engine.sessions import Sessions
from backstay.engine.watching import Watching
from backstay.errors import Conflict, NotAllowed
from backstay.events import Refs
from backstay.governance.keys import id_of
from backstay.governance.principals import Capability
from backstay.language import Workflow
from backstay.store.journal import Write
from backstay.store.views import Run, Stored, find_run, read_events, read_run
from backstay.types import Json


class Client(Drills, Registry, Auditors, Erasure, Sessions, Autonomies, Remembering, Watching):
    """Everything that may be asked of one store. Methods that change something take `by`, the person or service.

    The client that `App.open` gives is the hand of the process that owns the store's files: each change names who asks
    and is checked, but reads are not, as whoever has it can read the files. Hand out only bound ones: `acting` and
    `sign_in` give a client of one principal, which needs no `by`, can name nobody else, and checks every read as well.
    """

    # --- who asks ---

    def acting(self, by: str) -> Self:
        """This client, bound to one principal, whose rights are looked up at each call; nothing is checked yet."""
        who = self._by(by)
        known = self._runner.directory.find(who)
        bound = copy.copy(self)
        bound._who = who if known is None else known.id
        return bound

    def sign_in(self, key: str) -> Self:
        """This client, bound to whom an API key stands for, for as long as the key counts.

        Raises NotAllowed, in the same words whatever is wrong with the key; that is recorded, with the key's id alone.
        """
        try:
            who = self._runner.directory.authenticate(key, self._stamp()).id
        except NotAllowed as denied:
            self._denied(self._who or "", "sign-in", denied, key=id_of(key))
            raise
        bound = self.acting(who)
        bound._key = id_of(key)
        return bound

    async def authorize(self, key: str, capability: Capability | None = None, *, by: str | None = None) -> str:
        """The name of whom an API key stands for, if they have the capability and `by` names nobody else.

        For programs that read the store's file themselves, as the command line does. Raises NotAllowed, which is recorded.
        """
        signed = self.sign_in(key)
        return signed._by(by) if capability is None else signed._allow(by, capability)

    # --- runs ---

    async def start(
        self,
        workflow: Workflow[..., Any] | str,
        input: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        by: str | None = None,
        trigger: str = "",
        requester: str | None = None,
    ) -> str:
        """Start a run and return its id once that is committed.

        input: the workflow's arguments by name. key: the same key starts one run only, and gives its id again. by: default
        whom the client is bound to, else "system". requester: the person for whom a service, an agent or an operator asks;
        they are asked when there is a question, and neither of the two decides about it.
        Raises InvalidInput naming each field that does not fit, NotAllowed, NotFound, StoreUnavailable.
        """
        by = self._allow(self._or_system(by), "start")
        name, requester = workflow if isinstance(workflow, str) else workflow.name, self._requester(requester, by)
        return await self._runner.start(name, dict(input or {}), key=key, by=by, trigger=trigger, requester=requester)

    def _or_system(self, by: str | None) -> str | None:
        """Who starts or signals without a name: the system, unless the client is bound."""
        return SYSTEM if by is None and self._who is None else by

    async def signal(
        self, run: str, name: str, payload: Json = None, *, id: str | None = None, by: str | None = None
    ) -> None:
        """Send a run an event; it is kept if the run does not wait for it yet. The same `id` counts once."""
        by = self._allow(self._or_system(by), "signal")

        def change(case: Activation, write: Write) -> bool:
            if not case.loaded:
                raise Conflict(f"run {case.row.id} needs attention; `backstay retry` it, then send the signal again")
            if id is not None and id in case.machine.signal_ids:
                return False
            refs, named = Refs(), str(clean(case, name))
            waiting = next((leaf for leaf in case.machine.open.values() if _waits_for(leaf, named)), None)
            shape = waiting.command.type if waiting is not None and isinstance(waiting.command, WaitFor) else None
            answer = check_answer(shape, payload, f"payload of signal {name!r}")
            packed = self._runner.payloads.pack(
                write, answer, "/payload", refs, EARLY_SCHEMA if waiting is None else shape and model_schema(shape),
                case.machine.secrets,
            )  # fmt: skip
            event = ev.SignalReceived(at=self._stamp(), by=by, name=named, payload=packed, id=id, refs=refs or None)
            case.stage(write, event)
            if waiting is None:
                return False
            case.clear_wait(write, waiting.id)
            return True

        async with self._runner.door:
            await self._runner.deliver(self._loaded(run).row.id, change)

    async def cancel(self, run: str, *, by: str | None = None, reason: str = "cancelled") -> None:
        """Stop a run: what it confirmed is undone in reverse, then it is cancelled."""
        by = self._allow(by, "cancel")
        await self._runner.cancelling.cancel(find_run(self._reader, run).id, by=by, reason=reason)

    async def wait(self, run: str) -> Run:
        """Return the run's row once it has ended."""
        self._see()
        ended = await self._runner.ended(run)
        self._see()  # they may have been revoked while they waited
        return ended

    async def result(self, run: str) -> Json:
        """Wait for a run and return its result as JSON; raises Conflict when it failed or was cancelled."""
        ended = await self.wait(run)
        if ended.status != "finished":
            raise Conflict(f"run {ended.id} {ended.status}: {ended.summary}")
        last = read_events(self._reader, ended.id, ended.seq - 1)[-1].event
        restored = self._runner.payloads.restore(last, {})
        return restored.result if isinstance(restored, ev.RunFinished) else None

    async def idle(self) -> None:
        """Return when nothing moves: no run is being advanced, and no failed call is about to be tried again."""
        self._see()
        while True:
            await self._runner.dispatch.idle()
            if self._reader.one("retries_pending") is None:
                return
            await self._runner.dispatch.next_end()

    async def quiet(self) -> None:
        """Return when no run is being advanced; failed calls may still be waiting for their next attempt.

        Raises what made the worker stop, if it had to.
        """
        self._see()
        await self._runner.dispatch.idle()
        if self._runner.dispatch.fatal is not None:
            raise self._runner.dispatch.fatal

    @property
    def fault(self) -> BaseException | None:
        """What made the worker stop by itself, if it had to: another one took the store over, for example."""
        self._see()
        return self._runner.dispatch.fatal or self._runner.journal.fault

    def next_timer(self) -> float | None:
        """When the next timer is due, in seconds since the epoch."""
        self._see()
        return self._runner.next_timer()

    async def fire_timers(self) -> None:
        """Look at the timers now (a clock was moved)."""
        self._see()
        await self._runner.fire_due()

    def runs(
        self, *, status: str | None = None, workflow: str | None = None, before: str | None = None, limit: int = LISTED
    ) -> list[Run]:
        """Runs, newest first; `before` is the last id of the page before."""
        self._see()
        parameters = {"status": status, "workflow": workflow, "before": before, "limit": limit}
        return [read_run(row) for row in self._reader.all("runs", parameters)]

    def events(self, run: str) -> list[Stored]:
        """The journal of a run, private values as pseudonyms."""
        self._see()
        return read_events(self._reader, find_run(self._reader, run).id)


SYSTEM: Final = "system"
"""Who starts and signals where the process that owns the store names nobody."""


def _waits_for(leaf: Open, name: str) -> bool:
    return isinstance(leaf.command, WaitFor) and leaf.command.name == name
