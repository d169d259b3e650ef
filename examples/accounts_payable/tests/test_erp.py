"""The ERP does each thing once per key, refuses what would be double, and fails only as it is told to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from examples.accounts_payable.erp import Erp, ErpUnavailable, RefusedByErp, seed
from examples.accounts_payable.models import LineMatch, Posting


@pytest.fixture
def erp(tmp_path: Path) -> Erp:
    return seed(tmp_path / "erp.db", faults=False)


PAYEE = "Brandt & Söhne Maschinenbau GmbH"
"""V-1001."""


def posting(number: str = "F-1", document: str = "d1", *, separate: bool = False) -> Posting:
    line = LineMatch(description="Bolts", amount=Decimal("100.00"), order_line=1, cost_centre="4100")
    return Posting(
        vendor_id="V-1001", number=number, issued=date(2026, 3, 1), currency="EUR", total=Decimal("119.00"),
        po_number="PO-045003", document=document, lines=[line], separate=separate,
    )  # fmt: skip


def new_invoices(erp: Erp) -> list[str]:
    return [row["number"] for row in erp.posted() if row["document"]]


def test_the_same_key_posts_once(erp: Erp) -> None:
    first = erp.create_invoice(posting(), "k1")
    assert erp.create_invoice(posting(), "k1") == first
    assert new_invoices(erp) == ["F-1"]
    assert erp.invoice_under("k1") == first


def test_the_same_document_posts_once_under_any_key(erp: Erp) -> None:
    assert erp.create_invoice(posting(), "k1") == erp.create_invoice(posting(), "k2")
    assert new_invoices(erp) == ["F-1"]


def test_a_number_that_another_document_holds_is_refused_however_it_is_written(erp: Erp) -> None:
    erp.create_invoice(posting(), "k1")
    with pytest.raises(RefusedByErp, match="already posted as ERP-000002: cancel that one"):
        erp.create_invoice(posting("f 1", "d2"), "k2")


def test_a_person_may_say_that_it_is_a_separate_invoice(erp: Erp) -> None:
    erp.create_invoice(posting(), "k1")
    erp.create_invoice(posting(document="d2", separate=True), "k2")
    assert new_invoices(erp) == ["F-1", "F-1"]
    assert erp.held_twice() == []


def test_fifty_threads_with_one_key_post_once(erp: Erp) -> None:
    with ThreadPoolExecutor(8) as threads:
        ids = set(threads.map(lambda _: erp.create_invoice(posting(), "k1"), range(50)))
    assert len(ids) == 1
    assert new_invoices(erp) == ["F-1"]


def test_a_cancelled_invoice_frees_its_number_and_a_paid_one_stays(erp: Erp) -> None:
    first = erp.create_invoice(posting(), "k1")
    erp.cancel_invoice(first)
    erp.cancel_invoice(first)
    second = erp.create_invoice(posting(document="d2"), "k2")
    erp.pay(second, PAYEE, Decimal("119.00"), "EUR", "p1")
    with pytest.raises(RefusedByErp, match="is paid and cannot be cancelled"):
        erp.cancel_invoice(second)


def test_an_invoice_is_paid_once_and_only_in_full(erp: Erp) -> None:
    invoice = erp.create_invoice(posting(), "k1")
    with pytest.raises(RefusedByErp, match=r"is over 119\.00 EUR, not 118 EUR"):
        erp.pay(invoice, PAYEE, Decimal("118"), "EUR", "p0")
    with pytest.raises(RefusedByErp, match="is not one of 'Someone Else'"):
        erp.pay(invoice, "Someone Else", Decimal("119.00"), "EUR", "p0")
    payment = erp.pay(invoice, PAYEE, Decimal("119.00"), "EUR", "p1")
    assert erp.pay(invoice, PAYEE, Decimal("119.00"), "EUR", "p1") == payment == erp.payment_under("p1")
    with pytest.raises(RefusedByErp, match="nothing was paid"):
        erp.pay(invoice, PAYEE, Decimal("119.00"), "EUR", "p2")


def test_an_order_shows_what_was_received_and_invoiced(erp: Erp) -> None:
    erp.create_invoice(posting(), "k1")
    order = erp.find_order("po 045003", "V-1001")
    assert order is not None
    assert (order.lines[0].received, order.lines[0].invoiced) == (order.lines[0].ordered, 1)
    assert erp.find_order("PO-045003", "V-1002") is None


def test_a_vendor_is_found_by_tax_number_account_or_name(erp: Erp) -> None:
    by_vat = erp.find_vendor("?", vat="DE136695976")
    by_iban = erp.find_vendor("?", iban="DE89370400440532013000")
    by_name = erp.find_vendor("BRANDT UND SOEHNE")
    assert [vendor.id for vendor in (by_vat, by_iban, by_name) if vendor] == ["V-1001"] * 3
    assert erp.find_vendor("Quayside Catering Ltd") is None


def test_new_bank_details_and_a_block_are_problems_that_a_person_must_clear(erp: Erp) -> None:
    changed = erp.find_vendor("?", vat="DE136695976", iban="GB29NWBK60161331926819")
    blocked = erp.find_vendor("Tiroler Hebetechnik GmbH")
    assert changed is not None
    assert "confirm by telephone" in changed.problem
    assert blocked is not None
    assert "blocked" in blocked.problem


def test_an_outage_strikes_as_often_as_it_was_told_and_posts_nothing(erp: Erp) -> None:
    erp.fail("create_invoice", subject="F-1", times=2)
    for _ in range(2):
        with pytest.raises(ErpUnavailable, match="create_invoice of 'F-1': 503"):
            erp.create_invoice(posting(), "k1")
    erp.create_invoice(posting("F-2", "d2"), "k2")
    erp.create_invoice(posting(), "k1")
    assert new_invoices(erp) == ["F-2", "F-1"]


def test_a_lost_answer_leaves_one_invoice(erp: Erp) -> None:
    erp.fail("create_invoice", kind="half")
    with pytest.raises(ErpUnavailable):
        erp.create_invoice(posting(), "k1")
    assert new_invoices(erp) == ["F-1"]
    erp.create_invoice(posting(), "k1")
    assert new_invoices(erp) == ["F-1"]


def test_rubbish_and_silence_can_be_ordered_too(erp: Erp, monkeypatch: pytest.MonkeyPatch) -> None:
    erp.fail("create_invoice", kind="rubbish")
    assert not isinstance(erp.create_invoice(posting(), "k1"), str)
    monkeypatch.setattr("examples.accounts_payable.erp.HANG_SECONDS", 0.01)
    erp.fail("alert", kind="hang", times=-1)
    with pytest.raises(ErpUnavailable):
        erp.alert("it", "s", "m", "a1")
    erp.heal()
    assert erp.alert("it", "s", "m", "a1") == erp.alert("it", "s", "m", "a1")
    assert len(erp.alerts()) == 1


def test_seeding_again_changes_nothing(erp: Erp) -> None:
    erp.create_invoice(posting(), "k1")
    assert new_invoices(seed(erp.path)) == ["F-1"]


def test_a_missing_database_is_named(tmp_path: Path) -> None:
    with pytest.raises(ErpUnavailable, match=r"'gone\.db' is not there"):
        Erp(tmp_path / "gone.db").posted()
