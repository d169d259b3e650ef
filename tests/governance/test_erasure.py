"""A person's values lie under a key of their own; once that is erased nobody reads them, and the case still stands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from backstay import App, IdempotencyKey, Sensitive, action, approval, note, start, task, workflow
from backstay.cli import entry, screen
from backstay.governance.audit import verify
from backstay.store.database import Reader
from backstay.store.keyring import ValueErased
from backstay.store.payloads import Payloads, people_of
from backstay.store.views import system_events
from backstay.testing import Harness, harness

IBAN = "DE89370400440532013000"
NAME = "Wilhelmina Querfeldein"
sent: list[Any] = []


class Patient(BaseModel):
    number: Sensitive["subject"]
    name: Sensitive["pii"]
    iban: Sensitive["pii"]
    town: str


class Account(BaseModel):
    iban: Sensitive["pii"]


class Guardian(BaseModel):
    number: Sensitive["subject"]
    name: Sensitive["pii"]


class Child(BaseModel):
    number: Sensitive["subject"]
    name: Sensitive["pii"]
    guardian: Guardian


@action(effect="read")
async def account(town: str) -> Account:
    return Account(iban=IBAN)


@action(effect="write")
def send(text: str, key: IdempotencyKey) -> str:
    sent.append(text)
    return f"sent {text}"


@workflow
async def treat(patient: Patient) -> str:
    await note(f"{patient.name} came")
    decision = await approval("doctors", show=patient)
    if not decision.approved:
        return "no"
    return await send(f"Dear {patient.name}")


@workflow
async def pay(customer: Sensitive["subject"], town: str) -> str:
    found = await account(town)
    await approval("bosses", show=found)
    return await send(found.iban)


@workflow
async def family(child: Child) -> str:
    return await send(f"{child.name} with {child.guardian.name}")


@workflow
async def parent(patient: Patient) -> str:
    await start(kid, f"about {patient.name}", patient.name)
    await task("clerks", title=f"Call {patient.name}")
    return "done"


@workflow
async def kid(subject: str, name: Sensitive["pii"]) -> str:
    return subject


@workflow
async def plain(account: Account) -> str:
    return await send(account.iban)


app = App("erasing", workflows=[treat, pay, family, parent, kid, plain])
ANN = {"number": "P-1", "name": NAME, "iban": IBAN, "town": "Ulm"}
BOB = {"number": "P-2", "name": "Balduin Hagestolz", "iban": "FR7630006000011234567890189", "town": "Ulm"}


@dataclass
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Answer]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line on the test's store."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> Answer:
        capsys.readouterr()
        screen.consoles.cache_clear()
        code = entry.run([*arguments, "--home", str(tmp_path)])
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run


@asynccontextmanager
async def opened(home: Path) -> AsyncIterator[Harness]:
    sent.clear()
    async with harness(app, home) as it:
        yield it


async def erased(it: Harness, cli: Cli, person: str, *more: str) -> Answer:
    """`backstay erase`, with the worker stopped meanwhile."""
    await it.close()
    answer = await asyncio.to_thread(
        cli, "erase", person, "--reason", f"{person} asked for it", "--as", "dpo", "--json", *more
    )
    await it.open()
    return answer


def tokens(it: Harness, run: str) -> set[str]:
    """Every pseudonym that the refs of a run name."""
    refs = [getattr(event, "refs", None) or {} for event in it.events(run)]
    return {ref.removeprefix("seal:") for each in refs for ref in each.values()}


def persons(it: Harness, run: str) -> set[tuple[str, ...]]:
    return {people_of(token) for token in tokens(it, run)}


async def finished(it: Harness, who: dict[str, str]) -> str:
    run = await it.start(treat, patient=who)
    await it.approve(run, by="dr.ada", reason="fine")
    assert it.status(run) == "finished"
    return run


# --- under whose key ----------------------------------------------------------------------------------


async def test_every_value_of_a_run_about_one_person_lies_under_their_key(tmp_path: Path) -> None:
    async with opened(tmp_path) as it:
        run, other = await finished(it, ANN), await finished(it, BOB)
        assert len(persons(it, run)) == len(persons(it, other)) == 1
        assert persons(it, run) != persons(it, other)
        assert () not in persons(it, run)
        assert sent == [f"Dear {NAME}", "Dear Balduin Hagestolz"]


async def test_a_subject_beside_the_input_owns_what_actions_find_later(tmp_path: Path) -> None:
    async with opened(tmp_path) as it:
        run = await it.start(pay, customer="7", town="Ulm")
        await it.approve(run, by="bob")
        assert len(persons(it, run)) == 1
        assert () not in persons(it, run)
        assert await it.result(run) == f"sent {IBAN}"


async def test_a_child_run_is_about_the_same_person(tmp_path: Path) -> None:
    async with opened(tmp_path) as it:
        run = await it.start(parent, patient=ANN)
        child = it.events(run, "child_started")[0].run  # type: ignore[attr-defined] - of that kind
        assert persons(it, child) == persons(it, run)


async def test_the_nearest_subject_counts_and_a_text_about_two_is_gone_with_either(tmp_path: Path, cli: Cli) -> None:
    async with opened(tmp_path) as it:
        child = {"number": "C-1", "name": "Kasimir Jung", "guardian": {"number": "G-1", "name": NAME}}
        run = await it.start(family, child=child)
        both = {people for people in persons(it, run) if len(people) == 2}
        assert len(persons(it, run)) == 3
        assert len(both) == 1
        await erased(it, cli, "G-1")
        payloads = Payloads(it.home, it.client._reader)
        readable = {token for token in tokens(it, run) if not gone(payloads, token)}
        assert {payloads.open_sealed(token) for token in readable} == {"C-1", "Kasimir Jung"}


def gone(payloads: Payloads, token: str) -> bool:
    try:
        payloads.open_sealed(token)
    except ValueErased:
        return True
    return False


async def test_one_person_has_one_key_and_the_same_pseudonym_in_every_run(tmp_path: Path) -> None:
    async with opened(tmp_path) as it:
        first = await finished(it, ANN)
        await it.restart()
        second = await finished(it, ANN)
        assert tokens(it, first) == tokens(it, second)


async def test_without_a_subject_the_installations_key_counts_as_ever(tmp_path: Path) -> None:
    async with opened(tmp_path) as it:
        run = await it.start(plain, account={"iban": IBAN})
        assert persons(it, run) == {()}
        assert await it.result(run) == f"sent {IBAN}"


async def test_a_name_is_in_no_file(tmp_path: Path) -> None:
    async with opened(tmp_path) as it:
        await finished(it, {**ANN, "number": "customer-4711-x"})
        await it.close()
        assert [path for path in tmp_path.iterdir() if b"customer-4711-x" in path.read_bytes()] == []
        await it.open()


# --- erasing ------------------------------------------------------------------------------------------


async def test_erasing_makes_one_persons_values_unreadable_and_no_others(tmp_path: Path, cli: Cli) -> None:
    async with opened(tmp_path) as it:
        run, other = await finished(it, ANN), await finished(it, BOB)
        whose, told = persons(it, run).pop()[0], tokens(it, run)
        answer = await erased(it, cli, "P-1")
        assert answer.code == 0, answer
        assert (answer.json["people"], answer.json["runs"]) == ([whose], [run])
        assert answer.json["values"] == len(told)
        with pytest.raises(ValueErased, match=f"private values were erased .person {whose}"):
            await it.result(run)
        assert await it.result(other) == "sent Dear Balduin Hagestolz"


async def test_the_record_of_it_names_nobody(tmp_path: Path, cli: Cli) -> None:
    async with opened(tmp_path) as it:
        run = await finished(it, ANN)
        whose = persons(it, run).pop()[0]
        await erased(it, cli, "P-1")
        event = recorded(it)
        assert (event.what, event.subject, event.by) == ("erased", whose, "dpo")
        assert event.detail["reason"] == f"person {whose} asked for it"
        assert (event.detail["runs"], event.detail["values"]) == (1, len(tokens(it, run)))


def recorded(it: Harness) -> Any:
    return list(system_events(it.client._reader, "erased"))[-1]


async def test_afterwards_the_audit_is_clean_and_the_log_tells_everything_but_the_values(
    tmp_path: Path, cli: Cli
) -> None:
    async with opened(tmp_path) as it:
        run = await finished(it, ANN)
        before = [(line.by, line.mark) for line in it.log(run)]
        await erased(it, cli, "P-1")
        await it.close()
        assert verify(tmp_path / "backstay.db").findings == []
        answer = await asyncio.to_thread(cli, "log", run, "--json")
        lines = answer.json["lines"]
        assert [(line["by"], line["mark"]) for line in lines] == before
        assert "(erased)" in answer.out
        assert "dr.ada" in answer.out
        assert "pii:" not in answer.out
        assert (await asyncio.to_thread(cli, "show", run)).code == 0
        await it.open()


async def test_replay_says_that_values_were_erased_and_speaks_of_no_damage(tmp_path: Path, cli: Cli) -> None:
    async with opened(tmp_path) as it:
        run = await finished(it, ANN)
        await erased(it, cli, "P-1")
        await it.close()
        answer = await asyncio.to_thread(cli, "replay", run)
        assert answer.code == 0, answer
        assert "private values were erased" in answer.out
        assert "damaged" not in answer.out + answer.err
        assert "not equal" not in answer.out
        await it.open()


async def test_the_key_is_in_no_byte_of_the_store(tmp_path: Path, cli: Cli) -> None:
    async with opened(tmp_path) as it:
        await finished(it, ANN)
        with_key = Reader(tmp_path / "backstay.db")
        row = with_key.one("person_key", (Payloads(tmp_path, with_key).keyring.named("P-1")[0],))
        with_key.close()
        assert row is not None
        wrapped = bytes(row["wrapped"])
        await it.close()
        assert wrapped in (tmp_path / "backstay.db").read_bytes()
        await it.open()
        await erased(it, cli, "P-1")
        assert [path.name for path in tmp_path.iterdir() if wrapped in path.read_bytes()] == []


async def test_nobody_can_find_out_by_trying_whose_the_values_were(tmp_path: Path, cli: Cli) -> None:
    """Even with the installation's key: the same person with the same values gives other pseudonyms, other ids."""
    async with opened(tmp_path) as it:
        run = await finished(it, ANN)
        await erased(it, cli, "P-1")
        again = await finished(it, ANN)
        assert tokens(it, run).isdisjoint(tokens(it, again))
        assert persons(it, run).isdisjoint(persons(it, again))
        assert await it.result(again) == f"sent Dear {NAME}"


async def test_an_erased_person_is_not_known_by_name_any_more(tmp_path: Path, cli: Cli) -> None:
    async with opened(tmp_path) as it:
        await finished(it, ANN)
        assert (await erased(it, cli, "P-1")).code == 0
        answer = await erased(it, cli, "P-1")
        assert (answer.code, answer.json["error"]["code"]) == (3, "NOT_FOUND")
        assert (await erased(it, cli, "nobody")).code == 3


# --- open runs ----------------------------------------------------------------------------------------


async def test_while_a_run_is_open_nothing_is_erased(tmp_path: Path, cli: Cli) -> None:
    async with opened(tmp_path) as it:
        run = await it.start(treat, patient=ANN)
        answer = await erased(it, cli, "P-1")
        assert (answer.code, answer.json["error"]["code"]) == (4, "CONFLICT")
        assert run in answer.json["error"]["message"]
        await it.approve(run, by="dr.ada")
        assert await it.result(run) == f"sent Dear {NAME}"


async def test_by_force_an_open_run_stops_where_it_needs_a_value_and_says_why(tmp_path: Path, cli: Cli) -> None:
    async with opened(tmp_path) as it:
        run = await it.start(treat, patient=ANN)
        assert (await erased(it, cli, "P-1", "--force")).code == 0
        with pytest.raises(ValueErased):
            await it.approve(run, by="dr.ada")
        await it.settle()
        assert it.status(run) == "attention"
        assert "private values were erased" in (it.run(run).summary or "")
        assert sent == []
        await it.client.retry(run, by="op")
        await it.settle()
        assert it.status(run) == "attention"
        await it.close()
        assert verify(tmp_path / "backstay.db").findings == []
        await it.open()


async def test_a_worker_that_runs_must_be_stopped_first(tmp_path: Path, cli: Cli) -> None:
    async with opened(tmp_path) as it:
        run = await finished(it, ANN)
        answer = await asyncio.to_thread(cli, "erase", "P-1", "--reason", "asked", "--json")
        assert (answer.code, answer.json["error"]["code"]) == (5, "LOCKED")
        assert await it.result(run) == f"sent Dear {NAME}"


# --- what was written before ----------------------------------------------------------------------------


async def test_a_token_of_the_old_form_is_read_for_ever(tmp_path: Path) -> None:
    """As version 0 of the store wrote it: HMAC and AES-GCM under the installation's key, spelled out here."""
    import hashlib
    import hmac
    import sqlite3

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key, nonce, text = bytes(range(32)), bytes(12), json.dumps(IBAN)
    token = f"pii:{hmac.new(key, f'pii{chr(0)}{text}'.encode(), hashlib.sha256).hexdigest()[:20]}"
    async with opened(tmp_path) as it:
        await it.close()
        (tmp_path / "seal.key").write_bytes(key)
        connection = sqlite3.connect(tmp_path / "backstay.db")
        cipher = nonce + AESGCM(key).encrypt(nonce, text.encode(), token.encode())
        connection.execute("INSERT INTO sealed VALUES (?, ?)", (token, cipher))
        connection.commit()
        connection.close()
        await it.open()
        assert Payloads(tmp_path, it.client._reader).open_sealed(token) == IBAN
        run = await it.start(plain, account={"iban": IBAN})
        assert token in tokens(it, run)
