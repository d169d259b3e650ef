"""What changes from one policy to another: every situation that either can tell apart, and the verdict of each.

A situation is a call as in `analysis`, and a moment: now, and after the end of each rule that ends later. Exact, as the
domains are finite; texts that say the same in other words are no change.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import prod
from typing import Final

from backstay.governance.analysis import Caller, Kind, Situation, decided, kinds, within_reason
from backstay.governance.conditions import ABSENT, Other, Point, arguments
from backstay.governance.policy import Policy, Rule, Verdict, end_of
from backstay.types import Json


@dataclass(frozen=True, kw_only=True)
class Change:
    """Calls of one action by one caller whose verdict changes in the same way, decided by the same two rules."""

    first: Situation
    """One of them, as the old policy decides it."""
    old: Rule
    new: Rule
    since: str
    """The moment at which they differ first; "" is now."""
    when: str
    """For which arguments, as a condition in words; "" is for all. None of the calls outside it changes in this way."""
    situations: int

    @property
    def verdicts(self) -> tuple[Verdict, Verdict]:
        return self.old.verdict, self.new.verdict


def differences(old: Policy, new: Policy, callers: Sequence[Caller], now: str) -> list[Change]:
    """Every change of a verdict; raises AuthorError when there are more situations than can be tried.

    now: RFC 3339 text; what differed before it is over.
    """
    tried = within_reason(
        (kind, chosen, moment) for kind in kinds([old, new], callers) for moment in _moments(kind, now)
        for chosen in kind.choices()
    )  # fmt: skip
    found = list[Change]()
    for kind, group in groupby(tried, key=lambda each: each[0]):
        found += _of_kind(old, new, kind, [(chosen, moment) for _, chosen, moment in group])
    return found


def _moments(kind: Kind, now: str) -> list[str]:
    """Now, and the end of each rule that speaks of such calls and has not ended."""
    ends = {end_of(rule) for rule in kind.rules if rule.expires is not None}
    return [now, *sorted(end for end in ends if end > now)]


def _of_kind(old: Policy, new: Policy, kind: Kind, tried: Sequence[tuple[dict[str, Json], str]]) -> Iterator[Change]:
    groups: dict[tuple[str, ...], list[tuple[dict[str, Json], Situation, Situation]]] = {}
    seen: set[tuple[str, ...]] = set()
    for chosen, moment in tried:
        args = arguments(chosen)
        before, after = (decided(each, kind.facts, args, moment, kind.led_by) for each in (old, new))
        if before.verdict == after.verdict:
            continue
        by = (before.verdict, before.rule.id, after.verdict, after.rule.id)
        place = (repr(sorted(chosen.items(), key=lambda each: each[0])), *by)
        if place not in seen:  # it goes on as it began
            seen.add(place)
            groups.setdefault((moment, *by), []).append((chosen, before, after))
    now = tried[0][1]
    for (moment, *_), group in groups.items():
        _, before, after = group[0]
        yield Change(
            first=before, old=before.rule, new=after.rule, since="" if moment == now else moment,
            when=_words(kind.regions, [chosen for chosen, _, _ in group]), situations=len(group),
        )  # fmt: skip


# --- which arguments --------------------------------------------------------------------------------------------------

FEW: Final = 6
"""Alternatives that are told; of more there is an example."""


def _words(regions: Mapping[str, Sequence[Json]], chosen: Sequence[Mapping[str, Json]]) -> str:
    """The arguments of a group of situations: exact where they are few boxes, else an example and how many there are."""
    boxes = _boxes(regions, chosen)
    if len(boxes) > FEW:
        return f"{_box(regions, {name: [value] for name, value in chosen[0].items()})}, and {len(chosen) - 1} other situations"
    told = [_box(regions, box) for box in boxes]
    return told[0] if len(told) == 1 else "; or ".join(told)


def _boxes(regions: Mapping[str, Sequence[Json]], chosen: Sequence[Mapping[str, Json]]) -> list[dict[str, list[Json]]]:
    """Situations as combinations of sets of values: split by the first argument, and joined where the rest is the same."""
    box = {
        name: [value for value in values if any(_same(each[name], value) for each in chosen)]
        for name, values in regions.items()
    }
    if prod(map(len, box.values())) == len(chosen):
        return [box]
    name, *rest = regions
    inner = {each: regions[each] for each in rest}
    joined: dict[str, tuple[list[Json], list[dict[str, list[Json]]]]] = {}
    for value in box[name]:
        parts = _boxes(inner, [each for each in chosen if _same(each[name], value)])
        joined.setdefault(repr(parts), ([], parts))[0].append(value)
    return [{name: values, **part} for values, parts in joined.values() for part in parts]


def _same(one: Json, other: Json) -> bool:
    return one is other or (type(one) is type(other) and one == other)


def _box(regions: Mapping[str, Sequence[Json]], box: Mapping[str, Sequence[Json]]) -> str:
    told = [_values(name, values, regions[name]) for name, values in box.items() if len(values) < len(regions[name])]
    return " and ".join(told)


def _values(name: str, values: Sequence[Json], every: Sequence[Json]) -> str:
    """One argument: ranges of numbers, single values, anything else, left out."""
    points = [value for value in every if isinstance(value, Point)]
    told = _ranges(name, [points.index(value) for value in values if isinstance(value, Point)], points)
    if any(isinstance(value, Other) for value in values):
        told.append(_none_of(name, [value for value in every if _is_single(value) and value not in values]))
    elif singles := [value for value in values if _is_single(value)]:
        told.append(f"{name} is {' or '.join(map(_told, singles))}")
    if ABSENT in values:
        told.append(f"{name} is left out or cannot be compared")
    return told[0] if len(told) == 1 else f"({' or '.join(told)})"


def _none_of(name: str, values: Sequence[Json]) -> str:
    return f"{name} is not {' and not '.join(map(_told, values))}" if values else f"{name} is anything else"


def _is_single(value: Json) -> bool:
    return value is not ABSENT and not isinstance(value, Point | Other)


def _told(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def _ranges(name: str, places: Sequence[int], points: Sequence[Json]) -> list[str]:
    """Neighbouring places as ranges: odd ones are constants, even ones lie beside them."""
    breaks = [0, *(at + 1 for at, (one, other) in enumerate(pairwise(places)) if other != one + 1), len(places)]
    runs = [places[start:end] for start, end in pairwise(breaks) if end > start]
    return [_range(name, run[0], run[-1], points) for run in runs]


def _range(name: str, first: int, last: int, points: Sequence[Json]) -> str:
    if first == 0 and last == len(points) - 1:
        return f"{name} is a number"
    if first == last and first % 2:
        return f"{name} = {points[first]}"
    low = "" if first == 0 else f"{points[first]} ≤ " if first % 2 else f"{points[first - 1]} < "
    high = "" if last == len(points) - 1 else f" ≤ {points[last]}" if last % 2 else f" < {points[last + 1]}"
    if low and high:
        return f"{low}{name}{high}"
    sign, bound = (("≥" if "≤" in low else ">"), low.split(maxsplit=1)[0]) if low else high.split()
    return f"{name} {sign} {bound}"
