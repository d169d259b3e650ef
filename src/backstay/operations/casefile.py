"""The case file: one run and all that it started, with everything that proves it, for somebody who trusts nobody here.

Events stand exactly as they are stored, private values as pseudonyms. What the file lists besides them is derived by the
verifier's own functions, so `backstay-verify` can tell whether the lists are what the events say.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from backstay import verify
from backstay.errors import Conflict, DefinitionMissing, JournalCorrupted
from backstay.events import Event
from backstay.governance.checkpoints import Signer, sign_tree
from backstay.governance.merkle import Range, Tree, consistency_ranges, inclusion_ranges
from backstay.store.blobs import OFFLOAD_BYTES, SCHEME, fetch, inlined, put_back
from backstay.store.database import Reader
from backstay.store.encoding import decode
from backstay.store.keyring import gone
from backstay.store.views import Run, find_run, read_run
from backstay.types import Json
from backstay.verify import Checkpoint

LARGEST: Final = 32 * 1024 * 1024
"""Bytes of values beyond OFFLOAD_BYTES in one case file; those that come after stand in it by their digest alone."""

HEADING: Final = ("workflow", "version", "parent")
"""What the file says of a run besides its events: only what its first event says as well."""


@dataclass(frozen=True)
class Record:
    """An event with its place in the log."""

    position: int
    seq: int
    kind: str
    body: str
    hash: bytes
    values: Mapping[str, bytes] = field(default_factory=dict[str, bytes], repr=False)
    """Digest -> value: what lies beside the journal and is small enough to be read with the events that name it."""

    @cached_property
    def fields(self) -> dict[str, Json]:
        """The event as it is read, with such values in place; raises JournalCorrupted when its body is not JSON."""
        return put_back(dict(self.recorded), self.values)

    @cached_property
    def recorded(self) -> dict[str, Json]:
        """The event as it was recorded; raises JournalCorrupted when its body is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise JournalCorrupted(
                f"the event at position {self.position} cannot be read ({error}); `backstay audit verify` names what is wrong"
            ) from None


@dataclass(frozen=True)
class CaseRun:
    """A run of the case, with its records up to the size at which the log was looked at."""

    row: Run
    records: tuple[Record, ...]


@dataclass(frozen=True)
class Case:
    """A run and every run below it, as the log of `size` records has them."""

    run: str
    size: int
    runs: tuple[CaseRun, ...]
    definitions: dict[str, str]
    """Version -> text."""
    root: Record
    """How the case began: the first event of the run from which all others come, whether or not it is among `runs`."""
    root_run: str
    people: tuple[tuple[int, Event], ...] = ()
    """What the system's chain says about who is registered and who stands in for whom, with its place in the log."""
    erased: frozenset[str] = frozenset()
    """Ids of the people whose values are gone."""
    tenant: str = ""
    """Name of the installation, as its checkpoints bear it; empty before the first key was made."""

    def records(self) -> Iterator[tuple[CaseRun, Record]]:
        """Every record with its run, in order of commit."""
        return iter(sorted(((run, one) for run in self.runs for one in run.records), key=lambda pair: pair[1].position))


def read_case(reader: Reader, name: str, *, tenant: str = "") -> Case:
    """A case by the id of its run, or an unambiguous part of it; raises NotFound or Conflict."""
    size: int = reader.value("last_position")
    root = find_run(reader, name)
    run = root.id
    while root.parent is not None and (above := reader.one("run", (root.parent,))) is not None:
        root = read_run(above)
    found: list[CaseRun] = []
    for row in reader.all("runs_below", (run,)):
        rows = reader.all("records_of_run", (row["id"], size))
        values = inlined(reader, (record["body"] for record in rows))
        records = [Record(*record, values=values) for record in rows]
        if records:
            found.append(CaseRun(read_run(row), tuple(records)))
    people = ((one["position"], decode(one["kind"], one["body"])) for one in reader.all("directory_events"))
    return Case(
        run, size, tuple(found), {one.row.version: _text(reader, one.row.version) for one in found},
        root=Record(*reader.all("records_of_run", (root.id, size))[0]), root_run=root.id,
        people=tuple(pair for pair in people if pair[0] <= size), erased=gone(reader), tenant=tenant,
    )  # fmt: skip


def _text(reader: Reader, version: str) -> str:
    row = reader.one("definition", (version,))
    if row is None:
        raise DefinitionMissing(f"definition {version[:12]} is not in the store; restore it from a backup, then export")
    return row["text"]


def write_case(reader: Reader, signer: Signer, case: Case, held: Checkpoint | None = None) -> Json:
    """The case file as JSON, under a checkpoint signed now; with `held`, proof that the log continues that one as well."""
    places = {one.position: inclusion_ranges(one.position - 1, case.size) for _, one in case.records() if one.fields}
    if held is not None and not 0 < held.size <= case.size:
        raise Conflict(
            f"the checkpoint covers {held.size} records, and the store has {case.size}: it cannot continue it"
        )
    joint = consistency_ranges(held.size, case.size) if held is not None else []
    tree, _, note = sign_tree(reader, signer, case.size, [*joint, *(one for path in places.values() for one in path)])
    runs = [_write_run(run, tree, places) for run in case.runs]
    return {
        "format": verify.FORMAT,
        "case": case.run,
        "checkpoint": note,
        "key": signer.public,
        "consistency": [{"size": held.size, "proof": _proof(tree, joint)}] if held is not None else [],
        "decisions": [row for run in runs for row in verify.decisions(run)],
        "effects": [row for run in runs for row in verify.effects(run)],
        "rules": [row for run in runs for row in verify.rules(run)],
        "definitions": case.definitions,
        "values": dict(_values(reader, case)),
        "runs": runs,
    }


def _values(reader: Reader, case: Case) -> Iterator[tuple[str, str | None]]:
    """Digest and text of each value that lies beside the log, as JSON; None for what is too much."""
    refs = (ref for _, one in case.records() for ref in (one.recorded.get("refs") or {}).values())
    room = LARGEST
    for name in dict.fromkeys(ref.removeprefix(SCHEME) for ref in refs if ref.startswith(SCHEME)):
        data = fetch(reader, name)
        if data is None:
            raise JournalCorrupted(
                f"the large value {name[:12]} is missing or damaged; restore the store from a backup, then export"
            )
        small = len(data) <= OFFLOAD_BYTES
        fits = small or len(data) <= room
        room -= len(data) if fits and not small else 0
        yield name, data.decode() if fits else None


def _write_run(run: CaseRun, tree: Tree, places: dict[int, list[Range]]) -> dict[str, Json]:
    events = [
        {"position": one.position, "seq": one.seq, "kind": one.kind, "body": one.body, "hash": one.hash.hex(),
         "proof": _proof(tree, places[one.position])}
        for one in run.records
    ]  # fmt: skip
    return {"run": run.row.id, **{name: getattr(run.row, name) for name in HEADING}, "events": events}


def _proof(tree: Tree, ranges: Sequence[Range]) -> list[str]:
    return [base64.b64encode(node).decode() for node in tree.proof(ranges)]
