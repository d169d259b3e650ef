"""Nothing that is tagged sensitive is written in clear: not in the database, its log, a message, a title or a key."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from backstay import (
    App,
    IdempotencyKey,
    NotRetryable,
    Retry,
    Sensitive,
    action,
    approval,
    gather,
    note,
    start,
    task,
    wait_for,
    workflow,
)
from backstay.errors import OperatorError
from backstay.testing import Harness, harness

IBAN = "DE89370400440532013000"
NAME = "Wilhelmina Querfeldein"
SALARY = 7321948
WHO = {
    "name": NAME,
    "IBAN": IBAN,
    "salary": SALARY,
    "town": "Ulm",
    "home": {"street": "Querfeldeinweg 7", "town": "Ulm"},
}
OTHER = "FR7630006000011234567890189"
sent: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_sent() -> None:
    sent.clear()


class Address(BaseModel):
    street: str
    town: str


class Person(BaseModel):
    name: Sensitive["pii"]
    iban: Sensitive["pii"] = Field(alias="IBAN")
    salary: Sensitive["pii", int]
    town: str
    home: Sensitive["pii", Address]


class Form(BaseModel):
    account: Sensitive["pii"]
    remark: str = ""


@action(effect="read")
async def find(number: str) -> Person:
    return Person.model_validate(WHO)


@action(effect="write", retry=Retry(attempts=2, first="1s", jitter=0))
def send(to: str, text: str, copies: dict[str, int], amount: int, key: IdempotencyKey) -> str:
    sent.append((to, text, copies, amount))
    if len(sent) == 1:
        raise ConnectionError(f"cannot send {text!r} to {to}")
    return f"sent {text}"


@action(effect="write")
def send_plain(text: str, key: IdempotencyKey) -> str:
    sent.append(text)
    return "sent"


@action(effect="read")
async def history(iban: str) -> list[str]:
    return [f"booking {number} of {iban}" for number in range(3000)]


@action(effect="write")
def refuse(person: Person, key: IdempotencyKey) -> None:
    raise NotRetryable(f"{person.iban} is on a list")


async def ask(key: str) -> str:
    raise ConnectionError(f"the probe of {IBAN} broke")


@action(effect="write", probe=ask)
def odd(text: str) -> str:
    raise ConnectionError("down")


@workflow
async def letter(number: str) -> str:
    person = await find(number)
    text = f"Dear {person.name}, we pay {person.iban}"
    return await send(person.iban, text, {person.iban: 1}, person.salary)


@workflow
async def spread(number: str) -> Person:
    person = await find(number)
    await note(f"found {person.name}", {"who": person.name, "text": f"that is {person.name}"})
    if person.salary > 100:
        await task("clerks", title=f"Call {person.name}", show={"about": person, "line": f"{person.iban}!"})
    await start(child, f"about {person.name}", person.salary)
    await gather(approval("bosses", show=person, evidence=[f"see {person.iban}"]))
    bookings = await history(person.iban)
    await send_plain(bookings[7])
    return person


@workflow
async def child(subject: str, amount: int) -> str:
    return subject


@workflow
async def refused(number: str) -> None:
    await refuse(await find(number))


@workflow
async def raises(number: str) -> None:
    person = await find(number)
    raise ValueError(f"cannot treat {person.name}")


@workflow
async def probes(number: str) -> str:
    person = await find(number)
    return await odd(person.town)


@workflow
async def takes(person: Person) -> str:
    await approval("bosses", show=person)
    return person.town


@workflow
async def parts(number: str) -> str:
    person = await find(number)
    return await send_plain(person.home.street)


@workflow
async def numbers(number: str) -> str:
    person = await find(number)
    return await send_plain(str(person.salary))


@workflow
async def asks() -> str:
    filled = await task("clerks", form=Form)
    await wait_for("details", type=Form)
    return await send_plain(filled.account)


@workflow
async def settles(number: str) -> str:
    await broken(number)
    return "settled"


@action(effect="write")
def broken(number: str) -> Person:
    raise ConnectionError("down")


app = App(
    "sealing",
    workflows=[letter, spread, child, refused, raises, probes, takes, parts, numbers, asks, settles],
)


def forms(text: str) -> list[bytes]:
    """A text as it might be found in a file."""
    raw = text.encode()
    shifted = [base64.b64encode(b"x" * shift + raw)[4:-4] for shift in range(3)]
    return [
        raw,
        raw.hex().encode(),
        raw.hex().upper().encode(),
        text.encode("utf-16-le"),
        *filter(lambda x: len(x) > 6, shifted),
    ]


def found_in_clear(home: Path, *texts: str) -> list[str]:
    found: list[str] = []
    for path in home.iterdir():
        data = path.read_bytes()
        found += [f"{text} in {path.name}" for text in texts for form in forms(text) if form in data]
    return found


async def no_trace(it: Harness, *texts: str) -> None:
    """Neither while the store is open, with its write-ahead log, nor after it was closed."""
    assert found_in_clear(it.home, *texts) == []
    shown = " ".join([wait.title for wait in it.client.inbox()] + [run.summary or "" for run in it.client.runs()])
    assert [text for text in texts if text in shown] == []
    await it.restart()
    assert found_in_clear(it.home, *texts) == []


async def test_a_clear_text_would_be_found() -> None:
    async with harness(app) as it:
        await it.start(child, subject=OTHER, amount=1)
        assert found_in_clear(it.home, OTHER) != []


async def test_an_action_gets_the_real_values_and_the_store_none_of_them() -> None:
    async with harness(app) as it:
        run = await it.start(letter, number="1")
        await it.restart()
        await it.advance("1s")
        text = f"Dear {NAME}, we pay {IBAN}"
        assert sent == [(IBAN, text, {IBAN: 1}, SALARY)] * 2
        assert await it.result(run) == f"sent {text}"
        await no_trace(it, IBAN, NAME, str(SALARY))


async def test_titles_remarks_children_evidence_large_values_and_results_are_sealed() -> None:
    async with harness(app) as it:
        run = await it.start(spread, number="1", by="ann")
        await it.complete(run, f"called {NAME}", by="ben")
        await it.restart()
        await it.approve(run, by="bob", reason=f"{NAME} is fine")
        assert sent == [f"booking 7 of {IBAN}"]
        assert (await it.result(run))["name"] == NAME
        await no_trace(it, IBAN, NAME, str(SALARY), "Querfeldeinweg")


@pytest.mark.parametrize("workflow", [refused, raises, probes])
async def test_error_texts_carry_pseudonyms(workflow: Any) -> None:
    async with harness(app) as it:
        await it.start(workflow, number="1")
        await it.advance("1h")
        await no_trace(it, IBAN, NAME)


async def test_input_is_sealed() -> None:
    async with harness(app) as it:
        run = await it.start(takes, person=WHO)
        await it.approve(run, by="bob")
        assert await it.result(run) == "Ulm"
        await no_trace(it, IBAN, NAME, str(SALARY))


async def test_a_part_of_a_sealed_object_is_sealed_as_itself() -> None:
    async with harness(app) as it:
        run = await it.start(parts, number="1")
        assert sent == ["Querfeldeinweg 7"]
        assert await it.result(run) == "sent"
        await no_trace(it, "Querfeldeinweg")


async def test_a_number_that_becomes_text_is_sealed_as_text() -> None:
    async with harness(app) as it:
        run = await it.start(numbers, number="1")
        await it.restart()
        assert sent == ["7321948"]
        assert await it.result(run) == "sent"
        await no_trace(it, "7321948")


async def test_forms_and_signals_are_sealed() -> None:
    async with harness(app) as it:
        run = await it.start(asks)
        await it.complete(run, {"account": OTHER, "remark": f"it is {OTHER}"}, by="ann")
        await it.client.signal(run, "details", {"account": IBAN})
        assert await it.result(run) == "sent"
        assert sent == [OTHER]
        await no_trace(it, IBAN)


async def test_a_result_that_a_person_settles_is_sealed() -> None:
    async with harness(app) as it:
        run = await it.start(settles, number="1")
        await it.client.settle(run, "happened", by="ann", result=WHO)
        assert await it.result(run) == "settled"
        await no_trace(it, IBAN, NAME, str(SALARY))


async def test_the_same_value_has_the_same_pseudonym_and_another_has_another() -> None:
    async with harness(app) as it:
        first, second = await it.start(parts, number="1"), await it.start(parts, number="2")
        one, two = it.events(first, "call_returned")[0].result, it.events(second, "call_returned")[0].result
        assert one["name"] == two["name"] != one["IBAN"]
        assert one["name"].startswith("pii:")


async def test_another_installation_gives_another_pseudonym() -> None:
    seen = set[str]()
    for _ in range(2):
        async with harness(app) as it:
            seen.add(it.events(await it.start(parts, number="1"), "call_returned")[0].result["name"])
    assert len(seen) == 2


async def test_the_key_is_readable_by_its_owner_only() -> None:
    async with harness(app) as it:
        await it.start(parts, number="1")
        assert (it.home / "seal.key").stat().st_mode & 0o777 == 0o600
        assert len((it.home / "seal.key").read_bytes()) == 32


async def test_a_key_that_does_not_fit_parks_the_run_and_the_right_one_lets_it_go_on() -> None:
    async with harness(app) as it:
        run = await it.start(takes, person=WHO)
        key = (it.home / "seal.key").read_bytes()
        await it.close()
        (it.home / "seal.key").write_bytes(bytes(32))
        await it.open()
        with pytest.raises(OperatorError, match=r"is damaged, or 'seal\.key' is not its key"):
            await it.approve(run, by="bob")
        await it.close()
        (it.home / "seal.key").write_bytes(key)
        await it.open()
        await it.approve(run, by="bob")
        assert await it.result(run) == "Ulm"


async def test_a_lost_key_is_not_replaced_by_a_new_one() -> None:
    async with harness(app, prove=False) as it:
        await it.start(parts, number="1")
        await it.close()
        (it.home / "seal.key").unlink()
        await it.open()
        with pytest.raises(OperatorError, match=r"'seal\.key' is missing"):
            await it.start(takes, person=WHO)
