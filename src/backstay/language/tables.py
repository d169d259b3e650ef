"""Decision tables: rules as data, checked for gaps, overlaps and dead rows before they are used.

Every condition compares an input with constants, so trying one value from each region between them decides every
claim exactly.
"""

from __future__ import annotations

import itertools
import linecache
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, Final, Literal, cast

from backstay.language.diagnostics import refuse_at
from backstay.language.frozen import freeze
from backstay.language.refusals import refuse
from backstay.types import Json

Hit = Literal["first", "unique", "collect"]
"""first: the first row that applies. unique: the only one, checked. collect: the results of all, as a list."""

MAX_CASES: Final = 200_000
"""Combinations of regions that a table may have; beyond it, split the table."""

_NUMBER = r"-?\d+(?:\.\d+)?"
_COMPARISON: Final = re.compile(rf"(<=|>=|<|>)\s*({_NUMBER})")
_SPAN: Final = re.compile(rf"({_NUMBER})\s*\.\.\s*({_NUMBER})")


class TableError(ValueError):
    """A table is not well formed; `code` is the diagnostic's."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass(frozen=True)
class Cell:
    """One condition on one input."""

    low: Decimal | None = None
    low_open: bool = False
    high: Decimal | None = None
    high_open: bool = False
    values: tuple[Any, ...] | None = None
    negated: bool = False

    def __call__(self, value: Any) -> bool:
        if self.values is not None:
            return (value in self.values) is not self.negated
        if self.low is not None and (value < self.low or (self.low_open and value == self.low)):
            return False
        return self.high is None or not (value > self.high or (self.high_open and value == self.high))


ANY: Final = Cell()


class DecisionTable:
    """Rows as data: each is a dict of conditions by input name, and `then`.

    inputs: by name, `"number"`, `"text"`, `"bool"`, a list of the possible values, or an Enum.
    rows: a condition is a value, a list of values, "not x", and for numbers "< 5", ">= 10" or "1..5" (both included);
    an input that a row does not mention may be anything. hit: "first", "unique" or "collect".
    """

    def __init__(
        self, name: str, *, inputs: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], hit: Hit = "first"
    ) -> None:
        self.name = name
        self.hit: Hit = hit
        try:
            self._read(name, inputs, rows)
        except TableError as error:
            frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage] - the diagnostic points at the table
            file, line = frame.f_code.co_filename, frame.f_lineno
            refuse([refuse_at(error.code, file, line, linecache.getline(file, line), name, reason=str(error))])

    def _read(self, name: str, inputs: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
        self.inputs = {key: _domain(name, key, domain) for key, domain in inputs.items()}
        self.parameters = tuple(self.inputs)
        self.results = tuple(_result(name, number, row) for number, row in enumerate(rows, 1))
        self.conditions = tuple(self._row(number, row) for number, row in enumerate(rows, 1))
        if self.hit not in ("first", "unique", "collect"):
            raise TableError("B504", f"hit is {self.hit!r}; it is first, unique or collect")
        _prove(self)

    def __repr__(self) -> str:
        return f"<decision table {self.name}>"

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Decide: the result of the row that applies, for `collect` the list of all."""
        return self.decide(*args, **named)[0]

    def decide(self, *args: Any, **named: Any) -> tuple[Any, Json]:
        """The result, and the number of the row it came from (for `collect` a list of numbers), counted from 1."""
        values = self._values(args, named)
        hits = self._hits(values)
        if self.hit == "collect":
            numbers = list(hits)
            return [self.results[number] for number in numbers], [number + 1 for number in numbers]
        number = next(hits, None)
        if number is None:
            raise ValueError(
                f"no row of table {self.name!r} applies to {dict(zip(self.parameters, values, strict=True))!r}"
            )
        return self.results[number], number + 1

    def _values(self, args: tuple[Any, ...], named: Mapping[str, Any]) -> tuple[Any, ...]:
        given = {**dict(zip(self.parameters, args, strict=False)), **named}
        if set(given) != set(self.parameters) or len(args) + len(named) != len(self.parameters):
            raise TypeError(f"table {self.name!r} takes {', '.join(self.parameters)}")
        return tuple(_plain(given[key]) for key in self.parameters)

    def _hits(self, values: tuple[Any, ...]) -> Iterator[int]:
        for number, cells in enumerate(self.conditions):
            if all(cell(value) for cell, value in zip(cells, values, strict=True)):
                yield number

    def _row(self, number: int, row: Mapping[str, Any]) -> tuple[Cell, ...]:
        unknown = row.keys() - self.inputs.keys() - {"then"}
        if unknown:
            raise TableError(
                "B504",
                f"row {number} of table {self.name!r} names {', '.join(sorted(unknown))}, which is no input",
            )
        where = f"row {number} of table {self.name!r}"
        return tuple(_cell(f"{where}, {key}", row.get(key), domain) for key, domain in self.inputs.items())


def _result(name: str, number: int, row: Mapping[str, Any]) -> Any:
    if "then" not in row:
        raise TableError("B504", f"row {number} of table {name!r} has no `then`")
    return freeze(row["then"])


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _domain(name: str, key: str, domain: Any) -> str | tuple[Any, ...]:
    """ "number", "text", or the tuple of possible values."""
    if isinstance(domain, type) and issubclass(domain, Enum):
        return tuple(member.value for member in domain)
    if domain in ("number", "text"):
        return domain
    if domain == "bool":
        return (True, False)
    if isinstance(domain, list | tuple) and domain:
        return tuple(_plain(value) for value in cast("list[Any]", domain))
    raise TableError(
        "B504",
        f'input {key!r} of table {name!r} is {domain!r}; write "number", "text", "bool", a list or an Enum',
    )


def _cell(where: str, written: Any, domain: str | tuple[Any, ...]) -> Cell:
    if written is None or written == "-":
        return ANY
    if domain == "number":
        return _number_cell(where, written)
    negated = isinstance(written, str) and written.startswith("not ")
    if negated:
        written = written[4:]
    listed = cast("list[Any]", written) if isinstance(written, list | tuple) else [written]
    values = tuple(_plain(value) for value in listed)
    strangers = [value for value in values if value not in domain] if isinstance(domain, tuple) else []
    if strangers:
        raise TableError("B504", f"{where}: {strangers[0]!r} is none of the input's values")
    return Cell(values=values, negated=negated)


def _number_cell(where: str, written: Any) -> Cell:
    if isinstance(written, int | Decimal) and not isinstance(written, bool):
        return Cell(low=Decimal(written), high=Decimal(written))
    if isinstance(written, str):
        if found := _COMPARISON.fullmatch(written.strip()):
            sign, bound = found[1], Decimal(found[2])
            opened = sign in "<>"
            return Cell(low=bound, low_open=opened) if sign[0] == ">" else Cell(high=bound, high_open=opened)
        if found := _SPAN.fullmatch(written.strip()):
            return Cell(low=Decimal(found[1]), high=Decimal(found[2]))
    raise TableError("B504", f'{where}: {written!r} is no condition on a number; write 5, "< 5", ">= 10" or "1..5"')


# --- the proof -----------------------------------------------------------------------------------------


def _prove(table: DecisionTable) -> None:
    regions = [_regions(domain, [row[i] for row in table.conditions]) for i, domain in enumerate(table.inputs.values())]
    count = 1
    for region in regions:
        count *= len(region)
    if count > MAX_CASES:
        raise TableError("B504", f"table {table.name!r} has {count} cases to check, more than {MAX_CASES}; split it")
    used: set[int] = set()
    for case in itertools.product(*regions):
        _prove_case(table, case, list(table._hits(case)), used)  # pyright: ignore[reportPrivateUsage] - the proof is part of the table
    dead = set(range(len(table.conditions))) - used
    if dead:
        raise TableError("B503", f"row {min(dead) + 1} can never apply")


def _prove_case(table: DecisionTable, case: tuple[Any, ...], hits: list[int], used: set[int]) -> None:
    shown = ", ".join(f"{key}={_show(value)}" for key, value in zip(table.parameters, case, strict=True))
    if not hits and table.hit != "collect":
        raise TableError("B501", f"no row applies to {shown}")
    if table.hit == "unique" and len(hits) > 1:
        raise TableError("B502", f"rows {hits[0] + 1} and {hits[1] + 1} both apply to {shown}")
    used.update(hits if table.hit == "collect" else hits[:1])


def _show(value: Any) -> str:
    return str(value) if isinstance(value, Decimal) else repr(value)


def _regions(domain: str | tuple[Any, ...], cells: list[Cell]) -> list[Any]:
    """One value from each region that the column's conditions can tell apart."""
    if isinstance(domain, tuple):
        return list(domain)
    if domain == "text":
        mentioned = list(dict.fromkeys(value for cell in cells for value in cell.values or ()))
        return [*mentioned, _other(mentioned)]
    bounds = sorted({bound for cell in cells for bound in (cell.low, cell.high) if bound is not None})
    if not bounds:
        return [Decimal(0)]
    between = [(low + high) / 2 for low, high in itertools.pairwise(bounds)]
    return [bounds[0] - 1, *bounds, *between, bounds[-1] + 1]


def _other(mentioned: list[Any]) -> str:
    return next(
        text for text in ("another", *(f"another {n}" for n in range(len(mentioned) + 1))) if text not in mentioned
    )
