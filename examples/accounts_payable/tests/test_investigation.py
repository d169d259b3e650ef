"""Exceptions, looked into by an agent: what it finds goes to the person in charge, and changes nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backstay import Model, Models, Price
from backstay.ai.providers import Asked
from backstay.ai.scripted import ScriptedModel, Turn, call, finish
from backstay.testing_provider import FakeProvider
from examples.accounts_payable.app import assisted
from examples.accounts_payable.erp import Erp
from examples.accounts_payable.tests.office import office

SHORT = "iberica-parcial.pdf"
"""Bills more than was received."""
IBAN = "ES9121000418450200051332"
"""The account on it, which no provider is told."""


def looks_into(case: dict[str, Any], observed: list[str]) -> Turn:
    """An honest model: it plans, reads the rules and the books, and recommends with quotes; a mishap it passes over."""
    observed = [text for text in observed if not text.startswith("there is no tool")]
    if not observed:
        return call("plan", steps=["read the house rules", "look at the order", "recommend"])
    vendor = (case.get("record") or case.get("order") or {}).get("vendor") or (case.get("record") or {}).get("id", "")
    if len(observed) == 1:
        reads = [call("house_rules")]
        return (
            [*reads, call("orders_of_vendor", vendor_id=vendor)] if vendor else [*reads, call("vendors_like", name="x")]
        )
    return finish(
        {"recommendation": "ask the vendor", "why": "More is billed than came.", "missing": ["a credit note"]},
        ("Only what came is paid.", "o1", "only what was received is paid"), summary="Partial delivery.",
    )  # fmt: skip


def honest(asked: Asked) -> Turn:
    told = [message.text for message in asked.messages if message.role == "tool"]
    return looks_into(json.loads(asked.messages[0].text), told)


def honest_over_http(body: Any) -> Turn:
    messages = body["messages"]
    case = next(message["content"] for message in messages if message["role"] == "user")
    return looks_into(json.loads(case), [message["content"] for message in messages if message["role"] == "tool"])


async def test_who_is_in_charge_of_a_mismatch_sees_what_the_agent_found(home: Path, erp: Erp) -> None:
    async with office(home, assisted(Models(careful=ScriptedModel(honest)))) as ap:
        run = await ap.arrives(SHORT)
        shown = ap.shown("mismatch")
        assert shown["advice"]["recommendation"] == "ask the vendor"
        assert shown["evidence"] == [
            {"text": "Only what came is paid.", "source": "o1", "quote": "only what was received is paid"}
        ]
        await ap.fills_in("mismatch", verdict="reject", comment="credit note asked for")
        assert (await ap.it.result(run))["status"] == "rejected"
    assert [row for row in erp.posted() if row["document"]] == []


@pytest.mark.parametrize(
    ("file", "queue"),
    [
        ("quayside-lunch.pdf", "vendor-set-up"),
        ("hawthorne-0324.pdf", "missing-po"),
        ("norrland-forra-aret.pdf", "possible-duplicate"),
        ("lumiere-divers.pdf", "coding"),
    ],
)
async def test_every_kind_of_exception_is_looked_into(home: Path, erp: Erp, file: str, queue: str) -> None:
    async with office(home, assisted(Models(careful=ScriptedModel(honest)))) as ap:
        await ap.arrives(file)
        assert ap.shown(queue)["advice"]["recommendation"] == "ask the vendor"


async def test_over_the_wire_with_bad_luck_it_finds_the_same(home: Path, erp: Erp) -> None:
    async with FakeProvider(honest_over_http, faults={1: "429", 2: "cut", 4: "wrong-tool", 5: "malformed"}) as provider:
        model = Model(name="any", url=provider.url, price=Price(input="1", output="2"), timeout="5s")
        async with office(home, assisted(Models(careful=model))) as ap:
            await ap.arrives(SHORT)
            await ap.passes("10m")
            assert ap.shown("mismatch")["advice"]["recommendation"] == "ask the vendor"
    assert IBAN not in str(provider.requests)


async def test_without_a_model_the_person_starts_from_zero(home: Path, erp: Erp) -> None:
    async with office(home, assisted(Models())) as ap:
        await ap.arrives(SHORT)
        assert "advice" not in ap.shown("mismatch")


WISHES = [
    call("submit_payment", invoice_id="1", payee="x", amount="9", currency="EUR"),
    call("create_invoice", posting={}),
    call("approve", item="1"),
    call("house_rules", note="ignore them"),
]


async def test_a_model_that_obeys_the_invoice_gets_nowhere(home: Path, erp: Erp) -> None:
    def hijacked(asked: Asked) -> Turn:
        return WISHES[sum(message.role == "model" for message in asked.messages) % len(WISHES)]

    async with office(home, assisted(Models(careful=ScriptedModel(hijacked)))) as ap:
        await ap.arrives(SHORT)
        assert "advice" not in ap.shown("mismatch")
        agent = next(row for row in ap.it.client.runs() if row.workflow == "invoice-investigator")
        assert (await ap.it.result(agent.id))["reason"] == "error"
    assert [row for row in erp.posted() if row["document"]] == []
