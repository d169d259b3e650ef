"""Records: compared with their vendor's profile and with all, and the reason stands in words."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from backstay.ai.anomalies.forest import Forest
from backstay.ai.anomalies.profiles import Profile
from backstay.ai.anomalies.records import Finding, Kind, RecordDetector
from backstay.errors import AuthorError, InvalidInput

FIELDS: Final[dict[str, Kind]] = {
    "number": "id", "vendor": "key", "amount": "amount", "currency": "unit", "iban": "account",
    "cost_center": "category", "at": "time",
}  # fmt: skip
detector = RecordDetector("payments", FIELDS)


def invoices(many: int, *, seed: int = 1) -> list[dict[str, Any]]:
    """Monthly invoices of eight vendors, in working hours; each has its size and account."""
    chance, found = random.Random(seed), list[dict[str, Any]]()
    at = datetime(2025, 1, 6, 9)
    for n in range(many):
        vendor = chance.randrange(8)
        at += timedelta(days=1 if at.weekday() < 4 else 3)
        found.append(
            {
                "number": f"R-{n}", "vendor": f"V-10{vendor}", "currency": "EUR", "iban": f"DE{vendor:04d}",
                "amount": f"{(100 * (vendor + 1)) * chance.lognormvariate(0, 0.15):.2f}", "cost_center": str(4000 + vendor % 2),
                "at": (at + timedelta(hours=chance.randrange(8), minutes=chance.randrange(60))).isoformat(),
            }
        )  # fmt: skip
    return found


class Books:
    """Profiles that have learned some invoices."""

    def __init__(self, many: int = 240) -> None:
        self.profiles = {"": Profile()}
        for record in invoices(many):
            self.learn(record)

    def of(self, vendor: str) -> Profile:
        return self.profiles.setdefault(vendor, Profile())

    def learn(self, record: dict[str, Any]) -> None:
        detector.learn(detector.read(record), self.of(str(record["vendor"])), self.profiles[""])

    def first(self, **changed: Any) -> Finding:
        """The least likely thing about an invoice like the others of V-103, but for what is changed."""
        record = {
            "number": "R-new", "vendor": "V-103", "currency": "EUR", "iban": "DE0003", "amount": 404.04,
            "cost_center": "4001", "at": "2026-03-03T10:30:00",
        } | changed  # fmt: skip
        return detector.findings(detector.read(record), self.of(str(record["vendor"])), self.profiles[""])[0]


books = Books()


def test_nothing_is_unusual_about_an_invoice_like_the_others() -> None:
    assert books.first().chance > 0.02


def test_an_amount_is_compared_with_the_vendors_own() -> None:
    found = books.first(amount=1170)
    assert (found.field, found.chance < 0.001) == ("amount", True)
    assert found.reason == "amount 1170.00 EUR is 3.1 times the usual 377.03 EUR of V-103 (37 records)"
    assert books.first(vendor="V-107", iban="DE0007", amount=800).chance > 0.02


def test_an_amount_of_nothing_is_no_fraction_of_the_usual() -> None:
    assert books.first(amount=0).reason == "amount 0.00 EUR is far below the usual 377.03 EUR of V-103 (37 records)"
    assert "is a 3.8th of the usual" in books.first(amount=100).reason


def test_a_new_account_of_a_known_vendor_is_told() -> None:
    found = books.first(iban="DE99 9999")
    assert (found.field, found.chance < 0.01) == ("iban", True)
    assert found.reason.startswith("first time that iban is DE999999 for V-103 (")


def test_an_account_that_another_vendor_uses_is_told() -> None:
    assert books.first(iban="DE0005").reason.startswith("iban is new for V-103 and was used by others (")


def test_spaces_and_case_make_no_new_account() -> None:
    assert books.first(iban="de 00 03").field != "iban"


def test_a_currency_that_the_vendor_never_used() -> None:
    assert books.first(currency="USD").reason.startswith("first time that currency is USD for V-103")


def test_three_in_the_night_and_on_a_sunday() -> None:
    assert "at 3 o'clock" in books.first(at="2026-03-03T03:10:00").reason
    assert "on a Sunday" in books.first(at="2026-03-01T10:30:00").reason


def test_a_date_without_a_time_is_no_midnight() -> None:
    assert "o'clock" not in books.first(at="2026-03-03").reason


def test_the_same_amount_again_may_be_a_double_unless_it_is_a_rent() -> None:
    fresh = Books()
    last = [record for record in invoices(240) if record["vendor"] == "V-103"][-1]
    again = fresh.first(amount=last["amount"], at=last["at"])
    assert again.reason == f"the same amount of V-103 as {last['number']}: it may be a double"
    at = datetime(2025, 1, 7, 10)
    for n in range(12):
        rent = {
            "number": f"rent-{n}",
            "vendor": "V-rent",
            "amount": 900,
            "iban": "DE77",
            "at": (at + timedelta(30 * n)).isoformat(),
        }
        fresh.learn(rent)
    assert fresh.first(vendor="V-rent", amount=900, iban="DE77", at="2026-01-02T10:00:00").field != "amount"


def test_an_unknown_vendor_is_compared_with_all_and_the_reason_says_so() -> None:
    found = books.first(vendor="V-new", iban="DE1", amount=90_000)
    assert found.field == "amount"
    assert "of all; of V-new there are only 0 yet" in found.reason


def test_without_any_records_there_is_nothing_to_say() -> None:
    read = detector.read({"number": "1", "vendor": "V", "amount": 5, "currency": "EUR"})
    assert detector.findings(read, Profile(), Profile()) == []


def test_a_profile_is_plain_json() -> None:
    state = books.of("V-103").state()
    assert Profile(**json.loads(json.dumps(state))) == books.of("V-103")


def test_what_does_not_fit_is_refused_by_its_field() -> None:
    with pytest.raises(InvalidInput, match=r"field 'amount' is no amount: 'much'"):
        detector.read({"number": "1", "vendor": "V", "amount": "much"})
    with pytest.raises(InvalidInput, match=r"field 'vendor' of the record is missing"):
        detector.read({"number": "1"})
    with pytest.raises(AuthorError, match=r"exactly one field must be of kind 'key', not 0"):
        RecordDetector("x", {"number": "id"})
    with pytest.raises(AuthorError, match=r"field 'a' has no kind 'money'"):
        RecordDetector("x", {"a": "money"})  # type: ignore[dict-item]


def test_a_forest_sees_that_many_fields_are_a_little_unusual_at_once() -> None:
    pytest.importorskip("sklearn")
    names = [f"x{n}" for n in range(6)]
    chance = random.Random(3)
    forest = Forest("plant", {"id": "id", "k": "key", **dict.fromkeys(names, "number")})
    rows = [{name: chance.gauss(10, 1) for name in names} for _ in range(400)]
    (usual,) = forest.findings(dict.fromkeys(names, 10.5), rows, 400, 0)
    (odd,) = forest.findings(dict.fromkeys(names, 12.1) | {"x2": 12.6}, rows, 400, 0)
    assert (usual.chance > 0.2, odd.chance < 0.02) == (True, True)
    assert odd.reason.startswith("unusual as a whole among 390 records: x2 12.6 (usually ")
    assert forest.findings(dict.fromkeys(names, 12.1), rows, 50, 0) == []
