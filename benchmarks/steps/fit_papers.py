"""The papers that the extractor is fitted on: receipts and invoices drawn by dice, with labels from all languages at once.

Senders, goods and layouts are its own: those that measure it are in receipts.py and invoices.py.
"""

from __future__ import annotations

import random
import string
from datetime import timedelta
from decimal import Decimal
from typing import Final

from backstay.ai.extraction.vocabulary import columns, labels
from benchmarks.steps.papers import (
    DATES,
    FIGURES,
    Facts,
    Paper,
    Set,
    any_day,
    day,
    figure,
    goods,
    iban,
    pattern,
    spaced,
)  # fmt: skip

_WORDS: Final = (
    "Alder Birch Cedar Delta Ember Falcon Garnet Harbor Indigo Juniper Kestrel Lumen Maple Nordic Onyx Pine Quartz Raven Saffron Tidal Umbra "
    "Velvet Willow Yarrow Zephyr Rosen Morgen Blum Stern Petit Grand Bello Casa Viva Sol Luna Terra Nova Kowal Dom Wiatr Groen Haven Berg "
    "Kim Lim Tan Wong Seng Hup Fook Chai Maju Jaya Indah Perdana Makmur Sinar"
).split()
_TRADES: Final = (
    "Foods Hardware Books Optics Motors Bakery Cafe Restaurant Pharmacy Stationery Electric Textiles Market Mart Trading Services Consulting Bäckerei "
    "Buchhandlung Elektro Boulangerie Librairie Ferramenta Farmacia Panadería Ferretería Bakkerij Sklep Hurtownia Kedai Restoran Perniagaan Sushi Grill"
).split()
_FORMS: Final = (
    "",
    "",
    "GmbH",
    "AG",
    "Ltd",
    "Ltd.",
    "LLC",
    "Inc.",
    "SARL",
    "SAS",
    "S.r.l.",
    "S.L.",
    "B.V.",
    "Sp. z o.o.",
    "SDN BHD",
    "SDN. BHD.",
    "PTE LTD",
    "AB",
    "KG",
    "ENTERPRISE",
)
_STREETS: Final = (
    "Main Street",
    "High Road",
    "Jalan Besar",
    "Lorong Timor",
    "Taman Indah",
    "Hauptstraße",
    "Lindenweg",
    "rue des Lilas",
    "avenue Foch",
    "via Garibaldi",
    "calle Mayor",
    "Kerkstraat",
    "ulica Polna",
    "Oak Avenue",
)
_TOWNS: Final = (
    "Springfield, OH 45501",
    "10115 Berlin",
    "75011 Paris",
    "20121 Milano",
    "28013 Madrid",
    "1012 AB Amsterdam",
    "00-950 Warszawa",
    "50450 Kuala Lumpur",
    "Leeds LS1 4AP",
    "81100 Johor Bahru, Johor",
)
_GOODS: Final = (
    "Screws M4 Paper A4 Coffee Croissant Notebook Ink cartridge Brush Paint white Cable HDMI Battery AA Shampoo Rice 5kg Nasi Lemak Teh Tarik Milk Bread Beratung Montage "
    "Lampe LED Vin rouge Pain complet Latte Pasta fresca Aceite Jamón Kaas Brood Mleko Chleb Consulting hours Licence Shipping box Envelope Pen blue Stapler"
).split()
_FORMS_OF_NUMBERS: Final = (
    "#######",
    "INV-Y-####",
    "Y/####",
    "RG####",
    "A##-####",
    "####",
    "CS########",
    "F-Y-##",
    "##/##/####A",
    "AA#####",
    "R######-##",
    "#-######",
)


class Drawer:
    """Draws one paper."""

    def __init__(self, seed: str) -> None:
        self.dice = random.Random(seed)
        self.texts: list[Set] = []
        self.y = 20.0
        self.mono = self.dice.random() < 0.4
        self.size = self.dice.choice([8.0, 9.0, 10.0])
        self.caps = self.dice.choice(["upper", "title", "lower"])
        self.colon = self.dice.choice([":", ":", "", " :"])
        self._phrases: dict[str, list[str]] = {}
        for text, concept, worth in labels():
            if worth >= 0.75:
                self._phrases.setdefault(concept, []).append(text)

    def chance(self, share: float) -> bool:
        return self.dice.random() < share

    def label(self, concept: str, colon: bool = True) -> str:
        """A phrase for a concept; now and then one that nobody knows."""
        text = (
            self.dice.choice(self._phrases[concept])
            if not self.chance(0.06)
            else "".join(self.dice.choices(string.ascii_lowercase, k=7))
        )
        text = text.upper() if self.caps == "upper" else text.title() if self.caps == "title" else text.capitalize()
        return text + (self.colon if colon else "")

    def put(
        self, x: float, text: str, align: str = "left", size: float = 0.0, bold: bool = False, y: float | None = None
    ) -> None:
        self.texts.append(Set(x, self.y if y is None else y, text, size or self.size, align, bold))

    def down(self, lines: float = 1.0) -> None:
        self.y += lines * self.size * 1.35

    def facts(self, most: int, dear: int) -> Facts:
        dice = self.dice
        form = dice.choice(_FORMS)
        name = " ".join(
            part
            for part in (dice.choice(_WORDS), dice.choice([dice.choice(_WORDS), "&", ""]), dice.choice(_TRADES), form)
            if part
        )
        name = name.replace("& ", f"& {dice.choice(_WORDS)} ")
        issued = any_day(dice)
        currency = dice.choice(["EUR", "€", "$", "USD", "RM", "£", "PLN", "CHF", "", ""])
        dates = "mdy/" if currency in ("$", "USD") and self.chance(0.95) else dice.choice(DATES)
        return Facts(
            vendor=name.upper() if self.chance(0.5) else name, street=f"{dice.choice(['No. ', '', ''])}{dice.randint(1, 200)} {dice.choice(_STREETS)}",
            town=dice.choice(_TOWNS), phone=f"0{dice.randint(1, 9)}-{dice.randint(1000000, 99999999)}",
            vat=f"DE{dice.randint(10**8, 10**9 - 1)}" if self.chance(0.5) else f"IT{dice.randint(10**10, 10**11 - 1)}", iban=iban(dice),
            number=pattern(dice.choice(_FORMS_OF_NUMBERS), dice, issued.year), issued=issued, goods=goods(dice, _GOODS, most, dear),
            rate=Decimal(dice.choice(["0", "0.06", "0.07", "0.19", "0.21", "0.23", "0.08"])),
            currency=currency, figures=dice.choice(FIGURES), dates=dates,
            language=dice.choice(["en", "de", "fr", "it", "es", "nl", "pl"]),
        )  # fmt: skip


def receipt(seed: str) -> Paper:
    """A till's receipt on a narrow roll."""
    it = Drawer(seed)
    dice, width = it.dice, it.dice.choice([200.0, 230.0, 280.0])
    facts = it.facts(8, 60)
    included = it.chance(0.6)
    total = facts.net if included else facts.total
    rounded = (total / Decimal("0.05")).quantize(Decimal(1)) * Decimal("0.05") if it.chance(0.25) else total
    align, x = ("middle", width / 2) if it.chance(0.6) else ("left", 10.0)
    _head(it, facts, x, align)
    truth = {
        "vendor": facts.vendor,
        "issued": facts.issued,
        "total": rounded,
        "number": facts.number,
        "tax": None,
        "cash": None,
        "change": None,
    }
    _meta(it, facts, width)
    _receipt_lines(it, facts, width)
    truth |= _receipt_sums(it, facts, width, included, total, rounded)
    for _ in range(dice.randint(0, 3)):
        it.down()
        line = dice.choice(
            [
                it.label("title", False),
                "www.example.com",
                f"Exchange within 7 days until {day(facts.issued + timedelta(days=7), facts.dates)}",
                "Goods sold are not refundable",
                f"Points: {dice.randint(1, 900)}",
            ]
        )
        it.put(width / 2, line, "middle")
    return Paper(width, it.y + 30, it.texts, truth, it.mono, seed)


def _head(it: Drawer, facts: Facts, x: float, align: str) -> None:
    dice = it.dice
    if it.chance(0.12):
        it.put(x, dice.choice(["", it.label("title", False), "tan chay yee", "Welcome"]) or "*** COPY ***", align)
        it.down(1.5)
    large = it.size * dice.choice([1.0, 1.2, 1.6])
    parts = facts.vendor.split()
    if len(parts) > 3 and it.chance(0.2):
        it.put(x, " ".join(parts[:-2]), align, large)
        it.down(large / it.size)
        it.put(x, " ".join(parts[-2:]), align, large)
    else:
        it.put(x, facts.vendor, align, large)
    it.down(large / it.size)
    if it.chance(0.3):
        it.put(x, f"({dice.randint(10000, 999999)}-{dice.choice('AKTUVX')})", align)
        it.down()
    if it.chance(0.15):
        it.put(x, f"{dice.choice(_WORDS)} {dice.choice(_TRADES)}", align)
        it.down()
    for line in (facts.street, facts.town):
        it.put(x, line, align)
        it.down()
    if it.chance(0.7):
        it.put(x, f"{dice.choice(['Tel', 'TEL', 'Phone', 'Tel.'])}{it.colon} {facts.phone}", align)
        it.down()
    if it.chance(0.5):
        it.put(x, f"{it.label('vat_id')} {facts.vat}", align)
        it.down()
    if it.chance(0.4):
        it.down(0.5)
        it.put(x, it.label("title", False), align, it.size * 1.2)
        it.down()


def _meta(it: Drawer, facts: Facts, width: float) -> None:
    dice = it.dice
    clock = f"{dice.randint(8, 22):02}:{dice.randint(0, 59):02}" + dice.choice(["", ":12", " PM"])
    when = day(facts.issued, facts.dates, facts.language)
    lines: list[tuple[str, str]] = [(it.label("number"), facts.number)]
    bare = it.chance(0.3)
    lines.append(("" if bare else it.label("issued"), f"{when} {clock}" if it.chance(0.5) else when))
    if it.chance(0.4):
        lines.append((it.label("other_number"), str(dice.randint(1, 20))))
    if it.chance(0.3):
        lines.append((it.label("time"), clock))
    dice.shuffle(lines)
    column = dice.choice([0.0, 0.0, width * 0.42])
    for label, value in lines:
        if column and label:
            it.put(10, label)
            it.put(column, value)
        else:
            it.put(10, f"{label} {value}".strip())
        if it.chance(0.85):
            it.down()
        else:
            it.down()
    it.down(0.5)


def _receipt_lines(it: Drawer, facts: Facts, width: float) -> None:
    dice, style = it.dice, it.dice.choice(["one", "below", "columns", "above"])
    if style == "columns":
        heads = (
            [text for text, name, _ in columns() if name in ("description",)],
            [text for text, name, _ in columns() if name == "amount"],
        )
        it.put(10, dice.choice(heads[0]).title())
        it.put(width - 10, dice.choice(heads[1]).title(), "right")
        it.down()
    for good in facts.goods:
        amount, price = figure(good.amount, facts.figures), figure(good.price, facts.figures)
        match style:
            case "one":
                it.put(10, f"{good.quantity} {good.name}" if it.chance(0.5) else good.name)
                it.put(width - 10, amount, "right")
            case "below":
                it.put(10, good.name)
                it.down()
                it.put(20, f"{good.quantity} x {price}")
                it.put(width - 10, amount, "right")
            case "above":
                it.put(10, good.name)
                it.down()
                it.put(10, f"{dice.randint(10**7, 10**8)}")
                it.put(width - 10, f"{amount} {dice.choice(['', 'A', 'S', 'SR'])}".strip(), "right")
            case _:
                it.put(10, good.name)
                it.put(width * 0.62, f"{good.quantity}", "right")
                it.put(width - 10, amount, "right")
        it.down()


def _receipt_sums(
    it: Drawer, facts: Facts, width: float, included: bool, total: Decimal, rounded: Decimal
) -> dict[str, Decimal]:
    dice, said = it.dice, dict[str, Decimal]()
    sign = facts.currency if it.chance(0.5) or facts.dates == "mdy/" else ""
    edge = dice.choice([width - 10, width * 0.75])

    def line(concept: str, value: Decimal, size: float = 0.0, more: str = "") -> None:
        it.put(10 if it.chance(0.7) else 40, it.label(concept) + more, size=size)
        printed = figure(value, facts.figures)
        it.put(edge, f"{sign} {printed}".strip() if it.chance(0.8) or concept == "total" else printed, "right", size)
        it.down(max(size / it.size, 1))
        said[concept] = value

    it.down(0.4)
    if it.chance(0.4):
        it.put(10, dice.choice(["Total qty", "Items", "Total items"]) + it.colon)
        it.put(edge, str(sum(good.quantity for good in facts.goods)), "right")
        it.down()
    if it.chance(0.6) or not included:
        line("net", facts.net)
    if not included and facts.rate:
        line("tax", facts.tax, more=f" {facts.rate * 100:g}%" if it.chance(0.5) else "")
    if rounded != total:
        if it.chance(0.6):
            line("total", total)
        line("rounding", rounded - total)
    line("total", rounded, it.size * dice.choice([1.0, 1.0, 1.4]))
    paid = rounded + Decimal(dice.choice([0, 0, 1, 5, 10, 50])) if it.chance(0.4) else (rounded // 50 + 1) * 50
    if it.chance(0.75):
        line("cash", paid)
        if it.chance(0.85):
            line("change", paid - rounded)
    if included and facts.rate and it.chance(0.5):
        tax = (facts.net - facts.net / (1 + facts.rate)).quantize(Decimal("0.01"))
        if it.chance(0.5):
            line("tax", tax)
        else:
            _summary(it, facts, width, tax)
    return {name: value for name, value in said.items() if name in ("tax", "cash", "change", "net")}


def _summary(it: Drawer, facts: Facts, width: float, tax: Decimal) -> None:
    it.put(10, it.dice.choice(["GST Summary", "Tax", "MwSt", "TVA", "VAT"]))
    it.put(width * 0.6, it.dice.choice(["Amount", "Net", "Netto", "HT"]), "right")
    it.put(width - 10, it.dice.choice(["Tax", "Steuer", "TVA", "GST"]), "right")
    it.down()
    it.put(10, f"S = {facts.rate * 100:g}%")
    it.put(width * 0.6, figure(facts.net - tax, facts.figures), "right")
    it.put(width - 10, figure(tax, facts.figures), "right")
    it.down()


# --- invoices -------------------------------------------------------------------------------------------


def invoice(seed: str) -> Paper:
    """An invoice on a sheet of A4."""
    it = Drawer(seed)
    it.mono = it.chance(0.1)
    dice = it.dice
    facts, width = it.facts(7, 900), 595.0
    buyer = f"{dice.choice(_WORDS)} {dice.choice(_TRADES)} {dice.choice(_FORMS[2:])}"
    due = facts.issued + timedelta(days=dice.choice([7, 14, 30, 60]))
    order = (
        pattern(dice.choice(["PO-#####", "45######", "B####/##", "######"]), dice, facts.issued.year)
        if it.chance(0.5)
        else None
    )
    truth = {
        "vendor": facts.vendor, "issued": facts.issued, "number": facts.number, "total": facts.total, "net": facts.net,
        "tax": facts.tax if facts.rate else None, "iban": None, "vat_id": None, "due": None, "po_number": order, "buyer": buyer,
    }  # fmt: skip
    side = dice.choice([("left", 50.0), ("right", 545.0), ("middle", 297.0), ("left", 330.0)])
    foot = it.chance(0.5)
    _letterhead(it, facts, side, foot)
    it.y = max(it.y, 110) + dice.uniform(0, 20)
    top = it.y
    if it.chance(0.6):
        it.put(50, it.label("buyer"))
        it.down()
    for line in (buyer, f"{dice.randint(1, 99)} {dice.choice(_STREETS)}", dice.choice(_TOWNS)):
        it.put(50, line)
        it.down()
    after = it.y
    it.y = top if it.chance(0.6) else after + 15
    said = _invoice_meta(it, facts, due, order, wide=it.y > top)
    truth["due"] = due if "due" in said else None
    it.y = max(it.y, after) + 20
    _invoice_lines(it, facts)
    _invoice_sums(it, facts)
    it.y += 20
    if it.chance(0.75):
        truth["iban"] = facts.iban
        it.put(50, f"IBAN{it.colon} {spaced(facts.iban) if it.chance(0.6) else facts.iban}   BIC{it.colon} COBADEFFXXX")
        it.down()
    if it.chance(0.75):
        truth["vat_id"] = facts.vat
        it.put(50, f"{it.label('vat_id')} {facts.vat}")
        it.down()
    if foot:
        it.put(297, f"{facts.vendor} · {facts.street} · {facts.town}", "middle", 7, y=800)
    return Paper(width, 842, it.texts, truth, it.mono, seed)


def _letterhead(it: Drawer, facts: Facts, side: tuple[str, float], foot: bool) -> None:
    (align, x), dice = side, it.dice
    large = it.size * it.dice.choice([1.0, 1.3, 2.0])
    if it.chance(0.3):
        it.put(
            50 if align == "right" else 400,
            it.dice.choice(["INVOICE", "Rechnung", "Facture", "FATTURA", "Factura", "Factuur", "Faktura VAT"]),
            size=18,
            y=30,
        )
    if it.chance(0.2):
        large = it.size
        it.y += dice.uniform(20, 70)
        it.put(x, it.label("vendor"), align)
        it.down()
    it.put(x, facts.vendor, align, large)
    it.down(large / it.size)
    if not foot or it.chance(0.5):
        for line in (
            facts.street,
            facts.town,
            f"Tel{it.colon} {facts.phone}",
            f"info@{facts.vendor.split()[0].lower()}.example",
        ):
            if it.chance(0.85):
                it.put(x, line, align)
                it.down()


def _invoice_meta(it: Drawer, facts: Facts, due: object, order: str | None, *, wide: bool) -> set[str]:
    dice, written = it.dice, lambda value: day(value, facts.dates, facts.language)
    lines: list[tuple[str, str]] = [("number", facts.number), ("issued", written(facts.issued))]
    if order:
        lines.append(("po_number", order))
    if it.chance(0.6):
        lines.append(("due", written(due)))
    if it.chance(0.4):
        lines.append(("customer_number", str(dice.randint(10**4, 10**6))))
    if it.chance(0.3):
        lines.append(("delivery_date", written(facts.issued - timedelta(days=dice.randint(1, 20)))))
    dice.shuffle(lines)
    style = dice.choice(["inline", "columns", "under"] if wide else ["inline", "columns"])
    if style == "under":
        step = 495 / len(lines)
        for at, (name, value) in enumerate(lines):
            it.put(50 + at * step, it.label(name, False)[: int(step / 5.5)])
            it.put(50 + at * step, value, y=it.y + it.size * 1.4)
        it.down(3)
    else:
        for name, value in lines:
            if style == "inline":
                it.put(350, f"{it.label(name)} {value}")
            else:
                it.put(330, it.label(name)[:26])
                it.put(545, value, "right") if it.chance(0.5) else it.put(460, value)
            it.down()
    return {name for name, _ in lines}


def _invoice_lines(it: Drawer, facts: Facts) -> None:
    dice = it.dice
    heads = {
        name: dice.choice([text for text, meant, _ in columns() if meant == name and len(text) > 2])
        for name in ("description", "quantity", "price", "amount")
    }
    places = dice.choice(
        [
            {"description": 50, "quantity": 330, "price": 430, "amount": 545},
            {"quantity": 70, "description": 90, "price": 440, "amount": 540},
        ]
    )
    for name, x in places.items():
        it.put(x, heads[name].title(), "left" if name == "description" else "right")
    it.down(1.3)
    for good in facts.goods:
        values = {
            "description": good.name,
            "quantity": str(good.quantity),
            "price": figure(good.price, facts.figures),
            "amount": figure(good.amount, facts.figures),
        }
        for name, x in places.items():
            it.put(x, values[name], "left" if name == "description" else "right")
        it.down(1.2)


def _invoice_sums(it: Drawer, facts: Facts) -> None:
    dice = it.dice
    sign = facts.currency if it.chance(0.7) or facts.dates == "mdy/" else ""
    x = dice.choice([330.0, 380.0, 50.0])

    def line(concept: str, value: Decimal, more: str = "") -> None:
        it.put(x, it.label(concept) + more)
        printed = figure(value, facts.figures)
        it.put(545, f"{printed} {sign}".strip() if it.chance(0.5) else f"{sign} {printed}".strip(), "right")
        it.down(1.2)

    it.down()
    if it.chance(0.85):
        line("net", facts.net)
    if facts.rate:
        line("tax", facts.tax, f" {facts.rate * 100:g} %" if it.chance(0.7) else "")
    line("total", facts.total)
    if it.chance(0.15):
        paid = facts.total // 2
        line("prepaid", paid)
