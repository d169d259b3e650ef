"""Unusual records, as a step of a workflow: judged once, learned once, and never learned from what people call wrong.

What alarms is not learned until a person says that it is normal. How rare a record is counts among those of the past, so
that the asked rate of false alarms holds whatever the records are like.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, Field

from backstay.actions import Action, CallContext
from backstay.ai.anomalies.books import Books
from backstay.ai.anomalies.forest import Forest
from backstay.ai.anomalies.profiles import Profile
from backstay.ai.anomalies.rates import rate_of
from backstay.ai.anomalies.records import Finding, Kind, RecordDetector
from backstay.ai.observations import Case
from backstay.errors import AuthorError, InvalidInput, NotRetryable
from backstay.store.anomalies import Anomalies
from backstay.types import IdempotencyKey, Json, iso

T = TypeVar("T")
Mark = Literal["normal", "anomalous"]

TOLD: Final = 3
"""Findings that a reason names."""
LEAST: Final = 10
"""Records before anything is said."""
FULL: Final = 500
"""Records from which on a record is compared with how unusual others were."""


class NotJudged(NotRetryable):
    """What was to be marked is no record that this step has seen."""

    code = "NOT_JUDGED"


class Found(BaseModel):
    """One thing that is unusual about a record."""

    field: str
    chance: float
    """How often so unusual a thing is there with nothing wrong."""
    reason: str


class Anomaly(BaseModel):
    """How unusual a record is, and why."""

    id: str
    score: float = Field(ge=0.0, le=1.0)
    """Share of the records that are less unusual: 0.999 is once in a thousand."""
    anomalous: bool
    """Whether it is beyond the asked rate of false alarms: what a workflow branches on."""
    reason: str
    """In words, what is unusual, and with how much evidence."""
    findings: list[Found] = []
    seen: int
    """Records of its key that were learned before."""
    of: int
    """Records of all keys."""
    by: str
    """What judged it."""


class AnomalyStep:
    """Records that are compared with what is usual: `App(suppliers=[payments])`, `await detect_payment(record)`.

    In a module, `detect_payment = payments.detect`; a workflow holds no objects.

    name: unique in its application; the actions are `detect_anomaly_NAME` and `learn_NAME`. fields: the kind of each field
    of a record, exactly one of them `id` and one `key`; other fields are not looked at. alarms: how many false alarms in
    how many records. forest: also look at all fields together (`ml` extra). Raises AuthorError naming what does not fit.
    """

    def __init__(self, name: str, *, fields: Mapping[str, Kind], alarms: str = "1/100", forest: bool = False) -> None:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,39}", name):
            raise AuthorError(
                f"anomaly step {name!r}: a name has letters, digits and _, begins with a letter, and is short"
            )
        self.name = name
        self.detector = RecordDetector(name, fields)
        self.limit = -math.log10(rate_of(alarms, f"anomaly step {name!r}"))
        self._forest = Forest(name, self.detector.fields) if forest else None
        self._accounts = [field for field, kind in fields.items() if kind == "account"]
        self._open: dict[Path, Anomalies] = {}

    @property
    def actions(self) -> Sequence[Action[Any]]:
        return [self.detect, self.learn]

    @cached_property
    def detect(self) -> Action[Anomaly]:
        """How unusual a record is. The same id again gets the same answer. Its words may be those of outsiders."""

        async def detect(record: dict[str, Json], context: CallContext) -> Anomaly:
            clean = await asyncio.to_thread(self._clean, record, context)
            return await self._do(context, lambda file: self._detect(file, clean, self._unread(record), context))

        detect.__doc__ = (
            f"Say how unusual a record is, compared with earlier ones of the same {self.detector.key} and of all. "
            f"record: {', '.join(f'{field} ({kind})' for field, kind in self.detector.fields.items())}."
        )
        return Action(fn=detect, name=f"detect_anomaly_{self.name}", effect="read", untrusted=True, on_failure="raise")

    @cached_property
    def learn(self) -> Action[Mark]:
        """Say of a record whether it was normal, after a review."""

        async def learn(id: str, mark: Mark, key: IdempotencyKey, context: CallContext) -> Mark:
            case = await asyncio.to_thread(Case, context)
            person, _ = case.answered(mark)
            return await self._do(context, lambda file: self._mark(file, case.clean(id), mark, key, person, context))

        learn.__doc__ = (
            "Say of a record whether it was normal or anomalous. A person must have said so in this case. What is anomalous is "
            "not learned, and is forgotten if it was. The last word counts."
        )
        return Action(fn=learn, name=f"learn_{self.name}", effect="write", on_failure="raise")

    async def close(self) -> None:
        """Close its files; they are opened again when they are needed."""
        while self._open:
            self._open.popitem()[1].close()

    async def _do(self, context: CallContext, work: Callable[[Anomalies], T]) -> T:
        file = self._open.get(context.home)
        if file is None:
            file = self._open[context.home] = Anomalies(context.home)
        return await asyncio.to_thread(work, file)

    def _clean(self, record: Mapping[str, Json], context: CallContext) -> dict[str, Json]:
        """The fields that are compared, with pseudonyms for what is private."""
        case = Case(context)
        given = {field: record[field] for field in self.detector.fields if field in record}
        return {field: case.clean(one) if isinstance(one, str) else one for field, one in given.items()}

    def _unread(self, record: Mapping[str, Json]) -> str:
        """What may be a slip of the pen: a field is missing, and there is one that this step does not look at."""
        missing = [field for field in self.detector.fields if record.get(field) in (None, "")]
        unknown = [each[:40] for each in sorted({*record} - {*self.detector.fields})][:TOLD]
        return f"; {', '.join(missing)}: missing; not looked at: {', '.join(unknown)}" if missing and unknown else ""

    def _detect(self, file: Anomalies, record: dict[str, Json], unread: str, context: CallContext) -> Anomaly:
        read = self.detector.read(record)
        with file.change():
            if seen := file.find(self.name, read[self.detector.id]):
                if seen.record != record:
                    raise InvalidInput(
                        f"{self.name!r}: {self.detector.id} {read[self.detector.id]!r} was judged before as another record"
                    )
                return Anomaly.model_validate(seen.said)
            books = Books(file, self.name, self._accounts)
            with books.of(read[self.detector.key], read) as (own, everyone):
                findings = self.detector.findings(read, own, everyone)
                if self._forest is not None:
                    past = map(self.detector.read, file.learned(self.name))
                    findings += self._forest.findings(read, past, everyone.count, file.marks(self.name))
                said = self._judge(books, read, findings, own, everyone)
                said = said.model_copy(update={"reason": said.reason + unread})
                if not said.anomalous:
                    self.detector.learn(read, own, everyone)
            if not said.anomalous:
                books.keep()
            file.add(
                self.name, said.id, record, said.model_dump(mode="json"), at=iso(context.now), run=context.run,
                learned=not said.anomalous,
            )  # fmt: skip
            return said

    def _judge(
        self, books: Books, read: Mapping[str, Any], findings: list[Finding], own: Profile, everyone: Profile
    ) -> Anomaly:
        """What is said of a record."""
        findings = sorted(findings, key=lambda one: one.chance)
        chances = [min(1.0, one.chance) for one in findings]
        # The rarest thing counts, corrected for how many things were looked at; the others a little.
        decades = -math.log10(min(1.0, chances[0] * len(chances))) if chances else 0.0
        decades += 0.25 * sum(max(0.0, -math.log10(chance) - 1.0) for chance in chances[1:])
        rank, tail = books.tail().rank(decades), books.tail()
        # What alarms may be wrong: it counts as just as unusual as what does, so that it hides no other.
        tail.rank(min(decades, self.limit))
        books.keep_tail(tail)
        # Nothing is called rarer than ten times the records that there are, and of a handful nothing is said.
        most = math.log10(everyone.count) + 1 if everyone.count >= LEAST else 0.0
        rarity = min(rank if tail.rows > FULL else decades, most)
        return Anomaly(
            id=read[self.detector.id], score=1 - 10.0**-rarity, anomalous=rarity >= self.limit,
            reason=self._reason(findings, own, everyone), seen=own.count, of=everyone.count, by="profiles",
            findings=[Found(field=one.field, chance=one.chance, reason=one.reason) for one in findings[:TOLD]],
        )  # fmt: skip

    def _reason(self, findings: list[Finding], own: Profile, everyone: Profile) -> str:
        if everyone.count < LEAST:
            return f"there are only {everyone.count} records yet, too few to say anything"
        told = [one.reason for one in findings[:TOLD] if one.chance < 0.05]
        if not own.count:
            told.append(
                f"nothing is known of this {self.detector.key} yet: it was compared with all {everyone.count} records"
            )
        elif own.count < 5:
            told.append(f"only {own.count} records of this {self.detector.key} are known yet")
        return "; ".join(told) or "nothing about it is unusual"

    def _mark(self, file: Anomalies, id_: str, mark: Mark, key: str, person: str, context: CallContext) -> Mark:
        with file.change():
            if file.was_marked(key):
                return mark
            seen = file.find(self.name, id_)
            if seen is None:
                raise NotJudged(f"{self.name!r} has no record {id_!r}; only what was judged can be marked")
            normal = mark == "normal"
            file.mark(
                key, self.name, id_, mark, learned=normal, by=person, run=context.run, at=iso(context.now)
            )  # fmt: skip
            if normal and not seen.learned:
                self._learn(Books(file, self.name, self._accounts), [seen.record])
            elif seen.learned and not normal:
                # To forget it, all others are learned again. How unusual records were stays.
                books, tail = Books(file, self.name, self._accounts, empty=True), Books(file, self.name, ()).tail()
                others = list(file.learned(self.name))
                file.drop_profiles(self.name)
                self._learn(books, others)
                books.keep_tail(tail)
            return mark

    def _learn(self, books: Books, records: Iterable[Mapping[str, Any]]) -> None:
        for record in records:
            read = self.detector.read(record)
            with books.of(read[self.detector.key], read) as (own, everyone):
                self.detector.learn(read, own, everyone)
        books.keep()
