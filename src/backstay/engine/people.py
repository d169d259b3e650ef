"""People: what waits for them, and claiming, deciding and reporting."""

from __future__ import annotations

from typing import Literal

from backstay import events as ev
from backstay.commands import Task
from backstay.engine.activation import Activation
from backstay.engine.desk import LISTED, Desk, check_answer, clean
from backstay.errors import Conflict, InvalidInput, NotAllowed
from backstay.events import Refs
from backstay.governance.approvals import check_decider, check_person
from backstay.store.journal import Write
from backstay.store.views import QueueCount, Wait, read_wait
from backstay.types import Json, journalable


class People(Desk):
    """The part of the client that people use."""

    def inbox(self, *, queue: str | None = None, kind: str | None = None, limit: int = LISTED) -> list[Wait]:
        """Everything that waits for a person, the soonest due first."""
        parameters = {"queue": queue, "kind": kind, "action": None, "people": 1, "limit": limit}
        return [read_wait(row) for row in self._reader.all("waits", parameters)]

    def queues(self) -> list[QueueCount]:
        """What lies in each queue, by kind."""
        rows = self._reader.all("queue_counts", {"now": self._stamp()})
        return [QueueCount(**{name: row[name] for name in QueueCount.__dataclass_fields__}) for row in rows]

    @property
    def owners(self) -> dict[str, str]:
        """Queue -> owner, as the application declares them."""
        return dict(self._owners)

    def owner(self, queue: str) -> str:
        """Who answers for a queue; every queue has an owner."""
        return self._owners.get(queue) or self._owners.get("*", "operators")

    async def claim(self, item: str, *, by: str) -> None:
        """Take an approval or task for oneself; raises Conflict when somebody else has it."""

        def change(case: Activation, write: Write, wait: Wait) -> None:
            check_person(by)
            if wait.claimed_by not in (None, by):
                raise Conflict(f"{wait.id} is claimed by {wait.claimed_by!r}")
            case.stage(write, ev.ItemClaimed(at=self._stamp(), by=by, command=wait.command))
            case.put_wait(write, wait._replace(claimed_by=by))

        await self._change_item(item, ("approval", "task"), change, keep=True)

    async def release(self, item: str, *, by: str) -> None:
        """Give a claimed item back to its queue."""
        check_person(by)

        def change(case: Activation, write: Write, wait: Wait) -> None:
            if wait.claimed_by is None:
                raise Conflict(f"{wait.id} is not claimed")
            case.stage(write, ev.ItemReleased(at=self._stamp(), by=by, command=wait.command))
            case.put_wait(write, wait._replace(claimed_by=None))

        await self._change_item(item, ("approval", "task"), change, keep=True)

    async def decide(self, item: str, verdict: Literal["approved", "rejected"], *, by: str, reason: str = "") -> None:
        """Approve or reject; the decision is bound to exactly what was shown, and counts once.

        Raises NotAllowed (own request, somebody else's claim), Conflict (decided, withdrawn or expired already).
        """
        if verdict not in ("approved", "rejected"):
            raise InvalidInput(f"{verdict!r} is no verdict; decide 'approved' or 'rejected'", {"verdict": "unknown"})

        def change(case: Activation, write: Write, wait: Wait) -> None:
            requester = case.machine.started.by if case.loaded else wait.requester  # the journal's word counts
            check_decider(by=by, requester=requester, claimed_by=wait.claimed_by)
            if wait.wake_at is not None and wait.wake_at <= self._stamp():
                raise Conflict(f"{wait.id} expired at {wait.wake_at}; it does not count any more")
            opened = self._opened(case, wait)
            digest = opened.digest if isinstance(opened, ev.ApprovalRequested) else None
            event = ev.ApprovalDecided(
                at=self._stamp(), by=by, command=wait.command, verdict=verdict, reason=clean(case, reason),
                digest=digest,
            )  # fmt: skip
            case.stage(write, event)

        await self._change_item(item, ("approval",), change)

    async def complete(self, item: str, value: Json = None, *, by: str) -> None:
        """Report a task done, with its filled-in form; raises InvalidInput naming each field that does not fit."""

        def change(case: Activation, write: Write, wait: Wait) -> None:
            check_person(by)
            if wait.claimed_by not in (None, by):
                raise NotAllowed(f"{wait.claimed_by!r} has claimed {wait.id}; it must be released first")
            leaf = self._leaf(case, wait)
            if not isinstance(leaf.command, Task):
                raise Conflict(f"{wait.id} is not a task")
            opened, refs = leaf.opened, Refs()
            answer = value
            form = opened.form if isinstance(opened, ev.TaskOpened) else None
            if form is None:
                answer = value if isinstance(value, dict) else {"comment": "" if value is None else str(value)}
                answer = journalable(answer, f"the report on task {wait.id}")
            else:
                answer = check_answer(leaf.command.form, value, f"the form of task {wait.id}")
            packed = self._runner.payloads.pack(write, answer, "/value", refs, form, case.machine.secrets)
            case.stage(
                write, ev.TaskCompleted(at=self._stamp(), by=by, command=wait.command, value=packed, refs=refs or None)
            )

        await self._change_item(item, ("task",), change)
