"""Audit: proves from the stored journal alone that nothing was edited, dropped, inserted or reordered.

Reads every event once, in order of commit, in bounded memory, and lists everything that is wrong, each with its run,
number, kind and position. A rewrite of the whole file, commits included, shows only against a checkpoint kept elsewhere.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from backstay.errors import BackstayError, StoreUnavailable
from backstay.events import EVENTS, Event, RunStarted, SystemRecorded
from backstay.governance.checkpoints import open_note, stored_checkpoints
from backstay.governance.erasures import check_keys
from backstay.governance.merkle import Tree, record_leaf
from backstay.language.definitions import read_document
from backstay.store.blobs import opened
from backstay.store.database import Reader, Row
from backstay.store.encoding import decode
from backstay.store.journal import genesis, link, link_commit
from backstay.store.views import ENDED
from backstay.verify import ENDS, Checkpoint

PAGE: Final = 2000
"""Rows read at a time."""

REMEMBERED: Final = 100_000
"""Chains and references kept in memory; what fell out is looked up again."""

LOOKED_INTO: Final = frozenset({"run_started", "system_recorded"})
"""Kinds whose content must fit something else in the store."""

Progress = Callable[[int, int], None]
"""Called with events done and events in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, and where; `subject` names what is not an event (a commit, a definition, a row)."""

    what: str
    run: str = ""
    seq: int | None = None
    kind: str = ""
    position: int | None = None
    subject: str = ""

    def __str__(self) -> str:
        if self.seq is None:
            place = " of run ".join(part for part in (self.subject, self.run) if part)
        else:
            place = f"event {self.seq} ({self.kind}) of run {self.run}, position {self.position}"
        return f"{place}: {self.what}"


@dataclass(slots=True, kw_only=True)
class Report:
    """What was looked at, and everything that is wrong."""

    events: int = 0
    runs: int = 0
    commits: int = 0
    definitions: int = 0
    blobs: int = 0
    checkpoints: int = 0
    root: str = ""
    """Root of the Merkle tree over all records, in hexadecimal."""
    findings: list[Finding] = field(default_factory=list[Finding])

    @property
    def ok(self) -> bool:
        return not self.findings

    def found(self, subject: str, what: str) -> None:
        """Something is wrong that is not an event."""
        self.findings.append(Finding(subject=subject, what=what))


def verify(
    store: Reader | Path,
    *,
    key: str | None = None,
    held: Mapping[str, Checkpoint] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Check a store, given as its file or an open reader. Reads only, also while a worker writes.

    key: the public key that the store's own checkpoints must bear. held: checkpoints that were kept elsewhere, their
    signatures already checked, each under the name by which it is told.
    """
    if isinstance(store, Path):
        with closing(Reader(store)) as reader:
            return verify(reader, key=key, held=held, progress=progress)
    return _Verifier(store, key, held or {}, progress or (lambda done, total: None)).verify()


@dataclass(slots=True)
class _Chain:
    """The last event seen of a run; `expected` is what its hash should have been, if it is not that."""

    seq: int
    hash: bytes
    kind: str
    expected: bytes | None = None


class _Verifier:
    def __init__(self, reader: Reader, key: str | None, held: Mapping[str, Checkpoint], progress: Progress) -> None:
        self._reader, self._progress = reader, progress
        self._report = Report()
        self._versions: set[str] = set()
        self._chains: OrderedDict[str, _Chain] = OrderedDict()
        self._known_refs: OrderedDict[str, bool] = OrderedDict()
        self._commits = _Commits(reader, self._report)
        self._roots = _Roots(reader, self._report, key, held)

    def verify(self) -> Report:
        self._readable("definitions", self._definitions)
        self._readable("checkpoints", self._roots.read)
        versions = self._versions
        total = self._last_position() or 0
        done = 0
        for row in self._events():
            self._event(row, versions)
            done += 1
            if done % PAGE == 0:
                self._progress(min(done, total), max(done, total))
        self._report.events = done
        self._readable("checkpoints", self._roots.finish)
        self._readable("commits", self._commits.finish)
        self._readable("runs", self._runs)
        self._readable("blobs", self._blobs)
        self._readable("person_keys", lambda: check_keys(self._reader, self._report.found))
        self._progress(done, done)
        return self._report

    def _readable(self, table: str, check: Callable[[], None]) -> None:
        """A table that the damaged file does not give is a finding, and the rest is still checked."""
        try:
            check()
        except StoreUnavailable as error:
            self._report.found(f"table {table}", str(error))

    # --- events, in order of commit ---

    def _events(self) -> Iterator[Row]:
        """Every row that can be read; an unreadable one is a finding and is stepped over."""
        at, singly = 0, 0
        while True:
            size = 1 if singly else PAGE
            try:
                rows = self._reader.all("events_after", (at, size))
            except StoreUnavailable as error:
                if size > 1:  # look for the bad row among these, one by one
                    singly = PAGE
                    continue
                at += 1
                self._report.found(f"position {at}", f"the row cannot be read: {error}")
                if at > (self._last_position() or 0):
                    return
                continue
            for row in rows:
                if row[0] != at + 1:
                    self._position(at + 1, row[0])
                at = row[0]
                yield row
            if len(rows) < size:
                return
            singly = max(0, singly - 1)

    def _last_position(self) -> int | None:
        try:
            return self._reader.value("last_position")
        except StoreUnavailable:
            return None

    def _position(self, expected: int, found: int) -> None:
        if found > expected:
            gone = f"position {expected}" if found == expected + 1 else f"positions {expected} to {found - 1}"
            self._report.found(gone, "missing: deleted after it was committed")

    def _event(self, row: Row, versions: set[str]) -> None:
        position, run, seq, kind, body, stored = row
        problems: list[str] = []
        try:
            self._link(row, problems)
            # What fits its hash was written by `encode`: it is decoded only where something in it must be looked at.
            if problems or kind in LOOKED_INTO or '"refs":{' in body or kind not in EVENTS:
                self._content(run, _decoded(kind, body, problems), versions, problems)
        except StoreUnavailable as error:
            problems.append(f"what it must be compared with cannot be read: {error}")
        if problems:
            place = {"run": run, "seq": seq, "kind": kind, "position": position}
            self._report.findings.append(Finding(what="; ".join(problems), **place))
        self._commits.take(position, run, seq, stored)
        self._roots.take(position, run, seq, stored)

    def _content(self, run: str, event: Event | None, versions: set[str], problems: list[str]) -> None:
        if isinstance(event, RunStarted):
            self._started(run, event, versions, problems)
        elif isinstance(event, SystemRecorded):
            self._roots.recorded(event)
        for ref in (getattr(event, "refs", None) or {}).values():
            if not self._ref_exists(ref):
                problems.append(f"what it refers to is missing: {ref}")

    def _link(self, row: Row, problems: list[str]) -> None:
        """Check an event against the one before it in its run, and remember it as the chain's newest."""
        _, run, seq, kind, body, stored = row
        known = self._chains.get(run)
        if known is not None and known.seq == seq - 1 and link(known.hash, run, seq, kind, body) == stored:
            known.seq, known.hash, known.kind, known.expected = seq, stored, kind, None
            return
        previous = self._previous(row, problems)
        chain = _Chain(seq, stored, kind)
        if previous is not None:
            candidates = [link(hash_, run, seq, kind, body) for hash_ in previous]
            if stored not in candidates:
                problems.append(
                    "its content does not match its hash" if seq == 1 else
                    f"its content does not match its hash, which also covers event {seq - 1}"
                )  # fmt: skip
                chain.expected = candidates[0]
        if known is None or known.seq < seq:
            self._chains[run] = chain
            self._chains.move_to_end(run)
            if len(self._chains) > REMEMBERED:
                self._chains.popitem(last=False)

    def _previous(self, row: Row, problems: list[str]) -> list[bytes] | None:
        """Hashes that the event may build on; None when the event before it is not there."""
        run, seq = row["run"], row["seq"]
        if seq == 1:
            return [genesis(run)[1]]
        known = self._chains.get(run)
        if known is not None and known.seq == seq - 1:
            return [known.hash] if known.expected is None else [known.hash, known.expected]
        before = self._reader.one("event_at", (run, seq - 1))
        if before is None:
            problems.append(f"event {seq - 1} of this run is missing before it")
            return None
        if before["position"] > row["position"]:
            problems.append(f"reordered: it stands before event {seq - 1}, which is at position {before['position']}")
        return [before["hash"]]

    def _started(self, run: str, event: RunStarted, versions: set[str], problems: list[str]) -> None:
        row = self._reader.one("run", (run,))
        if row is None:
            problems.append("the run has no row in `runs`")
        else:
            said = {name: getattr(event, name) for name in ("workflow", "version", "key", "parent")}
            said["requester"] = event.requested_by
            for name in [name for name, value in said.items() if row[name] != value]:
                problems.append(f"the run's row says {name} {row[name]!r}, the journal {said[name]!r}")
        if event.version not in versions:
            problems.append(f"its definition {event.version[:12]} is not in the store")

    def _ref_exists(self, ref: str) -> bool:
        known = self._known_refs.get(ref)
        if known is None:
            scheme, _, name = ref.partition(":")
            known = self._reader.one("blob_exists" if scheme == "blob" else "sealed", (name,)) is not None
            self._known_refs[ref] = known
            if len(self._known_refs) > REMEMBERED:
                self._known_refs.popitem(last=False)
        return known

    # --- what stands beside the events ---

    def _definitions(self) -> None:
        """Versions that are there; the text of each must be the one that its version was made from."""
        for row in self._reader.all("definitions"):
            version, name = row["version"], row["name"]
            self._versions.add(version)
            try:
                read_document(self._reader.all("definition", (version,))[0]["text"], version)
            except (BackstayError, ValueError, KeyError, TypeError, AttributeError, SyntaxError) as error:
                subject = f"definition {name}@{version[:12]}"
                self._report.found(subject, f"its text was changed: {error}")
        self._report.definitions = len(self._versions)

    def _runs(self) -> None:
        """The head that each row names must be reached by its chain, so that a cut tail shows."""
        for row in _pages(self._reader, "runs_after", "", "id", PAGE):
            self._report.runs += 1
            problem = self._head_problem(row)
            if problem:
                self._report.findings.append(Finding(subject="row", run=row["id"], what=problem))

    def _head_problem(self, row: Row) -> str | None:
        run, status, seq, stored = row
        known = self._chains.get(run)
        if known is not None and (known.seq, known.hash) == (seq, stored) and _fits(status, known.kind):
            return None
        head = self._reader.one("event_at", (run, seq))
        last = self._reader.value("head_of_run", (run,)) or 0
        if head is None:
            return (
                f"its row names event {seq} as its newest, but the journal ends at event {last}: the tail was cut off"
            )
        if head["hash"] != stored:
            return f"the head in its row is not the hash of event {seq}: one of them was changed"
        if status in ENDED and (head["kind"] != f"run_{status}" or last != seq):
            return f"its row says {status!r}, but its journal does not end so"
        if status not in ENDED and head["kind"] in ENDS:
            return f"its row says {status!r}, but its journal has ended with {head['kind']!r}"
        return None

    def _blobs(self) -> None:
        for row in _pages(self._reader, "blobs_after", 0, "number", 16):
            self._report.blobs += 1
            if opened(row["data"], row["digest"]) is None:
                subject = f"offloaded value {row['digest'][:12]}"
                self._report.found(subject, "its content does not match its digest")


def _fits(status: str, kind: str) -> bool:
    """Whether a run whose newest event is of that kind stands so."""
    return kind == f"run_{status}" if status in ENDED else kind not in ENDS


class _Commits:
    """Follows the chain of commits beside the events."""

    def __init__(self, reader: Reader, report: Report) -> None:
        self._reader, self._report = reader, report
        self._rows = _pages(reader, "commits_after", 0, "id", PAGE)
        self._previous: bytes | None = hashlib.sha256(b"backstay").digest()
        self._number = 0
        self._hashes: list[bytes] = []
        self._members: list[tuple[str, int]] = []
        self._first = 1
        self._at = 0
        self._broken = False
        self._current = self._next()

    def take(self, position: int, run: str, seq: int, stored: bytes) -> None:
        """The next event in order of commit."""
        self._at = position
        current = self._current
        while current is not None and position > current["last"]:
            current = self._close()
        self._hashes.append(stored)
        self._members.append((run, seq))
        if current is not None and position == current["last"]:
            self._close()

    def finish(self) -> None:
        """Commits without events are a cut tail; events without a commit were slipped in."""
        while self._current is not None and self._current["last"] <= self._at:
            self._close()
        if self._current is not None and not self._exists(self._current["last"]):
            what = f"it committed events up to position {self._current['last']}, but the journal ends at {self._at}"
            self._report.found(f"commit {self._current['id']}", f"{what}: the tail was cut off")
        elif self._current is None and self._hashes and not self._broken:
            newest = self._reader.one("last_commit")
            if newest is None or newest["last"] < self._at:
                self._report.found(
                    f"positions {self._first} to {self._at}", "no commit covers them: inserted from outside"
                )

    def _exists(self, position: int) -> bool:
        return bool(self._reader.all("events_after", (position - 1, 1)))

    def _close(self) -> Row | None:
        commit = self._current
        assert commit is not None
        if self._previous is not None and link_commit(self._previous, self._hashes) != commit["hash"]:
            shown = ", ".join(f"{run}/{seq}" for run, seq in self._members[:5]) + (
                " ..." if len(self._members) > 5 else ""
            )
            what = f"positions {self._first} to {commit['last']} are not what was committed"
            self._report.found(f"commit {commit['id']}", f"{what} (it now holds {shown or 'nothing'})")
        self._previous, self._number = commit["hash"], commit["id"]
        self._hashes, self._members, self._first = [], [], commit["last"] + 1
        self._report.commits += 1
        self._current = self._next()
        return self._current

    def _next(self) -> Row | None:
        try:
            row = next(self._rows, None)
        except StoreUnavailable as error:
            self._report.found("table commits", str(error))
            self._rows, self._broken = iter(()), True
            return None
        if row is not None and row["id"] != self._number + 1:
            self._report.found(f"commit {self._number + 1}", "missing: deleted after it was made")
            self._previous = None
        return row


class _Roots:
    """Grows the Merkle tree beside the events, and compares it with checkpoints: the store's own, and those held elsewhere."""

    def __init__(self, reader: Reader, report: Report, key: str | None, held: Mapping[str, Checkpoint]) -> None:
        self._reader, self._report, self._key = reader, report, key
        self._expected = [(name, held[name].size, held[name].root) for name in held]
        self._own: dict[int, bytes] = {}
        self._said: dict[int, str] = {}
        """Size -> root of each checkpoint that the system's own chain tells of."""
        self._tree, self._leaves, self._at = Tree(), list[bytes](), 0
        self._stops = sorted({size for _, size, _ in self._expected}, reverse=True)

    def read(self) -> None:
        """The store's own checkpoints, before the events."""
        for size, note in stored_checkpoints(self._reader):
            name = f"the checkpoint over {size} records in the store"
            try:
                checkpoint = open_note(note, self._key) if self._key else _unsigned(note)
                if checkpoint.size != size:
                    raise ValueError(f"its note covers {checkpoint.size}")
            except (ValueError, IndexError) as error:
                self._report.found(name, f"it was changed, or another key signed it: {error}")
                continue
            self._own[size] = checkpoint.root
            self._expected.append((name, size, checkpoint.root))
            self._report.checkpoints += 1
        self._stops = sorted({size for _, size, _ in self._expected}, reverse=True)

    def take(self, position: int, run: str, seq: int, stored: bytes) -> None:
        while self._stops and position > self._stops[-1]:
            self._compare(self._stops.pop())
        self._leaves.append(record_leaf(position, seq, stored, run))
        self._at = position
        if len(self._leaves) >= PAGE:
            self._grow()

    def recorded(self, event: SystemRecorded) -> None:
        size = event.detail.get("size") if isinstance(event.detail, dict) else None
        if event.what == "checkpoint" and isinstance(size, int):
            self._said[size] = str(event.detail.get("root"))

    def finish(self) -> None:
        """After the last event: checkpoints that reach past it, and those that table and chain do not agree about."""
        while self._stops and self._stops[-1] <= self._at:
            self._compare(self._stops.pop())
        for name, size, _ in self._expected:
            if size > self._at:
                what = f"it covers {size} records, but the journal ends at {self._at}"
                self._report.found(name, f"{what}: the tail was cut off, or an older copy of the store was put back")
        kept = {size for size, _ in stored_checkpoints(self._reader)}  # again: one may have been made meanwhile
        for size in sorted(self._said.keys() - kept):
            self._report.found(
                f"the checkpoint over {size} records",
                "the system's chain tells of it, but it is not in its table: rolled back",
            )
        for size in sorted(self._own):
            if self._said.get(size) != self._own[size].hex():
                self._report.found(
                    f"the checkpoint over {size} records in the store", "the system's chain does not tell of it"
                )
        self._grow()
        self._report.root = self._tree.root.hex()

    def _compare(self, size: int) -> None:
        self._grow()
        for name, expected, root in self._expected:
            if expected == size and (self._tree.size != size or self._tree.root != root):
                self._report.found(
                    name, f"the first {size} records are not the ones that it covers: the journal was rewritten"
                )

    def _grow(self) -> None:
        self._tree.extend(self._leaves)
        self._leaves.clear()


def _unsigned(note: str) -> Checkpoint:
    """A note whose key is not at hand: its content still has to fit the tree."""
    lines = note.split("\n")
    return Checkpoint(lines[0], int(lines[1]), b64decode(lines[2], validate=True))


def _decoded(kind: str, body: str, problems: list[str]) -> Event | None:
    if kind not in EVENTS:
        problems.append(f"unknown kind {kind!r}")
        return None
    try:
        return decode(kind, body)
    except ValueError as error:
        problems.append(f"its body cannot be read: {str(error).splitlines()[0]}")
        return None


def _pages(reader: Reader, query: str, start: Any, key: str, size: int) -> Iterator[Row]:
    at = start
    while True:
        rows = reader.all(query, (at, size))
        yield from rows
        if len(rows) < size:
            return
        at = rows[-1][key]
