"""The watchdog: what everything waits for, and a proof that nothing waits for ever.

Something is orphaned when nobody and nothing will ever bring it on: no person sees it, no clock looks at it, no run hears
of it. Rows are checked against each other by SQL, and against the journal by replaying each run that waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from backstay import events as ev
from backstay.engine.items import wake
from backstay.engine.replay import Machine
from backstay.errors import BackstayError
from backstay.operations.proof import Differs, read_program, restored
from backstay.store.database import Reader, Row
from backstay.store.payloads import Payloads
from backstay.store.views import Wait, read_events, read_wait, read_waiting

LATE: Final = 60.0
"""Seconds after which a running worker should have done what is due."""

PAGE: Final = 1000

Fault: TypeAlias = Literal[
    "waits for nothing", "run is over", "no queue", "no owner", "child is over", "no moment", "overdue", "not asked",
    "not listed", "wrong moment", "no replay",
]  # fmt: skip
"""waits for nothing: a run that waits has no wait. run is over: a wait's run has ended or never was. no queue, no owner:
only a person can end it, and none sees it. child is over: its parent has not heard. no moment: only the clock can end
it, and never looks. overdue: a worker runs, and has not looked. not asked: the journal has no such command open. not
listed: it has one open that no wait stands for. wrong moment: its next step is not when it is looked at. no replay: the
journal does not say what it waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """Something that waits and that nothing would bring on."""

    run: str
    command: str
    """Empty for the run itself."""
    fault: Fault
    why: str

    @property
    def id(self) -> str:
        """RUN/COMMAND, or the run."""
        return f"{self.run}/{self.command}" if self.command else self.run


def everything(reader: Reader, limit: int = -1) -> list[Wait]:
    """All that waits, people and not, what happens next by itself first."""
    return [read_wait(row) for row in reader.all("waits_listed", (limit,))]


def owner(wait: Wait, owners: Mapping[str, str]) -> str:
    """Who or what brings a wait on: a queue's owner, whoever was asked, a sender, a child run, the clock."""
    if wait.queue:
        return wait.requester if wait.asked_at else owners.get(wait.queue, owners.get("*", "operators"))
    return {"signal": wait.requester, "child": wait.subject}.get(wait.kind, CLOCK)


CLOCK: Final = "the clock"


def find_orphans(
    reader: Reader, payloads: Payloads, owners: Mapping[str, str], *, late: str, working: bool
) -> list[Orphan]:
    """Everything that is orphaned. late: the moment LATE ago. working: whether a worker runs, so that
    time must be kept.

    A worker may write between two looks, so a finding stands only if a second look has it too.
    """

    def look() -> list[Orphan]:
        found = [orphan for check in CHECKS for orphan in check(reader)]
        found += _unowned(reader, owners)
        if working:
            found += [*_overdue(reader, late), *_unheard(reader, late)]
        return [*found, *(orphan for run in _waiting(reader) for orphan in _replayed(reader, payloads, run))]

    first = look()
    return [orphan for orphan in look() if orphan in first] if first else []


# --- rows against rows ----------------------------------------------------------------------------------------


def _idle(reader: Reader) -> Iterator[Orphan]:
    for row in reader.all("waiting_for_nothing"):
        yield Orphan(
            run=row["id"], command="", fault="waits for nothing",
            why=f"the run is recorded as {row['status']}, and nothing is listed that it waits for",
        )  # fmt: skip


def _over(reader: Reader) -> Iterator[Orphan]:
    for row in reader.all("waits_of_no_run"):
        why = f"its run has {row['status']}" if row["status"] else "there is no such run"
        yield _orphan(row, "run is over", f"a wait of kind {row['kind']!r} is listed, but {why}")


def _homeless(reader: Reader) -> Iterator[Orphan]:
    for row in reader.all("waits_of_nobody"):
        yield _orphan(row, "no queue", f"only a person can end a wait of kind {row['kind']!r}, and it lies in no queue")


def _childless(reader: Reader) -> Iterator[Orphan]:
    for row in reader.all("waits_for_children"):
        if row["status"] is None:
            yield _orphan(row, "child is over", f"it waits for the child run {row['subject']!r}, which does not exist")


def _timeless(reader: Reader) -> Iterator[Orphan]:
    for row in reader.all("waits_without_moment"):
        yield _orphan(row, "no moment", f"only the clock can end a wait of kind {row['kind']!r}, and it has no moment")


CHECKS: Final[tuple[Callable[[Reader], Iterator[Orphan]], ...]] = (_idle, _over, _homeless, _childless, _timeless)
"""What must hold of the rows whether or not a worker runs."""


def _unowned(reader: Reader, owners: Mapping[str, str]) -> Iterator[Orphan]:
    """Every queue has an owner, unless the rules beside the store say that its owner is nobody."""
    for wait in everything(reader):
        if wait.queue and not owner(wait._replace(asked_at=None), owners).strip():
            yield _orphan_of(wait, "no owner", f"it lies in queue {wait.queue!r}, which nobody owns")


def _overdue(reader: Reader, late: str) -> Iterator[Orphan]:
    for row in reader.all("overdue", (late,)):
        yield _orphan(row, "overdue", f"it was to be looked at {row['wake_at']}, and the worker that runs has not")


def _unheard(reader: Reader, late: str) -> Iterator[Orphan]:
    """A child tells its parent as it ends, and the next worker tells again; then it must have been heard."""
    for row in reader.all("waits_for_children"):
        if row["status"] is not None and row["updated_at"] < late:
            why = (
                f"the child run {row['subject']} has {row['status']} at {row['updated_at']}, and the run has not heard"
            )
            yield _orphan(row, "child is over", why)


def _orphan(row: Row, fault: Fault, why: str) -> Orphan:
    return Orphan(run=row["run"], command=row["command"], fault=fault, why=why)


def _orphan_of(wait: Wait, fault: Fault, why: str) -> Orphan:
    return Orphan(run=wait.run, command=wait.command, fault=fault, why=why)


# --- rows against the journal ---------------------------------------------------------------------------------


def _waiting(reader: Reader) -> Iterator[str]:
    last = ""
    while rows := reader.all("runs_waiting", (last, PAGE)):
        yield from (row["id"] for row in rows)
        last = rows[-1]["id"]


def _replayed(reader: Reader, payloads: Payloads, run: str) -> Iterator[Orphan]:
    """What a run's rows say it waits for, against what its program has open after its journal."""
    try:
        row, waits = read_waiting(reader, run)
        machine = _machine(reader, payloads, run)
    except (BackstayError, Differs) as error:
        yield Orphan(run=run, command="", fault="no replay", why=f"its journal does not replay: {error}")
        return
    except Exception as error:  # a journal that was tampered with can break anything; the other runs go on
        why = f"replaying its journal breaks off with {type(error).__name__}: {error}"
        yield Orphan(run=run, command="", fault="no replay", why=why)
        return
    if row.status != "waiting":
        return
    for wait in waits:
        if wait.kind not in BESIDES:
            yield from _fits(machine, wait)
    listed = {wait.command for wait in waits}
    for leaf in machine.unsettled:
        if leaf.id not in listed:
            why = f"its program waits for {leaf.id} ({leaf.site}), and no wait is listed for it"
            yield Orphan(run=run, command=leaf.id, fault="not listed", why=why)


BESIDES: Final = frozenset({"deadline", "attention"})
"""Kinds of waits that no command of the program stands behind."""


def _fits(machine: Machine, wait: Wait) -> Iterator[Orphan]:
    leaf = machine.find(wait.command)
    if leaf is None:
        yield _orphan_of(wait, "not asked", f"a wait of kind {wait.kind!r} is listed, but its journal has it not open")
    elif leaf.item is not None:
        planned = wake(wait, leaf.item.plan).wake_at
        if planned is not None and (wait.wake_at is None or wait.wake_at > planned):
            why = f"its next step comes at {planned}, but it is looked at {wait.wake_at or 'never'}"
            yield _orphan_of(wait, "wrong moment", why)


def _machine(reader: Reader, payloads: Payloads, run: str) -> Machine:
    """A run as its journal has it."""
    stored, secrets = read_events(reader, run), dict[str, str]()
    started = restored(payloads, stored[0], secrets)
    if not isinstance(started, ev.RunStarted):
        raise Differs("the journal does not begin with run_started", 1)
    machine = Machine(run, read_program(reader, started.version), started, secrets)
    for item in stored[1:]:
        machine.apply(restored(payloads, item, secrets), item.seq)
    return machine
