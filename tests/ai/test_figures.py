"""Amounts, dates and numbers with check digits are read as every country writes them, and as recognisers bend them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.ai.extraction.figures import (
    amount,
    amounts,
    currencies,
    dates,
    decimal_mark,
    emails,
    iban_is_right,
    ibans,
    key,
    mended,
    phones,
    vat_is_right,
    vat_numbers,
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [("€ 1.234,50", "1234.50"), ("1 234,50 €", "1234.50"), ("CHF 9'000.05", "9000.05"), ("12,00-", "-12.00"), ("$1,374.00", "1374.00"),
     ("RM12.30", "12.30"), ("12. 30", "12.30"), ("-5.00", "-5.00"), ("$ -5.00", "-5.00"), ("zł 7,90", "7.90")],
)  # fmt: skip
def test_an_amount_is_read_with_its_currency_and_sign(text: str, value: str) -> None:
    mark = "," if "," in text and text.rindex(",") > text.rfind(".") else "."
    assert amount(text, mark) == Decimal(value)


@pytest.mark.parametrize(
    "text", ["PO-45000", "16.01.2026", "DE89", "", "19 %", "1.2.3", "12:30", "#4711", "a@1.50.example"]
)
def test_what_is_no_amount_is_not_read_as_one(text: str) -> None:
    assert amount(text, ".") is None


@given(cents=st.integers(-(10**10), 10**10))
def test_an_amount_reads_as_it_was_written_whatever_the_marks(cents: int) -> None:
    value = Decimal(cents) / 100
    english = f"{value:,.2f}"
    assert amount(english, ".") == value
    assert amount(english.translate(str.maketrans(",.", ".,")), ",") == value
    assert amount(english.replace(",", " ").replace(".", ","), ",") == value


def test_the_amounts_of_a_row_come_with_their_places_and_currencies() -> None:
    text = "19 % MwSt auf 100,00 EUR  19,00"
    assert [(figure.value, text[slice(*figure.span)].strip(), figure.note) for figure in amounts(text, ",")] == [
        (Decimal("100.00"), "100,00 EUR", "EUR"), (Decimal("19.00"), "19,00", ""),
    ]  # fmt: skip


def test_the_decimal_mark_is_what_most_amounts_use() -> None:
    assert decimal_mark(["1.234,50", "19,00", "3.14"]) == ","
    assert decimal_mark(["123,456", "7"]) == ""


@pytest.mark.parametrize(
    ("text", "value"),
    [("25/12/2018 8:13:39 PM", (2018, 12, 25)), ("25-12-18", (2018, 12, 25)), ("2018-12-25", (2018, 12, 25)), ("25DEC2018", (2018, 12, 25)),
     ("Dec 25, 2018", (2018, 12, 25)), ("25.12.2018", (2018, 12, 25)), ("25/12/20188:13", (2018, 12, 25)), ("1er juillet 2026", (2026, 7, 1)),
     ("12 de marzo de 2026", (2026, 3, 12)), ("3. Juni 2026", (2026, 6, 3)), ("12 stycznia 2024", (2024, 1, 12)), ("4 gennaio 2023", (2023, 1, 4)),
     ("9 maart 2022", (2022, 3, 9)), ("20181225", (2018, 12, 25))],
)  # fmt: skip
def test_dates_of_many_countries_are_read(text: str, value: tuple[int, int, int]) -> None:
    assert dates(text)[0].value == date(*value)


def test_a_date_that_can_be_read_in_two_orders_is_there_twice_with_the_likelier_first() -> None:
    assert [(figure.value, figure.note) for figure in dates("03/04/2026")] == [
        (date(2026, 4, 3), "dmy"), (date(2026, 3, 4), "mdy"),
    ]  # fmt: skip
    assert dates("03/04/2026", month_first=True)[0].value == date(2026, 3, 4)


@pytest.mark.parametrize("text", ["31.02.2026", "Tel 03-1234567", "1.234.567,00", "99/99/2020"])
def test_what_is_no_date_is_not_read_as_one(text: str) -> None:
    assert dates(text) == []


@given(st.dates(date(1995, 1, 1), date(2089, 12, 31)))
def test_every_date_is_read_as_it_was_written(value: date) -> None:
    assert value in {figure.value for figure in dates(value.strftime("%d/%m/%Y"))}
    assert dates(value.isoformat())[0].value == value


@given(account=st.from_regex(r"[0-9]{18}", fullmatch=True), place=st.integers(4, 21), more=st.integers(1, 9))
def test_an_iban_with_one_wrong_digit_is_none(account: str, place: int, more: int) -> None:
    right = f"DE{98 - int(account + '131400') % 97:02}{account}"
    wrong = right[:place] + str((int(right[place]) + more) % 10) + right[place + 1 :]
    assert iban_is_right(right)
    assert not iban_is_right(wrong)
    assert [figure.value for figure in ibans(f"IBAN: {right[:4]} {right[4:8]} {right[8:]} BIC")] == [right]


def test_a_vat_number_is_surest_where_its_check_digit_is_right() -> None:
    assert vat_is_right("DE136695976")
    assert not vat_is_right("DE136695975")
    assert vat_is_right("PL5260001246")
    assert vat_is_right("IT00743110157")
    assert [(figure.value, figure.sure) for figure in vat_numbers("USt-IdNr. DE 136 695 976")] == [("DE136695976", 1.0)]


@pytest.mark.parametrize(
    ("read", "meant"),
    [("1O.5O", "10.50"), ("RMl2.3O", "RM12.30"), ("l2/O3/2O19", "12/03/2019"), ("$1,S50.00", "$1,550.00")],
)
def test_letters_in_a_recognised_figure_become_digits(read: str, meant: str) -> None:
    assert mended(read) == meant


@pytest.mark.parametrize("text", ["SOLD", "INV-2026-2931", "B5288/12", "Lot", "10.50", "S/O"])
def test_words_and_numbers_that_identify_stay_as_they_are(text: str) -> None:
    assert mended(text) == text


def test_currencies_addresses_and_telephones_are_found_in_running_text() -> None:
    assert [figure.value for figure in currencies("all in EUR, or US$ 5, 3 zł")] == ["EUR", "USD", "PLN"]
    assert [figure.value for figure in emails("write to info@kestrel.example.")] == ["info@kestrel.example"]
    assert [figure.value for figure in phones("Tel. +49 711 123456")] == ["+49 711 123456"]
    assert key("Söhne & Co. KG") == "sohnecokg"
