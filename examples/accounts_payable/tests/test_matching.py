"""The three-way match and the rules that judge it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from examples.accounts_payable.matching import match_lines
from examples.accounts_payable.models import Invoice, Line, LineMatch, Match, Order, OrderLine
from examples.accounts_payable.rules import (
    PRICE_TOLERANCE,
    mismatches,
    needs_approval,
    price_is_off,
    uncoded_lines,
)

D = Decimal


def order(*lines: OrderLine) -> Order:
    return Order(number="PO-1", vendor="V-1", currency="EUR", lines=list(lines))


def ordered(line: int = 1, description: str = "Bolts M8", item: str = "B1", **changes: Any) -> OrderLine:
    values = {
        "ordered": D(10),
        "price": D(20),
        "received": D(10),
        "invoiced": D(0),
        "cost_centre": "4100",
        **changes,
    }
    return OrderLine(line=line, item=item, description=description, **values)


def invoice(*lines: Line, net: Decimal | None = None) -> Invoice:
    net = net if net is not None else sum((line.amount for line in lines), D(0))
    return Invoice(currency="EUR", net=net, total=net, lines=list(lines))


def billed(description: str = "Bolts M8", quantity: int = 10, price: str = "20", item: str = "") -> Line:
    return Line(description=description, quantity=D(quantity), price=D(price), amount=quantity * D(price), item=item)


def test_what_agrees_is_no_mismatch() -> None:
    match = match_lines(invoice(billed()), order(ordered()), {})
    assert (mismatches(match), uncoded_lines(match)) == ([], [])
    assert match.lines[0].cost_centre == "4100"


def test_a_line_is_found_by_its_item_code_whatever_its_words() -> None:
    match = match_lines(invoice(billed("Schrauben", item="b-1")), order(ordered(), ordered(2, "Schraube", "B2")), {})
    assert match.lines[0].order_line == 1


def test_a_misspelled_description_is_still_the_same_goods() -> None:
    match = match_lines(
        invoice(billed("Hydraulikschlauch DN12, 2m")), order(ordered(1, "Hydraulikschlauch DN 12, 2 m")), {}
    )
    assert match.lines[0].order_line == 1


def test_a_line_that_two_order_lines_fit_differently_is_nobodys_until_a_person_codes_it() -> None:
    two = order(ordered(1, cost_centre="4100"), ordered(2, cost_centre="4200"))
    assert uncoded_lines(match_lines(invoice(billed()), two, {})) == [
        LineMatch(description="Bolts M8", amount=D(200), quantity=D(10)),
    ]


def test_freight_is_coded_by_the_mapping_and_divers_is_not() -> None:
    lines = (Line(description="Freight to Hamburg", amount=D(50)), Line(description="Divers", amount=D(9)))
    match = match_lines(invoice(*lines), order(ordered()), {"freight": "4500"})
    assert [line.description for line in uncoded_lines(match)] == ["Divers"]


def test_more_than_was_received_is_a_mismatch() -> None:
    match = match_lines(invoice(billed()), order(ordered(received=D(10), invoiced=D(4))), {})
    assert mismatches(match) == ["Bolts M8: 4 more than was received"]


def test_lines_that_do_not_make_the_net_total_are_a_mismatch() -> None:
    match = match_lines(invoice(billed(), net=D(210)), order(ordered()), {})
    assert mismatches(match) == ["the lines are 10 away from the net total"]


def test_an_invoice_without_lines_or_in_another_currency_never_matches() -> None:
    empty = Invoice(currency="USD", total=D(100))
    assert mismatches(match_lines(empty, order(ordered()), {})) == [
        "the invoice is in USD, order PO-1 in EUR",
        "the invoice has no lines that could be matched",
        "the lines are 100 away from the net total",
    ]


@pytest.mark.parametrize(
    ("amount", "off", "verdict"),
    [
        ("100", "0.05", False),
        ("100", "0.051", True),
        ("100.01", "0.031", True),
        ("1000", "0.03", False),
        ("5000", "0.021", True),
    ],
)
def test_small_lines_may_be_off_by_more_than_large_ones(amount: str, off: str, verdict: bool) -> None:
    line = LineMatch(description="x", amount=D(amount), order_line=1, price_off=D(off))
    assert price_is_off(line) is verdict


def test_the_tolerance_table_covers_every_amount() -> None:
    assert [PRICE_TOLERANCE(D(amount)) for amount in (-5, 100, 101, 1000, 10**9)] == [500, 500, 300, 300, 200]


def test_a_mismatch_names_the_line_and_the_price() -> None:
    line = LineMatch(description="Bolts", amount=D(200), order_line=1, price_off=D("0.125"))
    assert mismatches(Match(lines=[line], net_off=D(0))) == ["Bolts: unit price 12.5 % above the order"]


def test_approval_begins_above_ten_thousand_euro() -> None:
    assert [needs_approval(D(euro)) for euro in ("10000", "10000.01")] == [False, True]
