"""A person's values lie under a key of their own; once that is erased nobody reads them, and the case still stands."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from backstay import App, IdempotencyKey, Sensitive, action, approval, note, start, task, workflow
from backstay.cli import entry, screen
from backstay.engine.control import serve
from backstay.errors import Conflict, NotAllowed, StoreFenced, StoreUnavailable
from backstay.governance.audit import verify
from backstay.store.database import Reader
from backstay.store.journal import Write
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


@action(effect="write")
def discharge(result: str, key: IdempotencyKey) -> None:
    sent.append(f"discharged {result}")


@action(effect="write", compensate=discharge)
def admit(name: str, key: IdempotencyKey) -> str:
    return f"bed of {name}"


begun, go_on = asyncio.Event(), asyncio.Event()
asked, answer_now = asyncio.Event(), asyncio.Event()


@action(effect="write")
async def slow_admit(name: str, key: IdempotencyKey) -> str:
    begun.set()
    await go_on.wait()
    return "bed"


@workflow
async def stay(patient: Patient) -> str:
    bed = await admit(patient.name)
    await approval("doctors", show=patient)
    return bed


@workflow
async def slow_stay(patient: Patient) -> str:
    return await slow_admit(patient.name)


@action(effect="read")
async def slow_look(number: str) -> Patient:
    asked.set()
    await answer_now.wait()
    return Patient(number=number, name="Wilhelmina Neu", iban=IBAN, town="Ulm")


@workflow
async def revisit(patient: Patient) -> str:
    found = await slow_look(patient.number)
    decision = await approval("doctors", show=found)
    return "yes" if decision.approved else "no"


@workflow
async def outer(patient: Patient) -> str:
    return await start(stay, patient)


app = App("erasing", workflows=[treat, pay, family, parent, kid, plain, stay, slow_stay, revisit, outer])
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
async def opened(home: Path, *, prove: bool = True) -> AsyncIterator[Harness]:
    sent.clear()
    async with harness(app, home, prove=prove) as it:
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


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("DELETE FROM person_keys", "missing, though values are sealed under it"),
        ("UPDATE person_keys SET person = NULL, wrapped = NULL", "emptied, and the system's chain tells of no erasure"),
    ],
)
async def test_a_key_that_was_lost_without_an_erasure_is_named(tmp_path: Path, change: str, words: str) -> None:
    async with opened(tmp_path, prove=False) as it:
        (person,) = persons(it, await finished(it, ANN)).pop()
        await it.close()
        with closing(sqlite3.connect(tmp_path / "backstay.db")) as db, db:
            db.execute(change)
        (finding,) = verify(tmp_path / "backstay.db").findings
        assert str(finding).startswith(f"key of person {person}: {words}")
        await it.open()


async def test_a_key_that_was_put_back_is_named(tmp_path: Path) -> None:
    async with opened(tmp_path) as it:
        await finished(it, ANN)
        wrapped = wrapped_key(tmp_path, "P-1")
        done = await it.client.erase("P-1", by="dpo", reason="asked")
        await it.close()
        with closing(sqlite3.connect(tmp_path / "backstay.db")) as db, db:
            db.execute("UPDATE person_keys SET wrapped = ?", (wrapped,))
        (finding,) = verify(tmp_path / "backstay.db").findings
        assert str(finding).startswith(f"key of person {done['people'][0]}: there, though the system's chain says")
        await it.open()


# --- while a worker runs --------------------------------------------------------------------------------


def wrapped_key(home: Path, person: str) -> bytes:
    """A person's key as its row holds it."""
    with closing(Reader(home / "backstay.db")) as reader:
        row = reader.one("person_key", (Payloads(home, reader).keyring.named(person)[0],))
        assert row is not None
        return bytes(row["wrapped"])


def files_with(home: Path, content: bytes) -> list[str]:
    return [path.name for path in home.iterdir() if content in path.read_bytes()]


async def test_a_worker_that_runs_erases_and_goes_on(tmp_path: Path, cli: Cli) -> None:
    async with opened(tmp_path) as it, serve(it.client, tmp_path):
        run, other = await finished(it, ANN), await finished(it, BOB)
        wrapped = wrapped_key(tmp_path, "P-1")
        assert files_with(tmp_path, wrapped)
        answer = await asyncio.to_thread(cli, "erase", "P-1", "--reason", "P-1 asked", "--as", "dpo", "--json")
        assert (answer.code, answer.json["runs"], answer.json["open"]) == (0, [run], [])
        assert answer.json["reason"] == f"person {answer.json['people'][0]} asked"
        assert files_with(tmp_path, wrapped) == []
        with pytest.raises(ValueErased):
            await it.result(run)
        assert await it.result(other) == "sent Dear Balduin Hagestolz"
        again = await finished(it, ANN)
        assert persons(it, again).isdisjoint(persons(it, run))
        assert await it.result(again) == f"sent Dear {NAME}"
        assert verify(tmp_path / "backstay.db").findings == []


async def test_no_key_of_many_is_in_any_byte_once_all_are_erased(tmp_path: Path) -> None:
    """Keys move about in the file as others are added: an overwritten row alone would leave copies of them."""
    async with opened(tmp_path) as it:
        names = [f"P-{number}" for number in range(150)]
        await asyncio.gather(*(it.client.start(treat, {"patient": {**ANN, "number": name}}) for name in names))
        await it.settle()
        keys = [wrapped_key(tmp_path, name) for name in names]
        for name in names[::50]:
            await it.client.erase(name, by="dpo", reason="asked", force=True)
        gone = keys[::50]
        left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert [key in left for key in gone] == [False] * 3
        assert all(key in left for key in keys if key not in gone)


async def test_an_erased_key_does_not_come_back_with_a_write_that_was_on_its_way(tmp_path: Path) -> None:
    async with opened(tmp_path) as it:
        await finished(it, ANN)
        payloads = it.client._runner.payloads
        (person,) = payloads.keyring.named("P-1")
        row = (person, payloads.keyring._digest("P-1"), wrapped_key(tmp_path, "P-1"))
        late = Write()
        late.put("person_keys", person, row)
        await asyncio.gather(it.client.erase("P-1", by="dpo", reason="asked"), it.client._runner.journal.submit(late))
        await it.client._runner.journal.submit(late)
        assert it.client._reader.value("person_key", (person,)) is None
        assert files_with(tmp_path, row[2]) == []


async def test_a_run_that_begins_meanwhile_is_not_overlooked(tmp_path: Path) -> None:
    async with opened(tmp_path) as it:
        await finished(it, ANN)
        erasing = asyncio.create_task(it.client.erase("P-1", by="dpo", reason="asked"))
        await asyncio.sleep(0)
        run = await it.start(treat, patient=ANN)
        with pytest.raises(Conflict, match=run):
            await erasing
        await it.approve(run, by="dr.ada")
        assert await it.result(run) == f"sent Dear {NAME}"


@asynccontextmanager
async def erasing(it: Harness, how: str, *, force: bool = False) -> AsyncIterator[asyncio.Task[Any]]:
    """An erasure that was handed in and is held up by somebody else: by their lock before it is committed, or by their
    look at the store after that, while the file is cleaned."""
    journal = it.client._runner.journal
    with closing(sqlite3.connect(it.home / "backstay.db", isolation_level=None)) as other:
        task = asyncio.create_task(it.client.erase("P-1", by="dpo", reason="asked", force=force))
        while not any(write.scrub for write in journal.unsynced):  # seen before the journal gets to it
            assert not task.done(), task
            await asyncio.sleep(0)
        other.execute(how)
        other.execute("SELECT count(*) FROM events").fetchall()
        yield task


async def written(it: Harness, erasure: asyncio.Task[Any]) -> None:
    """Once a run has handed something in, behind an erasure."""
    while len(it.client._runner.journal.unsynced) < 2:
        await asyncio.sleep(0.001)
    assert not erasure.done()


@pytest.mark.parametrize("how", ["BEGIN IMMEDIATE", "BEGIN"])
async def test_whoever_comes_back_while_they_are_erased_is_somebody_new(tmp_path: Path, how: str) -> None:
    """Before the commit, and after it, while the file is cleaned."""
    async with opened(tmp_path) as it:
        old = await it.start(pay, customer="P-1", town="Ulm")
        await it.approve(old, by="bob")
        async with erasing(it, how) as erasure:
            while how == "BEGIN" and it.client._reader.value("people_erased") is None:
                await asyncio.sleep(0.001)
            starting = asyncio.create_task(it.client.start(pay, {"customer": "P-1", "town": "Ulm"}))
            await written(it, erasure)
        assert (await erasure)["open"] == []
        run = await starting
        await it.settle()
        await it.approve(run, by="bob")
        assert persons(it, run).isdisjoint(persons(it, old))
        assert await it.result(run) == f"sent {IBAN}"
        with pytest.raises(ValueErased):
            await it.result(old)
        assert verify(tmp_path / "backstay.db").findings == []


async def test_what_an_open_run_learns_while_its_person_is_erased_is_gone_with_them(tmp_path: Path) -> None:
    async with opened(tmp_path) as it:
        run = await it.client.start(revisit, {"patient": ANN})
        await asked.wait()
        before = persons(it, run)
        async with erasing(it, "BEGIN IMMEDIATE", force=True) as erasure:
            answer_now.set()
            await written(it, erasure)
        assert (await erasure)["open"] == [run]
        await it.settle()
        assert persons(it, run) == before
        payloads = Payloads(it.home, it.client._reader)
        assert all(gone(payloads, token) for token in tokens(it, run))


async def test_an_erasure_that_was_not_committed_leaves_everybody_who_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backstay.store.journal.PATIENCE", 50)
    async with opened(tmp_path) as it:
        old = await finished(it, ANN)
        async with erasing(it, "BEGIN IMMEDIATE") as erasure:
            with pytest.raises(StoreUnavailable, match="another process holds the store"):
                await erasure
        again = await finished(it, ANN)
        assert tokens(it, again) == tokens(it, old)
        assert (await it.client.erase("P-1", by="dpo", reason="asked"))["runs"] == sorted([old, again])


async def test_only_whoever_may_erase_does_and_an_attempt_is_recorded(tmp_path: Path, cli: Cli) -> None:
    async with opened(tmp_path) as it:
        run = await finished(it, ANN)
        await it.client.register("root", roles=["administrator"], by="root")
        await it.client.register("olga", roles=["operator", "auditor"], by="root")
        await it.client.register("sweeper", kind="service", by="root")
        for name in ("olga", "sweeper", "nobody"):
            with pytest.raises(NotAllowed, match="may not 'erase'"):
                await it.client.erase("P-1", by=name, reason="asked")
        answer = await erased(it, cli, "P-1")
        assert (answer.code, answer.json["error"]["code"]) == (4, "NOT_ALLOWED")
        assert [event.subject for event in system_events(it.client._reader, "denied")] == ["erase"] * 4  # type: ignore[attr-defined] - of that kind
        assert await it.result(run) == f"sent Dear {NAME}"
        assert (await it.client.erase("P-1", by="root", reason="asked"))["runs"] == [run]


async def test_a_worker_that_dies_before_the_file_was_cleaned_has_it_cleaned_by_the_next(tmp_path: Path) -> None:
    async with opened(tmp_path) as it:
        await finished(it, ANN)
        wrapped = wrapped_key(tmp_path, "P-1")
        await it.close()
        await it.open(crash_at=3)
        with pytest.raises(StoreFenced):
            await it.client.erase("P-1", by="dpo", reason="asked")
        assert files_with(tmp_path, wrapped)
        await it.restart()
        assert files_with(tmp_path, wrapped) == []
        assert it.client._runner.payloads.keyring.named("P-1") == ()


async def test_whoever_reads_all_the_while_is_told_of_and_the_next_worker_cleans_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backstay.store.journal.PATIENCE", 50)
    async with opened(tmp_path) as it:
        await finished(it, ANN)
        wrapped = wrapped_key(tmp_path, "P-1")
        with closing(sqlite3.connect(tmp_path / "backstay.db", isolation_level=None)) as other:
            other.execute("BEGIN")
            other.execute("SELECT count(*) FROM events").fetchall()
            with pytest.raises(StoreUnavailable, match="the key is erased, but its bytes may still lie"):
                await it.client.erase("P-1", by="dpo", reason="asked")
        assert files_with(tmp_path, wrapped)
        await finished(it, BOB)
        await it.restart()
        assert files_with(tmp_path, wrapped) == []


# --- a run that can only end ----------------------------------------------------------------------------


async def test_an_open_run_in_memory_forgets_and_can_be_cancelled(tmp_path: Path) -> None:
    async with opened(tmp_path) as it:
        run = await it.start(treat, patient=ANN)
        done = await it.client.erase("P-1", by="dpo", reason="asked", force=True)
        assert done["open"] == [run]
        with pytest.raises(ValueErased):
            await it.approve(run, by="dr.ada")
        await it.settle()
        assert it.status(run) == "attention"
        await it.client.cancel(run, by="op", reason="erased")
        await it.settle()
        assert (it.status(run), it.waits(run), sent) == ("cancelled", [], [])
        (end,) = it.events(run, "run_cancelled")
        assert (end.reason, end.not_undone) == ("erased", [])  # type: ignore[attr-defined] - of that kind
        await it.close()
        assert verify(tmp_path / "backstay.db").findings == []
        await it.open()


async def test_what_cannot_be_undone_any_more_is_said(tmp_path: Path, cli: Cli) -> None:
    async with opened(tmp_path) as it:
        run = await it.start(stay, patient=ANN)
        await it.client.erase("P-1", by="dpo", reason="asked", force=True)
        await it.client.cancel(run, by="op", reason="she left")
        await it.settle()
        assert it.status(run) == "cancelled"
        (end,) = it.events(run, "run_cancelled")
        assert end.not_undone == [  # type: ignore[attr-defined] - of that kind
            {"command": "1", "action": "admit", "outcome": "happened", "undo": "discharge"}
        ]
        assert it.run(run).summary == "she left; 'admit' stays done, discharge would have undone it"
        await it.close()
        assert (await asyncio.to_thread(cli, "replay", run)).code == 0
        answer = await asyncio.to_thread(cli, "log", run)
        assert "'admit' stays done" in answer.out
        await it.open()


async def test_a_call_that_is_under_way_ends_unheard_and_is_named_when_its_run_is_cancelled(tmp_path: Path) -> None:
    async with opened(tmp_path) as it:
        begun.clear()
        go_on.clear()
        run = await it.client.start(slow_stay, {"patient": ANN})
        await begun.wait()
        await it.client.erase("P-1", by="dpo", reason="asked", force=True)
        go_on.set()
        await asyncio.sleep(1)
        await it.settle()
        assert it.status(run) == "attention"
        await it.client.cancel(run, by="op", reason="she left")
        await it.settle()
        assert it.run(run).summary == "she left; nobody knows whether 'slow_admit' happened"


async def test_children_of_a_run_that_can_only_end_are_cancelled_with_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as it:
        run = await it.start(outer, patient=ANN)
        (child,) = [row.id for row in it.client.runs() if row.parent == run]
        await it.client.erase("P-1", by="dpo", reason="asked", force=True)
        await it.client.cancel(run, by="op", reason="gone")
        await it.settle()
        assert (it.status(run), it.status(child)) == ("cancelled", "cancelled")


# --- what was written before ----------------------------------------------------------------------------


async def test_a_token_of_the_old_form_is_read_for_ever(tmp_path: Path) -> None:
    """As version 0 of the store wrote it: HMAC and AES-GCM under the installation's key, spelled out here."""
    import hashlib
    import hmac

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


async def test_show_and_start_say_that_a_result_was_erased(tmp_path: Path, cli: Cli) -> None:
    async with opened(tmp_path) as it:
        run, home = await finished(it, ANN), str(it.home)
        await erased(it, cli, ANN["number"])
        await it.close()
        shown = await asyncio.to_thread(cli, "show", run, "--home", home, "--json")
        told = await asyncio.to_thread(cli, "show", run, "--home", home)
        await it.open()
        assert "(erased)" in json.dumps([shown.json["input"], shown.json["result"]])
        assert "@" not in json.dumps([shown.json["input"], shown.json["result"]])
        assert "(erased)" in next(line for line in told.out.splitlines() if line.startswith("result"))
