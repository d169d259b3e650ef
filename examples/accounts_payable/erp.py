"""The example's ERP, with its own database: vendors, orders, receipts, invoices, payments, messages.

Only actions call it. Safe for threads and processes: every call opens the file, does one transaction and closes
it. Every write takes an idempotency key, and calling it again with the same key returns what the first call made.
`fail` makes it misbehave on purpose.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from backstay.errors import NotRetryable
from examples.accounts_payable.figures import key as bare
from examples.accounts_payable.figures import masked
from examples.accounts_payable.models import Booked, Order, OrderLine, Posting, Vendor
from examples.sqlite_file import statements

HERE = Path(__file__).parent
HANG_SECONDS = 20.0
T = TypeVar("T")
FaultKind = Literal["raise", "hang", "late", "rubbish", "half"]


class ErpUnavailable(Exception):
    """The ERP could not be reached, or its answer was lost; another attempt with the same key is safe."""


class RateMissing(Exception):
    """The table of rates lacks a currency; the call waits for somebody to add it."""


class RefusedByErp(NotRetryable):
    """The ERP will not do this, however often it is asked."""

    code = "REFUSED_BY_ERP"


def queries(file: str) -> dict[str, str]:
    """The statements of an SQL file by their names."""
    return statements(HERE / file)


class Erp:
    """One ERP, in the database file at `path`."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    # --- master data ------------------------------------------------------------------------------------

    def find_vendor(self, name: str, vat: str = "", iban: str | None = None) -> Vendor | None:
        """The vendor with this tax number, account or name, in this order; `problem` says what does not fit."""

        def work() -> Vendor | None:
            with self.transaction() as db:
                row = (
                    _one(db, "vendor_by_vat", vat=vat)
                    or _one(db, "vendor_by_iban", iban=iban or "")
                    or _one(db, "vendor_by_name", name_key=bare(name))
                )
            return _vendor(row, iban or "") if row else None

        return self._perform("find_vendor", name, work)

    def vendor(self, vendor_id: str) -> Vendor | None:
        """The vendor with this id, as a person named it: its printed bank details are not questioned again."""
        with self.transaction() as db:
            row = _one(db, "vendor_by_id", id=vendor_id)
        return _vendor(row, "") if row else None

    def add_vendor(self, **data: Any) -> None:
        """Set a vendor up: id, name, aliases, vat, iban, status, cost_centre, country, currency."""
        with self.transaction() as db:
            _add_vendor(db, data)

    def find_order(self, number: str, vendor_id: str) -> Order | None:
        """The vendor's purchase order with this number, with what was received and invoiced so far."""

        def work() -> Order | None:
            with self.transaction() as db:
                head = _one(db, "order_of_vendor", number_key=bare(number), vendor_id=vendor_id)
                return _order(db, head) if head else None

        return self._perform("find_order", number, work)

    def orders_of(self, vendor_id: str) -> list[Order]:
        """All orders of a vendor."""
        with self.transaction() as db:
            return [_order(db, head) for head in _all(db, "orders_of_vendor", vendor_id=vendor_id)]

    def invoices_of(self, vendor_id: str) -> list[Booked]:
        """What the books hold of a vendor, newest first."""
        with self.transaction() as db:
            return [Booked(**dict(row)) for row in _all(db, "invoices_of_vendor", vendor_id=vendor_id)]

    def vendors_like(self, name: str) -> list[Vendor]:
        """Vendors of which a name has a word of four letters or more in common with this one."""
        words = {word for word in name.casefold().split() if len(word) > 3}
        with self.transaction() as db:
            rows = _all(db, "all_vendors")
        return [_vendor(row, "") for row in rows if words & set(row["name"].casefold().split())]

    def cost_centres(self) -> dict[str, str]:
        """Which cost centre pays for lines with which word."""
        with self.transaction() as db:
            return {row["word"]: row["cost_centre"] for row in _all(db, "cost_centres")}

    def in_euro(self, amount: Decimal, currency: str) -> Decimal:
        """An amount at the house rate; raises RateMissing for a currency that has none, until somebody adds it."""
        with self.transaction() as db:
            row = _one(db, "rate", currency=currency)
        if not row:
            raise RateMissing(f"currency {currency!r} has no rate: add it to the table of rates, then retry this call")
        return (amount * Decimal(row["euro"])).quantize(Decimal("0.01"))

    # --- invoices, payments, messages -------------------------------------------------------------------

    def create_invoice(self, posting: Posting, key: str) -> str:
        """Post an invoice and answer with its id; raises RefusedByErp when the vendor's number is taken."""
        return self._perform("create_invoice", posting.number, lambda: self._create_invoice(posting, key))

    def _create_invoice(self, posting: Posting, key: str) -> str:
        separate = posting.document if posting.separate else ""
        number = {"vendor_id": posting.vendor_id, "number_key": bare(posting.number), "separate": separate}
        with self.transaction() as db:
            known = _one(db, "invoice_by_key", key=key)
            if known:
                return _invoice_id(known["id"])
            taken = _one(db, "invoice_by_number", **number)
            if taken and taken["document"] == posting.document:
                return _invoice_id(taken["id"])  # from the manual backlog: another key, the same document
            if taken:
                raise RefusedByErp(
                    f"invoice {posting.number!r} of vendor {posting.vendor_id!r} is already posted as "
                    f"{_invoice_id(taken['id'])}: cancel that one, or mark this one as separate"
                )
            made = db.execute(
                queries("erp_queries.sql")["add_invoice"],
                {
                    **number, "number": posting.number, "issued": posting.issued.isoformat(),
                    "document": posting.document,
                    "currency": posting.currency, "total": str(posting.total),
                    "order_key": bare(posting.po_number), "key": key,
                },
            ).lastrowid  # fmt: skip
            for place, line in enumerate(posting.lines, start=1):
                _run(
                    db, "add_invoice_line", invoice_id=made, line=place, description=line.description,
                    amount=str(line.amount), quantity=str(line.quantity), order_line=line.order_line,
                    cost_centre=line.cost_centre,
                )  # fmt: skip
        return _invoice_id(cast("int", made))

    def invoice_under(self, key: str) -> str | None:
        """The id of the invoice that was created under this key; None when none was."""
        with self.transaction() as db:
            row = _one(db, "invoice_by_key", key=key)
        return _invoice_id(row["id"]) if row else None

    def cancel_invoice(self, invoice_id: str) -> None:
        """Take a posting back; cancelling twice is the same as once. A paid invoice is refused."""
        with self.transaction() as db:
            number = _invoice_row(db, invoice_id)["id"]
            if _one(db, "payment_of_invoice", invoice_id=number):
                raise RefusedByErp(
                    f"invoice {invoice_id!r} is paid and cannot be cancelled: ask the vendor for a credit note"
                )
            _run(db, "cancel_invoice", id=number)

    def pay(self, invoice_id: str, payee: str, amount: Decimal, currency: str, key: str) -> str:
        """Pay an invoice and answer with the payment's id; raises RefusedByErp when it is not payable."""
        return self._perform("pay", invoice_id, lambda: self._pay(invoice_id, payee, amount, currency, key))

    def _pay(self, invoice_id: str, payee: str, amount: Decimal, currency: str, key: str) -> str:
        with self.transaction() as db:
            known = _one(db, "payment_by_key", key=key)
            if known:
                return f"PAY-{known['id']:06d}"
            invoice = _invoice_row(db, invoice_id)
            if invoice["status"] != "posted" or _one(db, "payment_of_invoice", invoice_id=invoice["id"]):
                raise RefusedByErp(f"invoice {invoice_id!r} is cancelled or already paid: nothing was paid")
            vendor = _one(db, "vendor_by_id", id=invoice["vendor_id"])
            if not vendor or vendor["name"] != payee:
                raise RefusedByErp(f"invoice {invoice_id!r} is not one of {payee!r}: nothing was paid")
            if (Decimal(invoice["total"]), invoice["currency"]) != (amount, currency):
                raise RefusedByErp(
                    f"invoice {invoice_id!r} is over {invoice['total']} {invoice['currency']}, not {amount} {currency}"
                )
            _run(db, "add_payment", invoice_id=invoice["id"], amount=str(amount), currency=currency, key=key)
            made = _one(db, "payment_by_key", key=key)
        return f"PAY-{made['id']:06d}" if made else ""

    def payment_under(self, key: str) -> str | None:
        """The id of the payment that was made under this key; None when none was."""
        with self.transaction() as db:
            row = _one(db, "payment_by_key", key=key)
        return f"PAY-{row['id']:06d}" if row else None

    def alert(self, recipient: str, subject: str, message: str, key: str) -> str:
        """Send people a message, once per key."""

        def work() -> str:
            with self.transaction() as db:
                _run(db, "add_alert", recipient=recipient, subject=subject, message=message, key=key)
                made = _one(db, "alert_by_key", key=key)
            return f"ALERT-{made['id']}" if made else ""

        return self._perform("alert", subject, work)

    # --- what tests and people look at ------------------------------------------------------------------

    def alerts(self) -> list[dict[str, Any]]:
        with self.transaction() as db:
            return [dict(row) for row in _all(db, "alerts")]

    def posted(self) -> list[dict[str, Any]]:
        """Every posted invoice, oldest first; `document` is empty for those from before."""
        with self.transaction() as db:
            return [dict(row) for row in _all(db, "posted")]

    def held_twice(self) -> list[str]:
        """Everything that the books hold more than once: numbers, documents, payments. Must be empty."""
        with self.transaction() as db:
            return [f"{row['what']} {row['name']} is held {row['times']} times" for row in _all(db, "held_twice")]

    # --- failing on purpose -----------------------------------------------------------------------------

    def fail(
        self,
        operation: str,
        *,
        subject: str = "",
        kind: FaultKind = "raise",
        times: int = 1,
        message: str = "503",
    ) -> None:
        """Let an operation fail `times` times (-1: until `heal`) on one subject or on all.

        raise: nothing happens. half: it happens, the answer is lost. hang: nothing happens, and no answer comes.
        late: it happens after the caller has given up. rubbish: it happens, and the answer makes no sense.
        """
        with self.transaction() as db:
            _run(
                db,
                "add_fault",
                operation=operation,
                subject=subject,
                kind=kind,
                remaining=times,
                message=message,
            )

    def heal(self) -> None:
        """End every outage."""
        with self.transaction() as db:
            _run(db, "clear_faults")

    def _perform(self, operation: str, subject: str, work: Callable[[], T]) -> T:
        """Do the work, unless a fault strikes before or after it."""
        fault = self._strike(operation, subject)
        kind = fault["kind"] if fault else ""
        if fault and kind in ("hang", "late"):
            time.sleep(HANG_SECONDS)
        if fault and kind in ("raise", "hang"):
            raise ErpUnavailable(f"{operation} of {subject!r}: {fault['message']}")
        result = work()
        if fault and kind == "half":
            raise ErpUnavailable(f"{operation} of {subject!r}: {fault['message']}")
        return cast("T", {"\x00": [None]}) if kind == "rubbish" else result

    def _strike(self, operation: str, subject: str) -> sqlite3.Row | None:
        with self.transaction() as db:
            fault = _one(db, "next_fault", operation=operation, subject=subject)
            if fault:
                _run(db, "use_fault", id=fault["id"])
        return fault

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed and synced at the end, rolled back on an error."""
        if not self.path.exists():
            raise ErpUnavailable(f"the ERP's database {self.path.name!r} is not there: `seed` creates it")
        db = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=rw", uri=True, timeout=15, isolation_level=None)
        try:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        finally:
            db.close()  # rolls back what was not committed


def seed(path: Path | str, *, faults: bool = True) -> Erp:
    """Create the ERP with its master data, all or nothing; one that exists is left as it is.

    faults: whether the outages of the demo (one vendor's postings fail) are seeded too.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=15, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.row_factory = sqlite3.Row
        db.execute("BEGIN IMMEDIATE")
        if db.execute("PRAGMA user_version").fetchone()[0] == 0:
            for statement in _statements((HERE / "erp_schema.sql").read_text(encoding="utf-8")):
                db.execute(statement)
            _fill(db, json.loads((HERE / "master_data.json").read_text(encoding="utf-8")), faults)
            db.execute("PRAGMA user_version = 1")
        db.execute("COMMIT")
    finally:
        db.close()
    return Erp(path)


def _statements(script: str) -> Iterator[str]:
    """Statements one by one: `executescript` would commit the transaction that makes seeding all or nothing."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""


def _fill(db: sqlite3.Connection, data: dict[str, Any], faults: bool) -> None:
    for vendor in data["vendors"]:
        _add_vendor(db, vendor)
    for order in data["orders"]:
        order_key = bare(order["number"])
        _run(
            db,
            "add_order",
            number_key=order_key,
            number=order["number"],
            vendor_id=order["vendor"],
            currency=order["currency"],
        )
        for place, line in enumerate(order["lines"], start=1):
            received = line.pop("received")
            _run(db, "add_order_line", order_key=order_key, line=place, **line)
            _run(db, "add_receipt", order_key=order_key, line=place, quantity=received)
    for word, cost_centre in data["cost_centres"].items():
        _run(db, "add_cost_centre", word=word, cost_centre=cost_centre)
    for currency, euro in data["rates"].items():
        _run(db, "add_rate", currency=currency, euro=euro)
    for old in data["posted"]:
        _run(
            db, "add_invoice", vendor_id=old["vendor"], number=old["number"], number_key=bare(old["number"]),
            separate="",
            issued=old["posted"], currency=old["currency"], total=old["total"], order_key="", document="",
            key=f"history {old['vendor']} {old['number']}",
        )  # fmt: skip
    for fault in data["faults"] if faults else ():
        _run(db, "add_fault", **fault)


def _add_vendor(db: sqlite3.Connection, vendor: dict[str, Any]) -> None:
    names = [vendor["name"], *vendor.get("aliases", [])]
    _run(db, "add_vendor", **{name: value for name, value in vendor.items() if name != "aliases"})
    for name in names:
        _run(db, "add_vendor_name", name_key=bare(name), vendor_id=vendor["id"])


def _run(db: sqlite3.Connection, query: str, **values: Any) -> None:
    db.execute(queries("erp_queries.sql")[query], values)


def _one(db: sqlite3.Connection, query: str, **values: Any) -> sqlite3.Row | None:
    row: sqlite3.Row | None = db.execute(queries("erp_queries.sql")[query], values).fetchone()
    return row


def _all(db: sqlite3.Connection, query: str, **values: Any) -> list[sqlite3.Row]:
    return db.execute(queries("erp_queries.sql")[query], values).fetchall()


def _invoice_id(number: int) -> str:
    return f"ERP-{number:06d}"


def _invoice_row(db: sqlite3.Connection, invoice_id: str) -> sqlite3.Row:
    digits = invoice_id.removeprefix("ERP-")
    row = _one(db, "invoice_by_id", id=int(digits)) if digits.isdecimal() else None
    if not row:
        raise RefusedByErp(f"there is no invoice {invoice_id!r}: look its id up in the ERP")
    return row


def _vendor(row: sqlite3.Row, iban: str) -> Vendor:
    problem = ""
    if row["status"] == "blocked":
        problem = f"vendor {row['id']} is blocked by purchasing"
    elif iban and row["iban"] and iban != row["iban"]:
        known = f"the master data of {row['id']} say {masked(row['iban'])}"
        problem = f"the invoice asks to pay {masked(iban)}, and {known}: confirm by telephone"
    return Vendor(id=row["id"], name=row["name"], status=row["status"], cost_centre=row["cost_centre"], problem=problem)


def _order(db: sqlite3.Connection, head: sqlite3.Row) -> Order:
    received: dict[int, Decimal] = {}
    invoiced: dict[int, Decimal] = {}
    for query, sums in (("received", received), ("invoiced", invoiced)):
        for row in _all(db, query, order_key=head["number_key"]):
            sums[row["line"]] = sums.get(row["line"], Decimal(0)) + Decimal(row["quantity"])
    lines = [
        OrderLine(
            line=row["line"], item=row["item"], description=row["description"], ordered=Decimal(row["quantity"]),
            price=Decimal(row["price"]), received=received.get(row["line"], Decimal(0)),
            invoiced=invoiced.get(row["line"], Decimal(0)), cost_centre=row["cost_centre"],
        )
        for row in _all(db, "order_lines", order_key=head["number_key"])
    ]  # fmt: skip
    return Order(number=head["number"], vendor=head["vendor_id"], currency=head["currency"], lines=lines)
