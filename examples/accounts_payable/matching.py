"""Holds invoice lines against order lines and receipts. Pure; what counts as too much, the rules decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from difflib import SequenceMatcher

from examples.accounts_payable.figures import key, plain
from examples.accounts_payable.models import Invoice, Line, LineMatch, Match, Order, OrderLine

ALIKE = 0.88
"""How similar two descriptions must be to mean the same goods."""


def match_lines(invoice: Invoice, order: Order, cost_centres: Mapping[str, str]) -> Match:
    """The three-way match: each invoice line with its order line, if one and only one fits."""
    open_lines = list(order.lines)
    matches: list[LineMatch] = []
    for line in invoice.lines:
        fitting = _fitting(line, open_lines)
        if len(fitting) == 1:
            matches.append(_against(line, fitting[0]))
            open_lines.remove(fitting[0])
        else:
            matches.append(
                LineMatch(
                    description=line.description, amount=line.amount, quantity=line.quantity or Decimal(1),
                    cost_centre=_mapped(line.description, cost_centres),
                )
            )  # fmt: skip
    stated = invoice.net if invoice.net is not None else invoice.total
    summed = sum((line.amount for line in invoice.lines), Decimal(0))
    head = []
    if invoice.currency != order.currency:
        head.append(f"the invoice is in {invoice.currency}, order {order.number} in {order.currency}")
    if not invoice.lines:
        head.append("the invoice has no lines that could be matched")
    return Match(lines=matches, net_off=(stated or Decimal(0)) - summed, head=head)


def _fitting(line: Line, open_lines: Sequence[OrderLine]) -> list[OrderLine]:
    """Order lines that this line may mean, narrowed by item code, then by equal words, then by words much alike."""
    words = plain(line.description)
    by_item = [other for other in open_lines if line.item and key(other.item) == key(line.item)]
    among = by_item or open_lines
    by_words = [other for other in among if key(other.description) == key(line.description)]
    alike = [other for other in among if SequenceMatcher(None, words, plain(other.description)).ratio() >= ALIKE]
    fitting = by_words or (by_item if len(by_item) == 1 else alike)
    same = {(other.cost_centre, other.price) for other in fitting}
    return fitting[:1] if len(same) == 1 else fitting  # the same goods ordered twice: either line will do


def _against(line: Line, other: OrderLine) -> LineMatch:
    quantity = line.quantity if line.quantity is not None else Decimal(1)
    price = line.price if line.price is not None else line.amount / (quantity or Decimal(1))
    off = (price - other.price) / other.price if other.price else Decimal(0)
    return LineMatch(
        description=line.description, amount=line.amount, quantity=quantity, order_line=other.line,
        cost_centre=other.cost_centre, price_off=round(off, 4),
        over_received=max(quantity - (other.received - other.invoiced), Decimal(0)),
    )  # fmt: skip


def _mapped(description: str, cost_centres: Mapping[str, str]) -> str:
    """The cost centre that the mapping's words agree on; empty when there is none, or more than one."""
    named = {centre for word, centre in cost_centres.items() if word in plain(description)}
    return named.pop() if len(named) == 1 else ""
