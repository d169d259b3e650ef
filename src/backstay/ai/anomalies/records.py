"""Unusual records of a business: each is compared with the profile of its key, such as a vendor, and with all, in words.

Every check gives a probability: how often so unusual a thing is there with nothing wrong. Where a key is not known yet, the
population stands in for it, and the reason says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias, get_args

from backstay.ai.anomalies.profiles import Profile, as_rare, beyond, middle_of, rate
from backstay.errors import AuthorError, InvalidInput

Kind: TypeAlias = Literal[
    "id",  # what the record is called: learned once, whatever happens
    "key",  # whose record it is
    "amount",  # money or a size: compared by its ratio to what is usual
    "number",  # any other number: compared by its distance
    "unit",  # the currency or unit in which amounts are compared
    "account",  # where something goes, such as an IBAN: a new one for a known key is told
    "category",  # one of a few values
    "time",  # when: time of day, weekday, time since the key's last one
]
FEW: Final = 5
"""Records of a key from which on its own numbers count."""
FAR: Final = 1000
"""An amount that is smaller than the usual by so many times, or is 0, is not told as a fraction of it."""
NEAR: Final = 45 * 86_400.0
"""Seconds within which the same amount of the same key may be a double."""
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is unusual about a record."""

    field: str
    chance: float
    """How often so unusual a thing is there with nothing wrong."""
    reason: str


class RecordDetector:
    """Checks records of some fields: pure, given the profiles. Raises AuthorError naming a field that does not fit."""

    def __init__(self, name: str, fields: Mapping[str, Kind]) -> None:
        for field, kind in fields.items():
            if kind not in get_args(Kind):
                raise AuthorError(
                    f"{name!r}: field {field!r} has no kind {kind!r}; it is one of {', '.join(get_args(Kind))}"
                )
        self.name, self.fields = name, dict(fields)
        self.id, self.key = (self._only(kind, need=True) for kind in ("id", "key"))
        self.unit = self._only("unit", need=False)

    def _only(self, kind: Kind, *, need: bool) -> str:
        found = self._of(kind)
        if len(found) > 1 or (need and not found):
            raise AuthorError(f"{self.name!r}: exactly one field must be of kind {kind!r}, not {len(found)}")
        return found[0] if found else ""

    def _of(self, kind: Kind) -> list[str]:
        return [field for field, each in self.fields.items() if each == kind]

    def read(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The record's fields as they are compared; raises InvalidInput naming the field. What is None is not there."""
        read: dict[str, Any] = {}
        for field, kind in self.fields.items():
            if (given := record.get(field)) in (None, ""):
                if kind in ("id", "key"):
                    raise InvalidInput(f"{self.name!r}: field {field!r} of the record is missing")
                continue
            try:
                match kind:
                    case "amount" | "number":
                        read[field] = float(given)
                        if not math.isfinite(read[field]):
                            raise ValueError(given)
                    case "time":
                        read[field] = given if isinstance(given, datetime) else datetime.fromisoformat(str(given))
                    case "account":
                        read[field] = "".join(str(given).split()).upper()
                    case _:
                        read[field] = " ".join(str(given).split())
            except (TypeError, ValueError, OverflowError):
                raise InvalidInput(f"{self.name!r}: field {field!r} is no {kind}: {str(given)[:80]!r}") from None
        return read

    def findings(self, read: Mapping[str, Any], own: Profile, everyone: Profile) -> list[Finding]:
        """What is unusual, the least likely first."""
        found = [
            finding
            for field, kind in self.fields.items()
            if field in read
            for finding in self._field(field, kind, read, own, everyone)
        ]
        return sorted([*found, *self._double(read, own, everyone)], key=lambda one: one.chance)

    def _field(
        self, field: str, kind: Kind, read: Mapping[str, Any], own: Profile, everyone: Profile
    ) -> Iterator[Finding]:
        match kind:
            case "amount" | "number":
                yield from self._number(field, kind, read, own, everyone)
            case "unit" | "account" | "category":
                yield from self._value(field, kind, read, own, everyone)
            case "time":
                yield from self._time(field, read, own, everyone)
            case "id" | "key":
                pass

    def _number(
        self, field: str, kind: Kind, read: Mapping[str, Any], own: Profile, everyone: Profile
    ) -> Iterator[Finding]:
        unit = str(read.get(self.unit, ""))
        value = _scaled(kind, read[field])
        name = _named(field, unit, read[field])
        mine, all_ = own.numbers.get(name, []), everyone.numbers.get(name, [])
        least = 0.05 if kind == "amount" else 1e-6 * (1 + abs(value))
        within = everyone.numbers.get(f"within {name}", [])
        if len(mine) >= FEW:
            center, spread = middle_of(mine, least)
            usual = max(least, 1.25 * sum(within) / len(within)) if within else spread
            spread = math.sqrt((len(mine) * spread**2 + FEW * usual**2) / (len(mine) + FEW))
            whose, seen = f"of {read[self.key]}", len(mine)
        elif len(all_) >= FEW:
            center, spread = middle_of(all_, least)
            whose, seen = f"of all; of {read[self.key]} there are only {len(mine)} yet", len(all_)
        else:
            return
        chance = beyond(value - center, spread)
        shown = f"{abs(read[field]):.2f} {unit}".strip() if kind == "amount" else f"{read[field]:.6g}"
        if kind == "amount":
            usual_one = f"the usual {math.exp(center):.2f} {unit}".strip()
            times = math.exp(abs(value - center))
            less = f"a {times:.1f}th of {usual_one}" if times < FAR else f"far below {usual_one}"
            how = f"{times:.1f} times {usual_one}" if value > center else less
            yield Finding(field=field, chance=chance, reason=f"{field} {shown} is {how} {whose} ({seen} records)")
        else:
            reason = f"{field} {shown} is far from the usual {center:.6g} {whose} ({seen} records)"
            yield Finding(field=field, chance=chance, reason=reason)

    def _value(
        self, field: str, kind: Kind, read: Mapping[str, Any], own: Profile, everyone: Profile
    ) -> Iterator[Finding]:
        value, key = str(read[field]), read[self.key]
        mine, all_ = own.values.get(field, {}), everyone.values.get(field, {})
        if kind == "account" and (others := all_.get(value, 0)) and value not in mine:
            chance = min(rate(own, everyone, f"shared {field}"), rate(own, everyone, f"new {field}"))
            yield Finding(
                field=field, chance=chance, reason=f"{field} is new for {key} and was used by others ({others})"
            )
        elif own.count and value not in mine:
            chance = rate(own, everyone, f"new {field}")
            seen = f"{own.count} records" if own.count > 1 else "1 record"
            reason = f"first time that {field} is {value} for {key} ({seen})"
            yield Finding(field=field, chance=chance, reason=reason)
        elif not own.count and kind != "account" and value not in all_ and everyone.count >= FEW:
            chance = 2 / (everyone.count + 2)
            reason = f"{field} {value} was never there in {everyone.count} records; {key} is new"
            yield Finding(field=field, chance=chance, reason=reason)
        elif kind == "category" and own.count >= 4 * FEW:
            chance = as_rare(mine.values(), mine[value])
            yield Finding(
                field=field, chance=chance, reason=f"{field} {value} is rare for {key}: {mine[value]} of {own.count}"
            )

    def _time(self, field: str, read: Mapping[str, Any], own: Profile, everyone: Profile) -> Iterator[Finding]:
        moment, key = read[field], read[self.key]
        for what, slot, slots in (("hour", moment.hour, 24), ("weekday", moment.weekday(), 7)):
            if what == "hour" and not (moment.hour or moment.minute or moment.second):
                continue  # a date without a time
            name = f"{what} of {field}"
            mine, all_ = own.values.get(name, {}), everyone.values.get(name, {})
            if sum(all_.values()) < 4 * FEW:
                continue
            shares = _shares(mine, _shares(all_, [1 / slots] * slots, slots), slots)
            chance = as_rare(shares, shares[slot])
            said = f"at {moment.hour} o'clock" if what == "hour" else f"on a {DAYS[slot]}"
            known = f"{mine.get(str(slot), 0)} of {own.count} records of {key}, {all_.get(str(slot), 0)} of all"
            yield Finding(field=field, chance=chance, reason=f"{field} is {said}, as {known} {everyone.count}")
        gaps = own.numbers.get(f"gap of {field}", [])
        last = own.last.get(field)
        if last is None or len(gaps) < FEW or (gap := _seconds(moment) - last) <= 0:
            return
        center, spread = middle_of(gaps, 0.2)
        if math.log(gap) < center:
            chance = beyond(math.log(gap) - center, math.sqrt(spread**2 + 0.25**2)) / 2
            reason = f"{_days(gap)} after the one before of {key}; {_days(math.exp(center))} are usual"
            yield Finding(field=field, chance=chance, reason=reason)

    def _double(self, read: Mapping[str, Any], own: Profile, everyone: Profile) -> Iterator[Finding]:
        this = self._trace(read)
        if this is not None and (other := _alike(this, own.recent)) is not None:
            field = self._of("amount")[0]
            chance = rate(own, everyone, "same amount")
            reason = f"the same {field} of {read[self.key]} as {other[0]}: it may be a double"
            yield Finding(field=field, chance=chance, reason=reason)

    def _trace(self, read: Mapping[str, Any]) -> list[Any] | None:
        """(id, amount, unit, seconds) by which a double is known."""
        amounts, times = self._of("amount"), self._of("time")
        if not amounts or amounts[0] not in read:
            return None
        at = _seconds(read[times[0]]) if times and times[0] in read else None
        return [read[self.id], read[amounts[0]], str(read.get(self.unit, "")), at]

    def learn(self, read: Mapping[str, Any], own: Profile, everyone: Profile) -> None:
        """Take a record that is normal into both profiles."""
        this = self._trace(read)
        if this is not None:
            for profile in (own, everyone):
                profile.happened("same amount", did=_alike(this, own.recent) is not None)
            own.recent = [*own.recent, this][-20:]
        for field, kind in self.fields.items():
            if field not in read:
                continue
            match kind:
                case "amount" | "number":
                    name = _named(field, str(read.get(self.unit, "")), read[field])
                    value, mine = _scaled(kind, read[field]), own.numbers.get(name, [])
                    if len(mine) >= FEW:
                        everyone.note(f"within {name}", abs(value - middle_of(mine, 0)[0]))
                    for profile in (own, everyone):
                        profile.note(name, value)
                case "unit" | "account" | "category":
                    self._learn_value(field, str(read[field]), own, everyone)
                case "time":
                    self._learn_time(field, read[field], own, everyone)
                case "id" | "key":
                    pass
        own.count += 1
        everyone.count += 1

    def _learn_value(self, field: str, value: str, own: Profile, everyone: Profile) -> None:
        new = value not in own.values.get(field, {})
        shared = new and value in everyone.values.get(field, {})
        for profile in (own, everyone):
            if own.count:
                profile.happened(f"new {field}", did=new)
            profile.happened(f"shared {field}", did=shared)
            profile.count_value(field, value)

    def _learn_time(self, field: str, moment: datetime, own: Profile, everyone: Profile) -> None:
        for profile in (own, everyone):
            profile.count_value(f"weekday of {field}", str(moment.weekday()))
            if moment.hour or moment.minute or moment.second:
                profile.count_value(f"hour of {field}", str(moment.hour))
        at = _seconds(moment)
        if (last := own.last.get(field)) is not None and at > last:
            own.note(f"gap of {field}", math.log(at - last))
        own.last[field] = max(at, last or at)


def _scaled(kind: Kind, value: float) -> float:
    return math.log(max(abs(value), 0.005)) if kind == "amount" else value


def _named(field: str, unit: str, value: float) -> str:
    """Credits are not compared with invoices, nor euros with pesos."""
    return f"{field} {unit}{' back' if value < 0 else ''}"


def _seconds(moment: datetime) -> float:
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _days(span: float) -> str:
    return f"{span / 86_400:.1f} days" if span >= 86_400 else f"{span / 3600:.1f} hours"


def _shares(counts: Mapping[str, int], prior: list[float], slots: int) -> list[float]:
    """The share of each slot, drawn to a prior; a neighbour counts a little, as hours and days have no sharp edges."""
    raw = [counts.get(str(i), 0) for i in range(slots)]
    near = [raw[i] + (0.25 * (raw[i - 1] + raw[(i + 1) % slots]) if slots == 24 else 0.0) for i in range(slots)]
    total = sum(near) + 10
    return [(one + 10 * share) / total for one, share in zip(near, prior, strict=True)]


def _alike(this: list[Any], recent: list[list[Any]]) -> list[Any] | None:
    """The newest record that this one may double."""
    for other in reversed(recent):
        near = this[3] is None or other[3] is None or abs(this[3] - other[3]) <= NEAR
        if other[1:3] == this[1:3] and near:
            return other
    return None
