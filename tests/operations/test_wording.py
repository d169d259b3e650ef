"""Values and conditions in words."""

from __future__ import annotations

import pytest

from backstay.operations.wording import condition, lasting, pairs, plain, verdict


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("order is None or order.total != invoice.total", "order is missing or order.total is not invoice.total"),
        ("vendor is not None", "vendor is present"),
        ('unreadable == ""', "unreadable is empty"),
        ("len(lines) > 0", "lines has entries"),
        ("total >= LIMIT", "total ≥ LIMIT"),
    ],
)
def test_a_condition_is_said_in_words(source: str, words: str) -> None:
    assert condition(source) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "yes"),
        ({"vendor": "Acme", "total": "12.50", "note": ""}, "vendor Acme, total 12.50"),
        (["a", {"b": 1}], "a, (b 1)"),
        (
            "Order(number='7', total=Decimal('9.00'), due=datetime.date(2026, 1, 7))",
            "number 7, total 9.00, due 2026-01-07",
        ),
        ("[]", "none"),
        ("pii:24192d05397125379fb0", "pii:24192d05"),
        ("f" * 64, "ffffffff…"),
    ],
)
def test_a_value_is_said_on_one_line(value: object, text: str) -> None:
    assert plain(value) == text


def test_a_long_value_is_cut() -> None:
    assert len(plain("word " * 100)) <= 150
    assert plain("word " * 100).endswith("…")


def test_an_object_is_told_field_by_field() -> None:
    assert pairs({"vendor": "Acme", "lines": [], "total": 3}) == [("vendor", "Acme"), ("total", "3")]
    assert pairs("text") == [("", "text")]
    assert pairs(None) == []


def test_verdicts_and_spans() -> None:
    assert (verdict(True), verdict("False"), verdict("retry")) == ("yes", "no", "retry")
    assert lasting(0.4) == "less than a second"
    assert lasting(3_700) == "1 h 1 min"
    assert lasting(90_000, 1) == "1 d"
