"""Anomaly steps in workflows: judged once, learned once, and what people say counts."""

from __future__ import annotations

import sqlite3
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from backstay import App, task, workflow
from backstay.ai.anomalies import AnomalyStep
from backstay.errors import AuthorError
from backstay.store.anomalies import ANOMALIES_FILE
from backstay.testing import Harness, crash_everywhere, harness

payments = AnomalyStep(
    "payments", fields={"number": "id", "vendor": "key", "amount": "amount", "iban": "account"}, alarms="1/20"
)
detect_payment, learn_payment = payments.detect, payments.learn


class Payment(BaseModel):
    number: str
    vendor: str
    amount: float
    iban: str


class Review(BaseModel):
    mark: Literal["normal", "anomalous"]


@workflow
async def check(payment: Payment) -> str:
    found = await detect_payment(
        {"number": payment.number, "vendor": payment.vendor, "amount": payment.amount, "iban": payment.iban}
    )
    if found.anomalous:
        return f"look: {found.reason}"
    return "fine"


@workflow
async def mistype(number: str) -> str:
    return (await detect_payment({"number": number, "vendor": "V-1", "amuont": 5, "iban": "DE1", "note": "x"})).reason


@workflow
async def review(number: str) -> str:
    said = await task("fraud", show=number, form=Review)
    return await learn_payment(number, said.mark)


@workflow
async def excuse(number: str) -> str:
    """Nobody was asked."""
    return await learn_payment(number, "normal")


app = App("anomalies", workflows=[check, mistype, review, excuse], suppliers=[payments])


async def pay(it: Harness, number: int, amount: float = 420, iban: str = "DE1", vendor: str = "V-102") -> Any:
    """What is said of a payment."""
    run = await it.start(check, payment={"number": f"R-{number}", "vendor": vendor, "amount": amount, "iban": iban})
    return await it.result(run)


async def usual(it: Harness, many: int = 30) -> None:
    for n in range(many):
        assert await pay(it, n, amount=400 + (n * 7) % 40, vendor=f"V-10{n % 3}", iban=f"DE{n % 3}") == "fine"


def rows(it: Harness, query: str) -> list[Any]:
    connection = sqlite3.connect(it.home / ANOMALIES_FILE)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


async def test_a_field_that_is_missing_beside_one_that_is_not_known_is_named() -> None:
    async with harness(app) as it:
        said = await it.result(await it.start(mistype, number="R-1"))
        assert said.endswith("; amount: missing; not looked at: amuont, note")


async def test_an_unusual_payment_is_told_with_its_reason() -> None:
    async with harness(app) as it:
        await usual(it)
        said = await pay(it, 100, amount=1300, iban="DE2")
        assert said.startswith("look: amount 1300.00 is 3.1 times the usual 4")
        assert "of V-102 (10 records)" in said
        it.prove()


async def test_what_alarms_is_not_learned_until_a_person_says_that_it_is_normal() -> None:
    async with harness(app) as it:
        await usual(it)
        assert "first time that iban is DE9" in await pay(it, 100, iban="DE9", amount=1300)
        assert "first time that iban is DE9" in await pay(it, 101, iban="DE9", amount=1305)
        run = await it.start(review, number="R-100")
        await it.complete(run, {"mark": "normal"}, by="ann")
        assert await it.result(run) == "normal"
        assert "first time" not in await pay(it, 102, iban="DE9", amount=1310)
        assert rows(it, "SELECT id, mark, learned FROM anomaly_records WHERE mark IS NOT NULL") == [
            ("R-100", "normal", 1)
        ]


async def test_what_a_person_calls_anomalous_is_forgotten() -> None:
    async with harness(app) as it:
        await usual(it)
        before = rows(it, "SELECT key, profile FROM anomaly_profiles WHERE key NOT LIKE char(10) || '%' ORDER BY key")
        assert await pay(it, 100, amount=425, iban="DE2") == "fine"
        assert (
            rows(it, "SELECT key, profile FROM anomaly_profiles WHERE key NOT LIKE char(10) || '%' ORDER BY key")
            != before
        )
        run = await it.start(review, number="R-100")
        await it.complete(run, {"mark": "anomalous"}, by="ann")
        assert (
            rows(it, "SELECT key, profile FROM anomaly_profiles WHERE key NOT LIKE char(10) || '%' ORDER BY key")
            == before
        )


async def test_the_same_record_again_gets_the_same_answer_and_counts_once() -> None:
    async with harness(app) as it:
        await usual(it)
        first = await pay(it, 100, amount=1300, iban="DE2")
        await it.restart()
        assert await pay(it, 100, amount=1300, iban="DE2") == first
        assert rows(it, "SELECT count(*) FROM anomaly_records") == [(31,)]


async def test_another_record_under_a_known_id_is_refused() -> None:
    async with harness(app) as it:
        await pay(it, 1)
        run = await it.start(check, payment={"number": "R-1", "vendor": "V-1", "amount": 7, "iban": "X"})
        assert it.status(run) == "failed"
        (failed,) = it.events(run, "call_failed")
        assert "'R-1' was judged before as another record" in str(failed)


async def test_a_record_that_nobody_judged_cannot_be_marked() -> None:
    async with harness(app) as it:
        run = await it.start(review, number="R-7")
        await it.complete(run, {"mark": "normal"}, by="ann")
        assert it.status(run) == "failed"
        assert "has no record 'R-7'" in str(it.events(run, "call_failed"))


async def test_only_a_person_says_what_was_normal() -> None:
    async with harness(app) as it:
        await usual(it)
        await pay(it, 100, amount=1300, iban="DE9")
        run = await it.start(excuse, number="R-100")
        assert it.status(run) == "failed"
        assert it.events(run, "call_failed")[0].fault.type == "NotObserved"
        run = await it.start(review, number="R-100")
        await it.complete(run, {"mark": "normal"}, by="ann")
        await it.result(run)
        assert rows(it, 'SELECT "by" FROM anomaly_marks') == [("ann",)]


async def test_an_account_of_another_vendor_is_told_however_many_there_are() -> None:
    async with harness(app) as it:
        await usual(it)
        for n in range(520):
            await pay(it, 1000 + n, amount=400 + n % 37, vendor=f"W-{n}", iban=f"FR{n}")
        said = await pay(it, 9000, amount=410, iban="FR519")
        assert "iban is new for V-102 and was used by others (1)" in said
        (everyone,) = rows(it, "SELECT profile FROM anomaly_profiles WHERE key = ''")
        assert "FR519" not in everyone[0]


async def test_a_new_vendor_is_compared_with_all() -> None:
    async with harness(app) as it:
        said = await pay(it, 0)
        for n in range(1, 30):
            await pay(it, n, amount=400 + (n * 7) % 40)
        said = await pay(it, 100, amount=50_000, vendor="V-new", iban="XX")
        assert "of all; of V-new there are only 0 yet" in said
        assert "nothing is known of this vendor yet: it was compared with all 2" in said


async def test_wherever_the_worker_dies_each_record_counts_once() -> None:
    async def story(it: Harness) -> None:
        for n in range(3):
            await it.start(check, payment={"number": f"R-{n}", "vendor": "V", "amount": 5, "iban": "D"}, key=f"R-{n}")

    async def checked(it: Harness) -> None:
        assert rows(it, "SELECT id, learned FROM anomaly_records") == [("R-0", 1), ("R-1", 1), ("R-2", 1)]
        (profile,) = rows(it, "SELECT json_extract(profile, '$.count') FROM anomaly_profiles WHERE key = 'V'")
        assert profile == (3,)

    assert await crash_everywhere(app, story, checked) > 3


@pytest.mark.parametrize("name", ["", "1st", "two words"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(AuthorError, match="a name has letters"):
        AnomalyStep(name, fields={"a": "id", "b": "key"})
