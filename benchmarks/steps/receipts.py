"""Receipts by OCR: drawn by layouts and for shops that had no part in the fit, set in several fonts, skewed, lit unevenly, compressed.

`python -m benchmarks.steps.receipts [--papers 60] [--json] [--save]`. Counts papers whose company, date and total are all right, the
fields' F1, and the share automated where 95 % is asked, with the accuracy that this share really had. Not a public set.
"""

from __future__ import annotations

import random
from datetime import date
from decimal import Decimal
from typing import Final

from pydantic import BaseModel

from backstay.ai.extraction import Extractor
from benchmarks.steps.measuring import measured, options
from benchmarks.steps.papers import Facts, Paper, Set, any_day, as_picture, day, figure, goods, iban, pattern

SHOPS: Final = {
    "en": (["HARBOUR LIGHTS DELI", "Pemberton & Daughters", "THE CROOKED SPOON CAFE", "Nettleford Garden Centre Ltd", "QUICKFIX TOOLS LLC"], ["14 Quay Side", "Exeter EX2 4AN"], "£"),
    "my": (["GOH BROTHERS HARDWARE SDN BHD", "KAFE TEMBIKAI", "PASARAYA ANGSANA (M) SDN. BHD.", "ONG & SONS AUTO PARTS", "RESTORAN NASI DALCA"], ["NO. 8, JALAN KENANGA 3,", "TAMAN ANGGERIK, 43000 KAJANG, SELANGOR"], "RM"),
    "de": (["Drogerie Hellmund", "Obsthof Wiesinger GmbH", "Papeterie am Markt e.K.", "REWA Markt Schuster oHG"], ["Marktstr. 18", "88212 Ravensburg"], "EUR"),
    "fr": (["LE COMPTOIR DES HALLES", "Quincaillerie Vasseur SARL", "Fromagerie Delorme"], ["8 rue de la Paix", "69002 Lyon"], "€"),
    "it": (["Gelateria Il Pinguino S.n.c.", "ALIMENTARI BIANCHINI", "Cartoleria Moretti"], ["Via Mazzini 40", "37121 Verona"], "€"),
    "es": (["Mercería Aurora", "SUPERMERCADOS LA HUERTA S.L.", "Bar El Faro"], ["Calle Luna 5", "41004 Sevilla"], "€"),
    "nl": (["Bloemenhuis Zonneveld", "DE FIETSENMAKER B.V."], ["Dorpsstraat 3", "3811 AB Amersfoort"], "€"),
    "pl": (["Sklep Spożywczy Jagoda", "KWIACIARNIA MALWA Sp. z o.o."], ["ul. Lipowa 7", "31-123 Kraków"], "PLN"),
}  # fmt: skip
"""Language -> shops, address, currency."""
SAID: Final = {
    "en": ("Receipt No", "Date", "Subtotal", "VAT 20%", "TOTAL", "Cash", "Change", "Thank you for your custom"),
    "my": ("Bill No", "Date", "Sub Total", "GST 6%", "Total Incl. GST", "CASH", "CHANGE", "GOODS SOLD ARE NOT RETURNABLE"),
    "de": ("Bon-Nr.", "Datum", "Zwischensumme", "MwSt 19%", "SUMME", "Bar", "Rückgeld", "Vielen Dank für Ihren Einkauf"),
    "fr": ("Ticket n°", "Date", "Sous-total", "TVA 20%", "TOTAL TTC", "Espèces", "Rendu", "Merci de votre visite"),
    "it": ("Doc. n.", "Data", "Subtotale", "IVA 22%", "TOTALE COMPLESSIVO", "Contanti", "Resto", "Grazie e arrivederci"),
    "es": ("Factura simplificada", "Fecha", "Base imponible", "IVA 21%", "TOTAL A PAGAR", "Efectivo", "Cambio", "Gracias por su visita"),
    "nl": ("Bonnr.", "Datum", "Subtotaal", "BTW 21%", "Totaal", "Contant", "Wisselgeld", "Bedankt en tot ziens"),
    "pl": ("Nr paragonu", "Data", "Suma netto", "PTU A 23%", "SUMA PLN", "Gotówka", "Reszta", "Dziękujemy za zakupy"),
}  # fmt: skip
GOODS: Final = (
    "Tea towel",
    "Olive oil 0.5l",
    "Kaya toast",
    "Roti canai",
    "Gouda jong",
    "Zahnbürste",
    "Seife",
    "Baguette",
    "Camembert",
    "Espresso",
    "Cornetto",
    "Naranjas",
    "Pan integral",
    "Tulpen",
    "Bułki",
    "Ser biały",
    "Spark plug",
    "Drill bit 6mm",
    "Seed tray",
    "USB stick",
    "Umbrella",
)


class Receipt(BaseModel):
    company: str
    date: date
    total: Decimal


def facts(dice: random.Random) -> Facts:
    language = dice.choice(sorted(SHOPS))
    shops, address, currency = SHOPS[language]
    issued = any_day(dice)
    return Facts(
        vendor=dice.choice(shops), street=address[0], town=address[1], phone=f"0{dice.randint(10, 99)} {dice.randint(100000, 999999)}", vat=f"{dice.randint(10**8, 10**9 - 1)}",
        iban=iban(dice), number=pattern(dice.choice(["######", "A-####/##", "Y######", "##-####-##"]), dice, issued.year), issued=issued,
        goods=goods(dice, GOODS, 6, 40), rate=Decimal(SAID[language][3].split()[-1].rstrip("%")) / 100, currency=currency,
        figures="plain-point" if language in ("en", "my") else "plain-comma",
        dates=dice.choice(["dmy/", "dmy-", "dmy.", "d mon y", "iso"] if language != "pl" else ["iso", "dmy-"]), language=language,
    )  # fmt: skip


def paper(number: int) -> Paper:
    """One receipt in one of four layouts."""
    dice = random.Random(f"receipt {number}")
    it = facts(dice)
    no, when, sub, tax, total, cash, change, thanks = SAID[it.language]
    mono, width, layout = dice.random() < 0.5, 240.0, number % 4
    texts: list[Set] = []
    size, y = 10.0, 24.0

    def row(*parts: tuple[float, str, str], big: float = 1.0, gap: float = 1.0) -> None:
        nonlocal y
        texts.extend(Set(x, y, text, size * big, align, big > 1.2) for x, text, align in parts)
        y += size * 1.45 * max(big, 1.0) * gap

    place, align = ((width / 2, "middle"), (12.0, "left"))[layout in (1, 3)]
    if layout == 2:
        row((place, "*** " + no.split()[0].upper() + " ***", align), gap=1.6)
    row((place, it.vendor, align), big=dice.choice([1.0, 1.3]))
    for line in (it.street, it.town, f"Tel: {it.phone}"):
        row((place, line, align))
    row((place, f"{dice.choice(['VAT', 'GST No', 'USt-Id', 'P.IVA', 'NIF'])} {it.vat}", align), gap=1.5)
    written, clock = day(it.issued, it.dates, it.language), f"{dice.randint(8, 20):02}:{dice.randint(10, 59)}"
    match layout:
        case 0:
            row((12, f"{no}: {it.number}", "left"))
            row((12, clock, "left"), (width - 12, written, "right"))
        case 1:
            row((12, no, "left"), (90, f": {it.number}", "left"))
            row((12, when, "left"), (90, f": {written} {clock}", "left"))
        case 2:
            row((12, f"{written}  {clock}  #{it.number}", "left"))
        case _:
            row((12, f"{when}: {written}", "left"))
            row((12, f"{no} {it.number}", "left"))
    row((12, "-" * 30, "left"))
    for good in it.goods:
        amount, price = figure(good.amount, it.figures), figure(good.price, it.figures)
        if layout in (0, 3):
            row((12, f"{good.quantity} {good.name}", "left"), (width - 12, amount, "right"))
        elif layout == 1:
            row((12, good.name, "left"))
            row((24, f"{good.quantity} x {price}", "left"), (width - 12, amount, "right"))
        else:
            row((12, good.name, "left"), (150, str(good.quantity), "right"), (width - 12, amount, "right"))
    row((12, "-" * 30, "left"))
    sign = f"{it.currency} " if dice.random() < 0.4 else ""
    inside = it.net - (it.net / (1 + it.rate)).quantize(Decimal("0.01"))
    if layout in (0, 2):
        row((12, sub, "left"), (width - 12, figure(it.net - inside, it.figures), "right"))
        row((12, tax, "left"), (width - 12, figure(inside, it.figures), "right"))
    row((12, total, "left"), (width - 12, sign + figure(it.net, it.figures), "right"), big=dice.choice([1.0, 1.35]))
    paid = (it.net // 10 + 1) * 10
    if layout != 3:
        row((12, cash, "left"), (width - 12, figure(paid, it.figures), "right"))
        row((12, change, "left"), (width - 12, figure(paid - it.net, it.figures), "right"))
    if layout in (1, 3):
        row((12, tax, "left"), (width - 12, figure(inside, it.figures), "right"))
    row((width / 2, thanks, "middle"), gap=2)
    truth = {"company": it.vendor, "date": it.issued, "total": it.net}
    return Paper(width, y + 20, texts, truth, mono, f"receipt {number}")


def main() -> None:
    given = options(__doc__ or "", 60)
    extractor = Extractor("receipt", Receipt)
    made = (
        (paper(number), as_picture(paper(number), random.Random(f"camera {number}"))) for number in range(given.papers)
    )
    measured("receipts", extractor, made, given)


if __name__ == "__main__":
    main()
