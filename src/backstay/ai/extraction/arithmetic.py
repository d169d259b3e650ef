"""Sums that must hold on a paper with money: net + tax = total, cash - change = total, lines + tax = total. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import product
from typing import Final

CENT: Final = Decimal("0.021")
ROUNDED: Final = Decimal("0.051")
"""Where coins of one cent are not used, cash is rounded to five."""
ZERO: Final = Decimal(0)


@dataclass(frozen=True)
class Ledger:
    """What a document says of money, by concept; several values of one that it may mean."""

    stated: Mapping[str, frozenset[Decimal]] = field(default_factory=lambda: defaultdict(frozenset))
    lines: Decimal | None = None
    """The sum of its lines."""

    def of(self, concept: str) -> frozenset[Decimal]:
        return self.stated.get(concept, frozenset())

    def holds(self, concept: str, value: Decimal) -> list[str]:
        """Which sums are right if a concept has a value, in words."""
        found: list[str] = []
        match concept:
            case "total":
                if any(_near(net + tax, value) for net, tax in product(self._nets(), self.taxes())):
                    found.append("net and tax make the total")
                if any(cash - change and _near(cash - change, value, ROUNDED) for cash, change in self._paid()):
                    found.append("cash less change is the total")
                if any(
                    _near(before + off, value, ZERO) and off
                    for before, off in product(self.of("total"), self.of("rounding"))
                ):
                    found.append("it is the total as it was rounded")
                if self._from_lines(value):
                    found.append("the lines make the total")
            case "net":
                if any(_near(value + tax, total) for tax, total in product(self.taxes(), self.of("total")) if tax):
                    found.append("net and tax make the total")
                if self.lines is not None and _near(self.lines, value):
                    found.append("the lines make the net")
            case "tax":
                if abs(value) > ROUNDED and any(
                    _near(net + value, total) for net, total in product(self._nets(), self.of("total"))
                ):
                    found.append("net and tax make the total")
            case "cash":
                if any(
                    _near(value - change, total, ROUNDED)
                    for change, total in product(self.of("change"), self.of("total"))
                ):
                    found.append("cash less change is the total")
            case "change":
                if any(
                    _near(cash - value, total, ROUNDED) for cash, total in product(self.of("cash"), self.of("total"))
                ):
                    found.append("cash less change is the total")
            case _:
                pass
        return found

    def fails(self, concept: str, value: Decimal) -> list[str]:
        """Which sums could be right for a concept and are not, in words."""
        right = self.holds(concept, value)
        found: list[str] = []
        if concept == "total" and self.of("net") and self.of("tax") and not any("tax" in each for each in right):
            found.append("net and tax do not make the total")
        if concept == "total" and self.of("cash") and self.of("change") and not any("cash" in each for each in right):
            found.append("cash less change is not the total")
        if concept in ("net", "tax") and self.of("net") and self.of("tax") and self.of("total") and not right:
            found.append("net and tax do not make the total")
        return found

    def taxes(self) -> set[Decimal]:
        """What the tax may be: as stated, or the sum of several rates."""
        stated = self.of("tax")
        together = {sum(stated, ZERO)} if 1 < len(stated) <= 4 else set[Decimal]()
        return {*stated, *together}

    def _nets(self) -> set[Decimal]:
        """What tax is added to: the net, with what else is charged and less what is taken off."""
        found = set(self.of("net")) | ({self.lines} if self.lines is not None else set[Decimal]())
        for concept in ("shipping", "service_charge", "discount", "rounding"):
            for more in list(self.of(concept))[:3]:
                signs = (1,) if concept in ("shipping", "service_charge") else (1, -1)
                found |= {net + sign * more for net in list(found)[:24] for sign in signs}
        return found

    def _paid(self) -> Iterable[tuple[Decimal, Decimal]]:
        return product(self.of("cash"), self.of("change") or {ZERO})

    def _from_lines(self, total: Decimal) -> bool:
        if self.lines is None or not self.lines:
            return False
        return any(_near(base + tax, total) for base, tax in product(self._nets(), {ZERO, *self.taxes()}))


def _near(one: Decimal, other: Decimal, within: Decimal = CENT) -> bool:
    return abs(one - other) <= within
