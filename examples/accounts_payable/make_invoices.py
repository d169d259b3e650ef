"""Make the invoices, the master data and the table of expected outcomes.

Run it as `python -m examples.accounts_payable.make_invoices`. The same bytes come out every time: no clock, no
chance, no machine names. What is expected comes from the catalogue, never from the reader.
"""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from examples.accounts_payable.making.catalogue import Case, Item, cases
from examples.accounts_payable.making.hostile import hostile_files
from examples.accounts_payable.making.layouts import print_invoice
from examples.accounts_payable.making.other_forms import scanned_page, written
from examples.accounts_payable.making.sellers import SELLERS

HERE = Path(__file__).parent
COLUMNS = (
    "file", "outcome", "queue", "vendor", "number", "issued", "total", "currency", "order", "lines", "story",
)  # fmt: skip
RATES = {
    "EUR": "1",
    "GBP": "1.17",
    "USD": "0.92",
    "CHF": "1.05",
    "JPY": "0.0061",
    "SEK": "0.088",
    "PLN": "0.23",
}
COPY = "zz-Kopie von Rechnung (Brandt & Söhne) – bitte dringend prüfen – " + "weitergeleitet " * 7 + "№ 1.pdf"
UNICODE = "alpenblick-prüfmittel-№7-ÄÖÜß-請求書.pdf"

QUEUES = {
    "unknown-vendor": "vendor-set-up", "new-bank": "vendor-set-up", "blocked": "vendor-set-up",
    "no-order": "missing-po", "wrong-order": "missing-po", "other-order": "missing-po",
    "paid-before": "possible-duplicate", "sent-twice": "possible-duplicate", "price": "mismatch", "short": "mismatch",
    "sundries": "coding", "unclear": "invoice-review", "credit": "invoice-review",
    "xml-differs": "invoice-review", "api-down": "manual-backlog",
}  # fmt: skip


def expected(case: Case) -> dict[str, str]:
    """The row of the outcome table that this case must end in while nobody acts."""
    queue = "invoice-review" if case.script else QUEUES.get(case.story, "")
    outcome = "queued" if queue else "posted"
    if case.story == "large":
        outcome, queue = "waiting", "ap-approvers"
    clear = case.story != "unclear"
    return {
        "file": case.file, "outcome": outcome, "queue": queue, "vendor": case.seller.name, "number": case.number,
        "issued": case.issued.isoformat(), "total": str(case.total) if clear else "",
        "currency": case.seller.currency if clear else "", "order": case.order, "lines": str(len(case.items)),
        "story": case.story,
    }  # fmt: skip


def unreadable(name: str) -> dict[str, str]:
    """The row of a file from which no invoice can be read."""
    queue = "invoice-review" if name == "x-scanned.pdf" else "unreadable"
    story = Path(name).stem.removeprefix("x-")
    return {**dict.fromkeys(COLUMNS, ""), "file": name, "outcome": "queued", "queue": queue, "story": story}


def order_of(case: Case) -> dict[str, Any] | None:
    """The purchase order and what was received, such that the case's story comes true."""
    if case.story in ("no-order", "wrong-order", "other-order", "sent-twice", "unknown-vendor") or not case.order:
        return None
    lines: list[dict[str, str]] = []
    for position, item in enumerate(_ordered(case)):
        ordered, received, price = item.quantity, item.quantity, item.price
        if case.story == "price":
            price = round(item.price / Decimal("1.12"), 2)
        if case.story == "within-tolerance" and position == 0:
            price = round(item.price / Decimal("1.01"), 0 if case.seller.currency == "JPY" else 2)
        if case.story == "partial":
            ordered = item.quantity * 3
        if case.story == "short" and position == 0:
            received = item.quantity // 2
        lines.append({
            "item": item.code, "description": item.description, "quantity": str(ordered), "price": str(price),
            "received": str(received), "cost_centre": case.seller.cost_centre,
        })  # fmt: skip
    return {"number": case.order, "vendor": case.seller.id, "currency": case.seller.currency, "lines": lines}


def _ordered(case: Case) -> tuple[Item, ...]:
    return tuple(item for item in case.items if item.code)


def master_data(all_cases: list[Case]) -> dict[str, Any]:
    """Everything the ERP knows on the first day."""
    vendors = [
        {
            "id": seller.id, "name": seller.name, "aliases": list(seller.aliases), "vat": seller.vat,
            "iban": seller.iban, "status": seller.status, "cost_centre": seller.cost_centre,
            "country": seller.country, "currency": seller.currency,
        }
        for seller in SELLERS.values() if seller.id
    ]  # fmt: skip
    posted = [
        {"vendor": case.seller.id, "number": case.number, "total": str(case.total), "currency": case.seller.currency,
         "posted": "2025-11-28"}
        for case in all_cases if case.story == "paid-before"
    ]  # fmt: skip
    faults = [
        {"operation": "create_invoice", "subject": case.number, "kind": kind, "remaining": count, "message": message}
        for case in all_cases
        for story, kind, count, message in (
            ("api-down", "raise", -1, "503 posting service: ledger 4700 is not reachable"),
            ("api-flaky", "raise", 2, "502 bad gateway"),
            ("api-half", "half", 1, "connection reset while reading the answer"),
        )
        if case.story == story
    ]  # fmt: skip
    mapping = {
        "freight": "4500", "fracht": "4500", "brandstoftoeslag": "4500", "transport": "4500", "porto": "4500",
        "frais de port": "4500", "bank charges": "4900", "consulting": "4600", "beratung": "4600",
    }  # fmt: skip
    orders = [order for case in all_cases if (order := order_of(case))]
    return {
        "vendors": vendors, "orders": orders, "posted": posted, "faults": faults, "rates": RATES,
        "cost_centres": mapping,
    }  # fmt: skip


def make(folder: Path) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """Write every invoice file into `folder`; answers with the outcome rows and the master data."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    rows: list[dict[str, str]] = []
    all_cases = cases()
    by_name = {case.file: case for case in all_cases}
    for case in all_cases:
        name = UNICODE if case.file == "alpenblick-ersatzteile.pdf" else case.file
        (folder / name).write_bytes(written(case))
        rows.append({**expected(case), "file": name})
    (folder / COPY).write_bytes((folder / "brandt-januar.pdf").read_bytes())
    rows.append(
        {
            **expected(by_name["brandt-januar.pdf"]),
            "file": COPY,
            "outcome": "same",
            "story": "copy of brandt-januar.pdf",
        }
    )
    hostile = hostile_files(by_name["brandt-sammelrechnung.pdf"], by_name["hawthorne-0311.pdf"])
    hostile["x-blurred.png"] = scanned_page(print_invoice(by_name["hawthorne-0324.pdf"]), blur=9)
    for name, content in hostile.items():
        (folder / name).write_bytes(content)
        rows.append(unreadable(name))
    return sorted(rows, key=lambda row: row["file"]), master_data(all_cases)


def main() -> None:
    """Write the invoices and both tables beside this file."""
    rows, master = make(HERE / "invoices")
    with (HERE / "outcomes.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    text = json.dumps(master, ensure_ascii=False, indent=1)
    (HERE / "master_data.json").write_text(text + "\n", encoding="utf-8")
    print(f"{len(rows)} files, {sum(file.stat().st_size for file in (HERE / 'invoices').iterdir()) // 1024} kB")


if __name__ == "__main__":
    main()
