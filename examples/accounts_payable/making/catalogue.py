"""The vendors and the cases: one row per readable invoice, with the story that it is to tell.

Amounts, dates and goods are drawn from a generator seeded by the file's name, so that adding a row changes no
other.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from examples.accounts_payable.making.sellers import SELLERS, Seller, iban
from examples.accounts_payable.making.words import GOODS

CENT = Decimal("0.01")
D = Decimal

Story = Literal[
    "clean",  # order, receipt and invoice agree
    "within-tolerance",  # a unit price one percent above the order
    "partial",  # the order is larger; what was received is invoiced
    "large",  # agrees, above the approval threshold
    "price",  # unit prices twelve percent above the order
    "short",  # less received than invoiced
    "no-order",  # no order number printed
    "wrong-order",  # an order number that does not exist
    "other-order",  # an order number of another vendor
    "sundries",  # a line that no order line and no cost centre explains
    "freight",  # a line that is not on the order, but that the cost-centre mapping knows
    "unknown-vendor",  # a vendor that is not in the master data
    "new-bank",  # a known vendor with bank details that are not in the master data
    "blocked",  # a vendor that purchasing has blocked
    "paid-before",  # a number that the books hold from last year
    "sent-twice",  # the same number as another file, made again
    "unclear",  # no label for the total and sums that do not add up
    "credit",  # a credit note
    "xml-differs",  # the e-invoice in the PDF names another account than the print
    "api-down",  # the ERP refuses to post it, for as long as one tries
    "api-flaky",  # the ERP fails twice, then posts
    "api-half",  # the ERP posts and then loses its answer
]


@dataclass(frozen=True, kw_only=True)
class Item:
    code: str
    description: str
    quantity: Decimal
    price: Decimal
    amount: Decimal


@dataclass(frozen=True, kw_only=True)
class Case:
    """One invoice: everything that is printed on it, and the story behind it."""

    file: str
    seller: Seller
    story: Story
    number: str
    issued: date
    order: str
    items: tuple[Item, ...]
    net: Decimal
    tax: Decimal
    total: Decimal
    layout: str
    script: bool = False
    """Whether the file carries JavaScript."""

    @property
    def decimals(self) -> int:
        return 0 if self.seller.currency == "JPY" else 2


_ROWS: tuple[tuple[str, str, int, Story], ...] = (
    # file stem, seller, number of lines, story
    ("brandt-januar", "brandt", 4, "clean"), ("brandt-sammelrechnung", "brandt", 58, "clean"),
    ("brandt-preis", "brandt", 3, "price"), ("brandt-anlage", "brandt", 5, "large"),
    ("hawthorne-0311", "hawthorne", 5, "clean"), ("hawthorne-0324", "hawthorne", 3, "no-order"),
    ("hawthorne-archive", "hawthorne", 46, "clean"), ("hawthorne-javascript", "hawthorne", 3, "clean"),
    ("lumiere-mars", "lumiere", 6, "clean"), ("lumiere-avril", "lumiere", 3, "within-tolerance"),
    ("lumiere-sans-commande", "lumiere", 2, "no-order"), ("lumiere-divers", "lumiere", 4, "sundries"),
    ("iberica-febrero", "iberica", 4, "clean"), ("iberica-parcial", "iberica", 3, "short"),
    ("iberica-pedido-ajeno", "iberica", 3, "other-order"), ("iberica-rectificativa", "iberica", 2, "credit"),
    ("colombo-marzo", "colombo", 5, "clean"), ("colombo-iban-nuovo", "colombo", 3, "new-bank"),
    ("colombo-officina", "colombo", 4, "partial"), ("vandermeer-week-9", "vandermeer", 4, "clean"),
    ("vandermeer-week-10", "vandermeer", 3, "freight"), ("vandermeer-week-10_opnieuw", "vandermeer", 3, "sent-twice"),
    ("vandermeer-groot", "vandermeer", 6, "large"), ("alpenblick-spindel", "alpenblick", 3, "large"),
    ("alpenblick-ersatzteile", "alpenblick", 4, "clean"), ("alpenblick-rest", "alpenblick", 2, "short"),
    ("cascade-support", "cascade", 3, "clean"), ("cascade-licences", "cascade", 4, "large"),
    ("cascade-po-unknown", "cascade", 2, "wrong-order"), ("kansai-bearings", "kansai", 4, "clean"),
    ("kansai-gauges", "kansai", 3, "within-tolerance"), ("norrland-verktyg", "norrland", 5, "clean"),
    ("norrland-forra-aret", "norrland", 3, "paid-before"), ("wisla-cartons", "wisla", 4, "clean"),
    ("wisla-half-answer", "wisla", 3, "api-half"), ("romand-reliures", "romand", 4, "clean"),
    ("romand-divers", "romand", 3, "sundries"), ("meridian-cleaning", "meridian", 3, "api-down"),
    ("meridian-repairs", "meridian", 4, "api-flaky"), ("meridian-unclear", "meridian", 3, "unclear"),
    ("tyrol-kran", "tyrol", 3, "blocked"), ("quayside-lunch", "quayside", 3, "unknown-vendor"),
    ("blitz-reinigung", "blitz", 2, "unknown-vendor"), ("norrland-lang", "norrland", 37, "clean"),
    ("brandt-zugferd", "brandt", 4, "clean"), ("brandt-zugferd-konto", "brandt", 3, "xml-differs"),
    ("alpenblick-rechnung.xml", "alpenblick", 4, "clean"), ("hawthorne-scan.png", "hawthorne", 4, "clean"),
)  # fmt: skip

_EXTRA = {"sundries": {"fr": "Divers et frais selon accord"}, "freight": {"nl": "Brandstoftoeslag"}}
"""Lines that no order foresaw; the second is a word that the cost-centre mapping knows."""


def number_like(pattern: str, year: int, dice: random.Random) -> str:
    """Draw an invoice number of this look."""
    text = pattern.replace("Y", f"{year % 100:02d}")
    return "".join(str(dice.randint(1, 9)) if sign == "#" else sign for sign in text)


def items_of(seller: Seller, count: int, dice: random.Random, *, large: bool = False) -> tuple[Item, ...]:
    """Draw lines: goods of the seller's language, quantities and prices of its currency's size."""
    scale = {"JPY": D(160), "SEK": D(11), "PLN": D(4)}.get(seller.currency, D(1)) * (18 if large else 1)
    step = D(1) if seller.currency == "JPY" else CENT
    goods = GOODS[seller.goods or seller.language]
    items: list[Item] = []
    for position in range(count):
        price = (D(dice.randint(240, 9900 if count < 12 else 2900)) * CENT * scale).quantize(step, ROUND_HALF_UP)
        quantity = D(dice.randint(2, 24 if count < 12 else 9))
        again = f" ({position // len(goods) + 1})" if position >= len(goods) else ""
        start = dice.randint(0, 9) if not items else 0
        name = (
            goods[(position + start) % len(goods)]
            if count > 9
            else dice.choice([good for good in goods if good not in {item.description for item in items}])
        )
        if count > 9:
            name = goods[position % len(goods)] + again
        code = f"{seller.name[0].upper()}{dice.randint(1000, 9999)}"
        items.append(Item(code=code, description=name, quantity=quantity, price=price, amount=quantity * price))
    return tuple(items)


def draw_case(file: str, seller: Seller, count: int, story: Story, *, order_number: int, layout: str = "") -> Case:
    """Make a whole invoice from its row, the same for the same file name."""
    dice = random.Random(f"{file}/{story}")
    issued = date(2026, 1, 7) + timedelta(days=dice.randint(0, 110))
    items = items_of(seller, count, dice, large=story == "large")
    extra = _EXTRA.get(story, {}).get(seller.language)
    if extra:
        price = D(dice.randint(3000, 9000)) * CENT
        items += (Item(code="", description=extra, quantity=D(1), price=price, amount=price),)
    if story == "credit":
        items = tuple(replace(item, price=-item.price, amount=-item.amount) for item in items)
    net = sum((item.amount for item in items), D(0))
    step = D(1) if seller.currency == "JPY" else CENT
    tax = (net * seller.tax).quantize(step, ROUND_HALF_UP)
    order = "" if story == "no-order" else f"PO-{45000 + order_number:06d}"
    return Case(
        file=file if "." in file else f"{file}.pdf", seller=seller, story=story, number=number_like(seller.pattern, issued.year, dice),
        issued=issued, order=order, items=items, net=net, tax=tax, total=net + tax, layout=layout or seller.layout,
        script="javascript" in file,
    )  # fmt: skip


def cases() -> list[Case]:
    """All readable invoices, in the order of their files' names."""
    made = {
        row[0]: draw_case(row[0], SELLERS[row[1]], row[2], row[3], order_number=17 * position + 3)
        for position, row in enumerate(_ROWS)
    }
    first, again = made["vandermeer-week-10"], made["vandermeer-week-10_opnieuw"]
    again = replace(first, file=again.file, story=again.story, layout="grid")
    made["vandermeer-week-10_opnieuw"] = again
    other = made["brandt-januar"].order
    made["iberica-pedido-ajeno"] = replace(made["iberica-pedido-ajeno"], order=other)
    stranger = replace(SELLERS["colombo"], iban=iban("IT", "K0300203280000400162854"))
    made["colombo-iban-nuovo"] = replace(made["colombo-iban-nuovo"], seller=stranger)
    return [made[stem] for stem in sorted(made)]
