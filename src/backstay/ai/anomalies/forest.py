"""Records looked at as a whole, by an isolation forest (Liu, Ting and Zhou, 2008): combinations that no single field shows.

Optional, from the `ml` extra. It is fitted when it is first needed and again when the records have grown by a quarter.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from statistics import median
from typing import Any, Final

from backstay.ai.anomalies.profiles import NORMAL
from backstay.ai.anomalies.records import Finding, Kind
from backstay.errors import AuthorError

LEAST: Final = 200
"""Records that it needs."""
MOST: Final = 20_000
"""Records that it is fitted on: the first ones, which everything later is compared with."""
FIELD: Final = "all fields"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    model: Any
    scores: list[float]
    """Of the records it was fitted on, sorted: low is unusual."""
    middles: list[tuple[float, float]]
    counts: dict[str, Counter[str]]


class Forest:
    """The forest of one step; the same for the same records. Raises AuthorError naming the extra that is missing."""

    def __init__(self, name: str, fields: Mapping[str, Kind]) -> None:
        try:
            self._ensemble: Any = import_module("sklearn.ensemble")
        except ImportError:
            raise AuthorError(
                f"anomaly step {name!r}: forest=True needs scikit-learn; install backstay with the extra `ml`"
            ) from None
        self._fields: dict[str, Kind] = {field: kind for field, kind in fields.items() if kind not in ("id", "key")}
        self._fits: dict[tuple[int, int], _Fit] = {}
        self._names = [name for field, kind in self._fields.items() for name in _columns(field, kind)]

    def findings(
        self, read: Mapping[str, Any], records: Iterable[Mapping[str, Any]], size: int, marks: int
    ) -> list[Finding]:
        """What it says of a record. records: those learned, read only when it is fitted; size: how many; marks: of people."""
        if size < LEAST:
            return []
        until = LEAST
        while until * 5 // 4 <= min(size, MOST):
            until = until * 5 // 4
        fit = self._fits.get((until, marks))
        if fit is None:
            self._fits = {(until, marks): (fit := self._fit(list(islice(records, until))))}
        row = self._row(read, fit.counts)
        score = float(fit.model.score_samples([row])[0])
        chance = (bisect_left(fit.scores, score) + 1) / (len(fit.scores) + 1)
        far = sorted(
            ((abs(one - middle) / spread, name, one, middle) for one, name, (middle, spread) in zip(row, self._names, fit.middles, strict=True)),
            reverse=True,
        )  # fmt: skip
        said = ", ".join(f"{name} {one:.4g} (usually {middle:.4g})" for _, name, one, middle in far[:2])
        return [
            Finding(field=FIELD, chance=chance, reason=f"unusual as a whole among {len(fit.scores)} records: {said}")
        ]

    def _fit(self, records: list[Mapping[str, Any]]) -> _Fit:
        counts = {
            field: Counter(str(record.get(field, "")) for record in records)
            for field, kind in self._fields.items()
            if kind in ("unit", "account", "category")
        }
        rows = [self._row(record, counts) for record in records]
        model = self._ensemble.IsolationForest(n_estimators=100, random_state=0).fit(rows)
        middles: list[tuple[float, float]] = []
        for column in zip(*rows, strict=True):
            middle = median(column)
            middles.append((middle, NORMAL * median(abs(one - middle) for one in column) or 1.0))
        return _Fit(model=model, scores=sorted(model.score_samples(rows).tolist()), middles=middles, counts=counts)

    def _row(self, read: Mapping[str, Any], counts: Mapping[str, Counter[str]]) -> list[float]:
        row: list[float] = []
        for field, kind in self._fields.items():
            given = read.get(field)
            match kind:
                case "amount":
                    row.append(math.log10(max(abs(given), 0.005)) if given is not None else 0.0)
                case "number":
                    row.append(given if given is not None else 0.0)
                case "time":
                    row += [0.0, 0.0] if given is None else [given.hour + given.minute / 60, given.weekday()]
                case _:
                    row.append(math.log10(counts[field][str(given or "")] + 1))
        return row


def _columns(field: str, kind: Kind) -> list[str]:
    match kind:
        case "amount":
            return [f"log10 of {field}"]
        case "time":
            return [f"hour of {field}", f"weekday of {field}"]
        case "number":
            return [field]
        case _:
            return [f"log10 of how often this {field} is there"]
