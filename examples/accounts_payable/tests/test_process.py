"""The stories of accounts payable: files fall in, people act, and the ERP holds each thing once."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from backstay import App
from backstay.errors import Conflict, InvalidInput, NotAllowed
from examples.accounts_payable.app import QUEUES, run_folder_once, set_up, start_case
from examples.accounts_payable.erp import Erp
from examples.accounts_payable.outcomes import Ending, expected, summary
from examples.accounts_payable.process import pay_invoice, process_invoice
from examples.accounts_payable.tests.office import OUTAGE, Office, office


def numbers(erp: Erp) -> list[str]:
    """The invoices that the process has posted."""
    return [row["number"] for row in erp.posted() if row["document"]]


def payments(erp: Erp) -> list[tuple[str, str]]:
    with erp.transaction() as db:
        return [tuple(row) for row in db.execute("SELECT amount, currency FROM payments")]


# --- one story for each queue ---------------------------------------------------------------------------


async def test_an_unreadable_file_waits_with_the_clerks_who_are_told_what_is_wrong(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        run = await ap.arrives("x-password.pdf")
        assert ap.owner("unreadable") == "ap-clerks"
        shown = ap.shown("unreadable")
        assert shown["file"] == "x-password.pdf"
        assert shown["doubts"] == "'x-password.pdf' is protected by a password: ask the sender for a copy without one"
        assert (home / "documents" / shown["document"]["path"]).is_file()
        await ap.fills_in("unreadable", reject="asked the sender for a copy without a password")
        assert await ap.it.result(run) == {
            "status": "rejected", "invoice_id": "", "reason": "asked the sender for a copy without a password",
        }  # fmt: skip
    assert numbers(erp) == []


async def test_a_person_reads_what_the_machine_is_not_sure_of_and_the_case_goes_on_to_posted(
    home: Path, erp: Erp
) -> None:
    async with office(home) as ap:
        await ap.arrives("meridian-unclear.pdf")
        assert ap.owner("invoice-review") == "ap-clerks"
        shown = ap.shown("invoice-review")
        assert shown["doubts"] == ["total is missing", "currency is missing", "no lines were found"]
        assert (shown["number"], shown["page"]["number"]) == ("MF3929345", 1)
        await ap.fills_in("invoice-review", total="1547.00", currency="EUR")
        assert ap.shown("mismatch")["off"] == [
            "the invoice has no lines that could be matched", "the lines are 1547.00 away from the net total",
        ]  # fmt: skip
        await ap.fills_in("mismatch", verdict="accept", comment="compared with the receipt")
        assert await ap.ending() == Ending("posted")
    assert numbers(erp) == ["MF3929345"]


async def test_a_scan_stays_with_its_reader_until_nothing_is_missing(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("x-scanned.pdf")
        assert ap.shown("invoice-review")["doubts"] == ["page 1 to 1 are pictures without text: read them by eye"]
        await ap.fills_in("invoice-review", vendor="Hawthorne Office Supplies Ltd", number="HOS-118240")
        assert ap.shown("invoice-review")["doubts"] == ["issued is missing", "total is missing", "currency is missing"]
        await ap.fills_in(
            "invoice-review", issued="2026-02-10", currency="GBP", total="6620.59", po_number="PO-045071"
        )
        await ap.fills_in("mismatch", verdict="accept", comment="checked by eye")
        assert await ap.ending() == Ending("posted")
    assert numbers(erp) == ["HOS-118240"]


async def test_an_unknown_vendor_is_set_up_and_the_case_goes_on(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("quayside-lunch.pdf")
        assert ap.owner("vendor-set-up") == "vendor-master-data"
        shown = ap.shown("vendor-set-up")
        assert (shown["vendor"], shown["number"], shown["page"]["vendor"]) == (None, "QC-5311", 1)
        await ap.fills_in("vendor-set-up", vendor_id="V-2001")
        assert await ap.ending() == Ending("queued", "vendor-set-up")
        erp.add_vendor(
            id="V-2001", name="Quayside Catering Ltd", vat="", iban="", status="active", cost_centre="4200",
            country="GB", currency="GBP",
        )  # fmt: skip
        await ap.fills_in("vendor-set-up", vendor_id="V-2001")
        assert ap.shown("missing-po")["vendor"]["id"] == "V-2001"


async def test_a_blocked_vendor_and_new_bank_details_stop_the_case_with_their_reason(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("tyrol-kran.pdf")
        assert ap.shown("vendor-set-up")["vendor"]["problem"] == "vendor V-1014 is blocked by purchasing"
        await ap.fills_in("vendor-set-up", reject="blocked since the crane accident")
        await ap.arrives("colombo-iban-nuovo.pdf")
        problem = ap.shown("vendor-set-up")["vendor"]["problem"]
        assert problem.startswith("the invoice asks to pay IT60 … ")
        assert problem.endswith(": confirm by telephone")
        await ap.fills_in("vendor-set-up", vendor_id="V-1005")
        assert (await ap.endings())["colombo-iban-nuovo.pdf"] == Ending("posted")
    assert numbers(erp) == ["484/2026"]


async def test_an_invoice_without_an_order_goes_on_when_purchasing_finds_it(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("cascade-po-unknown.pdf")
        assert ap.owner("missing-po") == "purchasing"
        shown = ap.shown("missing-po")
        assert (shown["invoice"]["po_number"], shown["vendor"]["id"]) == ("PO-045479", "V-1008")
        await ap.fills_in("missing-po", po_number="PO-000000")
        assert await ap.ending() == Ending("queued", "missing-po")
        await ap.fills_in("missing-po", po_number="PO-045445")
        while (await ap.ending()).queue == "coding":
            await ap.fills_in("coding", lines=codes(ap))
        await ap.fills_in("mismatch", verdict="accept", comment="a new order was written")
        assert await ap.ending() == Ending("posted")
    assert numbers(erp) == ["INV-7858-26"]


def codes(ap: Office, cost_centre: str = "4200") -> list[dict[str, str]]:
    """A cost centre for every line that the coding task shows."""
    lines = ap.shown("coding")["lines"]
    return [{"description": line["description"], "cost_centre": cost_centre} for line in lines]


async def test_the_cost_centre_owner_codes_what_nothing_else_can(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("lumiere-divers.pdf")
        assert ap.owner("coding") == "cost-centre-owners"
        both = codes(ap)
        assert len(both) == 2
        await ap.fills_in("coding", lines=both[:1])
        assert [line["description"] for line in ap.shown("coding")["lines"]] == [both[1]["description"]]
        await ap.fills_in("coding", lines=both[1:])
        assert await ap.ending() == Ending("posted")
    with erp.transaction() as db:
        assert db.execute("SELECT count(*) FROM invoice_lines WHERE cost_centre = ''").fetchone()[0] == 0


async def test_a_mismatch_is_shown_in_words_and_purchasing_may_accept_or_reject_it(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("brandt-preis.pdf")
        assert ap.owner("mismatch") == "purchasing"
        shown = ap.shown("mismatch")
        assert len(shown["off"]) == 1
        assert shown["off"][0].endswith("% above the order")
        assert shown["order"]["number"] == shown["invoice"]["po_number"] == "PO-045037"
        await ap.fills_in("mismatch", verdict="accept", comment="the price was agreed by mail")
        await ap.arrives("iberica-parcial.pdf")
        assert ap.shown("mismatch")["off"][0].endswith("more than was received")
        await ap.fills_in("mismatch", verdict="reject", comment="wait for the rest")
        assert await ap.endings() == {
            "brandt-preis.pdf": Ending("posted"), "iberica-parcial.pdf": Ending("rejected"),
        }  # fmt: skip
    assert numbers(erp) == ["RE-2026-8733"]


async def test_a_form_that_does_not_fit_is_refused_by_field_and_the_task_stays(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("hawthorne-0324.pdf")
        with pytest.raises(InvalidInput, match="po_numbr"):
            await ap.fills_in("missing-po", po_numbr="PO-045071")
        assert await ap.ending() == Ending("queued", "missing-po")


# --- duplicates -----------------------------------------------------------------------------------------


async def test_the_second_of_two_is_a_duplicate(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("vandermeer-week-10.pdf", "vandermeer-week-10_opnieuw.pdf")
        assert ap.owner("possible-duplicate") == "ap-clerks"
        shown = ap.shown("possible-duplicate")
        assert shown["file"] == "vandermeer-week-10_opnieuw.pdf"
        assert [seen["source"] for seen in shown["seen"]] == ["vandermeer-week-10.pdf"]
        await ap.fills_in("possible-duplicate", verdict="duplicate", comment="sent twice")
        assert set((await ap.endings()).values()) == {Ending("posted"), Ending("duplicate")}
    assert numbers(erp) == ["26327613"]


async def test_a_person_may_say_that_it_is_another_invoice_under_the_same_number(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("norrland-forra-aret.pdf")
        assert ap.shown("possible-duplicate")["seen"] == [
            {"number": "744917", "source": "books", "total": "11745.94 SEK"}
        ]
        await ap.fills_in("possible-duplicate", verdict="separate", comment="last year's has the same number")
        assert await ap.ending() == Ending("posted")
    assert numbers(erp) == ["744917"]
    assert erp.held_twice() == []


async def test_the_same_file_twice_under_any_name_is_one_case(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        copy = next(name for name in (row.name for row in set_of_copies()))
        await ap.arrives("brandt-januar.pdf", copy)
        assert len(ap.it.client.runs(workflow="process_invoice")) == 1
    assert numbers(erp) == ["RE-2026-6822"]


def set_of_copies() -> list[Path]:
    from examples.accounts_payable.app import INVOICES

    return sorted(INVOICES.glob("zz-*.pdf"))
