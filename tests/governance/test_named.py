"""Every change names who asks for it, nobody decides about their own request, and no private text slips past the seal."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from backstay import (
    App,
    IdempotencyKey,
    Retry,
    Sensitive,
    action,
    approval,
    gather,
    note,
    task,
    wait_for,
    workflow,
)
from backstay.canonical import digest
from backstay.engine.control import RemoteClient, serve
from backstay.errors import InvalidInput, NotAllowed
from backstay.testing import Harness, harness

IBAN = "DE02120300000000202051"


class Person(BaseModel):
    name: str
    iban: Sensitive["pii"]


@action(effect="irreversible", approvers="desk")
async def pay(n: int) -> str:
    raise RuntimeError("boom")


@action(effect="irreversible")
async def wire(n: int) -> str:
    return "wired"


@action(effect="read", retry=Retry(attempts=1))
async def look(n: int) -> str:
    raise RuntimeError("down")


@action(effect="write")
async def open_safe(pin: Sensitive["pii"], key: IdempotencyKey) -> str:
    return "open"


@workflow
async def pays() -> str:
    return await pay(1)


@workflow
async def twice() -> str:
    await gather(approval("desk", action=wire(1)), approval("desk", action=wire(1)))
    await wire(1)
    return await wire(1)


@workflow
async def early() -> str:
    await approval("desk")
    got = await wait_for("person", type=Person)
    await note(f"about {got.iban}")
    return "ok"


@workflow
async def nested(country: str) -> str:
    who = Person(name="ann", iban=country + "02120300000000202051")
    await note("one", data={"who": who})
    await task("desk", show=[who])
    return "ok"


@workflow
async def named(person: Person) -> str:
    await wait_for(f"paid-{person.iban}")
    return "ok"


@workflow
async def looks(person: Person) -> str:
    return await look(1)


@workflow
async def opens(pin: Sensitive["pii"]) -> str:
    return await open_safe(pin)


app = App("named", workflows=[pays, twice, early, nested, named, looks, opens])


def written(it: Harness) -> str:
    with sqlite3.connect(it.home / "backstay.db") as store:
        tables = ("events", "waits", "runs")
        return repr([store.execute(f"select * from {table}").fetchall() for table in tables])


async def test_nothing_is_changed_by_nobody() -> None:
    async with harness(app) as it:
        run = await it.start(pays, by="ann")
        client = it.client
        for nobody in ("", " ", "\u200b"):
            for change in (
                client.start(pays, by=nobody),
                client.cancel(run, by=nobody),
                client.release(run, by=nobody),
                client.retry(run, by=nobody),
                client.settle(run, "give-up", by=nobody),
                client.switch("all", off=True, by=nobody, reason="x"),
            ):
                with pytest.raises(NotAllowed):
                    await change


async def test_a_character_that_does_not_show_makes_no_other_person() -> None:
    async with harness(app) as it:
        run = await it.start(pays, by="ann")
        with pytest.raises(NotAllowed, match="asked for this"):
            await it.approve(run, by="ann\u200b")


async def test_the_requester_is_the_journals_and_not_the_rows(tmp_path: Path) -> None:
    async with harness(app, tmp_path) as it:
        run = await it.start(pays, by="ann")
    with sqlite3.connect(tmp_path / "backstay.db") as store:
        store.execute("update waits set requester='bob'")
    async with harness(app, tmp_path) as it:
        with pytest.raises(NotAllowed, match="asked for this"):
            await it.approve(run, by="ann")


async def test_two_approvals_of_the_same_call_are_two() -> None:
    async with harness(app) as it:
        run = await it.start(twice, by="bob")
        for wait in list(it.waits(run)):
            await it.approve(wait.id, by="ann")
        assert it.status(run) == "finished"


async def test_an_early_signal_is_sealed_and_known_once_it_is_taken() -> None:
    async with harness(app) as it:
        run = await it.start(early)
        await it.client.signal(run, "person", {"name": "ann", "iban": IBAN})
        assert IBAN not in written(it)
        await it.restart()
        await it.approve(run, by="ann")
        assert it.status(run) == "finished"
        assert IBAN not in written(it)


async def test_models_are_sealed_wherever_they_stand() -> None:
    async with harness(app) as it:
        await it.start(nested, country="DE")
        assert IBAN not in written(it)


async def test_a_private_text_in_the_name_of_a_signal_is_not_written() -> None:
    async with harness(app) as it:
        run = await it.start(named, person={"name": "ann", "iban": IBAN})
        await it.client.signal(run, f"paid-{IBAN}")
        await it.restart()
        await it.settle()
        assert it.status(run) == "finished"
        assert IBAN not in written(it)


async def test_the_reason_of_a_retry_is_written_without_private_texts() -> None:
    async with harness(app) as it:
        run = await it.start(looks, person={"name": "ann", "iban": IBAN})
        await it.client.retry(run, by="op", reason=f"customer {IBAN} called")
        await it.settle()
        assert IBAN not in written(it)


async def test_an_idempotency_key_does_not_tell_the_arguments() -> None:
    async with harness(app) as it:
        run = await it.start(opens, pin="4815")
        (intent,) = it.events(run, "call_intended")
        said: Any = intent
        parts = {"run": run, "site": said.site, "occurrence": 0, "action": said.action, "arguments": {"pin": "4815"}}
        assert said.key != digest(parts)[:40]


async def test_a_switch_for_a_name_that_nobody_has_is_refused() -> None:
    async with harness(app) as it:
        for scope in ("action:pey", "workflow:pey"):
            with pytest.raises(InvalidInput, match="has no"):
                await it.client.switch(scope, off=True, by="ann", reason="x")
        assert it.client.switches == {}


async def test_a_flip_that_failed_takes_back_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    async with harness(app) as it:
        record = it.client._runner.system.record

        async def full(then: Any) -> None:
            await asyncio.sleep(0.05)
            then(InvalidInput("the disk is full"))
            raise InvalidInput("the disk is full")

        def failing(what: str, subject: str, detail: Any, by: str = "", then: Any = None) -> Any:
            return full(then) if subject == "workflow:pays" else record(what, subject, detail, by, then)

        monkeypatch.setattr(it.client._runner.system, "record", failing)
        first = asyncio.create_task(it.client.switch("workflow:pays", off=True, by="op", reason="a"))
        await asyncio.sleep(0.01)
        await it.client.switch("all", off=True, by="op", reason="incident")
        with pytest.raises(InvalidInput):
            await first
        assert it.client.switches == {"all": "incident"}


@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("decide", {"item": 5, "verdict": "approved", "by": "ann"}),
        ("retry", {"target": None, "by": "ann"}),
        ("start", {"workflow": ["pays"], "input": {}, "by": "ann"}),
        ("switch", {"scope": "all", "off": "false", "by": "ann", "reason": "x"}),
    ],
)
async def test_a_malformed_request_is_answered(method: str, args: dict[str, Any]) -> None:
    async with harness(app) as it, serve(it.client, it.home) as port:
        remote = RemoteClient(port, json.loads((it.home / "worker.json").read_text())["token"])
        with pytest.raises(InvalidInput):
            await remote._ask(method, **args)
        assert it.client.switches == {}
