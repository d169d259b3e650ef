"""Scans and e-invoices: what a program wrote is booked, what was recognised for sure too, and the rest a person reads."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from backstay.ai.documents.door import reader
from examples.accounts_payable.actions import BUYER, BUYER_VAT
from examples.accounts_payable.app import INVOICES
from examples.accounts_payable.erp import Erp
from examples.accounts_payable.making.catalogue import cases
from examples.accounts_payable.making.layouts import print_invoice
from examples.accounts_payable.making.other_forms import einvoice, scanned_page, with_einvoice
from examples.accounts_payable.making.sellers import iban
from examples.accounts_payable.models import Reading
from examples.accounts_payable.outcomes import Ending
from examples.accounts_payable.reading import DocumentUnreadable, document_from, read_document
from examples.accounts_payable.rules import needs_review
from examples.accounts_payable.tests.office import office, recognises

STRANGER = iban("DE", "100500000190048217")
"""The account in the XML of brandt-zugferd-konto.pdf, which its print does not name."""
CASES = {case.file: case for case in cases()}
CASE = CASES["brandt-januar.pdf"]


def read(folder: Path, name: str, content: bytes, *, buyer_vat: str = BUYER_VAT) -> Reading:
    path = folder / name
    path.write_bytes(content)
    return read_document(document_from(path), path, buyer=BUYER, buyer_vat=buyer_vat)


def posted(erp: Erp) -> list[tuple[str, str]]:
    return [(row["number"], row["total"]) for row in erp.posted() if row["document"]]


@pytest.mark.parametrize("name", ["brandt-zugferd.pdf", "alpenblick-rechnung.xml"])
async def test_an_e_invoice_is_posted_as_its_xml_says(name: str, home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives(name)
        assert await ap.ending() == Ending("posted")
    assert posted(erp) == [(CASES[name].number, str(CASES[name].total))]


async def test_an_account_that_only_the_xml_names_stops_the_invoice_and_is_shown_masked(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("brandt-zugferd-konto.pdf")
        shown = ap.shown("invoice-review")
        assert shown["doubts"] == [
            "the e-invoice has the account 'DE84 … 8217', and the print says DE89 … 3000: this may be fraud"
        ]
        await ap.fills_in("invoice-review", verdict="reject", comment="the sender never sent this account")
        assert await ap.ending() == Ending("rejected")
    assert posted(erp) == []
    assert STRANGER.encode() not in b"".join(file.read_bytes() for file in home.glob("backstay.db*"))


def test_the_fields_of_an_e_invoice_come_from_the_xml_and_its_lines_too(tmp_path: Path) -> None:
    reading = read(tmp_path, "a.pdf", with_einvoice(print_invoice(CASE), einvoice(CASE)))
    assert (reading.confidence, reading.doubts, reading.pages) == (1.0, [], 1)
    assert {found.why for found in reading.found.values()} == {"says the CII XML"}
    assert CASE.seller.iban not in reading.found["vendor_iban"].text
    assert [(line.description, line.quantity, line.price, line.amount) for line in reading.invoice.lines] == [
        (item.description, item.quantity, item.price, item.amount) for item in CASE.items
    ]


def test_an_e_invoice_that_contradicts_itself_or_is_for_others_goes_to_a_person(tmp_path: Path) -> None:
    told = einvoice(CASE)
    wrong = told.replace(f"<ram:GrandTotalAmount>{CASE.total}<".encode(), b"<ram:GrandTotalAmount>9.00<")
    doubts = read(tmp_path, "wrong.xml", wrong).doubts
    assert doubts[0].startswith("the e-invoice contradicts itself: net")
    assert f"{CASE.total} of the total 9.00 is to be paid" in doubts
    others = read(tmp_path, "others.xml", told, buyer_vat="DE136695976")
    assert others.doubts == [f"it is addressed to {BUYER}, and not to us"]
    assert needs_review(others)


def test_what_is_wrong_with_the_xml_inside_a_pdf_is_told_even_where_the_print_is_clear(tmp_path: Path) -> None:
    xml, printed = einvoice(CASE), print_invoice(CASE)
    wrong = xml.replace(f'<ram:TaxTotalAmount currencyID="EUR">{CASE.tax}<'.encode(), b"<ram:TaxTotalAmount>7.00<")
    (doubt, *_) = read(tmp_path, "wrong.pdf", with_einvoice(printed, wrong)).doubts
    assert doubt.startswith("factur-x.xml: the e-invoice contradicts itself")
    hostile = xml.replace(b"<rsm:Cross", b"<!DOCTYPE a [<!ENTITY b 'c'>]><rsm:Cross", 1)
    reading = read(tmp_path, "hostile.pdf", with_einvoice(printed, hostile))
    assert (reading.invoice.number, needs_review(reading)) == (CASE.number, True)
    assert reading.doubts[0].startswith("factur-x.xml: DOCUMENT_")


def test_xml_that_is_no_invoice_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DocumentUnreadable, match=r"'order\.xml' holds no e-invoice .*: ask the sender for a PDF"):
        read(tmp_path, "order.xml", b"<?xml version='1.0'?><order><total>5.00</total></order>")
    with pytest.raises(DocumentUnreadable, match=r"'bomb\.xml' "):
        read(tmp_path, "bomb.xml", b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>")


@recognises
async def test_a_scan_that_is_clear_is_posted_like_any_invoice(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("hawthorne-scan.png")
        assert await ap.ending() == Ending("posted")
    assert posted(erp) == [(CASES["hawthorne-scan.png"].number, str(CASES["hawthorne-scan.png"].total))]


@recognises
async def test_a_scan_that_is_not_clear_shows_what_was_read_and_a_person_says_what_is_right(
    home: Path, erp: Erp
) -> None:
    async with office(home) as ap:
        await ap.arrives("x-scanned.pdf")
        shown = ap.shown("invoice-review")
        assert shown["doubts"] == ["number is unsure", "no lines were found"]
        assert (shown["vendor"], shown["total"]) == ("Hawthorne Office Supplies Ltd", "6620.59 GBP")
        assert shown["page"]["number"] == 1
        await ap.fills_in("invoice-review", verdict="read", number="HOS-118240", po_number="PO-045071")
        await ap.fills_in("mismatch", verdict="accept", comment="checked by eye")
        assert await ap.ending() == Ending("posted")
    assert posted(erp) == [("HOS-118240", "6620.59")]


@recognises
async def test_a_scan_in_which_nothing_can_be_recognised_is_unreadable(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("x-blurred.png")
        assert ap.shown("unreadable")["doubts"].startswith("'x-blurred.png' shows nothing that could be recognised")
    assert posted(erp) == []


@recognises
def test_where_a_name_is_recognised_wrongly_nothing_is_sure(tmp_path: Path) -> None:
    """Of every clean invoice that is scanned, either all is right or a person looks."""
    for name in ("colombo-marzo.pdf", "wisla-cartons.pdf", "iberica-febrero.pdf"):
        case = CASES[name]
        reading = read(tmp_path, f"{name}.png", scanned_page(print_invoice(case)))
        said = reading.invoice
        right = (said.vendor, said.number, said.total) == (case.seller.name, case.number, Decimal(case.total))
        assert right or needs_review(reading), name


async def test_without_anything_that_recognises_text_the_reason_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['rapidocr'] = None\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    await reader.close()
    try:
        with pytest.raises(DocumentUnreadable, match=r"pip install 'backstay\[ocr\]'") as caught:
            read(tmp_path, "scan.png", (INVOICES / "hawthorne-scan.png").read_bytes())
        assert caught.value.reason == "DOCUMENT_READER_MISSING"
    finally:
        await reader.close()
