"""The invoices in the repository and the table of their outcomes: complete, right, and made again to the byte."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from examples.accounts_payable.actions import BUYER, BUYER_VAT
from examples.accounts_payable.app import INVOICES, QUEUES
from examples.accounts_payable.make_invoices import HERE, make
from examples.accounts_payable.models import Reading
from examples.accounts_payable.outcomes import expected, expected_rows
from examples.accounts_payable.reading import DocumentUnreadable, document_from, read_document
from examples.accounts_payable.rules import needs_review
from examples.accounts_payable.tests.office import recognises

ROWS = expected_rows()
READABLE = [row for row in ROWS if row["number"]]
UNREADABLE = [row for row in ROWS if row["queue"] == "unreadable"]
PICTURES = {"hawthorne-scan.png", "x-blurred.png", "x-picture.pdf"}


def each(rows: list[dict[str, str]]) -> list[Any]:
    """The rows as parameters; pictures only where text in them is recognised."""
    return [
        pytest.param(row, id=row["file"][:40], marks=[recognises] if row["file"] in PICTURES else []) for row in rows
    ]


def read(name: str) -> Reading:
    path = INVOICES / name
    return read_document(document_from(path), path, buyer=BUYER, buyer_vat=BUYER_VAT)


def test_the_table_names_every_file_and_no_other() -> None:
    assert sorted(row["file"] for row in ROWS) == sorted(file.name for file in INVOICES.iterdir())


def test_at_least_forty_four_files_are_readable_invoices_and_all_are_small() -> None:
    assert len(READABLE) >= 44
    assert sum(file.stat().st_size for file in INVOICES.iterdir()) < 4_000_000


def test_every_queue_of_the_process_is_reached_by_some_invoice() -> None:
    reached = {ending.queue for ending in expected().values() if ending.queue}
    assert reached == {queue.name for queue in QUEUES} - {"treasury", "operators"}


@pytest.mark.parametrize("row", each(READABLE))
def test_the_fields_of_a_readable_invoice_are_read_exactly(row: dict[str, str]) -> None:
    reading = read(row["file"])
    invoice = reading.invoice
    assert (invoice.vendor.casefold(), invoice.number) == (row["vendor"].casefold(), row["number"])
    assert (invoice.issued, invoice.po_number) == (date.fromisoformat(row["issued"]), row["order"])
    assert len(invoice.lines) == int(row["lines"])
    if row["total"]:
        assert (invoice.total, invoice.currency) == (Decimal(row["total"]), row["currency"])
    assert needs_review(reading) == (row["queue"] == "invoice-review")


@pytest.mark.parametrize("row", each(UNREADABLE))
def test_a_broken_or_hostile_file_is_refused_by_name_with_what_to_do(row: dict[str, str]) -> None:
    with pytest.raises(DocumentUnreadable, match=f"'{row['file']}' .*: .*(ask (the|its) sender|split it)"):
        read(row["file"])


def test_a_script_in_an_invoice_is_a_reason_to_look_and_changes_no_field() -> None:
    reading = read("hawthorne-javascript.pdf")
    assert "JavaScript" in reading.doubts[0]
    assert reading.confidence > 0.8


def test_the_script_makes_the_same_tables_and_the_same_bytes_again(tmp_path: Path) -> None:
    rows, master = make(tmp_path)
    assert rows == ROWS
    assert master == json.loads((HERE / "master_data.json").read_text(encoding="utf-8"))
    again = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    make(tmp_path)
    assert again == {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert set(again) == {file.name for file in INVOICES.iterdir()}
