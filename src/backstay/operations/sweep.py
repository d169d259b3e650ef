"""Sweeps: every stored case is proved, or run against a changed program, in several processes that only read.

A case that cannot be read is told as a failure and never stops the others. Results come in batches, so that whoever asks
can show how far it is.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from backstay.errors import BackstayError, OperatorError
from backstay.language import Definition
from backstay.operations.divergence import Divergence, compare
from backstay.operations.proof import Differs, Proof, compiled, prove, read_case, read_program, restored
from backstay.operations.recording import Case
from backstay.store.database import Reader
from backstay.store.payloads import Payloads
from backstay.store.views import read_run
from backstay.types import Json

BATCH: Final = 100
"""Cases per message between processes. Fewer cases than this are not worth a second process."""

PAGE: Final = 10_000
STORE_FILE: Final = "backstay.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A case that does not replay, or could not be compared: why, at which event, on which line."""

    run: str
    workflow: str
    version: str
    mismatch: str
    event: int | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """A case that would have gone differently."""

    run: str
    headline: str
    old: str
    new: str
    """How the recorded case and the what-if stand."""


@dataclass(slots=True, kw_only=True)
class Batch:
    """What came of some cases; added up, of all."""

    cases: int = 0
    events: int = 0
    same: int = 0
    failures: list[Failure] = field(default_factory=list[Failure])
    affected: list[Affected] = field(default_factory=list[Affected])

    def add(self, other: Batch) -> None:
        self.cases += other.cases
        self.events += other.events
        self.same += other.same
        self.failures += other.failures
        self.affected += other.affected


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A run to look at, as its row says."""

    run: str
    workflow: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """A change to try: the definition that each stored version becomes, and assumed answers."""

    definitions: Mapping[str, Definition]
    assume: Mapping[str, Json]
    unreadable: frozenset[str] = frozenset()
    """Stored versions that are missing or damaged, so that nobody can tell whether the change concerns them."""

    def concerns(self, chosen: Chosen) -> bool:
        return chosen.version in self.definitions or chosen.version in self.unreadable


def choose(reader: Reader, *, workflow: str = "", status: str = "", since: str = "") -> list[Chosen]:
    """The runs of a workflow, with a status, started at or after a moment; oldest first."""
    asked = {"status": status or None, "workflow": workflow or None, "before": None, "limit": PAGE}
    found: list[Chosen] = []
    while rows := [read_run(row) for row in reader.all("runs", asked)]:
        found += [
            Chosen(run=row.id, workflow=row.workflow, version=row.version) for row in rows if row.started_at >= since
        ]
        asked["before"] = rows[-1].id
    return found[::-1]


def sweep(home: Path, chosen: Sequence[Chosen], jobs: int, impact: Impact | None = None) -> Generator[Batch]:
    """Prove the cases, or with `impact` compare them; gives a batch whenever one is done."""
    batches = [chosen[start : start + BATCH] for start in range(0, len(chosen), BATCH)]
    work = partial(_work, home, impact)
    if min(jobs, len(batches)) < 2:
        yield from map(work, batches)
        return
    pool = ProcessPoolExecutor(min(jobs, len(batches)), get_context("spawn"), _leave_interrupts)
    try:
        for future in as_completed([pool.submit(work, batch) for batch in batches]):
            yield future.result()
    except BrokenProcessPool:
        raise OperatorError(
            "a process that replays cases ended by itself, perhaps for lack of memory; try fewer with --jobs"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def processors() -> int:
    """How many processes are worth starting."""
    return os.cpu_count() or 1


def _leave_interrupts() -> None:
    """Ctrl-C is for the process that was started by a person."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(home: Path, impact: Impact | None, chosen: Sequence[Chosen]) -> Batch:
    batch = Batch()
    with closing(Reader(home / STORE_FILE)) as reader:
        payloads = Payloads(home, reader)
        for each in chosen:
            batch.cases += 1
            try:
                if impact is None:
                    _prove(batch, reader, payloads, each)
                else:
                    _compare(batch, reader, payloads, each, impact)
            except (BackstayError, Differs) as error:
                batch.failures.append(_failure(each, error))
            except Exception as error:  # damage can break anything; the other cases go on
                batch.failures.append(_failure(each, Differs(f"{type(error).__name__}: {error}")))
    return batch


def _failure(chosen: Chosen, error: Exception) -> Failure:
    return Failure(
        run=chosen.run, workflow=chosen.workflow, version=chosen.version, mismatch=str(error),
        event=getattr(error, "seq", None), line=getattr(error, "line", None),
    )  # fmt: skip


def _prove(batch: Batch, reader: Reader, payloads: Payloads, chosen: Chosen) -> None:
    proof: Proof = prove(reader, payloads, chosen.run)
    batch.events += proof.events
    if proof.equal:
        batch.same += 1
    else:
        batch.failures.append(_failure(chosen, Differs(proof.mismatch, proof.event, proof.line)))


def _compare(batch: Batch, reader: Reader, payloads: Payloads, chosen: Chosen, impact: Impact) -> None:
    old = read_program(reader, chosen.version)
    definition = impact.definitions[chosen.version]
    case = load_case(reader, payloads, chosen.run)
    batch.events += len(case.events)
    new = compiled(definition.text, definition.version)
    found: Divergence = compare(case, old, new, impact.assume)
    if found.same:
        batch.same += 1
    else:
        batch.affected.append(
            Affected(run=found.run, headline=found.headline, old=found.old.status, new=found.new.status)
        )


def load_case(reader: Reader, payloads: Payloads, run: str) -> Case:
    """A case with its real values, whose chain holds; raises Differs or JournalCorrupted."""
    row, stored = read_case(reader, run)
    secrets, short = dict[str, str](), dict[str, str]()
    events = tuple(restored(payloads, item, secrets) for item in stored)
    for item in stored:
        for ref in (getattr(item.event, "refs", None) or {}).values():
            scheme, _, token = ref.partition(":")
            value = payloads.open_sealed(token) if scheme == "seal" else None
            if isinstance(value, str | int | float) and not isinstance(value, bool):
                short[str(value)] = token
    return Case(run=row.id, workflow=row.workflow, events=events, secrets=secrets, private={**short, **secrets})
