"""People: what waits for them, and claiming, asking, deciding and reporting."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from heapq import merge
from itertools import islice
from typing import Final, Literal

from backstay import events as ev
from backstay.commands import Task
from backstay.engine.activation import Activation
from backstay.engine.desk import LISTED, Desk, check_answer, clean
from backstay.engine.human import Item
from backstay.engine.items import wake
from backstay.errors import BackstayError, Conflict, InvalidInput, NotAllowed, NotFound
from backstay.events import Refs
from backstay.governance.approvals import check_decider, folded
from backstay.governance.principals import Capability
from backstay.governance.schedule import EXPIRES, Schedule, resumed
from backstay.store import blobs
from backstay.store.journal import Write
from backstay.store.views import QueueCount, Wait, read_wait
from backstay.types import Json, journalable, seconds

ITEM_KINDS: Final = ("approval", "task")


class People(Desk):
    """The part of the client that people use."""

    def inbox(self, *, queue: str | None = None, kind: str | None = None, limit: int = LISTED) -> list[Wait]:
        """What waits for a person: by priority, then the soonest due first."""
        self._see()
        queues = [queue] if queue is not None else [row[0] for row in self._reader.all("queues_with_items")]
        pages = [self._page(name, kind, limit) for name in queues]
        return list(islice(merge(*pages, key=_urgency), limit))

    def _page(self, queue: str, kind: str | None, limit: int) -> list[Wait]:
        rows = self._reader.all("inbox", {"queue": queue, "kind": kind, "limit": limit})
        return [read_wait(row) for row in rows]

    def queues(self) -> list[QueueCount]:
        """What lies in each queue, by kind."""
        self._see()
        rows = self._reader.all("queue_counts", {"now": self._stamp()})
        return [QueueCount(**{name: row[name] for name in QueueCount.__dataclass_fields__}) for row in rows]

    @property
    def owners(self) -> dict[str, str]:
        """Queue -> owner, as the application declares them."""
        self._see()
        return dict(self._owners)

    def owner(self, queue: str) -> str:
        """Who answers for a queue; every queue has an owner."""
        self._see()
        return self._runner.items.queues.owner(queue)

    async def claim(self, item: str, *, by: str | None = None) -> None:
        """Take an approval or task for oneself, for the queue's lease; raises Conflict when somebody else has it."""
        by = self._by(by)

        def change(case: Activation, write: Write, wait: Wait) -> None:
            behalf = self._may(wait, by, "work")
            if wait.claimed_by is not None and folded(wait.claimed_by) != folded(by):
                raise Conflict(f"{wait.id} is claimed by {wait.claimed_by!r}")
            lease = self._runner.items.queues.of(wait.queue).lease
            until = None if lease is None else self._runner.clock.stamp_after(seconds(lease))
            event = ev.ItemClaimed(at=self._stamp(), by=by, command=wait.command, until=until, behalf=behalf)
            case.stage(write, event)
            self._put(case, write, wait._replace(claimed_by=by, claimed_until=until))

        await self._change_item(item, ITEM_KINDS, change, by=by, needs="work")

    async def release(self, item: str, *, by: str | None = None) -> None:
        """Give a claimed item back to its queue."""
        by = self._by(by)

        def change(case: Activation, write: Write, wait: Wait) -> None:
            if wait.claimed_by is None:
                raise Conflict(f"{wait.id} is not claimed")
            if folded(by) != folded(wait.claimed_by):
                self._runner.directory.check(by, "reassign")
            case.stage(write, ev.ItemReleased(at=self._stamp(), by=by, command=wait.command))
            self._put(case, write, wait._replace(claimed_by=None, claimed_until=None))

        await self._change_item(item, ITEM_KINDS, change, by=by)

    async def reassign(
        self, item: str, *, by: str | None = None, queue: str | None = None, to: str = "", reason: str = ""
    ) -> None:  # fmt: skip
        """Give an item to another queue, to one person, or both; its times stay as they are.

        Raises NotFound for a queue that nobody declared, NotAllowed for a person who may not work on that queue's items.
        """
        by = self._allow(by, "reassign")
        queues = self._runner.items.queues
        if queue is not None and queue not in queues:
            raise NotFound(f"there is no queue {queue!r}; the application lists {', '.join(sorted(queues.owners))}")

        def change(case: Activation, write: Write, wait: Wait) -> None:
            into = wait.queue if queue is None else queue
            if to:
                self._member(into, to)
                self._check_excluded(wait, (to,), _excluded(self._leaf(case, wait).opened))
            event = ev.ItemReassigned(
                at=self._stamp(), by=by, command=wait.command, queue=into, to=to, reason=clean(case, reason)
            )
            case.stage(write, event)
            moved = wait._replace(queue=into, assigned=to, priority=queues.of(into).priority)
            self._put(case, write, moved._replace(claimed_by=None, claimed_until=None))

        await self._change_item(item, ITEM_KINDS, change, by=by, needs="reassign")

    async def ask(self, item: str, question: str, *, by: str | None = None) -> None:
        """Ask the requester something; until it is answered the item's clock stands still."""
        by = self._by(by)

        def change(case: Activation, write: Write, wait: Wait) -> None:
            self._may(wait, by, "work")
            if wait.asked_at is not None:
                raise Conflict(f"{wait.id} already waits for an answer of {wait.requester!r}")
            at = self._stamp()
            case.stage(write, ev.ItemAsked(at=at, by=by, command=wait.command, question=clean(case, question)))
            self._put(case, write, wait._replace(asked_at=at))

        _check_text("question", question)
        await self._change_item(item, ITEM_KINDS, change, by=by, needs="work")

    async def answer(self, item: str, answer: str, *, by: str | None = None) -> None:
        """Answer the question that was asked about one's own request; the clock goes on with the working time left."""
        by = self._by(by)

        def change(case: Activation, write: Write, wait: Wait) -> None:
            leaf = self._leaf(case, wait)
            if wait.asked_at is None or leaf.item is None:
                raise Conflict(f"nothing was asked about {wait.id}")
            if not self._same(by, wait.requester):
                self._runner.directory.check(
                    by, "reassign"
                )  # whoever may give work to others may also speak for an absent requester
            left = Schedule(due=leaf.item.due, plan=leaf.item.plan, calendar=leaf.item.calendar)
            at = self._stamp()
            times = resumed(left, wait.asked_at, at, fixed_due=getattr(leaf.command, "until", None) is not None)
            event = ev.ItemAnswered(
                at=at, by=by, command=wait.command, answer=clean(case, answer), due=times.due, plan=times.plan or None
            )
            case.stage(write, event)
            case.put_wait(write, wake(wait._replace(asked_at=None, due_at=times.due), times.plan))

        _check_text("answer", answer)
        await self._change_item(item, ITEM_KINDS, change, by=by, needs="reassign", own=True)

    async def comment(
        self, item: str, text: str, *, by: str | None = None, files: Mapping[str, bytes] | None = None
    ) -> None:  # fmt: skip
        """Write a remark on an item, with files by name; files are kept under the digest of their content."""
        by = self._by(by)

        def change(case: Activation, write: Write, wait: Wait) -> None:
            if not self._same(by, wait.requester):
                self._may(wait, by, "work")
            kept = [_keep(write, name, data) for name, data in (files or {}).items()]
            event = ev.ItemCommented(
                at=self._stamp(), by=by, command=wait.command, text=clean(case, text), files=kept or None
            )
            case.stage(write, event)
            self._put(case, write, wait)

        _check_text("text", text)
        await self._change_item(item, ITEM_KINDS, change, by=by, needs="work", own=True)

    async def decide(
        self, item: str, verdict: Literal["approved", "rejected"], *, by: str | None = None, reason: str = "",
        code: str = "", shown: str | None = None,
    ) -> None:  # fmt: skip
        """Approve or reject; the decision is bound to exactly what was shown, and counts once.

        code: one of the queue's words for a rejection. shown: digest of the proposal that the person looked at; a
        decision about another one is refused. Raises NotAllowed (own request, excluded, somebody else's claim, not a
        member), Conflict (decided, withdrawn or expired already, or changed since), InvalidInput.
        """
        by = self._by(by)
        _check_words(verdict, reason, code)

        def change(case: Activation, write: Write, wait: Wait) -> bool:
            leaf = self._leaf(case, wait)
            opened, started = leaf.opened, case.machine.started
            requesters, excluded = (started.by, started.requested_by), _excluded(opened)
            behalf = self._may(wait, by, "decide", requesters=(*requesters, *excluded))
            self._check_excluded(wait, (by, behalf), excluded)
            for requester in requesters:
                check_decider(by=by, requester=requester, claimed_by=wait.claimed_by)
                self._check_apart(by, behalf, requester)
            self._check_code(wait, verdict, code)
            if not isinstance(opened, ev.ApprovalRequested) or leaf.item is None:
                raise Conflict(f"{wait.id} is not an approval")
            _check_still(wait, leaf.item, opened, shown, self._stamp())
            votes = self._votes(leaf.item, by, behalf)
            vote = ev.VoteCast(
                at=self._stamp(), by=by, command=wait.command, verdict=verdict, reason=clean(case, reason), code=code,
                behalf=behalf,
            )  # fmt: skip
            alike = [cast for cast in votes if cast.verdict == verdict]
            if (verdict == "approved" or opened.reject == "quorum") and len(alike) + 1 < opened.quorum:
                case.stage(write, vote)
                self._put(case, write, wait._replace(claimed_by=None, claimed_until=None, assigned=""))
                return False
            case.stage(write, _decided(opened, votes, vote))
            case.clear_wait(write, wait.command)
            return True

        await self._change_item(item, ("approval",), change, by=by, needs="decide")

    async def decide_many(
        self, items: Sequence[str], verdict: Literal["approved", "rejected"], *, by: str | None = None,
        reason: str = "", code: str = "", without: Collection[str] = (), shown: Mapping[str, str] | None = None,
    ) -> dict[str, str]:  # fmt: skip
        """Decide alike items together, all but those named in `without`; each counts on its own.

        shown: item -> digest of the proposal that was looked at; an item that is another one since does not count.
        Returns item -> "" where it counted, else why it did not, as "CODE: message". Raises, before anything is decided,
        NotAllowed for whoever decides nothing at all, and InvalidInput for what fits no item.
        """
        by = self._allow(by, "decide")
        _check_words(verdict, reason, code)
        looked_at, chosen = shown or {}, [item for item in dict.fromkeys(items) if item not in without]
        if unknown := sorted(looked_at.keys() - set(items)):
            raise InvalidInput(f"shown names {unknown[0]!r}, which is not among the items", {"shown": "not an item"})

        async def outcome(item: str) -> str:
            try:
                await self.decide(item, verdict, by=by, reason=reason, code=code, shown=looked_at.get(item))
            except BackstayError as error:
                return f"{error.code}: {error}"
            return ""

        return dict(zip(chosen, await asyncio.gather(*map(outcome, chosen)), strict=True))

    async def complete(self, item: str, value: Json = None, *, by: str | None = None) -> None:
        """Report a task done, with its filled-in form; raises InvalidInput naming each field that does not fit."""
        by = self._by(by)

        def change(case: Activation, write: Write, wait: Wait) -> bool:
            behalf = self._may(wait, by, "work")
            if wait.claimed_by is not None and folded(wait.claimed_by) != folded(by):
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
            event = ev.TaskCompleted(
                at=self._stamp(), by=by, command=wait.command, value=packed, refs=refs or None, behalf=behalf
            )
            case.stage(write, event)
            case.clear_wait(write, wait.command)
            return True

        await self._change_item(item, ("task",), change, by=by, needs="work")

    # --- who may ---

    def _may(self, wait: Wait, by: str, capability: Capability, *, requesters: Collection[str] = ()) -> str:
        """For whom somebody acts on an item: "" for themselves; raises NotAllowed, which is recorded."""
        self._runner.directory.check(by, capability)
        if wait.assigned and folded(wait.assigned) != folded(by):
            raise NotAllowed(f"{wait.id} is meant for {wait.assigned!r}; whoever may reassign can give it to {by!r}")
        return self._member(wait.queue, by, requesters)

    def _member(self, queue: str, name: str, requesters: Collection[str] = ()) -> str:
        """The member of a queue in whose place somebody may act, "" for themselves; raises NotAllowed."""
        members = self._runner.items.queues.of(queue).members
        if not members:
            return ""
        directory = self._runner.directory
        member = directory.stands_in(name, members, self._stamp(), queue, requesters=requesters)
        if member is None:
            raise NotAllowed(f"{name!r} is not among those who work on queue {queue!r}: {', '.join(members)}")
        return "" if folded(member) == folded(name) else member

    def _same(self, one: str, other: str) -> bool:
        return folded(one) == folded(other)

    def _check_apart(self, by: str, behalf: str, requester: str) -> None:
        """Nobody decides what they asked for themselves, nor what was asked for in their name, or in their substitute's."""
        directory = self._runner.directory
        asked = directory.persons_behind(requester)
        for name in filter(None, (by, behalf)):
            if directory.persons_behind(name) & asked:
                raise NotAllowed(
                    f"{name!r} answers for the request of {requester!r} and cannot also decide it; somebody else must"
                )

    def _check_excluded(self, wait: Wait, names: Collection[str], excluded: Collection[str]) -> None:
        """Whom the workflow excludes decides neither themselves nor through others, nor for others."""
        behind = self._runner.directory.persons_behind
        if excluded and behind(*filter(None, names)) & behind(*excluded):  # not by name: that may be a private value
            raise NotAllowed(
                f"{wait.id} is not for {next(iter(names))!r} to decide: its workflow excludes the person who answers for "
                "that; somebody else must"
            )

    def _check_code(self, wait: Wait, verdict: str, code: str) -> None:
        words = self._runner.items.queues.of(wait.queue).reasons
        if verdict == "rejected" and words and code not in words:
            raise InvalidInput(
                f"a rejection in queue {wait.queue!r} needs a reason code, one of {', '.join(words)}",
                {"code": "unknown"},
            )

    def _votes(self, item: Item, by: str, behalf: str) -> list[ev.VoteCast]:
        """The votes so far; raises Conflict for somebody whose vote is among them."""
        persons = self._runner.directory.persons_behind
        mine = persons(by) | (persons(behalf) if behalf else frozenset())
        for vote in item.votes:
            if mine & (persons(vote.by) | (persons(vote.behalf) if vote.behalf else frozenset())):
                raise Conflict(f"{vote.by!r} has voted already; a quorum needs different people")
        return item.votes

    def _put(self, case: Activation, write: Write, wait: Wait) -> None:
        """The changed item, woken for its next step."""
        leaf = self._leaf(case, wait)
        case.put_wait(write, wake(wait, [] if leaf.item is None else leaf.item.plan))


def _urgency(wait: Wait) -> tuple[int, str, str, str, str]:
    """The order in which items are shown: that of the inbox query."""
    return -wait.priority, wait.due_at or "9", wait.opened_at, wait.run, wait.command


def _check_still(wait: Wait, item: Item, opened: ev.ApprovalRequested, shown: str | None, now: str) -> None:
    """Raise Conflict for a decision that comes too late, too early, or about something else."""
    expiry = next((step["at"] for step in item.plan if step["do"] in EXPIRES), None)
    if wait.asked_at is not None:
        raise Conflict(f"{wait.id} waits for an answer of {wait.requester!r}; it can be decided after that")
    if expiry is not None and expiry <= now:
        raise Conflict(f"{wait.id} expired at {expiry}; it does not count any more")
    if shown is not None and shown != opened.shown:
        raise Conflict(f"{wait.id} is not what was looked at: it was proposed anew; look again, then decide")


def _decided(opened: ev.ApprovalRequested, votes: Sequence[ev.VoteCast], last: ev.VoteCast) -> ev.ApprovalDecided:
    """The decision that the last vote makes."""
    cast = [{"by": v.by, "verdict": v.verdict, "reason": v.reason, "at": v.at} for v in (*votes, last)]
    return ev.ApprovalDecided(
        at=last.at, by=last.by, command=last.command, verdict=last.verdict, reason=last.reason, code=last.code,
        behalf=last.behalf, digest=opened.digest, shown=opened.shown, votes=cast if opened.quorum > 1 else None,
    )  # fmt: skip


def _keep(write: Write, name: str, data: bytes) -> dict[str, Json]:
    """Keep a file under the digest of its content, and say where it lies."""
    return {"name": name, "digest": blobs.keep(write, data), "bytes": len(data)}


def _excluded(opened: object) -> tuple[str, ...]:
    """Whom the workflow named as those who may not decide an item."""
    return tuple(opened.exclude or ()) if isinstance(opened, ev.ApprovalRequested) else ()


def _check_words(verdict: object, reason: object, code: object) -> None:
    """What holds of a decision whatever the item is."""
    if verdict not in ("approved", "rejected"):
        raise InvalidInput(f"{verdict!r} is no verdict; decide 'approved' or 'rejected'", {"verdict": "unknown"})
    for field, text in (("reason", reason), ("code", code)):
        if not isinstance(text, str):
            raise InvalidInput(f"the {field} must be text, not {text!r:.80}", {field: "must be text"})


def _check_text(field: str, text: object) -> None:
    if not isinstance(text, str) or not text.strip():
        raise InvalidInput(f"the {field} is empty", {field: "must be text"})
