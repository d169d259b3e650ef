"""What AI steps learn from, what they learned, and what people said of it: a file of its own in the home.

Nothing is overwritten: a fit that is no longer in use stays, and can be accepted again. One effect is recorded once,
however often it is tried.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Collection, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from backstay.errors import NotFound, StoreUnavailable
from backstay.store.database import Parameters, Row, connect, queries
from backstay.types import Json

STEPS_FILE: Final = "steps.db"

_SCHEMA: Final = (
    "steps_table",
    "steps_examples_table",
    "steps_outcomes_table",
    "steps_fits_table",
    "steps_vectors_table",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step as its code declares it."""

    name: str
    kind: str
    action: str
    """The action by which it is asked."""
    declared: Mapping[str, Json]
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A labelled example, with who says so."""

    text: str
    label: str
    origin: Literal["code", "import", "person"]
    by: str
    run: str
    """The case in which a person said so; "" for others."""
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a person said of an answer."""

    fit: str
    """What had judged, as the answer says."""
    said: str
    truth: str
    confidence: float
    sure: bool
    by: str
    run: str
    at: str

    @property
    def right(self) -> bool:
        return self.said == self.truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A fit as lists show it."""

    version: int
    digest: str
    origin: Literal["code", "person"]
    """Whether it came with the code, or somebody had it made."""
    at: str
    by: str
    accepted_at: str | None
    accepted_by: str | None
    report: Mapping[str, Json]


class StepFile:
    """The file of one home; safe for threads. Raises StoreUnavailable when it cannot be read or written."""

    def __init__(self, home: Path, *, readonly: bool = False) -> None:
        self._connection = connect(home / STEPS_FILE, readonly=readonly)
        self._lock = threading.RLock()
        for name in () if readonly else _SCHEMA:
            self._all(name)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    # --- steps and examples ---

    def declare(self, step: Step, examples: Iterable[Labelled]) -> None:
        """Say what a step is now, and which examples its code has."""
        with self._change():
            self._all("steps_declare", {**asdict(step), "declared": json.dumps(dict(step.declared), sort_keys=True)})
            self._all("steps_examples_of_code_drop", (step.name,))
            for number, example in enumerate(examples):
                self._add(f"code {step.name} {number}", step.name, example)

    def steps(self, name: str | None = None) -> list[Step]:
        """Every step, or the one of a name."""
        rows = self._all("steps_listed", {"name": name})
        return [Step(**_with(row, declared=json.loads(row["declared"]))) for row in rows]

    def step(self, name: str) -> Step:
        """One step; raises NotFound."""
        found = self.steps(name)
        if not found:
            known = ", ".join(each.name for each in self.steps()) or "none yet"
            raise NotFound(f"no step {name!r} is known here: a step is, once its application was asked; known: {known}")
        return found[0]

    def add(self, step: str, examples: Mapping[str, Labelled]) -> int:
        """Keep examples, by their keys; gives how many of them are new."""
        with self._change():
            return sum(self._add(key, step, example) for key, example in examples.items())

    def _add(self, key: str, step: str, example: Labelled) -> int:
        return self._count("steps_example_add", {**asdict(example), "key": key, "step": step})

    def examples(self, step: str, origin: str | None = None, *, after: int | None = None) -> list[Labelled]:
        """What a step learns from: the author's first, then in the order in which it was said.

        after: only what somebody said or imported since an example of that number.
        """
        rows = self._all("steps_examples", {"step": step, "origin": origin, "after": after})
        return [Labelled(**{name: row[name] for name in Labelled.__slots__}) for row in rows]

    def counted(self, step: str) -> dict[str, int]:
        """How many examples a step has, by where they come from."""
        return {row["origin"]: int(row["count"]) for row in self._all("steps_examples_counted", (step,))}

    def newest(self, step: str) -> int:
        """The number of the newest example that does not stand in the code; 0 where there is none."""
        return int(self._all("steps_examples_newest", (step,))[0][0])

    def forget_people(self, people: Collection[str]) -> int:
        """Drop every example that holds a pseudonym of people, by their ids; gives how many there were."""
        with self._lock:
            with self._change():
                rows = [
                    row["number"] for each in people for row in self._all("steps_examples_of_people", {"person": each})
                ]
                for number in dict.fromkeys(rows):
                    self._all("steps_example_drop", (number,))
                if rows:
                    self._all("steps_vectors_drop")
            if rows:
                self._all("steps_scrub")
                self._all("steps_scrub_log")
            return len(set(rows))

    # --- outcomes ---

    def note(self, step: str, key: str, outcome: Outcome) -> None:
        """Record what a person said of an answer."""
        self._all("steps_outcome_add", {**asdict(outcome), "sure": int(outcome.sure), "key": key, "step": step})

    def outcomes(self, step: str) -> list[Outcome]:
        """What people said of a step's answers, oldest first."""
        rows = self._all("steps_outcomes", (step,))
        return [Outcome(**_with(row, sure=bool(row["sure"]))) for row in rows]

    # --- fits ---

    def add_fit(
        self, step: str, *, digest: str, origin: str, at: str, by: str, report: Mapping[str, Json], content: bytes
    ) -> int:
        """Keep a fit; gives its version, which is that of an earlier one where that came of the same."""
        with self._change():
            same = self._all("steps_fit_of_digest", (step, digest))
            if same:
                version = int(same[0]["version"])
                if "newest" in report:
                    self._all("steps_fit_seen", {"step": step, "version": version, "newest": report["newest"]})
                return version
            given = {"step": step, "digest": digest, "origin": origin, "at": at, "by": by, "content": content}
            return int(self._all("steps_fit_add", given | {"report": json.dumps(dict(report))})[0]["version"])

    def accept(self, step: str, version: int, *, at: str, by: str) -> Fitted:
        """From now on this fit answers; raises NotFound."""
        with self._change():
            if not self._count("steps_fit_accept", {"step": step, "version": version, "at": at, "by": by}):
                known = ", ".join(str(each.version) for each in self.fits(step)) or "none"
                raise NotFound(
                    f"step {step!r} has no fit {version}; it has {known}: `backstay steps fit {step}` makes one"
                )
        return next(each for each in self.fits(step) if each.version == version)

    def current(self, step: str) -> Fitted | None:
        """The fit that was accepted last."""
        rows = self._all("steps_fit_current", (step,))
        return _fitted(rows[0]) if rows else None

    def fits(self, step: str) -> list[Fitted]:
        """All fits, newest first."""
        return [_fitted(row) for row in self._all("steps_fits", (step,))]

    def content(self, step: str, version: int) -> bytes:
        """A fit itself; raises NotFound."""
        rows = self._all("steps_fit_content", (step, version))
        if not rows:
            raise NotFound(f"step {step!r} has no fit {version}")
        return bytes(rows[0]["content"])

    # --- vectors ---

    def vector(self, key: str) -> bytes | None:
        """A vector that was computed before."""
        rows = self._all("steps_vector", (key,))
        return bytes(rows[0]["vector"]) if rows else None

    def keep_vectors(self, vectors: Mapping[str, bytes]) -> None:
        """Keep vectors for the next fit."""
        with self._change():
            for key, vector in vectors.items():
                self._all("steps_vector_add", (key, vector))

    # --- the file ---

    @contextmanager
    def _change(self) -> Generator[None]:
        with self._lock:
            self._all("steps_begin")
            try:
                yield
                self._all("steps_commit")
            except BaseException:
                if self._connection.in_transaction:
                    self._all("steps_rollback")
                raise

    def _count(self, name: str, parameters: Parameters) -> int:
        with self._guard():
            return self._connection.execute(queries()[name], parameters).rowcount

    def _all(self, name: str, parameters: Parameters = ()) -> list[Row]:
        with self._guard():
            return self._connection.execute(queries()[name], parameters).fetchall()

    @contextmanager
    def _guard(self) -> Generator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise StoreUnavailable(
                    f"{STEPS_FILE!r} cannot be used ({error}); free disk space, or stop what else has it open"
                ) from error


@contextmanager
def step_file(home: Path, *, readonly: bool = True) -> Generator[StepFile | None]:
    """The steps' file of a home, if it has one."""
    if not (home / STEPS_FILE).exists():
        yield None
        return
    file = StepFile(home, readonly=readonly)
    try:
        yield file
    finally:
        file.close()


def _fitted(row: Row) -> Fitted:
    return Fitted(**_with(row, report=json.loads(row["report"])))


def _with(row: Row, **read: Any) -> dict[str, Any]:
    """A row, with what is written in another way than it is read."""
    return {**dict(row), **read}
