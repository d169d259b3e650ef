"""The stories of accounts payable: files fall in, people act, and the ERP holds each thing once."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.errors import Conflict, InvalidInput, NotAllowed
from examples.accounts_payable.app import INVOICES, set_up
from examples.accounts_payable.erp import Erp
from examples.accounts_payable.making.sellers import iban
from examples.accounts_payable.outcomes import Ending, expected, summary
from examples.accounts_payable.process import process_invoice
from examples.accounts_payable.tests.office import OUTAGE, Office, office

COPY = next(INVOICES.glob("zz-*.pdf")).name
"""brandt-januar.pdf once more, under a very long name."""
NEW_ACCOUNT = iban("IT", "K0300203280000400162854")
"""The bank account that colombo-iban-nuovo.pdf asks to pay."""


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
        assert shown["document"]["name"] == "x-password.pdf"
        assert shown["doubts"] == "'x-password.pdf' is protected by a password: ask the sender for a copy without one"
        assert (home / "documents" / shown["document"]["path"]).is_file()
        await ap.fills_in("unreadable", verdict="reject", comment="asked the sender for a copy without a password")
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
        assert shown["doubts"] == ["total is unsure", "currency is missing"]
        assert (shown["number"], shown["page"]["number"]) == ("MF3929345", 1)
        await ap.fills_in("invoice-review", verdict="read", total="2781.89", net="2261.70", currency="EUR")
        assert await ap.ending() == Ending("posted")
    assert numbers(erp) == ["MF3929345"]


async def test_a_paper_stays_with_its_reader_until_nothing_is_missing(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("meridian-unclear.pdf")
        await ap.fills_in("invoice-review", verdict="read", total="2781.89", net="2261.70")
        assert ap.shown("invoice-review")["doubts"] == ["currency is missing"]
        await ap.fills_in("invoice-review", verdict="read", currency="EUR")
        assert await ap.ending() == Ending("posted")
    assert numbers(erp) == ["MF3929345"]


async def test_an_unknown_vendor_is_set_up_and_the_case_goes_on(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("quayside-lunch.pdf")
        assert ap.owner("vendor-set-up") == "vendor-master-data"
        shown = ap.shown("vendor-set-up")
        assert (shown["vendor"], shown["record"], shown["page"]["vendor"]) == ("Quayside Catering Ltd", None, 1)
        await ap.fills_in("vendor-set-up", verdict="use", vendor_id="V-2001")
        assert await ap.ending() == Ending("queued", "vendor-set-up")
        erp.add_vendor(
            id="V-2001", name="Quayside Catering Ltd", vat="", iban="", status="active", cost_centre="4200",
            country="GB", currency="GBP",
        )  # fmt: skip
        await ap.fills_in("vendor-set-up", verdict="use", vendor_id="V-2001")
        assert ap.shown("missing-po")["record"]["id"] == "V-2001"


async def test_a_blocked_vendor_and_new_bank_details_stop_the_case_with_their_reason(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("tyrol-kran.pdf")
        assert ap.shown("vendor-set-up")["record"]["problem"] == "vendor V-1014 is blocked by purchasing"
        await ap.fills_in("vendor-set-up", verdict="reject", comment="blocked since the crane accident")
        await ap.arrives("colombo-iban-nuovo.pdf")
        problem = ap.shown("vendor-set-up")["record"]["problem"]
        assert problem.startswith("the invoice asks to pay IT96 … 2854, and the master data of V-1005 say")
        assert problem.endswith(": confirm by telephone")
        await ap.fills_in("vendor-set-up", verdict="use", vendor_id="V-1005")
        assert (await ap.endings())["colombo-iban-nuovo.pdf"] == Ending("posted")
    assert numbers(erp) == ["484/2026"]


async def test_an_invoice_without_an_order_goes_on_when_purchasing_finds_it(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("cascade-po-unknown.pdf")
        assert ap.owner("missing-po") == "purchasing"
        shown = ap.shown("missing-po")
        assert (shown["invoice"]["po_number"], shown["record"]["id"]) == ("PO-045479", "V-1008")
        await ap.fills_in("missing-po", verdict="found", po_number="PO-000000")
        assert await ap.ending() == Ending("queued", "missing-po")
        await ap.fills_in("missing-po", verdict="found", po_number="PO-045445")
        await ap.fills_in("coding", verdict="coded", lines=codes(ap))
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
        (line,) = ap.shown("coding")["lines"]
        assert (line["description"], line["amount"]) == ("Divers et frais selon accord", "89.66")
        await ap.fills_in("coding", verdict="coded", lines=[{"description": "something else", "cost_centre": "4200"}])
        assert ap.shown("coding")["problem"] == "these lines still have no cost centre"
        await ap.fills_in("coding", verdict="coded", lines=codes(ap))
        assert await ap.ending() == Ending("posted")
    with erp.transaction() as db:
        assert db.execute("SELECT count(*) FROM invoice_lines WHERE cost_centre = ''").fetchone()[0] == 0


async def test_a_mismatch_is_shown_in_words_and_purchasing_may_accept_or_reject_it(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("brandt-preis.pdf")
        assert ap.owner("mismatch") == "purchasing"
        shown = ap.shown("mismatch")
        assert shown["off"][0] == "Getriebeöl CLP 220, 20 l: unit price 12.0 % above the order"
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
            await ap.fills_in("missing-po", verdict="found", po_numbr="PO-045071")
        assert await ap.ending() == Ending("queued", "missing-po")


@pytest.mark.parametrize(
    ("invoice", "queue"),
    [
        ("x-password.pdf", "unreadable"),
        ("meridian-unclear.pdf", "invoice-review"),
        ("quayside-lunch.pdf", "vendor-set-up"),
        ("hawthorne-0324.pdf", "missing-po"),
        ("lumiere-divers.pdf", "coding"),
    ],
)
async def test_an_empty_form_is_refused_and_names_the_verdict_that_it_lacks(
    invoice: str, queue: str, home: Path, erp: Erp
) -> None:
    async with office(home) as ap:
        await ap.arrives(invoice)
        item = ap.item(queue)
        with pytest.raises(InvalidInput, match="verdict"):
            await ap.fills_in(queue)
        assert ap.item(queue) == item


async def test_a_task_that_comes_back_says_why(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("quayside-lunch.pdf")
        assert ap.shown("vendor-set-up")["problem"] == "the master data do not know Quayside Catering Ltd"
        await ap.fills_in("vendor-set-up", verdict="use")
        assert ap.shown("vendor-set-up")["problem"] == "no vendor was named"
        await ap.fills_in("vendor-set-up", verdict="use", vendor_id="V-1014")
        assert ap.shown("vendor-set-up")["problem"] == "vendor V-1014 is blocked by purchasing"
        await ap.fills_in("vendor-set-up", verdict="use", vendor_id="V-1002")
        assert ap.shown("missing-po")["problem"].endswith("has no order PO-045700")
        await ap.fills_in("missing-po", verdict="found")
        assert ap.shown("missing-po")["problem"] == "no order was named"


# --- duplicates -----------------------------------------------------------------------------------------


async def test_the_second_of_two_is_a_duplicate(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("vandermeer-week-10.pdf", "vandermeer-week-10_opnieuw.pdf")
        assert ap.owner("possible-duplicate") == "ap-clerks"
        shown = ap.shown("possible-duplicate")
        assert shown["document"]["name"] == "vandermeer-week-10_opnieuw.pdf"
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
        await ap.arrives("brandt-januar.pdf", COPY)
        assert len(ap.it.client.runs(workflow="process_invoice")) == 1
    assert numbers(erp) == ["RE-2026-6822"]


# --- approval of large totals ---------------------------------------------------------------------------


async def test_a_total_above_the_threshold_is_posted_when_the_approvers_agree(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        run = await ap.arrives("brandt-anlage.pdf")
        assert await ap.ending() == Ending("waiting", "ap-approvers")
        assert ap.owner("ap-approvers") == "head-of-finance"
        shown = ap.shown("ap-approvers")
        assert (shown["total"], shown["euro"], shown["page"]["total"]) == ("79756.51 EUR", "79756.51", 1)
        assert numbers(erp) == []
        await ap.approves("ap-approvers", by="paula")
        assert await ap.ending() == Ending("posted")
        (decided,) = ap.it.events(run, "approval_decided")
        assert (decided.by, decided.verdict) == ("paula", "approved")
    assert numbers(erp) == ["RE-2026-5192"]


async def test_a_total_that_the_approvers_reject_is_never_posted(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        run = await ap.arrives("cascade-licences.pdf")
        await ap.rejects("ap-approvers", by="paula", reason="not ordered by us")
        assert (await ap.it.result(run))["reason"] == "not ordered by us"
        assert ap.it.client.inbox() == []
    assert numbers(erp) == []


async def test_nobody_approves_the_invoice_that_they_handed_in(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        (ap.inbox.folder / "large.pdf").write_bytes((INVOICES / "brandt-anlage.pdf").read_bytes())
        while ap.inbox.look():
            pass
        (document,) = ap.inbox.waiting()
        await ap.it.start(process_invoice, document=document, by="paula")
        with pytest.raises(NotAllowed, match="paula"):
            await ap.approves("ap-approvers", by="paula")
        assert numbers(erp) == []
        await ap.approves("ap-approvers", by="rolf")
        with pytest.raises(NotAllowed, match="paula"):
            await ap.approves("treasury", by="paula")
    assert numbers(erp) == ["RE-2026-5192"]
    assert payments(erp) == []


# --- an ERP that fails ----------------------------------------------------------------------------------


async def test_a_short_outage_is_sat_out(home: Path, erp: Erp) -> None:
    erp.fail("create_invoice", times=3)
    async with office(home) as ap:
        run = await ap.arrives("brandt-januar.pdf")
        assert len(ap.it.events(run, "attempt_failed", action="create_invoice")) == 3
        assert await ap.ending() == Ending("posted")
    assert numbers(erp) == ["RE-2026-6822"]
    assert erp.alerts() == []


async def test_a_long_outage_is_told_to_it_and_the_backlog_is_posted_once_when_it_is_over(home: Path, erp: Erp) -> None:
    erp.fail("create_invoice", times=-1, message="503 ledger is not reachable")
    async with office(home) as ap:
        run = await ap.arrives("brandt-januar.pdf", "lumiere-mars.pdf")
        assert set((await ap.endings()).values()) == {Ending("queued", "manual-backlog")}
        assert ap.owner("manual-backlog") == "it-service"
        assert len(ap.it.events(run, "attempt_failed", action="create_invoice")) == 5
        told = [(alert["recipient"], alert["subject"]) for alert in erp.alerts()]
        assert ("it-service@nordkai.example", "invoice FA2026/2765 of Papeterie Lumière SARL cannot be posted") in told
        assert len(told) == 2
        assert await ap.it.client.retry("queue:manual-backlog", by="ines") == 2
        await ap.passes(OUTAGE)
        assert numbers(erp) == []
        erp.heal()
        assert await ap.it.client.retry("queue:manual-backlog", by="ines") == 2
        await ap.passes(OUTAGE)
        assert set((await ap.endings()).values()) == {Ending("posted")}
    assert sorted(numbers(erp)) == ["FA2026/2765", "RE-2026-6822"]
    assert erp.held_twice() == []


async def test_what_was_posted_by_hand_meanwhile_is_told_and_not_posted_again(home: Path, erp: Erp) -> None:
    erp.fail("create_invoice", times=-1)
    async with office(home) as ap:
        run = await ap.arrives("brandt-januar.pdf")
        item = ap.item("manual-backlog")
        await ap.it.client.settle(item, "happened", by="ines", result="ERP-000777", reason="posted by hand")
        await ap.it.settle()
        assert (await ap.it.result(run))["invoice_id"] == "ERP-000777"
    assert numbers(erp) == []


async def test_a_currency_without_a_rate_waits_until_somebody_adds_it(home: Path, erp: Erp) -> None:
    with erp.transaction() as db:
        db.execute("DELETE FROM rates WHERE currency = 'SEK'")
    async with office(home) as ap:
        run = await ap.arrives("norrland-verktyg.pdf")
        assert await ap.ending() == Ending("queued", "manual-backlog")
        (queued,) = ap.it.events(run, "call_queued")
        assert queued.fault.message == "currency 'SEK' has no rate: add it to the table of rates, then retry this call"
        with erp.transaction() as db:
            db.execute("INSERT INTO rates VALUES ('SEK', '0.088')")
        await ap.it.client.retry(run, by="ines")
        await ap.passes(OUTAGE)
        assert await ap.ending() == Ending("posted")


# --- payment --------------------------------------------------------------------------------------------


async def test_a_payment_is_held_for_the_treasury_approved_once_and_made_once(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("brandt-januar.pdf")
        (run,) = ap.it.client.runs(workflow="pay_invoice")
        assert ap.owner("treasury") == "treasurer"
        (held,) = ap.it.events(run.id, "approval_requested")
        assert held.args == {
            "invoice_id": "ERP-000002", "payee": "Brandt & Söhne Maschinenbau GmbH", "amount": "2914.89", "currency": "EUR",
        }  # fmt: skip
        assert payments(erp) == []
        item = ap.item("treasury")
        await ap.it.approve(item, by="theo")
        assert await ap.it.result(run.id) == {"status": "paid", "payment_id": "PAY-000001", "reason": ""}
        with pytest.raises(Conflict):
            await ap.it.approve(item, by="tilda")
        (intent,) = ap.it.events(run.id, "call_intended")
        (decided,) = ap.it.events(run.id, "approval_decided")
        assert (intent.approval, decided.digest) == (decided.command, held.digest)
    assert payments(erp) == [("2914.89", "EUR")]


async def test_a_payment_that_the_treasury_rejects_is_not_made(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("brandt-januar.pdf")
        (run,) = ap.it.client.runs(workflow="pay_invoice")
        await ap.rejects("treasury", by="theo", reason="paid by card")
        assert (await ap.it.result(run.id))["status"] == "not paid"
        assert "paid by card" in (await ap.it.result(run.id))["reason"]
        assert await ap.ending() == Ending("posted")
    assert payments(erp) == []


async def test_one_approval_pays_one_invoice(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("brandt-januar.pdf")
        first = ap.item("treasury")
        await ap.arrives("lumiere-mars.pdf")
        await ap.it.approve(first, by="theo")
        assert len(ap.it.client.inbox(queue="treasury")) == 1
    assert payments(erp) == [("2914.89", "EUR")]


# --- the log --------------------------------------------------------------------------------------------


async def test_the_log_tells_source_fields_branches_people_and_ids(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        run = await ap.arrives("brandt-anlage.pdf")
        await ap.approves("ap-approvers", by="paula")
        lines = ap.it.log(run)
        told = [(line.mark, line.text, dict(line.details)) for line in lines]

        def one(mark: str, text: str) -> dict[str, str]:
            (found,) = [details for kind, words, details in told if (kind, words) == (mark, text)]
            return found

        assert one("start", "process_invoice was started")["trigger"] == "file brandt-anlage.pdf"
        assert "number RE-2026-5192" in one("action", "read_document")["→"]
        assert one("decision", "Rule “needs approval” → yes")["because"] == (
            "euro > APPROVAL_FROM → yes (euro 79756.51, APPROVAL_FROM 10000)"
        )
        (answered,) = [line for line in lines if line.mark == "answered"]
        assert answered.by == "paula"
        assert one("action", "create_invoice")["→"] == "ERP-000002"
        assert "ERP-000002" in str(told[-1])


# --- private values -------------------------------------------------------------------------------------


async def test_no_bank_account_is_in_the_clear_in_any_file_of_the_engine(home: Path, erp: Erp) -> None:
    async with office(home) as ap:
        await ap.arrives("brandt-januar.pdf", "colombo-iban-nuovo.pdf", "lumiere-divers.pdf", "brandt-anlage.pdf")
        await ap.approves("ap-approvers", by="paula")
        assert ap.shown("vendor-set-up")["invoice"]["vendor_iban"].startswith("pii:")
        await ap.it.restart()
        await ap.fills_in("vendor-set-up", verdict="use", vendor_id="V-1005")
    with erp.transaction() as db:
        accounts = [row["iban"] for row in db.execute("SELECT iban FROM vendors WHERE iban <> ''")]
    files = [path for path in home.glob("*") if path.is_file() and not path.name.startswith("erp.db")]
    written = b"".join(path.read_bytes() for path in files)
    assert len(accounts) > 8
    assert {path.name for path in files} >= {"backstay.db", "inbox.db"}
    assert [account for account in [*accounts, NEW_ACCOUNT] if account.encode() in written] == []


# --- the whole folder -----------------------------------------------------------------------------------


async def test_every_file_ends_as_the_table_says_and_starting_again_changes_nothing(home: Path) -> None:
    set_up(home)
    names = [path.name for path in INVOICES.iterdir()]
    async with office(home) as ap:
        await ap.arrives(*names)
        first = await ap.endings()
        await ap.it.restart()
        await ap.arrives(*names)
        assert await ap.endings() == first == expected()
    shown = summary(first)
    assert shown["invoices"] == len(names) - 1  # one is a copy of another
    assert (shown["failed"], shown["moving"], shown["lost"]) == (0, 0, 0)
    books = Erp(home / "erp.db")
    assert books.held_twice() == []
    assert [alert["recipient"] for alert in books.alerts()] == ["it-service@nordkai.example"]


async def test_a_file_that_nobody_took_is_counted_as_lost_and_one_that_cannot_be_read_as_failed(home: Path) -> None:
    async with office(home) as ap:
        await ap.arrives("brandt-januar.pdf")
        (ap.inbox.folder / "late.pdf").write_bytes(b"%PDF-1.4 late")
        assert (await ap.endings())["late.pdf"] == Ending("lost")
        ap.inbox.problems["late.pdf"] = "'late.pdf' cannot be read"
        assert (await ap.endings())["late.pdf"] == Ending("failed")
        del ap.inbox.problems["late.pdf"]
        while ap.inbox.look():
            pass
        assert (await ap.endings())["late.pdf"] == Ending("lost")  # it arrived, and has no case yet
        await ap.arrives()
        assert (await ap.endings())["late.pdf"] == Ending("queued", "unreadable")
        (ap.inbox.folder / "late.pdf").write_bytes(b"%PDF-1.4 written over")
        assert summary(await ap.endings())["lost"] == 1
