"""Short typed papers: whose name it is, what is no part of a value, and when nobody can be sure."""

from __future__ import annotations

import hashlib
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, create_model

from backstay import App, task, workflow
from backstay.ai.documents.model import Document
from backstay.ai.extraction import Extraction, Extractor, Learned
from backstay.ai.extraction.extractor import UNRECOGNISED
from backstay.testing import Harness, harness

ORDER = """{sender}
1 High Street
London

Purchase Order
Order reference: PO-{number}
{customer}

Total USD 135.00
"""


def typed(text: str) -> Document:
    return Document(
        name="a.txt",
        media_type="text/plain",
        digest=hashlib.sha256(text.encode()).hexdigest(),
        size=len(text),
        text=text,
    )


def order(customer: str, number: int = 7788, sender: str = "ACME Ltd") -> Document:
    return typed(ORDER.format(sender=sender, number=number, customer=customer))


def read(document: Document | str, target: float = 0.9, **fields: Any) -> Extraction[Any]:
    model = create_model("Asked", **{name: (kind, ...) for name, kind in fields.items()})
    return Extractor("asked", model, target=target).read(typed(document) if isinstance(document, str) else document)


# --- the other party ------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["customer", "buyer", "client", "recipient", "customer_name", "bill_to"])
@pytest.mark.parametrize("sender", ["ACME Ltd", "Our new order"])
def test_a_name_beside_its_label_is_the_other_party_also_without_a_legal_form(field: str, sender: str) -> None:
    assert (
        read(order("Customer: Blue Door Cafe", sender=sender), **{field: str}).fields[field].value == "Blue Door Cafe"
    )


def test_who_stands_first_is_the_sender_and_not_the_other_party() -> None:
    both = read(order("Customer: Blue Door Cafe"), vendor=str, customer=str)
    assert (both.fields["vendor"].value, both.fields["customer"].value) == ("ACME Ltd", "Blue Door Cafe")
    nobody = read(order("Please deliver soon"), customer=str)
    assert nobody.fields["customer"].value != "ACME Ltd"
    assert not nobody.sure


def test_a_name_that_no_label_gives_to_the_other_party_is_not_sure() -> None:
    answer = read(order("We thank you\n\nTarn & Fell Limited"), customer=str)
    assert not answer.fields["customer"].sure
    assert not answer.sure


def test_whom_it_is_billed_and_whom_it_is_sent_to_are_a_conflict() -> None:
    parties = "Bill to:                    Ship to:\nBlue Door Cafe              Red Lion\n5 Mill Lane                 9 Dock Road"
    answer = read(order(parties), customer=str)
    assert answer.fields["customer"].value == "Blue Door Cafe"
    assert not answer.sure


def test_a_labelled_name_that_was_passed_over_is_a_doubt() -> None:
    answer = read(order("Supplier: Blue Door Cafe"), vendor=str)
    assert answer.fields["vendor"].value == "Blue Door Cafe" or not answer.sure


@pytest.mark.parametrize(
    "line",
    [
        "Customer: Blue Door Cafe Ltd", "Customer:Blue Door Cafe Ltd", "Customer : Blue Door Cafe Ltd", "Customer Blue Door Cafe Ltd",
        "Customer:   Blue Door Cafe Ltd", "Customer:\nBlue Door Cafe Ltd", "Customer: Blue Door Cafe Ltd Terms: none",
    ],
)  # fmt: skip
def test_a_label_is_never_part_of_the_value(line: str) -> None:
    assert str(read(order(line), customer=str).fields["customer"].value).startswith("Blue Door Cafe Ltd")


def test_a_name_with_a_labels_word_in_it_stays_whole() -> None:
    assert read(order("Customer: Blue Door Store"), customer=str).fields["customer"].value == "Blue Door Store"
    assert read(order("-", sender="Client Solutions Ltd"), vendor=str).fields["vendor"].value == "Client Solutions Ltd"


# --- sure agrees with the confidence beside it ----------------------------------------------------------


LETTER = """Hello team,

my policy number is PX-99120-3 and my phone 0113 496 0000.
The damage happened on 3 March 2026 and I reported it on 5 March 2026.
The repair cost 450.00 GBP and I paid 100.00 GBP excess.
"""


@pytest.mark.parametrize("target", [0.6, 0.8, 0.9, 0.95, 0.99])
def test_what_is_sure_is_at_least_as_likely_as_is_asked(target: float) -> None:
    answer = read(LETTER, target, policy_number=str, phone=str, damage_date=date, repair_cost=Decimal)
    for each in answer.fields.values():
        assert not each.sure or each.confidence >= target
        assert each.sure or each.why


class Line(BaseModel):
    description: str
    quantity: Decimal
    price: Decimal
    amount: Decimal


def test_lines_are_sure_where_their_arithmetic_is() -> None:
    goods = "Qty   Description            Unit price    Amount\n2     Bolts                  4.00          8.00\n3     Nuts                   1.00          3.00\n"
    found = read(goods, lines=list[Line]).fields["lines"]
    assert (found.confidence, found.sure) == (1.0, True)


@pytest.mark.parametrize(
    ("text", "field", "kind"),
    [
        ("Total: 100.00 EUR\nTotal: 200.00 EUR\n", "total", Decimal),
        ("Total: 200.00 EUR\nTotal: 100.00 EUR\n", "total", Decimal),
        ("Invoice number: 17-A\nInvoice number: 18-B\n", "number", str),
        ("Invoice date: 3 March 2026\nInvoice date: 5 March 2026\n", "issued", date),
        ("Customer: Blue Door Cafe Ltd\nCustomer: Red Lion Ltd\n", "customer", str),
    ],
)
def test_two_values_beside_equally_good_labels_are_a_conflict(text: str, field: str, kind: type) -> None:
    answer = read(text, **{field: kind})
    assert not answer.fields[field].sure
    assert answer.fields[field].confidence <= 0.5
    assert not answer.sure
    assert any(problem.startswith(f"{field}: another value") for problem in answer.problems)


def test_one_value_said_twice_is_no_conflict() -> None:
    answer = read(
        "Invoice number: 17-A\nTotal: 100.00 EUR\n\nInvoice number: 17-A\nTotal: 100.00 EUR\n",
        number=str,
        total=Decimal,
    )
    assert answer.problems == []


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("", False),
        ("Total 120.00 EUR", False),
        ("Due date 25/04/2026", True),
        ("Leeds LS1 4AP", True),
        ("Total $120.00", True),
        ("Leeds LS1 4AP\nTotal $120.00", False),
    ],
)
def test_a_date_in_two_orders_is_sure_only_where_something_says_which(more: str, told: bool) -> None:
    answer = read(f"Invoice number 17\nInvoice date 03/04/2026\n{more}\n", issued=date)
    assert answer.fields["issued"].sure is told
    assert ("two orders" in answer.fields["issued"].why) is not told
    assert any("two orders" in problem for problem in answer.problems) is not told


# --- corrections ----------------------------------------------------------------------------------------


class Order(BaseModel):
    customer: str
    reference: str


class Sent(Order):
    vendor: str


orders, sent = Extractor("orders", Order), Extractor("sent", Sent)
extract_orders, learn_orders = orders.extract, orders.learn
extract_sent, learn_sent = sent.extract, sent.learn


@workflow
async def read_orders(document: dict):
    return await extract_orders(document)


@workflow
async def correct_orders(document: dict):
    return await learn_orders(document, await task("review", form=Order))


@workflow
async def read_sent(document: dict):
    return await extract_sent(document)


@workflow
async def correct_sent(document: dict):
    return await learn_sent(document, await task("review", form=Sent))


app = App("desk", workflows=[read_orders, correct_orders, read_sent, correct_sent], suppliers=[orders, sent])


async def correct(it: Harness, work: Any, document: Document, right: BaseModel) -> Learned:
    run = await it.start(work, document=document.model_dump(mode="json"))
    await it.complete(run, right.model_dump(mode="json"), by="maria")
    return Learned.model_validate(await it.result(run))


async def test_a_remembered_place_gives_the_value_without_its_label() -> None:
    async with harness(app) as it:
        right = Sent(vendor="ACME Ltd", customer="Blue Door Cafe", reference="PO-1")
        await correct(it, correct_sent, order("Customer: Blue Door Cafe", 1), right)
        run = await it.start(read_sent, document=order("Customer: Red Lion", 2).model_dump(mode="json"))
        found = (await it.result(run))["fields"]["customer"]
        assert found["value"] == "Red Lion"
        assert "earlier papers" in found["why"]


async def test_a_sender_is_known_by_its_paper_where_the_model_does_not_ask() -> None:
    async with harness(app) as it:
        right = Order(customer="Blue Door Cafe", reference="PO-1")
        learned = await correct(it, correct_orders, order("Customer: Blue Door Cafe", 1), right)
        assert (learned.vendor, learned.why) == ("ACME Ltd", "")
        assert "customer" in learned.places
        run = await it.start(read_orders, document=order("Customer: Red Lion", 2).model_dump(mode="json"))
        assert (await it.result(run))["vendor"] == "ACME Ltd"


async def test_a_tax_number_alone_says_whose_paper_it_is() -> None:
    async with harness(app) as it:
        paper = order("Customer: Blue Door Cafe", 1, sender="Order form\nVAT DE136695976")
        right = Order(customer="Blue Door Cafe", reference="PO-1")
        assert (await correct(it, correct_orders, paper, right)).vendor == "DE136695976"


async def test_the_customers_tax_number_is_not_the_senders() -> None:
    async with harness(app) as it:
        paper = order("Customer: Blue Door Cafe\nVAT DE136695976", 1, sender="Order form")
        right = Order(customer="Blue Door Cafe", reference="PO-1")
        assert (await correct(it, correct_orders, paper, right)).vendor == ""


async def test_a_paper_of_nobody_teaches_no_places_and_says_so() -> None:
    async with harness(app) as it:
        right = Order(customer="Blue Door Cafe", reference="PO-1")
        learned = await correct(it, correct_orders, order("Customer: Blue Door Cafe", 1, sender="Order form"), right)
        assert (learned.vendor, learned.places, learned.why) == ("", [], UNRECOGNISED)
