"""The kill switch stops the next effect, leaves reading alive, survives a restart, and lets everything go on afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay import App, IdempotencyKey, action, sleep, wait_for, workflow
from backstay.errors import InvalidInput, StoreFenced
from backstay.testing import harness

done: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()


@action(effect="read")
async def look(what: str) -> str:
    done.append(f"look {what}")
    return what


@action(effect="write")
def post(what: str, key: IdempotencyKey) -> str:
    if f"post {what}" not in done:
        done.append(f"post {what}")
    return what


@action(effect="write")
def file_it(what: str, key: IdempotencyKey) -> str:
    done.append(f"file {what}")
    return what


@workflow
async def posts(what: str) -> str:
    await look(what)
    return await post(what)


@workflow
async def files(what: str) -> str:
    return await file_it(what)


@workflow
async def waits_and_posts(what: str) -> str:
    await wait_for("go")
    await sleep("1h")
    return await post(what)


app = App("switches", workflows=[posts, files, waits_and_posts])


@pytest.mark.parametrize("scope", ["all", "effect:write", "action:post", "workflow:posts"])
async def test_a_switch_that_is_off_stops_the_next_effect_and_not_the_reading(scope: str) -> None:
    async with harness(app) as it:
        await it.client.switch(scope, off=True, by="ann", reason="incident 7")
        run = await it.start(posts, what="a")
        assert done == ["look a"]
        (wait,) = it.waits(run)
        assert (wait.kind, wait.queue) == ("switched", "manual-backlog")
        assert wait.title == f"switch {scope!r} is off: incident 7"


@pytest.mark.parametrize("scope", ["effect:irreversible", "action:file_it", "workflow:files"])
async def test_a_switch_stops_only_its_own_scope(scope: str) -> None:
    async with harness(app) as it:
        await it.client.switch(scope, off=True, by="ann", reason="incident 7")
        assert it.status(await it.start(posts, what="a")) == "finished"


async def test_flipping_back_lets_everything_go_on() -> None:
    async with harness(app) as it:
        await it.client.switch("all", off=True, by="ann", reason="incident 7")
        runs = [await it.start(posts, what=what) for what in "abc"]
        assert await it.client.switch("all", off=False, by="ann", reason="over") == 3
        await it.settle()
        assert [it.status(run) for run in runs] == ["finished"] * 3
        assert sorted(done) == ["look a", "look b", "look c", "post a", "post b", "post c"]  # they go on together


async def test_a_switch_survives_a_restart_and_names_its_reason() -> None:
    async with harness(app) as it:
        await it.client.switch("all", off=True, by="ann", reason="incident 7")
        await it.restart()
        assert it.client.switches == {"all": "incident 7"}
        await it.start(posts, what="a")
        assert done == ["look a"]


async def test_a_switch_stops_what_was_waiting_when_it_wakes() -> None:
    async with harness(app) as it:
        run = await it.start(waits_and_posts, what="a")
        await it.client.signal(run, "go")
        await it.client.switch("all", off=True, by="ann", reason="incident 7")
        await it.advance("2h")
        assert done == []
        assert [wait.kind for wait in it.waits(run)] == ["switched"]


async def test_what_another_switch_still_stops_stays() -> None:
    async with harness(app) as it:
        for scope in ("all", "action:post"):
            await it.client.switch(scope, off=True, by="ann", reason="incident 7")
        posted, filed = await it.start(posts, what="a"), await it.start(files, what="b")
        await it.client.switch("all", off=False, by="ann", reason="over")
        await it.settle()
        assert [it.status(posted), it.status(filed)] == ["waiting", "finished"]


async def test_a_scope_that_does_not_exist_is_refused() -> None:
    async with harness(app) as it:
        for scope in ("everything", "action:", "effect:read", "agent:", ""):
            with pytest.raises(InvalidInput, match="there is no switch"):
                await it.client.switch(scope, off=True, by="ann", reason="?")
        assert it.client.switches == {}


async def test_a_crash_while_the_backlog_drains_leaves_nothing_behind() -> None:
    async with harness(app) as it:
        await it.client.switch("all", off=True, by="ann", reason="incident 7")
        runs = [await it.start(posts, what=what) for what in "abc"]
        await it.close()
        await it.open(crash_at=1)
        with pytest.raises(StoreFenced):
            await it.client.switch("all", off=False, by="ann", reason="over")
        await it.restart()
        await it.settle()
        assert it.client.switches == {}
        assert [it.status(run) for run in runs] == ["finished"] * 3


async def test_a_flip_is_an_event_with_actor_and_reason() -> None:
    async with harness(app) as it:
        await it.client.switch("all", off=True, by="ann", reason="incident 7")
        rows = it.client._reader.all("system_events", ("switch",))
        assert [row["body"] for row in rows] == [
            '{"at":"2026-01-05T09:00:00.000000Z","by":"ann","what":"switch","subject":"all",'
            '"detail":{"off":true,"reason":"incident 7"}}'
        ]


async def test_a_store_that_is_only_opened_shows_what_is_switched_off(tmp_path: Path) -> None:
    async with harness(app, tmp_path) as it:
        await it.client.switch("all", off=True, by="ann", reason="incident 7")
    async with app.open(tmp_path, resume=False) as client:
        assert client.switches == {"all": "incident 7"}
