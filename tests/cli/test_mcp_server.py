"""MCP clients, made with the official SDK, reach an agent's tools over stdio and HTTP, and the whole gate stands around it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult
from mcp_office import EVIL, IBAN, app, careful, clerk
from typed import Cli, wait_until

from backstay.engine.control import find_worker
from backstay.operations import mcp_server
from backstay.operations.mcp_server import Seat, make_server
from backstay.store.database import Reader
from backstay.store.views import Run, read_run
from backstay.testing import Harness, harness

OFFICE = Path(__file__).with_name("mcp_office.py")
CASE = "Pay vendor Brandt 40."
SERVE = ("mcp", "serve", str(OFFICE), "--agent", "clerk", "--for", "ann", "--goal", CASE)


def words(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "backstay.cli", *arguments]


def environment() -> dict[str, str]:
    """As a user's shell: nobody's key, and one who is not of the office."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BACKSTAY_")}
    return {**kept, "BACKSTAY_USER": "loop"}


def text(answer: CallToolResult) -> str:
    return answer.content[0].text  # type: ignore[union-attr]


def sessions() -> list[Run]:
    reader = Reader(Path(".backstay/backstay.db"))
    try:
        return [
            read_run(row)
            for row in reader.all("runs", {"status": None, "workflow": "clerk", "before": None, "limit": 9})
        ]
    finally:
        reader.close()


async def typed(*arguments: str) -> Any:
    """A command in another terminal."""
    done = await asyncio.to_thread(
        subprocess.run, words(*arguments, "--json"), capture_output=True, text=True, env=environment(), check=True
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.fixture(autouse=True)
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# --- the connection and its session, in this process ----------------------------------------------------


@asynccontextmanager
async def at_work(agent: Any = clerk, mode: str = "legacy") -> AsyncGenerator[tuple[Harness, Client, Seat]]:
    async with harness(app) as it:
        seat = Seat(agent, lambda: it.client.session(agent, goal=CASE, acting_for="ann", by="loop"))
        async with Client(make_server(agent, CASE, lambda context: seat), mode=mode, cache=None) as client:
            yield it, client, seat
        await seat.close()


async def test_what_a_client_is_told_of_the_tools() -> None:
    async with at_work() as (it, client, _):
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(listed) == [
            "account_of", "order", "inbox", "pay", "remember", "dawdle", "ask_buyer", "plan", "finish", "proposal"
        ]  # fmt: skip
        hints = {name: tool.annotations for name, tool in listed.items()}
        assert [name for name, hint in hints.items() if hint and hint.destructive_hint] == ["pay"]
        assert [name for name, hint in hints.items() if hint and hint.read_only_hint] == [
            "account_of", "order", "inbox", "dawdle", "plan", "proposal"
        ]  # fmt: skip
        assert hints["ask_buyer"] is None
        assert listed["pay"].input_schema["required"] == ["account", "amount"]
        assert CASE in (client.instructions or "")
        assert it.client.runs() == []


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_answers_are_text_and_structured_where_they_are_json(mode: str) -> None:
    async with at_work(mode=mode) as (_, client, _seat):
        plain, rich, listed = [
            await client.call_tool(name, args)
            for name, args in (("account_of", {"vendor": "Brandt"}), ("order", {"number": 7}), ("inbox", {}))
        ]
        assert (text(plain), plain.structured_content, plain.is_error) == (IBAN, None, False)
        assert rich.structured_content == {"number": 7, "total": 40} == json.loads(text(rich))
        assert list(listed.structured_content) == ["result"]


async def test_a_refusal_is_an_error_that_a_model_can_read() -> None:
    async with at_work() as (it, client, _):
        await client.call_tool("inbox", {})
        answers = [
            await client.call_tool("pay", {"account": EVIL, "amount": 40}),
            await client.call_tool("borrow", {}),
            await client.call_tool("account_of", {"vendor": "Brandt", "also": "this"}),
            await client.call_tool("proposal", {"id": "1.7"}),
            await client.call_tool("proposal", {"id": "1.1", "seconds": 1e9}),
            await client.call_tool("finish", {"output": {"cause": "due"}}),
            await client.call_tool("plan", {"steps": 7}),
        ]
        assert all(answer.is_error for answer in answers)
        assert [answer.structured_content["kind"] for answer in answers] == [
            *["ActionDenied"] * 3, "NotFound", *["InvalidInput"] * 3
        ]  # fmt: skip
        assert "a text that nobody asked about" in text(answers[0])
        assert it.client.inbox() == []
        assert not Path("paid").exists()
        assert it.prove() == 1


async def test_a_proposal_is_no_error_and_can_be_asked_for() -> None:
    async with at_work() as (it, client, _):
        held = await client.call_tool("pay", {"account": IBAN, "amount": 40})
        assert not held.is_error
        proposal = held.structured_content["proposal"]
        assert "waits for a person of 'approvals'" in text(held)
        assert f"proposal {proposal}" in text(held)
        assert text(await client.call_tool("proposal", {"id": proposal})) == text(held)
        (item,) = it.client.inbox()
        await it.client.decide(item.id, "rejected", by="bea", reason="not this month")
        refused = await client.call_tool("proposal", {"id": proposal, "seconds": 30})
        assert refused.is_error
        assert "not this month" in text(refused)


async def test_a_slow_tool_is_told_of_and_becomes_a_proposal_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_server, "PATIENCE", 0.05)
    monkeypatch.setattr(mcp_server, "BEAT", 0.01)
    beats: list[str] = []

    async def beat(progress: float, total: float | None, message: str | None) -> None:
        beats.append(message or "")

    async with at_work() as (_, client, _seat):
        slow = await client.call_tool("dawdle", {"seconds": 0.3}, progress_callback=beat)
        assert "still at work" in text(slow)
        assert slow.structured_content["queue"] == ""
        done = await client.call_tool("proposal", {"id": slow.structured_content["proposal"], "seconds": 30})
        assert text(done) == "at last"
    assert set(beats) == {"dawdle is at work"}


async def test_a_claim_may_name_what_was_seen_before_or_after_something_that_was_held() -> None:
    async with at_work() as (it, client, _):
        await client.call_tool("plan", {"steps": ["pay"], "tools": ["pay"]})
        held = await client.call_tool("pay", {"account": IBAN, "amount": 40})
        seen = await client.call_tool("order", {"number": 7})
        (item,) = it.client.inbox()
        await it.client.decide(item.id, "approved", by="bea")
        await client.call_tool("proposal", {"id": held.structured_content["proposal"], "seconds": 30})
        await client.call_tool("borrow", {})
        last = await client.call_tool("account_of", {"vendor": "Brandt"})
        claims = [
            {"text": "The total.", "source": seen.content[1].text.split()[-1].strip("."), "quote": '"total":40'},  # type: ignore[union-attr]
            {"text": "The account.", "source": last.content[1].text.split()[-1].strip("."), "quote": IBAN},  # type: ignore[union-attr]
        ]
        ended = await client.call_tool(
            "finish", {"output": {"cause": "due"}, "summary": "Paid.", "confidence": 1, "claims": claims}
        )
        assert not ended.is_error
        assert ended.structured_content["reason"] == "goal-met"
        late = await client.call_tool("account_of", {"vendor": "Brandt"})
        assert late.is_error
        assert "connect again" in text(late)
        assert it.prove() == 1


async def test_a_goal_that_was_not_met_is_an_error_and_a_person_may_have_the_last_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unfounded = {"output": {"cause": "because"}, "summary": "Trust me.", "confidence": 1, "claims": []}
    async with at_work() as (_, client, _seat):
        for _ in range(clerk.limits.invalid):
            ended = await client.call_tool("finish", unfounded)
            assert (ended.is_error, ended.structured_content["kind"]) == (True, "InvalidInput")
            assert "there are no claims" in text(ended)
        ended = await client.call_tool("finish", unfounded)
        assert (ended.is_error, ended.structured_content["reason"]) == (True, "error")
    monkeypatch.setattr(mcp_server, "LAST_WORD", 0.05)
    async with at_work(careful) as (it, client, _seat):
        for _ in range(careful.limits.invalid + 1):
            ended = await client.call_tool("finish", unfounded)
        assert "a person has the last word" in text(ended)
        assert [wait.queue for wait in it.client.inbox()] == ["buyers"]


async def test_a_client_that_gives_up_on_a_call_does_not_undo_it() -> None:
    async with at_work() as (it, client, seat):
        await client.call_tool("account_of", {"vendor": "Brandt"})
        asking = asyncio.create_task(client.call_tool("dawdle", {"seconds": 0.2}))
        while len(it.events(it.client.runs()[0].id, "call_asked")) < 2:
            await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.wait([asking])
        await asyncio.wait(seat._asking)
        assert text(await client.call_tool("proposal", {"id": "1.2"})) == "at last"


async def test_the_end_of_the_connection_ends_the_session() -> None:
    async with at_work() as (it, client, seat):
        await client.call_tool("pay", {"account": IBAN, "amount": 40})
        await seat.close()
        assert it.client.inbox() == []
        assert [run.status for run in it.client.runs()] == ["finished"]


# --- stdio ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def on_stdio(tmp_path: Path, *more: str) -> AsyncGenerator[Client]:
    server = StdioServerParameters(command=sys.executable, args=words(*SERVE, *more)[1:], env=environment())
    with (tmp_path / "stderr").open("w") as said:
        async with Client(stdio_client(server, errlog=said), cache=None) as client:
            yield client


async def test_over_stdio_a_payment_waits_for_who_may_approve_it_in_another_terminal(tmp_path: Path) -> None:
    async with on_stdio(tmp_path) as client:
        assert "pay" in [tool.name for tool in (await client.list_tools()).tools]
        assert text(await client.call_tool("account_of", {"vendor": "Brandt"})) == IBAN
        held = await client.call_tool("pay", {"account": IBAN, "amount": 40})
        waiting = asyncio.create_task(
            client.call_tool("proposal", {"id": held.structured_content["proposal"], "seconds": 50})
        )
        (item,) = await typed("inbox")
        assert not Path("paid").exists()
        assert (await typed("approve", item["id"], "--as", "bea"))["worker"] is True
        assert text(await waiting) == "paid 40"
        (session,) = sessions()
        assert (session.ended, session.requester) == (False, "ann")
    assert Path("paid").read_text() == f"{IBAN} 40\n"
    assert [run.status for run in sessions()] == ["finished"]
    assert "a tool that prints" in (tmp_path / "stderr").read_text()


@contextmanager
def raw(*more: str) -> Iterator[tuple[subprocess.Popen[str], Callable[..., Any]]]:
    """A server on stdio without a client around it, and a way to ask it."""
    process = subprocess.Popen(
        words(*SERVE, *more), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=environment(),
    )  # fmt: skip
    assert process.stdin
    assert process.stdout

    def send(method: str, number: int | None = None, **params: Any) -> Any:
        message = {"jsonrpc": "2.0", "method": method, "params": params, **({"id": number} if number else {})}
        process.stdin.write(json.dumps(message) + "\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
        return json.loads(process.stdout.readline()) if number else None  # type: ignore[union-attr]

    about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
    try:
        assert send("initialize", 1, **about)["result"]["serverInfo"]["name"] == "clerk"
        send("notifications/initialized")
        yield process, send
    finally:
        process.kill()
        process.wait(timeout=30)
        process.stdin.close()
        process.stdout.close()


@pytest.mark.parametrize("dies", ["its pipes are closed", "Ctrl-C", "SIGTERM"])
def test_when_the_connection_dies_its_session_is_over_and_its_proposal_withdrawn(dies: str) -> None:
    with raw() as (process, send):
        held = send("tools/call", 2, name="pay", arguments={"account": IBAN, "amount": 40})
        assert held["result"]["structuredContent"]["queue"] == "approvals"
        assert [run.ended for run in sessions()] == [False]
        if dies == "its pipes are closed":
            process.stdin.write('{"jsonrpc": "2.0", "id": 3, "method": "tools/list"}\n')  # type: ignore[union-attr]
            process.stdin.close()  # type: ignore[union-attr]
            process.stdout.close()  # type: ignore[union-attr]
        else:
            process.send_signal(signal.SIGINT if dies == "Ctrl-C" else signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert [run.status for run in sessions()] == ["finished"]
    assert not Path(".backstay/worker.json").exists()


def test_a_store_that_another_process_has_is_said_so() -> None:
    with raw():
        done = subprocess.run(
            words(*SERVE), capture_output=True, text=True, env=environment(), check=False, stdin=subprocess.DEVNULL
        )
    assert (done.returncode, done.stdout) == (5, "")
    assert "is in use by process" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--agent", "nobody"], 3, "no agent 'nobody'; it has careful, clerk"),
        ([], 3, "not one agent; it has careful, clerk"),
        (["--agent", "clerk", "--http", "here"], 6, "is no HOST:PORT"),
        (["--agent", "clerk", "--http", "0.0.0.0:0"], 4, "register people first"),
    ],
)
def test_what_cannot_be_served_is_said_before_it_is(arguments: Sequence[str], code: int, said: str) -> None:
    command = words("mcp", "serve", str(OFFICE), *arguments)
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(), check=False, stdin=subprocess.DEVNULL
    )
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


# --- HTTP -----------------------------------------------------------------------------------------------


@contextmanager
def over_http() -> Iterator[str]:
    """A server on loopback; gives its address, and stops it as Ctrl-C does."""
    command = words(*SERVE[:5], "--http", "127.0.0.1:0", "--json")
    with Path("said").open("w") as said:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, env=environment())
    try:
        wait_until(lambda: '"served"' in Path("said").read_text() or process.poll() is not None)
        yield next(
            told["served"] for line in Path("said").read_text().splitlines() if "served" in (told := json.loads(line))
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait(timeout=30)


@asynccontextmanager
async def connected(url: str, key: str = "") -> AsyncGenerator[Client]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http), cache=None) as client,
    ):
        yield client


async def test_over_http_two_connections_are_two_sessions_that_end_with_them() -> None:
    with over_http() as url:
        async with connected(url) as one, connected(url) as other:
            await one.call_tool("inbox", {})
            await other.call_tool("order", {"number": 7})
            await other.call_tool("order", {"number": 8})
            refused = await one.call_tool("pay", {"account": EVIL, "amount": 40})
            held = await other.call_tool("pay", {"account": EVIL, "amount": 40})
            assert (refused.is_error, held.is_error) == (True, False)
            assert (await one.call_tool("proposal", {"id": held.structured_content["proposal"]})).is_error
            assert [run.ended for run in sessions()] == [False] * 2
        await asyncio.to_thread(wait_until, lambda: [run.status for run in sessions()] == ["finished"] * 2)
        async with connected(url) as open_still:
            await open_still.call_tool("account_of", {"vendor": "Brandt"})
            await asyncio.to_thread(wait_until, lambda: len(sessions()) == 3)
            assert find_worker(Path(".backstay")) is not None
    assert [run.status for run in sessions()] == ["finished"] * 3


async def test_once_somebody_is_registered_a_key_is_needed_and_a_connection_belongs_to_its_key() -> None:
    async with app.open(".backstay", resume=False) as desk:
        office = desk.acting("root")
        await office.register("root", roles=["administrator"])
        await office.register("bea", roles=["approver"])
        for name in ("loop", "spy"):
            await office.register(name, kind="service", acts_for="root")
        loop, spy = await office.make_key("loop"), await office.make_key("spy")
    with over_http() as url:
        async with httpx2.AsyncClient() as http:
            for headers in ({}, {"Authorization": "Bearer bsk_no"}, {"Authorization": f"Basic {loop}"}):
                assert (await http.post(url, json={}, headers=headers)).status_code == 401
        async with connected(url, loop) as client:
            assert text(await client.call_tool("account_of", {"vendor": "Brandt"})) == IBAN
            held = await client.call_tool("pay", {"account": IBAN, "amount": 40})
            worker = find_worker(Path(".backstay"))
            assert worker is not None
            await worker.decide(f"{sessions()[0].id}/{held.structured_content['proposal']}", "approved", by="bea")
            paid = await client.call_tool("proposal", {"id": held.structured_content["proposal"], "seconds": 50})
            assert text(paid) == "paid 40"
            await worker.revoke("loop", by="root")
            with pytest.raises(MCPError):
                await client.call_tool("account_of", {"vendor": "Brandt"})
        (session,) = sessions()
        assert session.requester == "loop"
        async with connected(url, spy) as client:
            assert text(await client.call_tool("account_of", {"vendor": "Brandt"})) == IBAN


def test_the_command_says_how_it_is_used(cli: Cli) -> None:
    answer = cli("mcp", "--help")
    assert "serve" in answer.out
