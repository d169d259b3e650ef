"""What a document gives to choose from: its rows, its amounts, what it says of money, and where values stood before. Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

from backstay.ai.extraction.arithmetic import Ledger
from backstay.ai.extraction.fields import Wanted
from backstay.ai.extraction.figures import Figure, amounts, dates, ibans, vat_numbers
from backstay.ai.extraction.layout import Label, Piece, Run, Sheet, aligned
from backstay.ai.extraction.line_items import Items
from backstay.ai.extraction.vocabulary import concepts, letters

MONEY: Final = frozenset(name for name, concept in concepts().items() if concept.kind == "money")
CLOCK: Final = re.compile(r"(?<!\d)([01]?\d|2[0-3])[:.h]([0-5]\d)(?::[0-5]\d)?\s?(?:[AaPp]\.?[Mm]\.?)?(?!\d)")
DAY_FIRST: Final = re.compile(
    r"\b(?:SDN\.? ?\.?BHD|BHD|PTY|PTE|GmbH|S\.?A\.?R\.?L|SAS|S\.?r\.?l|S\.?p\.?A|S\.L|B\.V|N\.V|Sp\. ?z|plc|Lda|Ltda|s\.r\.o)(?![\w])"
    r"|\b(?:MYR|RM|GBP|CHF|PLN|INR|ZAR)(?=\b|\d)|£|zł|\b[A-Z]{1,2}\d{1,2}[A-Z]?\s\d[A-Z]{2}\b"
    r"|\b(?i:\w*rechnung\w*|\w*datum|kunde|mwst|facture|montant|tva|fecha|factura|importe|fattura|totale|scadenza|factuur\w*|btw|faktura|sprzedaż\w*|razem)\b"
)
"""Forms, currencies, postal codes and words of countries that write the day before the month."""
WHERE: Final = {"inline": "behind its label", "right": "to the right of its label", "below": "below its label"}


@dataclass(frozen=True)
class Habit:
    """Where the right value of a field stood on an earlier paper of this vendor."""

    label: str
    """Letters of the label beside it; "" where none was."""
    relation: str
    """inline, right, below; "" where it stood alone."""
    depth: float
    """How far down the paper, from 0 to 1."""
    left: float
    """Its left edge, in points."""


@dataclass
class Candidate:
    """A value that a field may have."""

    value: Any
    run: Run | None
    features: dict[str, float]
    label: str = ""
    relation: str = ""
    score: float = 0.0
    why: list[str] = field(default_factory=list[str])
    by: str = ""
    """The model that said so."""

    @property
    def text(self) -> str:
        return self.run.text if self.run is not None else str(self.value)


@dataclass
class Evidence:
    """A sheet with all that candidates are made from."""

    sheet: Sheet
    items: Items
    ours: frozenset[str] = frozenset()
    """Keys of who we are: names and numbers that are never the sender's."""
    habits: Mapping[str, Sequence[Habit]] = field(default_factory=dict[str, Sequence[Habit]])
    known: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What master data says of this vendor, by field."""

    @cached_property
    def money(self) -> list[tuple[Piece, Figure[Decimal], int, int]]:
        """Every amount with its piece, its place among the piece's amounts, and how many those are."""
        found: list[tuple[Piece, Figure[Decimal], int, int]] = []
        for piece in self.sheet.pieces:
            taken = [figure.span for figure in dates(piece.text)] + [
                match.span() for match in CLOCK.finditer(piece.text) if ":" in match[0]
            ]
            here = [
                figure for figure in amounts(piece.text, self.sheet.mark)
                if not any(start < figure.span[1] and figure.span[0] < end for start, end in taken)
            ]  # fmt: skip
            found += [(piece, figure, at, len(here)) for at, figure in enumerate(here)]
        return found

    @cached_property
    def ledger(self) -> Ledger:
        stated: defaultdict[str, set[Decimal]] = defaultdict(set)
        for piece, figure, at, count in self.money:
            strengths = strengths_of(piece)
            best = max(strengths.values(), default=0.0)
            if (figure.sure < 0.6 and self.sheet.mark) or at < count - 2:
                continue
            for concept, strength in strengths.items():
                if concept in MONEY and strength > 0.3 and strength >= 0.8 * best:
                    stated[concept].add(figure.value)
        return Ledger({name: frozenset(values) for name, values in stated.items()}, self.items.sum)

    @cached_property
    def month_first(self) -> bool:
        """Whether numeric dates have the month first here: others can only be read so, or it says dollars."""
        votes = self._orders
        if votes["mdy"] != votes["dmy"]:
            return votes["mdy"] > votes["dmy"]
        return self._dollars and not self._commonwealth

    @cached_property
    def unsettled(self) -> bool:
        """Whether nothing settles the order of a date: dollars, on a paper that speaks of GST."""
        return self._dollars and self._commonwealth and self._orders["mdy"] == self._orders["dmy"]

    @cached_property
    def undecided(self) -> bool:
        """Whether neither another date nor a country says in which order numeric dates are."""
        return self._orders["mdy"] == self._orders["dmy"] and self._dollars == (self._commonwealth or self._day_first)

    @cached_property
    def _orders(self) -> Counter[str]:
        votes: Counter[str] = Counter()
        for row in self.sheet.rows:
            found = dates(row.text)
            for figure in found:
                alone = sum(other.span == figure.span for other in found) == 1
                if alone and figure.note in ("dmy", "mdy") and re.match(r"\d+[/-]\d", row.text[figure.span[0] :]):
                    votes[figure.note] += 1
        return votes

    @cached_property
    def _dollars(self) -> bool:
        return any(re.search(r"(?:US\$|USD|(?<![A-Z])\$ ?\d)", row.text) for row in self.sheet.rows)

    @cached_property
    def _commonwealth(self) -> bool:
        return any(re.search(r"AUD|A\$|S\$|SGD|NZD|HK\$|CAD|ABN|\bGST\b|\bHST\b", row.text) for row in self.sheet.rows)

    @cached_property
    def _day_first(self) -> bool:
        return any(
            DAY_FIRST.search(row.text) or any(vat_numbers(row.text)) or any(ibans(row.text)) for row in self.sheet.rows
        )

    @cached_property
    def everything(self) -> str:
        return letters(" ".join(row.text for row in self.sheet.rows))


def strengths_of(piece: Piece) -> dict[str, float]:
    """Concept -> how strongly labels say that a piece is one."""
    found: dict[str, float] = {}
    for label, _, weight in piece.links:
        for concept, worth in label.meanings:
            found[concept] = max(found.get(concept, 0.0), worth * weight)
    return found


def linked(wanted: Wanted, evidence: Evidence, piece: Run, run: Run | None = None) -> Candidate:
    """A candidate with what its labels say, and where it stands; its value is to be filled in."""
    own = {"inline": 0.0, "right": 0.0, "below": 0.0}
    best, rival, label, relation = 0.0, 0.0, "", ""
    for each, how, weight in getattr(piece, "links", ()):
        meant = dict(each.meanings)
        if wanted.concept in meant:
            strength = meant[wanted.concept] * weight
            own[how] = max(own[how], strength)
            if strength > best:
                best, label, relation = strength, letters(each.text), how
        else:
            rival = max(rival, max(meant.values(), default=0.0) * weight)
    if not label:
        label, relation = neighbour(evidence.sheet, piece)
    run = run or piece
    features = {
        **own, "own": best, "rival": rival, "beaten": float(rival > best + 0.05), "unlabelled": float(best < 0.1),
        "depth": evidence.sheet.depth(run), "page1": float(run.page <= 1),
        "size": min(run.height / max(evidence.sheet.letter, 1), 3.0) - 1,
    }  # fmt: skip
    why = [WHERE[relation]] if best > 0 else []
    return Candidate(None, run, features, label, relation, why=why)


def neighbour(sheet: Sheet, run: Run) -> tuple[str, str]:
    """The words beside a piece, whether or not they are a label that is known: to its left, else above; and which of the two."""
    row = sheet.rows[run.row]
    before = [item for item in row.items if item.box[2] <= run.box[0] + 1 and item is not run]
    if before and (spelled := letters(before[-1].text)) and not spelled.isdigit():
        return spelled, "right"
    for above in reversed(sheet.rows[max(0, run.row - 2) : run.row]):
        for item in above.items:
            if above.page == run.page and aligned(item.box, run.box) and not (spelled := letters(item.text)).isdigit():
                return spelled, "below"
    return "", ""


def in_buyers_block(sheet: Sheet, run: Run) -> bool:
    """Whether a text stands in the column under a label such as `Bill to`, with no other label between."""
    for row in reversed(sheet.rows[max(0, run.row - 5) : run.row]):
        for item in row.items:
            if isinstance(item, Label) and row.page == run.page and abs(item.box[0] - run.box[0]) < 40:
                return any(name == "buyer" and worth > 0.5 for name, worth in item.meanings)
    return False
