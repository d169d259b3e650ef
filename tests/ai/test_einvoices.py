"""E-invoices: read from their XML whichever way it is written, and held against the print beside them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from backstay.ai.documents import Document, DocumentUnreadable, EInvoice, compare, read_file
from backstay.ai.documents.door import reader
from backstay.ai.documents.einvoice import amounts, ibans, is_iban
from benchmarks.steps.made_documents import Facts, cii, fattura, invoice_pdf, ubl, with_file

facts = Facts()


def invoice_in(data: bytes, name: str = "invoice.xml") -> EInvoice:
    document = reader.read_bytes(data, name)
    assert document.data is not None
    return EInvoice.model_validate(document.data)


@pytest.mark.parametrize(
    ("data", "syntax"), [(cii(), "CII"), (ubl(), "UBL"), (ubl(credit=True), "UBL"), (fattura(), "FatturaPA")]
)
def test_every_syntax_says_the_same(data: bytes, syntax: str) -> None:
    said = invoice_in(data)
    assert said.syntax == syntax
    assert (said.number, said.issued, said.currency, said.order) == (
        "RE-2026-5192",
        date(2026, 3, 14),
        "EUR",
        "PO-045054",
    )
    assert (said.seller.name, said.seller.vat_id, said.seller.country) == (facts.seller, "DE136695976", "DE")
    assert (said.net, said.tax, said.total, said.payable) == (facts.net, facts.tax, facts.total, facts.total)
    assert [(line.name, line.quantity, line.unit_price, line.net, line.vat_rate) for line in said.lines] == [
        (name, quantity, price, quantity * price, Decimal(19)) for name, quantity, price in facts.lines
    ]
    assert said.ibans == ["DE89370400440532013000"]
    assert said.contradictions() == []


def test_a_credit_note_is_told_from_an_invoice() -> None:
    assert invoice_in(ubl(credit=True)).kind == "credit note"
    assert invoice_in(ubl()).kind == "invoice"


def test_a_person_has_two_names_in_a_fattura_and_a_due_date() -> None:
    said = invoice_in(fattura())
    assert (said.buyer.name, said.due) == ("Anna Colombo", date(2026, 4, 13))


def test_a_signed_fattura_is_read_and_its_signature_is_not_trusted() -> None:
    content = fattura()

    def wrapped(tag: int, inside: bytes) -> bytes:
        size = len(inside).to_bytes(3, "big")
        return bytes([tag, 0x83]) + size + inside

    chunks = b"".join(wrapped(0x04, content[at : at + 1000]) for at in range(0, len(content), 1000))
    kind = bytes.fromhex("06092a864886f70d010702")
    document = reader.read_bytes(wrapped(0x30, kind + wrapped(0xA0, wrapped(0x24, chunks))), "IT01_x.xml.p7m")
    assert document.data is not None
    assert document.data["number"] == "RE-2026-5192"
    assert "its signature was not checked" in document.problems


def test_figures_that_do_not_add_up_are_told() -> None:
    document = reader.read_bytes(cii(total="99999.00"), "invoice.xml")
    assert document.problems == [
        f"the e-invoice contradicts itself: net {facts.net} and tax {facts.tax} do not make the total 99999.00"
    ]


def embedded(**other: str) -> Document:
    return reader.read_bytes(with_file(invoice_pdf(facts), "factur-x.xml", cii(facts, **other)), "invoice.pdf")


def test_a_pdf_takes_over_the_invoice_that_lies_in_it() -> None:
    document = embedded()
    assert [part.name for part in document.parts] == ["factur-x.xml"]
    assert document.data is not None
    assert document.data["total"] == str(facts.total)
    assert (compare(document), document.problems) == ([], [])


@pytest.mark.parametrize(
    ("field", "value"),
    [("total", "47.11"), ("iban", "FR1420041010050500013M02606"), ("number", "RE-2026-9999")],
)
def test_xml_that_differs_from_the_print_is_a_sign_of_fraud(field: str, value: str) -> None:
    document = embedded(**{field: value})
    (mismatch,) = compare(document)
    assert (mismatch.field, mismatch.data) == (field, value)
    assert [problem for problem in document.problems if problem.endswith("this may be fraud")] == [
        f"{mismatch}: this may be fraud"
    ]
    if field == "iban":
        assert mismatch.printed == ["DE89370400440532013000"]


def test_a_second_account_in_the_print_is_told() -> None:
    document = reader.read_bytes(
        with_file(invoice_pdf(Facts(extra={"New IBAN:": "GB33 BUKB 2020 1555 5555 55"})), "factur-x.xml", cii(facts)),
        "a.pdf",
    )
    assert [(each.field, each.printed) for each in compare(document)] == [("iban", ["GB33BUKB20201555555555"])]


def test_a_print_within_the_xml_is_a_part_and_is_compared() -> None:
    same = reader.read_bytes(ubl(facts, print_=invoice_pdf(facts)), "invoice.xml")
    assert [(part.name, part.media_type) for part in same.parts] == [("print.pdf", "application/pdf")]
    assert (compare(same), same.problems) == ([], [])
    assert len(same.text) < 2000
    other = reader.read_bytes(ubl(facts, print_=invoice_pdf(Facts(iban="GB33BUKB20201555555555"))), "invoice.xml")
    assert [(each.field, each.printed) for each in compare(other)] == [("iban", ["GB33BUKB20201555555555"])]


def test_a_document_type_is_refused_before_it_names_anything() -> None:
    laughs = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;">]><a>&c;</a>'
    with pytest.raises(DocumentUnreadable, match="declares a document type"):
        reader.read_bytes(laughs, "invoice.xml")
    with pytest.raises(DocumentUnreadable, match="nested more than"):
        reader.read_bytes(b"<?xml version='1.0'?>" + b"<a>" * 5000 + b"</a>" * 5000, "invoice.xml")


def test_another_xml_file_is_text() -> None:
    document = reader.read_bytes(b"<?xml version='1.0'?><order><id>17</id><note>two pieces</note></order>", "order.xml")
    assert (document.data, document.text) == (None, "17 two pieces")


def test_a_printed_number_may_mean_two_amounts() -> None:
    assert amounts("1.234,50") == amounts("1,234.50") == amounts("1 234,50") == {Decimal("1234.50")}
    assert amounts("1.234") == {Decimal(1234), Decimal("1.234")}


def test_accounts_are_known_by_their_check_digits() -> None:
    assert is_iban("DE89370400440532013000")
    assert not is_iban("DE88370400440532013000")
    assert ibans("Konto DE89 3704 0044 0532 0130 00 BIC COBADEFF, not GB00 BUKB 2020 1555 5555 55") == [
        "DE89370400440532013000"
    ]


def test_the_plain_function_reads_a_path(tmp_path) -> None:
    (tmp_path / "a.xml").write_bytes(ubl())
    assert read_file(tmp_path / "a.xml").data is not None
