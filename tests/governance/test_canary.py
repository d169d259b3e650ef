"""Canaries: private values sent through everything that a case can do, and searched for in everything that comes out."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from disguises import disguises, sightings
from pydantic import BaseModel

from backstay import (
    Alert,
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
from backstay.cli import entry, screen
from backstay.engine.control import serve
from backstay.errors import StoreFenced
from backstay.operations.exports import FORMATS
from backstay.testing import harness

NAME = "Wilhelmína Querfeldein"
IBAN = "DE89370400440532013000"
NUMBER = "KD-4711-0815"
SALARY = 73219486
CARD = "4111 1111 1111 1111"
BARE = "5555555555554444"
TOKEN = "sk" + "_live_" + "4eC39HqLyjWDarjtT1zdp7dc"
PLANTED = [NAME, IBAN, NUMBER, str(SALARY), CARD, BARE, TOKEN]
WHO = {"number": NUMBER, "name": NAME, "iban": IBAN, "salary": SALARY}
MAIL = f"please charge {CARD}, or {BARE}; the key is {TOKEN}."
"""Text that nobody tagged."""


class Person(BaseModel):
    number: Sensitive["subject"]
    name: Sensitive["pii"]
    iban: Sensitive["pii"]
    salary: Sensitive["pii", int]


class Form(BaseModel):
    account: Sensitive["pii"]
    remark: str = ""


@action(effect="read")
async def find(mail: str) -> Person:
    return Person.model_validate(WHO)


@action(effect="write", retry=Retry(attempts=2, first="1s", jitter=0))
def send(to: str, text: str, key: IdempotencyKey) -> str:
    raise ConnectionError(f"cannot send {text!r} to {to}")


@action(effect="write")
def odd(iban: str, mail: str) -> str:
    raise ConnectionError(f"no answer about {iban} and {mail}")


@action(effect="write")
def refuse(person: Person, key: IdempotencyKey) -> None:
    raise NotRetryable(f"{person.iban} of {person.name} is on a list, like {person.salary}")


@action(effect="irreversible")
def pay(iban: str, mail: str, key: IdempotencyKey) -> str:
    return f"paid {iban}: {mail}"


@action(effect="read")
async def history(iban: str) -> list[str]:
    return [f"booking {number} of {iban}" for number in range(3000)]


@workflow
async def everything(person: Person, mail: str) -> str:
    await note(f"{person.name} wrote {mail}", {"who": person.name, person.iban: mail})
    filled = await task("clerks", form=Form, title=f"Call {person.name}: {mail}", show={"about": person, "mail": mail})
    await start(child, f"about {person.name}", mail)
    await wait_for("more", type=Form)
    await wait_for("details", type=Form)
    await gather(approval("bosses", show=person, evidence=[mail, f"see {person.iban}"]))
    await history(person.iban)
    paid = await pay(person.iban, mail)
    return f"{paid} {filled.account}"


@workflow
async def child(subject: str, mail: str) -> str:
    return mail


@workflow
async def unsent(person: Person, mail: str) -> str:
    return await send(person.iban, f"{person.name}: {mail}")


@workflow
async def unknown(person: Person, mail: str) -> str:
    return await odd(person.iban, mail)


@workflow
async def refused(person: Person, mail: str) -> None:
    if person.salary > 100 and mail:
        await refuse(person)


@workflow
async def raises(person: Person, mail: str) -> None:
    raise ValueError(f"cannot treat {person.name}: {mail}")


@workflow
async def found(mail: str) -> str:
    person = await find(mail)
    return f"{person.name}: {mail}"


@action(effect="write")
def blabs(account: str) -> None:
    raise ConnectionError(f"401: key {TOKEN} is not known, card {BARE}")


@workflow
async def leaky() -> None:
    await blabs("main")


@workflow
async def asks() -> str:
    await approval("bosses")
    await task("clerks", title="Do it")
    return "done"


alerts: list[Alert] = []
ALL = [everything, child, unsent, unknown, refused, raises, found, leaky, asks]
app = App("canary", workflows=ALL, on_alert=[alerts.append])

COMMANDS = ("runs", "inbox", "queues", "switch", "metrics", "metrics --prometheus", "audit verify", "replay --all")
EXPORTS = [f"audit export {{}} --format {form}" for form in ("case", *FORMATS)]
PER_RUN = ("show {}", "log {}", "replay {}", "trace {}", "audit show {}", *EXPORTS)


@pytest.fixture
def printed(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("COLUMNS", "400")

    def run(home: Path, *arguments: str) -> bytes:
        capfd.readouterr()
        screen.consoles.cache_clear()
        entry.run([*arguments, "--home", str(home)])
        out, err = capfd.readouterr()
        return (out + err).encode()

    return run


def files(home: Path) -> Iterator[tuple[str, bytes]]:
    for path in home.rglob("*"):
        if path.is_file() and path.name != "seal.key":
            yield path.name, path.read_bytes()


def outputs(home: Path, printed: Any, runs: list[str]) -> Iterator[tuple[str, bytes]]:
    for line in [*COMMANDS, *(line.format(run) for line in PER_RUN for run in runs)]:
        yield line, printed(home, *line.split())
        if "--prometheus" not in line and "export" not in line:
            yield f"{line} --json", printed(home, *line.split(), "--json")


def leaks(sinks: Iterator[tuple[str, bytes]]) -> list[str]:
    return [f"{text} ({form}) in {sink}" for sink, data in sinks for text, form in sightings(data, PLANTED)]


def test_a_canary_would_be_seen_in_every_form() -> None:
    for text in PLANTED:
        for name, form in disguises(text).items():
            assert (text, name) in sightings(b"before " + form + b" after", PLANTED)


def test_a_canary_would_be_seen_inside_a_longer_text_in_base64() -> None:
    import base64

    for before in range(6):
        data = base64.b64encode(b"z" * before + IBAN.encode() + b" and more")
        assert sightings(data, [IBAN]), before


@pytest.fixture
def looked(tmp_path: Path, printed: Any) -> Any:
    """Every command on every run, and what of the planted stands in the answers."""

    async def look(runs: list[str]) -> tuple[dict[str, bytes], list[str]]:
        answers = await asyncio.to_thread(lambda: dict(outputs(tmp_path, printed, runs)))
        return answers, leaks(iter(answers.items()))

    return look


async def test_no_sink_shows_a_planted_value(tmp_path: Path, looked: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    alerts.clear()
    async with harness(app, tmp_path) as it:
        run = await it.start(everything, person=WHO, mail=MAIL, by="clerk")
        others = [await it.start(each, person=WHO, mail=MAIL) for each in (unsent, unknown, refused, raises)]
        runs = [run, *others, await it.start(found, mail=MAIL)]
        await it.client.signal(run, "more", {"account": IBAN, "remark": MAIL})
        await it.complete(run, {"account": IBAN, "remark": f"{NAME} says {MAIL}"}, by="ben")
        await it.client.signal(run, "details", {"account": IBAN, "remark": f"for {NAME}"})
        await it.settle()
        await it.approve(run, by="bob", reason=f"{NAME} is fine")
        await it.advance("1h")
        assert {wait.kind for each in runs for wait in it.waits(each)} == {"approval", "queued", "unknown"}
        async with serve(it.client, tmp_path):
            seen = dict(files(tmp_path))
        assert {"backstay.db", "backstay.db-wal", "worker.json"} <= seen.keys()
        assert leaks(iter(seen.items())) == []
        answers, leaked = await looked(runs)
        assert leaked == []
        assert all(answer for line, answer in answers.items() if run in line)
        assert all(b"pii:" in answers[f"{what} {run}"] for what in ("show", "log"))
        assert b"pii:" in answers[f"audit export {run} --format case"]
        await it.restart()
        await it.approve(run, by="bob", reason=f"{NAME} again")
        assert await it.result(run) == f"paid {IBAN}: {MAIL} {IBAN}"
    assert leaks(files(tmp_path)) == []
    assert (await looked(runs))[1] == []
    assert {alert.kind for alert in alerts} == {"queued", "unknown"}
    assert leaks(iter([("alerts", json.dumps([asdict(alert) for alert in alerts]).encode())])) == []
    assert leaks(iter([("logs", caplog.text.encode())])) == []


async def test_a_crash_leaves_no_planted_value_behind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for point in range(1, 6):
        home = tmp_path / str(point)
        async with harness(app, home, crash_at=point) as it:
            with suppress(StoreFenced):
                await it.start(everything, person=WHO, mail=MAIL)
            assert leaks(files(home)) == []
    assert leaks(iter([("logs", caplog.text.encode())])) == []


async def test_what_the_run_never_met_is_found_in_what_people_and_errors_say(
    tmp_path: Path, looked: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing private came in: the values first turn up in an error's text, a reason, a comment."""
    caplog.set_level(logging.DEBUG)
    alerts.clear()
    async with harness(app, tmp_path) as it:
        broken, asked = await it.start(leaky), await it.start(asks)
        await it.client.settle(broken, "give-up", by="op", reason=f"it said {CARD}")
        await it.approve(asked, by="bob", reason=f"card {CARD}, key {TOKEN}")
        await it.complete(asked, f"done with {CARD}", by="ben")
        await it.settle()
        assert (it.status(broken), it.status(asked)) == ("failed", "finished")
        assert leaks(files(tmp_path)) == []
        assert (await looked([broken, asked]))[1] == []
    assert leaks(iter([("alerts", json.dumps([asdict(alert) for alert in alerts]).encode())])) == []
    assert leaks(iter([("logs", caplog.text.encode())])) == []
