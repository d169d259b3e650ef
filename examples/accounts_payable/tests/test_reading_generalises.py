"""The reader knows no vendor and no file: it reads invoices that nobody saw before, and says when it is not
sure.
"""

from __future__ import annotations

import random
from datetime import date
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import pytest
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from examples.accounts_payable.actions import BUYER, BUYER_VAT
from examples.accounts_payable.making.catalogue import Case, draw_case
from examples.accounts_payable.making.layouts import LAYOUTS, print_invoice
from examples.accounts_payable.making.sellers import Seller, iban
from examples.accounts_payable.models import Reading
from examples.accounts_payable.reading import document_from, read_document

FORMS = {"en": "Ltd", "de": "GmbH", "fr": "SARL", "es": "S.L.", "it": "S.r.l.", "nl": "B.V.", "sv": "AB"}
NAMES = (
    "Kestrel",
    "Solano",
    "Morvan",
    "Tiefenbach",
    "Quercus",
    "Altamira",
    "Lindqvist",
    "Harbour & Sons",
    "Zenith Optics",
)


def read(path: Path, content: bytes) -> Reading:
    path.write_bytes(content)
    return read_document(document_from(path), path, buyer=BUYER, buyer_vat=BUYER_VAT)


def stranger(dice: random.Random, layout: str) -> Case:
    """An invoice of a vendor that was made up a moment ago."""
    language = dice.choice(sorted(FORMS))
    currency = dice.choice(["EUR", "USD", "GBP", "CHF", "JPY", "SEK", "PLN"])
    dates = [
        "dots",
        "iso",
        "long",
        "hyphens",
        *(["us"] if language == "en" else []),
        *([] if currency == "USD" else ["slashes"]),
    ]
    seller = Seller(
        id="", name=f"{dice.choice(NAMES)} {FORMS[language]}", street=f"Ringweg {dice.randint(1, 200)}",
        town="9000 Gent",
        country="DE", vat=f"DE{dice.randint(10**8, 10**9 - 1)}",
        iban=iban("DE", str(dice.randint(10**17, 10**18 - 1))),
        language=language, currency=currency, dates=dice.choice(dates), layout=layout,
        numbers=dice.choice(["comma-point", "point-comma", "space-comma", "tick-point"]),
        tax=Decimal(dice.choice(["0", "0.07", "0.19", "0.255"])),
        pattern=dice.choice(["#######", "INV-Y-####", "Y/####", "RG####-Y", "A##B###", "###.###"]),
    )  # fmt: skip
    count, story = dice.choice([1, 2, 3, 5, 8, 40]), dice.choice(["clean", "no-order"])
    return draw_case(f"stranger-{dice.random()}", seller, count, story, order_number=dice.randint(1, 900_000))


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_invoices_of_strangers_are_read_exactly(layout: str, tmp_path: Path) -> None:
    dice = random.Random(f"strangers/{layout}")
    for _ in range(8):
        case = stranger(dice, layout)
        reading = read(tmp_path / "invoice.pdf", print_invoice(case))
        invoice = reading.invoice
        assert (invoice.number, invoice.issued, invoice.po_number) == (case.number, case.issued, case.order)
        assert (invoice.net, invoice.tax or 0, invoice.total) == (case.net, case.tax, case.total)
        assert (invoice.currency, invoice.vendor.casefold()) == (
            case.seller.currency,
            case.seller.name.casefold(),
        )
        assert (invoice.vendor_iban, invoice.vendor_vat) == (case.seller.iban, case.seller.vat)
        assert [line.amount for line in invoice.lines] == [item.amount for item in case.items]
        assert [line.description for line in invoice.lines] == [item.description for item in case.items]
        assert reading.doubts == []


# --- invoices set by hand, in ways that no layout of ours knows -----------------------------------------

Placed = list[tuple[float, float, float, str]]
"""Left edge, distance from the top, size, text."""


def by_hand(*pages: Placed) -> bytes:
    out = BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1)
    for page in pages:
        for left, top, size, text in page:
            canvas.setFont("Helvetica", size)
            canvas.drawString(left, A4[1] - top, text)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


AMERICAN: Placed = [
    (60, 60, 18, "Larkspur Machine Works LLC"), (60, 76, 8, "1180 Foundry Road, Akron, OH 44301"),
    (400, 60, 9, "INVOICE"), (400, 75, 9, "Invoice: 10-4471"), (400, 90, 9, "Date: 03/14/2026"),
    (400, 105, 9, "Your PO #: 88-1207"),
    (60, 120, 9, "Sold to:"), (60, 133, 9, "Nordkai Trading GmbH"), (60, 146, 9, "Hamburg, Germany"),
    (60, 200, 9, "Qty"), (120, 200, 9, "Details"), (350, 200, 9, "Rate"), (430, 200, 9, "Tax %"),
    (500, 200, 9, "Line total"),
    (60, 220, 9, "4 pcs"), (120, 220, 9, "Flange, 2 inch, stainless"), (350, 220, 9, "$118.50"),
    (430, 220, 9, "0"), (500, 220, 9, "$474.00"),
    (60, 238, 9, "1,200"), (120, 238, 9, "Rivets 4 mm"), (350, 238, 9, "$0.75"), (430, 238, 9, "0"),
    (500, 238, 9, "$900.00"),
    (400, 280, 9, "Amount due"), (400, 300, 14, "$1,374.00"),
    (60, 330, 8, "Remit by check to the address above. Terms: net 30."),
]  # fmt: skip

GERMAN: Placed = [
    (60, 50, 9, "Seeger Feinkost e.K., Marktplatz 3, 87435 Kempten"),
    (60, 130, 10, "Firma"), (60, 143, 10, "Nordkai Trading GmbH"), (60, 156, 10, "Speicherstraße 12"),
    (60, 169, 10, "20457 Hamburg"),
    (380, 143, 9, "Beleg-Nr."), (470, 143, 9, "2026/0815"), (380, 156, 9, "Datum"), (470, 156, 9, "3. Juni 2026"),
    (380, 169, 9, "Kunden-Nr."), (470, 169, 9, "771204"), (380, 182, 9, "Bestellung"), (470, 182, 9, "PO-77120"),
    (60, 240, 9, "Pos"), (90, 240, 9, "Menge"), (135, 240, 9, "Einheit"), (190, 240, 9, "Bezeichnung"),
    (400, 240, 9, "E-Preis"), (490, 240, 9, "G-Preis"),
    (60, 258, 9, "1"), (90, 258, 9, "12"), (135, 258, 9, "Karton"), (190, 258, 9, "Präsentkorb Allgäu"),
    (405, 258, 9, "48,00"), (493, 258, 9, "576,00"),
    (190, 269, 9, "mit Grußkarte"),
    (60, 286, 9, "2"), (90, 286, 9, "2,5"), (135, 286, 9, "Std."), (190, 286, 9, "Beratung vor Ort"),
    (405, 286, 9, "90,00"), (493, 286, 9, "225,00"),
    (380, 330, 9, "Summe netto"), (493, 330, 9, "801,00"),
    (380, 344, 9, "zzgl. 7 % MwSt."), (493, 344, 9, "40,32"), (380, 358, 9, "zzgl. 19 % MwSt."),
    (493, 358, 9, "42,75"),
    (380, 376, 10, "Zu zahlender Betrag"), (485, 376, 10, "€ 884,07"),
    (60, 420, 8, "Bank: DE02120300000000202051  USt-IdNr. DE201847561"),
]  # fmt: skip

FRENCH: Placed = [
    (60, 60, 22, "Boulangerie Petit Jean"), (60, 78, 9, "3 place du Marché, 35000 Rennes"),
    (330, 120, 9, "Client :"), (330, 133, 9, "Nordkai Trading GmbH"),
    (60, 180, 12, "Facture N° : F-77-2"), (60, 200, 10, "Date : 1er juillet 2026"),
    (60, 214, 10, "Bon de commande : BC 90177"),
    (60, 250, 9, "Désignation"), (330, 250, 9, "Qté"), (400, 250, 9, "PU HT"), (490, 250, 9, "Montant HT"),
    (60, 268, 9, "Plateaux petit-déjeuner"), (330, 268, 9, "30"), (400, 268, 9, "38,50"), (490, 268, 9, "1 155,00"),
    (400, 310, 9, "Sous-total"), (490, 310, 9, "1 155,00 €"), (400, 324, 9, "TVA 10 %"), (490, 324, 9, "115,50 €"),
    (400, 342, 11, "Net à payer"), (485, 342, 11, "1 270,50 €"),
    (60, 400, 8, "IBAN FR76 3000 6000 0112 3456 7890 189"),
]  # fmt: skip


def test_an_american_invoice_with_units_a_tax_column_and_the_total_under_its_label_is_read(
    tmp_path: Path,
) -> None:
    reading = read(tmp_path / "a.pdf", by_hand(AMERICAN))
    invoice = reading.invoice
    assert (invoice.vendor, invoice.number, invoice.po_number) == (
        "Larkspur Machine Works LLC",
        "10-4471",
        "88-1207",
    )
    assert (invoice.issued, invoice.total, invoice.currency) == (date(2026, 3, 14), Decimal("1374.00"), "USD")
    assert [(line.quantity, line.amount) for line in invoice.lines] == [
        (4, Decimal("474.00")),
        (1200, Decimal("900.00")),
    ]


def test_a_german_invoice_with_two_tax_rates_and_a_description_of_two_rows_is_read(tmp_path: Path) -> None:
    reading = read(tmp_path / "b.pdf", by_hand(GERMAN))
    invoice = reading.invoice
    assert (invoice.vendor, invoice.number, invoice.po_number) == (
        "Seeger Feinkost e.K.",
        "2026/0815",
        "PO-77120",
    )
    assert (invoice.issued, invoice.total, invoice.tax) == (
        date(2026, 6, 3),
        Decimal("884.07"),
        Decimal("83.07"),
    )
    assert [line.description for line in invoice.lines] == [
        "Präsentkorb Allgäu mit Grußkarte",
        "Beratung vor Ort",
    ]
    assert invoice.lines[1].quantity == Decimal("2.5")


def test_a_french_invoice_without_a_legal_form_is_read_and_the_vendor_is_less_sure(tmp_path: Path) -> None:
    reading = read(tmp_path / "c.pdf", by_hand(FRENCH))
    invoice = reading.invoice
    assert (invoice.vendor, invoice.number, invoice.po_number) == (
        "Boulangerie Petit Jean",
        "F-77-2",
        "BC 90177",
    )
    assert (invoice.issued, invoice.total, invoice.currency) == (date(2026, 7, 1), Decimal("1270.50"), "EUR")
    assert reading.found["vendor"].confidence < 0.7


def test_a_total_that_does_not_add_up_is_not_trusted(tmp_path: Path) -> None:
    forged = [(left, top, size, text.replace("€ 884,07", "€ 984,07")) for left, top, size, text in GERMAN]
    reading = read(tmp_path / "d.pdf", by_hand(forged))
    assert reading.found["total"].confidence < 0.7
    assert reading.doubts


def test_every_field_says_on_which_page_and_where_it_was_found(tmp_path: Path) -> None:
    reading = read(tmp_path / "e.pdf", by_hand([(60, 700, 9, "General terms apply.")], GERMAN))
    number = reading.found["number"]
    assert number.place is not None
    assert (number.place.page, number.place.left) == (2, 470.0)
    assert 130 < number.place.top < number.place.bottom < 160
