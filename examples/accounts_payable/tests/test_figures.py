"""Amounts, dates and identifiers are read the same from every country's writing."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.accounts_payable.figures import (
    amount,
    currency,
    decimal_mark,
    first_date,
    iban_is_right,
    ibans,
    key,
)
from examples.accounts_payable.making.sellers import iban
from examples.accounts_payable.making.words import LABELS, day, figure

MARKS = {"comma-point": ".", "point-comma": ",", "space-comma": ",", "tick-point": "."}
cents = st.integers(-(10**11), 10**11).map(lambda number: Decimal(number) / 100)


@given(value=cents, style=st.sampled_from(sorted(MARKS)))
def test_an_amount_reads_as_it_was_written_in_every_style(value: Decimal, style: str) -> None:
    assert amount(figure(value, style), MARKS[style]) == value


@given(value=st.integers(0, 10**11))
def test_yen_have_no_cents_and_their_commas_group(value: int) -> None:
    assert amount(figure(Decimal(value), "comma-point", 0), "") == value


@given(
    value=st.dates(date(2001, 1, 1), date(2099, 12, 31)),
    style=st.sampled_from(["dots", "slashes", "iso", "hyphens", "long"]),
    language=st.sampled_from(sorted(LABELS)),
)  # fmt: skip
def test_a_date_reads_as_it_was_written_in_every_language(value: date, style: str, language: str) -> None:
    read = first_date(day(value, style, language))
    assert read is not None
    assert read[0] == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("€ 1.234,50", "1234.50"), ("1 234,50 €", "1234.50"), ("CHF 9'000.05", "9000.05"), ("(12,00)", "-12.00"),
     ("12,00-", "-12.00"), ("$1,374.00", "1374.00"), ("2,5", "2.5")],
)  # fmt: skip
def test_currencies_and_signs_around_an_amount_are_understood(text: str, value: str) -> None:
    mark = "," if "," in text and text.rindex(",") > text.rfind(".") else "."
    assert amount(text, mark) == Decimal(value)


@pytest.mark.parametrize("text", ["PO-45000", "12 pcs", "16.01.2026", "DE89", "", "19 %", "1.2.3"])
def test_what_is_no_amount_is_not_read_as_one(text: str) -> None:
    assert amount(text, ".") is None


def test_the_decimal_mark_is_what_most_amounts_use() -> None:
    assert decimal_mark(["1.234,50", "19,00", "3.14"]) == ","
    assert decimal_mark(["123,456", "7"]) == ""


def test_the_thirty_first_of_february_is_no_date() -> None:
    assert first_date("31.02.2026") is None


def test_an_american_date_has_the_month_first() -> None:
    assert first_date("03/04/2026", month_first=True) == (date(2026, 3, 4), 0.8, 10)


@given(
    account=st.from_regex(r"[A-Z]{4}[0-9]{14}", fullmatch=True),
    wrong=st.integers(1, 9),
    place=st.integers(4, 17),
)
def test_one_wrong_digit_in_an_iban_is_noticed(account: str, wrong: int, place: int) -> None:
    right = iban("GB", account)
    assert iban_is_right(right)
    digit = int(right[place + 4])
    spoiled = right[: place + 4] + str((digit + wrong) % 10) + right[place + 5 :]
    assert iban_is_right(spoiled) is (wrong == 10)


def test_an_iban_is_found_with_spaces_and_without() -> None:
    assert ibans("IBAN: DE89 3704 0044 0532 0130 00, BIC X") == ["DE89370400440532013000"]
    assert ibans("pay to DE89370400440532013001") == []


def test_the_currency_is_told_by_code_or_sign() -> None:
    assert [currency(text) for text in ("EUR 5", "5 £", "US$ 5", "5 zł", "ABC 5")] == [
        "EUR",
        "GBP",
        "USD",
        "PLN",
        "",
    ]


def test_names_are_compared_without_case_accents_and_punctuation() -> None:
    assert key("Müller & Söhne GmbH.") == key("MULLER SOHNE GMBH")
