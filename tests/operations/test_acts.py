"""The audit record: one record per act, with who authorised it, under which rules and on what evidence."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import BaseModel

from backstay import App, IdempotencyKey, NotRetryable, Queue, Sensitive, action, approval, rule, start, workflow
from backstay.canonical import canonical, digest
from backstay.cli import entry, screen
from backstay.operations.acts import Act, acts
from backstay.operations.casefile import read_case
from backstay.operations.exports import FORMATS
from backstay.operations.tracing import spans_of
from backstay.store.database import Reader
from backstay.testing import harness

IBAN = "DE89370400440532013000"


class Invoice(BaseModel):
    vendor: str
    iban: Sensitive["pii"]
    amount: int


class Patient(BaseModel):
    number: Sensitive["subject"]
    name: Sensitive["pii"]


@action(effect="read")
async def look_up(vendor: str) -> str:
    return f"V-{vendor}"


@action(effect="irreversible", approvers="treasury")
async def pay(invoice: Invoice, key: IdempotencyKey) -> str:
    return f"T-{invoice.amount}"


@action(effect="write")
async def post(amount: int, key: IdempotencyKey) -> str:
    if amount > 900:
        raise NotRetryable("too much for the ledger")
    return f"B-{amount}"


@rule
def is_large(amount: int) -> bool:
    return amount > 500


@workflow
async def booking(amount: int) -> str:
    return await post(amount)


@workflow
async def paying(invoice: Invoice) -> str:
    vendor = await look_up(invoice.vendor)
    if is_large(invoice.amount):
        await approval("desk", show={"vendor": vendor, "amount": invoice.amount}, evidence=["scan 7"])
    await start(booking, invoice.amount, detached=True)
    return await pay(invoice)


@workflow
async def treat(patient: Patient) -> str:
    await approval("desk", show=patient)
    return patient.name


app = App(
    "acting", workflows=[paying, booking, treat],
    queues=[Queue(name="desk", owner="ops", members=("ann",)), Queue(name="treasury", owner="ops", members=("bea",))],
)  # fmt: skip


async def fill(home: Path, amount: int = 700) -> str:
    """A case of two runs: ann's substitute approves at the desk, bea lets the payment pass."""
    async with harness(app, home) as it:
        client = it.client
        await client.register("root", roles=["administrator"], by="root")
        for name in ("ann", "bea", "dan", "cid"):
            await client.register(name, roles=["approver", "operator", "author"], by="root")
        await client.register("crm", kind="service", acts_for="dan", by="root")
        await client.delegate("ann", "cid", until="2026-02-01T00:00:00Z", by="ann")
        invoice = {"vendor": "Brandt", "iban": IBAN, "amount": amount}
        run = await it.start(paying, by="crm", key="mail 1", invoice=invoice)
        await it.advance("90s")
        await it.approve(run, by="cid", reason="as ordered")
        await it.advance("2h")
        await it.approve(run, by="bea")
        assert it.status(run) == "finished"
    return run


def acts_of(home: Path, run: str) -> list[Act]:
    with closing(Reader(home / "backstay.db")) as reader:
        return acts(read_case(reader, run, tenant="backstay/1"))


@pytest.fixture
def found(home: Path) -> list[Act]:
    return acts_of(home, asyncio.run(fill(home)))


def of(found: list[Act], action: str, kind: str) -> Act:
    (act,) = [act for act in found if (act.action, act.kind) == (action, kind)]
    return act


def test_a_case_is_its_acts_in_order_of_commit(found: list[Act]) -> None:
    assert [(act.kind, act.action, act.by) for act in found] == [
        ("run_started", "", "crm"),
        ("call_returned", "look_up", ""),
        ("approval_decided", "", "cid"),
        ("call_returned", "post", ""),
        ("approval_decided", "pay", "bea"),
        ("call_returned", "pay", ""),
    ]
    assert {(act.case, act.initiator, act.started_by, act.trigger, act.tenant) for act in found} == {
        (found[0].run, "crm", "crm", "mail 1", "backstay/1")
    }
    assert {act.verdict for act in found if act.kind == "call_returned"} == {"allowed"}


def test_an_effect_says_who_authorised_it_on_what_and_under_which_rule(found: list[Act], home: Path) -> None:
    act = of(found, "pay", "call_returned")
    with closing(Reader(home / "backstay.db")) as reader:
        case = read_case(reader, act.run)
        records = {record.seq: record for record in case.runs[0].records}
        root = spans_of(reader, act.run)[0]
    intent = next(
        one.fields for one in records.values() if one.fields.get("action") == "pay" and one.kind == "call_intended"
    )
    assert (act.effect, act.outcome, act.result, act.attempt) == ("irreversible", "returned", "T-700", 1)
    assert (act.rule, act.policy, act.key) == (intent["rule"], app.policy.digest, intent["key"])
    assert act.interface == pay.interface_digest
    assert (act.approvers, act.approved, act.seconds_to_decide) == (["bea"], "approved", 7200.0)
    assert len(act.approval_hash) == 64
    assert act.labels == {"/invoice/iban": "pii"}
    assert act.arguments["invoice"]["iban"].startswith("pii:")
    assert act.arguments_digest == digest(intent["args"])
    assert act.trace == root.trace
    assert act.previous == records[act.seq - 1].hash.hex()
    assert act.hash == records[act.seq].hash.hex()
    assert IBAN not in canonical(act.arguments)


def test_a_read_names_its_rule_and_the_rule_table(found: list[Act]) -> None:
    act = of(found, "look_up", "call_returned")
    assert (act.effect, act.arguments, act.result) == ("read", {"vendor": "Brandt"}, "V-Brandt")
    assert (act.rule, act.policy) == ("baseline-reads", app.policy.digest)


def test_a_decision_names_in_whose_place_it_was_made_and_on_what_evidence(found: list[Act]) -> None:
    act = of(found, "", "approval_decided")
    assert (act.chain, act.verdict, act.reason, act.seconds_to_decide) == (
        ["cid", "ann"],
        "approved",
        "as ordered",
        90.0,
    )
    assert act.evidence == {"show": digest({"vendor": "V-Brandt", "amount": 700}), "evidence": digest(["scan 7"])}
    assert act.decided == ["is_large"]
    assert act.policy == app.policy.digest
    assert found[0].chain == ["crm", "dan"]


def test_a_call_that_failed_and_one_that_nothing_was_recorded_of_are_acts_too(home: Path) -> None:
    act = of(acts_of(home, asyncio.run(fill(home, amount=901))), "post", "call_failed")
    assert (act.outcome, act.reason, act.verdict) == ("failed", "too much for the ledger", "allowed")


async def test_what_was_erased_is_marked_in_every_reading(home: Path) -> None:
    async with harness(app, home) as it:
        run = await it.start(treat, patient={"number": "P-1", "name": "Wilhelmina Querfeldein"})
        await it.approve(run, by="ann")
        with closing(Reader(home / "backstay.db")) as reader:
            before = {name: write(read_case(reader, run)) for name, write in FORMATS.items()}
        await it.client.erase("P-1", by="dpo", reason="asked")
        with closing(Reader(home / "backstay.db")) as reader:
            after = {name: write(read_case(reader, run)) for name, write in FORMATS.items()}
    assert "pii:" in before["jsonl"] + before["csv"]
    for name, text in after.items():
        assert "pii:" not in text.replace("seal:pii:", ""), name
    assert "(erased)" in after["jsonl"]
    assert "(erased)" in after["csv"]


def test_the_acts_are_listed(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    run = asyncio.run(fill(home))
    screen.consoles.cache_clear()
    capsys.readouterr()
    assert entry.run(["audit", "show", run[-8:], "--home", str(home), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [act["kind"] for act in told][-1] == "call_returned"
    assert told[-1]["approvers"] == ["bea"]
    screen.consoles.cache_clear()
    assert entry.run(["audit", "show", run, "--home", str(home)]) == 0
    out = capsys.readouterr().out
    assert "cid for ann" in out
    assert "baseline-irreversible, bea" in out
    assert "6 act(s)" in out
