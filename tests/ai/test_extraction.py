"""A document read as a model: labels in any language and place, candidates that are scored, sums that decide, honest doubt."""

from __future__ import annotations

import enum
from datetime import date
from decimal import Decimal
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from backstay import App, workflow
from backstay.ai.documents.einvoice import EInvoice, Party
from backstay.ai.documents.model import Document, Page, Word
from backstay.ai.extraction import Extraction, Extractor
from backstay.ai.extraction.learning import ENOUGH, Lesson, refitted
from backstay.ai.extraction.scoring import shipped
from backstay.errors import AuthorError, InvalidInput
from backstay.testing import harness
from backstay.types import Sensitive


class Receipt(BaseModel):
    company: str
    issued: date
    total: Decimal


class Line(BaseModel):
    description: str
    quantity: Decimal | None = None
    price: Decimal | None = None
    amount: Decimal


class Party_(BaseModel):
    name: str
    vat_id: str | None = None
    iban: Sensitive["pii"] | None = None


class Invoice(BaseModel):
    seller: Party_
    number: str
    issued: date
    due: date | None = None
    currency: Literal["EUR", "USD", "CHF"] | None = None
    net: Decimal | None = None
    tax: Decimal | None = None
    total: Decimal
    lines: list[Line] = []


receipt, invoice = Extractor("receipt", Receipt), Extractor("invoice", Invoice)
extract_receipt = receipt.extract


def typed(text: str, **more: Any) -> Document:
    return Document(name="a.txt", media_type="text/plain", digest="0" * 64, size=len(text), text=text, **more)


def printed(*texts: tuple[float, float, str], ocr: bool = False) -> Document:
    """Texts at their places, 10 points high."""
    words: list[Word] = []
    for x, y, text in texts:
        for part in text.split():
            words.append(Word(text=part, box=(x, y, x + 5 * len(part), y + 10)))
            x += 5 * len(part) + 3
    page = Page(number=1, width=595, height=842, words=words, origin="ocr" if ocr else "text")
    return Document(name="a.pdf", media_type="application/pdf", digest="0" * 64, size=1, pages=[page])


SHOP = """CORBETT HARDWARE SDN BHD
NO 4, JALAN PERAK
50450 KUALA LUMPUR

Bill No: 88123          Date: 25/12/2018

Hammer                  20.00
Nails 1kg                3.50

{sums}
"""
GERMAN = """Seeger Feinkost GmbH
Marktplatz 3
87435 Kempten                    USt-IdNr. DE136695976

Rechnungsempfänger:
Nordkai Trading AG

Rechnungs-Nr.  2026/0815         Rechnungsdatum  3. Juni 2026
                                 Fällig am       3. Juli 2026

Menge   Bezeichnung              Einzelpreis     Gesamt
12      Präsentkorb              48,00           576,00
2       Beratung                 112,50          225,00

                                 Nettobetrag     801,00 EUR
                                 MwSt. 19 %      152,19 EUR
                                 Gesamtbetrag    953,19 EUR

IBAN DE02 1203 0000 0000 2020 51
"""


def test_a_receipt_is_read_with_the_place_of_each_field() -> None:
    read = receipt.read(
        typed(
            SHOP.format(
                sums="Total                   23.50\nCash                    50.00\nChange                  26.50"
            )
        )
    )
    assert read.value == Receipt(company="CORBETT HARDWARE SDN BHD", issued=date(2018, 12, 25), total=Decimal("23.50"))
    assert read.sure
    assert read.fields["total"].source is not None
    assert read.fields["total"].source.quote == "23.50"
    assert "cash less change is the total" in read.fields["total"].why


def test_sums_decide_between_totals() -> None:
    sums = "Total                   24.90\nRounding                -0.02\nTotal                   24.88\nCash                    30.00\nChange                   5.12"
    assert receipt.read(typed(SHOP.format(sums=sums))).fields["total"].value == "24.88"


def test_a_total_that_no_sum_makes_is_a_problem_and_not_sure() -> None:
    read = receipt.read(
        typed(
            SHOP.format(
                sums="Total                   93.50\nCash                    50.00\nChange                  26.50"
            )
        )
    )
    assert not read.sure
    assert "cash less change is not the total" in read.problems


def test_an_invoice_in_german_fills_nested_models_lists_and_choices() -> None:
    read = invoice.read(typed(GERMAN))
    assert read.value is not None
    assert read.value.seller == Party_(name="Seeger Feinkost GmbH", vat_id="DE136695976", iban="DE02120300000000202051")
    assert (read.value.number, read.value.issued, read.value.due) == ("2026/0815", date(2026, 6, 3), date(2026, 7, 3))
    assert (read.value.net, read.value.tax, read.value.total) == (
        Decimal("801.00"),
        Decimal("152.19"),
        Decimal("953.19"),
    )
    assert read.value.currency == "EUR"
    assert [(line.description, line.quantity, line.amount) for line in read.value.lines] == [
        ("Präsentkorb", 12, Decimal("576.00")), ("Beratung", 2, Decimal("225.00")),
    ]  # fmt: skip
    assert read.problems == []


def test_a_private_field_is_whole_in_the_model_only() -> None:
    read = invoice.read(typed(GERMAN))
    assert read.fields["seller.iban"].value == "DE02 … 2051"
    assert "20300000" not in read.model_copy(update={"value": None}).model_dump_json()


def test_what_is_missing_is_said_and_there_is_no_value() -> None:
    read = receipt.read(typed("Corbett Hardware Ltd\n\nThank you"))
    assert (read.value, read.confidence, read.sure) == (None, 0.0, False)
    assert {"issued was not found", "total was not found"} <= set(read.problems)


@pytest.mark.parametrize(
    "text", ["", "\n\n", "....", "\x00", "| | |", "0", "%%%% $$$$ ////", "a" * 5000, "1/1/1 " * 500]
)
def test_no_text_is_an_error(text: str) -> None:
    assert receipt.read(typed(text)).value is None


# --- layout and recognised text -------------------------------------------------------------------------


def test_values_are_found_behind_right_of_and_below_their_labels() -> None:
    read = invoice.read(printed(
        (50, 40, "Kestrel Optics Ltd"), (50, 55, "12 High Street, Leeds LS1 4AP"),
        (50, 100, "Invoice no"), (200, 100, "Date of issue"), (350, 100, "Due date"),
        (50, 114, "K-2201"), (200, 114, "2026-02-03"), (350, 114, "2026-03-05"),
        (300, 300, "Subtotal"), (500, 300, "100.00"), (300, 315, "VAT 20%:"), (500, 315, "20.00"), (300, 330, "Amount due: 120.00"),
    ))  # fmt: skip
    assert (read.fields["number"].value, read.fields["issued"].value, read.fields["due"].value) == (
        "K-2201",
        "2026-02-03",
        "2026-03-05",
    )
    assert read.fields["total"].value == "120.00"
    assert read.fields["number"].source is not None
    assert read.fields["number"].source.box == (50.0, 114.0, 80.0, 124.0)


def test_bent_letters_merged_words_and_spaces_in_prices_do_not_hide_a_receipt() -> None:
    read = receipt.read(printed(
        (60, 20, "MARROWBYSTORES LTD"), (60, 35, "4 Mill Lane, York YO1 7HB"), (20, 70, "Dale:03/O4/2019"), (20, 85, "ReceiptNo.55120"),
        (20, 120, "Soap"), (200, 120, "4.50"), (20, 150, "T0TALAMOUNT"), (200, 150, "4. 50"), ocr=True,
    ))  # fmt: skip
    assert read.fields["issued"].value == "2019-04-03"
    assert read.fields["total"].value == "4.50"


# --- any model ------------------------------------------------------------------------------------------


class Priority(enum.Enum):
    HIGH = "high"
    LOW = "low"


class Ticket(BaseModel):
    machine_hours: int
    serial: str = Field(title="Serial number")
    priority: Priority
    under_warranty: bool
    inspected_by: str | None = None
    oil: str | None = Field(default=None, json_schema_extra={"labels": ["lubricant used"]})


def test_a_model_of_ones_own_is_read_by_the_names_titles_and_labels_of_its_fields() -> None:
    read = Extractor("ticket", Ticket).read(typed(
        "Inspection\n\nMachine hours:   1240\nSerial number:   TX-99\nPriority:   high\nUnder warranty:   yes\n"
        "Inspected by:   Ada Moss\nLubricant used:   ISO VG 46\n"
    ))  # fmt: skip
    assert read.value == Ticket(
        machine_hours=1240,
        serial="TX-99",
        priority=Priority.HIGH,
        under_warranty=True,
        inspected_by="Ada Moss",
        oil="ISO VG 46",
    )


def test_what_cannot_be_read_is_said_when_the_extractor_is_made() -> None:
    class Empty(BaseModel):
        anything: dict[str, int]

    with pytest.raises(AuthorError, match="no field that can be read"):
        Extractor("empty", Empty)
    with pytest.raises(AuthorError, match="labels are given for nothing"):
        Extractor("receipt", Receipt, labels={"nothing": ["x"]})
    with pytest.raises(AuthorError, match="target"):
        Extractor("receipt", Receipt, target=1.0)


# --- what else is known ---------------------------------------------------------------------------------


def test_we_are_never_the_sender() -> None:
    text = "Nordkai Trading AG\n20457 Hamburg\n\nInvoice number: 7\nDate: 2026-01-02\n\nTotal: 5.00\n\nTarn & Fell Limited, Leeds\n"
    read = Extractor("ours", Invoice, ours=["Nordkai Trading AG"]).read(typed(text))
    assert read.fields["seller.name"].value != "Nordkai Trading AG"


def test_master_data_that_says_otherwise_is_a_problem() -> None:
    records = [
        {"seller.name": "Seeger Feinkost GmbH", "seller.vat_id": "DE136695976", "seller.iban": "DE89370400440532013000"}
    ]
    read = Extractor("known", Invoice, records=records).read(typed(GERMAN))
    assert read.fields["seller.iban"].confidence < 0.6
    assert any(problem.startswith("seller.iban is") for problem in read.problems)
    assert not read.sure
    assert read.fields["seller.name"].confidence > invoice.read(typed(GERMAN)).fields["seller.name"].confidence - 0.01


def test_an_e_invoice_says_it_first_and_a_print_that_differs_is_a_problem() -> None:
    data = EInvoice(
        syntax="UBL", number="2026/0815", issued=date(2026, 6, 3), currency="EUR", seller=Party(name="Seeger Feinkost GmbH"),
        net=Decimal("801.00"), tax=Decimal("152.19"), total=Decimal("953.19"), ibans=["DE02120300000000202051"],
    )  # fmt: skip
    paper = printed(
        (50, 40, "Seeger Feinkost GmbH"),
        (50, 100, "Rechnungs-Nr. 2026/0815"),
        (50, 120, "Datum 03.06.2026"),
        (50, 200, "Gesamtbetrag 953,19"),
    )
    honest = paper.model_copy(update={"data": data.model_dump(mode="json"), "text": paper.pages[0].text})
    assert invoice.read(honest).fields["total"].why.startswith("the e-invoice says so, and so does its print")
    forged = honest.model_copy(
        update={
            "data": data.model_copy(update={"total": Decimal("1953.19"), "net": Decimal("1801.00")}).model_dump(
                mode="json"
            )
        }
    )
    read = invoice.read(forged)
    assert read.fields["total"].value == "1953.19"
    assert read.fields["total"].confidence < 0.6
    assert not read.sure


# --- as a step ------------------------------------------------------------------------------------------


@workflow
async def book(document: dict[str, Any]) -> str:
    read = await extract_receipt(document)
    return "booked" if read.sure else f"asked a person: {read.why}"


async def test_a_workflow_branches_on_whether_it_is_sure() -> None:
    async with harness(App("shop", workflows=[book], suppliers=[receipt])) as it:
        fine = typed(
            SHOP.format(
                sums="Total                   23.50\nCash                    50.00\nChange                  26.50"
            )
        )
        assert await it.result(await it.start(book, document=fine.model_dump(mode="json"))) == "booked"
        poor = typed("Corbett Hardware Ltd\n\n25/12/2018\n")
        answer = await it.result(await it.start(book, document=poor.model_dump(mode="json")))
        assert answer == "asked a person: unsure of total; total was not found"


def test_an_answer_says_which_fit_made_it_and_passes_through_json() -> None:
    read = receipt.read(typed(SHOP.format(sums="Total                   23.50")))
    assert read.by == f"labels and layout fit {shipped().version}"
    assert Extraction[Receipt].model_validate_json(read.model_dump_json()) == read


def test_another_fit_takes_enough_papers_and_says_what_it_is_worth() -> None:
    rows = [({"own": 1.0}, False), ({"page1": 1.0, "size": 1.0}, True)]
    papers = [Lesson(document=str(number), vendor="Acme", examples={"identifier": rows}) for number in range(ENOUGH)]
    with pytest.raises(InvalidInput, match="takes 20"):
        refitted(shipped(), papers[:5])
    _, report = refitted(shipped(), papers * 2)
    assert report.papers == ENOUGH
    assert report.after >= report.before
