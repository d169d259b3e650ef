"""Invoices: with embedded XML, with a text layer, and as rendered scans; senders and layouts had no part in the fit.

`python -m benchmarks.steps.invoices [--papers 40] [--json] [--save]`. Counts papers whose vendor, number, date and total are all
right. The XML is UBL that is attached to the PDF, with the fields of EN 16931. Not a public set.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Final
from xml.sax.saxutils import escape

from pydantic import BaseModel

from backstay.ai.extraction import Extractor
from benchmarks.steps.measuring import measured, options
from benchmarks.steps.papers import (
    Facts,
    Paper,
    Set,
    any_day,
    as_pdf,
    as_picture,
    day,
    figure,
    goods,
    iban,
    pattern,
    spaced,
)

SENDERS: Final = {
    "en": ("Thistlewood Engineering Ltd", "Unit 9, Forge Lane", "Sheffield S9 2TZ", "GBP"), "us": ("Bluestem Office Supply", "4410 Prairie Ave", "Omaha, NE 68131", "USD"),
    "de": ("Kranich Werkzeugbau GmbH", "Industriestr. 44", "70565 Stuttgart", "EUR"), "fr": ("Imprimerie Valmont SAS", "17 rue du Port", "44000 Nantes", "EUR"),
    "it": ("Officine Marchetti S.r.l.", "Via dell'Industria 5", "40138 Bologna", "EUR"), "es": ("Talleres Olmedo S.L.", "Polígono Sur, Nave 12", "50014 Zaragoza", "EUR"),
    "nl": ("Van Houten Techniek B.V.", "Havenweg 21", "3089 JK Rotterdam", "EUR"), "pl": ("Drukarnia Orzeł Sp. z o.o.", "ul. Fabryczna 3", "90-368 Łódź", "PLN"),
}  # fmt: skip
SAID: Final = {
    "en": ("INVOICE", "Invoice number", "Invoice date", "Due date", "Your order", "Description", "Qty", "Unit price", "Amount", "Subtotal", "VAT", "Total due", "Bill to"),
    "us": ("Invoice", "Invoice #", "Date", "Due", "P.O. #", "Item description", "Qty", "Rate", "Amount", "Subtotal", "Sales tax", "Balance due", "Bill to"),
    "de": ("Rechnung", "Rechnungs-Nr.", "Rechnungsdatum", "Fällig am", "Ihre Bestellung", "Bezeichnung", "Menge", "Einzelpreis", "Gesamt", "Nettobetrag", "MwSt.", "Rechnungsbetrag", "Kunde"),
    "fr": ("FACTURE", "Facture n°", "Date de facturation", "Échéance", "Votre commande", "Désignation", "Qté", "PU HT", "Total HT", "Total HT", "TVA", "Net à payer", "Client"),
    "it": ("FATTURA", "Fattura n.", "Data", "Scadenza", "Vs. ordine", "Descrizione", "Q.tà", "Prezzo", "Importo", "Imponibile", "IVA", "Totale fattura", "Spett.le"),
    "es": ("Factura", "Nº de factura", "Fecha de factura", "Vencimiento", "Su pedido", "Concepto", "Cantidad", "Precio", "Importe", "Base imponible", "IVA", "Total a pagar", "Cliente"),
    "nl": ("FACTUUR", "Factuurnummer", "Factuurdatum", "Vervaldatum", "Uw referentie", "Omschrijving", "Aantal", "Prijs", "Bedrag", "Totaal excl. btw", "BTW", "Te betalen", "Factuuradres"),
    "pl": ("Faktura VAT", "Faktura nr", "Data wystawienia", "Termin płatności", "Zamówienie", "Nazwa", "Ilość", "Cena netto", "Wartość netto", "Razem netto", "VAT", "Do zapłaty", "Nabywca"),
}  # fmt: skip
GOODS: Final = (
    "Bearing housing, cast",
    "Assembly on site",
    "Étude préliminaire",
    "Papier couché 135 g",
    "Cilindro pneumatico",
    "Mano de obra",
    "Onderhoud pomp",
    "Oprawa zeszytowa",
    "Fräserdorn ISO 40",
    "Steel bracket",
    "Toner, black",
)


class Invoice(BaseModel):
    vendor: str
    number: str
    date: date
    total: Decimal
    net: Decimal | None = None
    iban: str | None = None


def facts(dice: random.Random) -> Facts:
    language = dice.choice(sorted(SENDERS))
    name, street, town, currency = SENDERS[language]
    issued = any_day(dice)
    style = {"en": "comma-point", "us": "comma-point", "fr": "space-comma", "pl": "space-comma"}.get(
        language, "point-comma"
    )
    return Facts(
        vendor=name, street=street, town=town, phone=f"+{dice.randint(30, 49)} {dice.randint(10, 99)} {dice.randint(10**5, 10**7)}", vat=f"DE{dice.randint(10**8, 10**9 - 1)}",
        iban=iban(dice), number=pattern(dice.choice(["Y-#####", "AA-####", "#####", "RE####/Y", "F##.####"]), dice, issued.year), issued=issued,
        goods=goods(dice, GOODS, 6, 700), rate=Decimal("0.2"), currency=currency, figures=style,
        dates="mdy/" if language == "us" else dice.choice(["dmy.", "dmy/", "d month y", "iso", "dmy-"]), language="en" if language == "us" else language,
        extra={"said": SAID[language]},
    )  # fmt: skip


def paper(number: int) -> Paper:
    """One invoice in one of five layouts."""
    dice = random.Random(f"invoice {number}")
    it, layout = facts(dice), number % 5
    title, no, when, due, order, *columns = it.extra["said"]
    heads, sums, client = columns[:4], columns[4:7], columns[7]
    texts: list[Set] = []

    def put(x: float, y: float, text: str, align: str = "left", size: float = 9.0) -> None:
        texts.append(Set(x, y, text, size, align, size > 14))

    written = day(it.issued, it.dates, it.language)
    pairs = [
        (no, it.number),
        (when, written),
        (due, day(it.issued + timedelta(days=30), it.dates, it.language)),
        (order, f"{dice.randint(10**4, 10**5)}"),
    ]
    buyer = ("Montclair Logistics AG", "Ringstrasse 8", "8005 Zürich")
    left, right = (60.0, 360.0) if layout != 2 else (360.0, 60.0)
    put(
        left if layout != 3 else 297, 40, it.vendor, "left" if layout != 3 else "middle", 16 if layout in (0, 3) else 10
    )
    put(left if layout != 3 else 297, 62, it.street, "left" if layout != 3 else "middle")
    put(left if layout != 3 else 297, 75, it.town, "left" if layout != 3 else "middle")
    put(right, 100 if layout == 3 else 45, title, size=20)
    put(60, 130, client + (":" if layout % 2 else ""))
    for at, line in enumerate(buyer):
        put(60, 145 + 13 * at, line)
    if layout in (0, 3):
        for at, (label, value) in enumerate(pairs):
            put(360, 130 + 14 * at, label)
            put(540, 130 + 14 * at, value, "right")
    elif layout == 4:
        for at, (label, value) in enumerate(pairs):
            put(60 + 125 * at, 205, label, size=8)
            put(60 + 125 * at, 218, value)
    else:
        for at, (label, value) in enumerate(pairs):
            put(360, 130 + 14 * at, f"{label}: {value}")
    y = 250.0
    for x, text, align in zip((60, 350, 440, 540), heads, ("left", "right", "right", "right"), strict=True):
        put(x, y, text, align)
    for good in it.goods:
        y += 16
        put(60, y, good.name)
        for x, text in zip(
            (350, 440, 540),
            (str(good.quantity), figure(good.price, it.figures), figure(good.amount, it.figures)),
            strict=True,
        ):
            put(x, y, text, "right")
    y += 30
    for label, value in zip((sums[0], f"{sums[1]} 20 %", sums[2]), (it.net, it.tax, it.total), strict=True):
        put(360 if layout != 1 else 60, y, label, size=9)
        put(540, y, f"{figure(value, it.figures)} {it.currency}", "right")
        y += 16
    put(60, 770, f"{it.vendor} | IBAN {spaced(it.iban)} | {it.vat}", size=8)
    truth = {
        "vendor": it.vendor,
        "number": it.number,
        "date": it.issued,
        "total": it.total,
        "net": it.net,
        "iban": it.iban,
    }
    return Paper(595, 842, texts, truth, False, f"invoice {number}")


def with_data(one: Paper, number: int) -> bytes:
    """The PDF with its e-invoice attached, as UBL."""
    it = facts(random.Random(f"invoice {number}"))

    def tag(name: str, text: object, **more: str) -> str:
        return f"<cbc:{name}{''.join(f' {key}={chr(34)}{value}{chr(34)}' for key, value in more.items())}>{escape(str(text))}</cbc:{name}>"

    money = {"currencyID": it.currency}
    lines = "".join(
        f"<cac:InvoiceLine>{tag('ID', at)}{tag('InvoicedQuantity', good.quantity, unitCode='C62')}{tag('LineExtensionAmount', good.amount, **money)}"
        f"<cac:Item>{tag('Name', good.name)}</cac:Item><cac:Price>{tag('PriceAmount', good.price, **money)}</cac:Price></cac:InvoiceLine>"
        for at, good in enumerate(it.goods, 1)
    )  # fmt: skip
    party = f"<cac:Party><cac:PartyName>{tag('Name', it.vendor)}</cac:PartyName><cac:PartyLegalEntity>{tag('RegistrationName', it.vendor)}</cac:PartyLegalEntity></cac:Party>"
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?><Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2" '
        'xmlns:cac="urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2" xmlns:cbc="urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2">'
        f"{tag('CustomizationID', 'urn:cen.eu:en16931:2017')}{tag('ID', it.number)}{tag('IssueDate', it.issued)}{tag('InvoiceTypeCode', 380)}{tag('DocumentCurrencyCode', it.currency)}"
        f"<cac:AccountingSupplierParty>{party}</cac:AccountingSupplierParty><cac:PaymentMeans>{tag('PaymentMeansCode', 30)}<cac:PayeeFinancialAccount>{tag('ID', it.iban)}</cac:PayeeFinancialAccount></cac:PaymentMeans>"
        f"<cac:TaxTotal>{tag('TaxAmount', it.tax, **money)}</cac:TaxTotal><cac:LegalMonetaryTotal>{tag('LineExtensionAmount', it.net, **money)}{tag('TaxExclusiveAmount', it.net, **money)}"
        f"{tag('TaxInclusiveAmount', it.total, **money)}{tag('PayableAmount', it.total, **money)}</cac:LegalMonetaryTotal>{lines}</Invoice>"
    )
    import pypdfium2.raw as pdfium
    from pypdfium2 import PdfDocument

    pdf = PdfDocument(as_pdf([one]))
    name = ("factur-x.xml" + "\0").encode("utf-16-le")
    held = pdfium.FPDFDoc_AddAttachment(pdf.raw, (pdfium.FPDF_WCHAR * (len(name) // 2)).from_buffer_copy(name))
    data = xml.encode()
    pdfium.FPDFAttachment_SetFile(held, pdf.raw, data, len(data))
    out = io.BytesIO()
    pdf.save(out)
    return out.getvalue()


def main() -> None:
    given = options(__doc__ or "", 40)
    extractor = Extractor("invoice", Invoice)

    def made(kind: str) -> Iterator[tuple[Paper, bytes]]:
        for number in range(given.papers):
            one = paper(number)
            match kind:
                case "xml":
                    yield one, with_data(one, number)
                case "text":
                    yield one, as_pdf([one])
                case _:
                    yield one, as_picture(one, random.Random(f"scanner {number}"))

    for kind in ("xml", "text", "scans"):
        measured(f"invoices_{kind}", extractor, made(kind), given)


if __name__ == "__main__":
    main()
