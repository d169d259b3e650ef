"""Decision tables are proved before they decide."""

from decimal import Decimal
from enum import StrEnum

import pytest

from backstay.errors import WorkflowRefused
from backstay.language import DecisionTable


class Country(StrEnum):
    DE = "DE"
    FR = "FR"


approver = DecisionTable(
    "approver",
    inputs={"amount": "number", "country": Country, "known": "bool"},
    rows=[
        {"amount": "< 1000", "known": True, "then": "nobody"},
        {"amount": "1000..5000", "country": "DE", "then": "manager"},
        {"country": "not FR", "known": False, "then": "manager"},
        {"then": "board"},
    ],
)


@pytest.mark.parametrize(
    ("amount", "country", "known", "who"),
    [
        (Decimal("999.99"), Country.DE, True, "nobody"),
        (1000, "DE", True, "manager"),
        (5000, "DE", True, "manager"),
        (Decimal("5000.01"), "DE", True, "board"),
        (1, "FR", False, "board"),
        (1, Country.DE, False, "manager"),
    ],
)
def test_the_first_row_that_applies_decides(amount: Decimal, country: str, known: bool, who: str) -> None:
    assert approver(amount, country, known=known) == who


def test_a_collecting_table_gives_all_results_and_rows() -> None:
    checks = DecisionTable(
        "checks",
        inputs={"amount": "number", "text": "text"},
        hit="collect",
        rows=[{"amount": "> 10", "then": "big"}, {"text": ["a", "b"], "then": "named"}],
    )
    assert checks.decide(11, "a") == (["big", "named"], [1, 2])
    assert checks.decide(1, "z") == ([], [])


@pytest.mark.parametrize(
    ("rows", "code", "why"),
    [
        ([{"amount": "< 5", "then": 1}, {"amount": "> 5", "then": 2}], "B501", "no row applies to amount=5"),
        (
            [{"amount": "<= 5", "then": 1}, {"amount": ">= 5", "then": 2}],
            "B502",
            "rows 1 and 2 both apply to amount=5",
        ),
        ([{"then": 1}, {"amount": "> 5", "then": 2}], "B502", "both apply"),
        ([{"amount": "5 or so", "then": 1}], "B504", "is no condition on a number"),
        ([{"amout": "> 5", "then": 1}], "B504", "which is no input"),
        ([{"amount": "> 5"}], "B504", "has no `then`"),
    ],
)
def test_a_table_with_a_hole_or_a_contradiction_is_refused(rows: list[dict[str, object]], code: str, why: str) -> None:
    with pytest.raises(WorkflowRefused, match=why) as caught:
        DecisionTable("levels", inputs={"amount": "number"}, rows=rows, hit="unique")
    assert caught.value.diagnostics[0].code == code


def test_a_row_below_a_row_that_takes_everything_is_refused() -> None:
    with pytest.raises(WorkflowRefused, match="row 2 can never apply"):
        DecisionTable("levels", inputs={"amount": "number"}, rows=[{"then": 1}, {"amount": "> 5", "then": 2}])


def test_the_result_of_a_table_cannot_be_changed() -> None:
    table = DecisionTable("t", inputs={"x": "bool"}, rows=[{"then": {"a": [1]}}])
    with pytest.raises(TypeError):
        table(True)["a"] = 2
