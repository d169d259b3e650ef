"""Being the worker of a store: the application open, control served, and what happens told as it happens."""

from __future__ import annotations

import asyncio
import json
import signal as signals
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from backstay.cli import screen
from backstay.cli.following import Follower, News, Speech
from backstay.cli.loading import find_app, find_workflow, load
from backstay.cli.stores import STORE_FILE, look
from backstay.cli.story import MARGIN, brief, said
from backstay.engine.application import App
from backstay.engine.client import Client
from backstay.engine.control import serve
from backstay.store.database import Reader
from backstay.store.views import Run

LOOK_AGAIN = 0.1
"""Seconds between looks at a run that another process advances."""

LOOK_FOR_FAULTS = 1.0
"""Seconds between looks whether the engine had to stop."""

Tell = Callable[[News], None]


async def work(app: App, home: Path, as_json: bool) -> None:
    """Be the worker of a store until somebody stops it."""
    stop = stopping()
    async with opened(app, home, as_json) as client:
        if not as_json:
            waiting = sum(counts.get("waiting", 0) for counts in client.counts().values())
            screen.say(f"{app.name} runs on {home}: {', '.join(app.workflows)}.", "bold")
            screen.hint(f"{waiting} run(s) wait. Ctrl-C stops. Elsewhere: backstay start, inbox, approve, log.")
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_FOR_FAULTS)
            if client.fault is not None:
                raise client.fault
        if not as_json:
            screen.hint("Stopping; what is in the middle goes on at the next start.")


@asynccontextmanager
async def opened(app: App, home: Path, as_json: bool, tell: Tell | None = None) -> AsyncGenerator[Client]:
    """Open an application as the worker of a store: control is served, and what happens is told.

    On a terminal so is what models say, while they say it.
    """
    hear: list[Follower] = []

    def committed(number: int) -> None:
        for follower in hear:
            follower.committed(number)

    seen = tell is None and not as_json and screen.out().is_terminal
    speech = Speech(print_speech, lambda: max(20, screen.out().width - MARGIN)) if seen else None
    async with app.open(home, on_commit=committed, on_stream=None if speech is None else speech.hear) as client:
        reader = Reader(home / STORE_FILE)
        follower = Follower(reader)
        hear.append(follower)
        tell = tell or (print_json if as_json else print_news)
        telling = asyncio.create_task(follower.follow(tell))
        try:
            async with serve(client, home):
                yield client
        finally:
            hear.clear()
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling
            for news in follower.news():
                tell(news)
            reader.close()


def stopping() -> asyncio.Event:
    """An event that Ctrl-C or a polite kill sets."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signals.SIGINT, signals.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows: Ctrl-C arrives as KeyboardInterrupt instead
            break
    return stop


def print_news(news: News) -> None:
    screen.out().print(brief(news.line, news.run.id, screen.out().width), no_wrap=True)


def print_speech(run: str, line: str) -> None:
    screen.out().print(said(line, run), no_wrap=True)


def print_json(news: News) -> None:
    print(json.dumps({"run": news.run.id, "workflow": news.run.workflow, **news.line.as_json()}), flush=True)


async def run_here(
    path: Path, name: str, given: Any, key: str, who: tuple[str, str], home: Path, wait: bool, quiet: bool
) -> Run:
    """Open the store, start the run and go on until nothing moves, or with `wait` until the run has ended.

    who: whoever starts it, and for whom. quiet: do not tell what happens in the store meanwhile.
    """
    by, requester = who
    module = load(path)
    workflow = find_workflow(module, name)
    app = find_app(module, workflow=workflow.name)
    async with opened(app, home, quiet, tell=(lambda news: None) if quiet else None) as client:
        run = await client.start(
            workflow.name, given, key=key or None, by=by, trigger="command line", requester=requester or None
        )
        await (client.wait(run) if wait else client.idle())
        return client.run(run)


async def watch(home: Path, run: str) -> Run:
    """Wait until a run that another process advances has ended or needs attention."""
    while not ((row := look(home, run)).ended or row.status == "attention"):
        await asyncio.sleep(LOOK_AGAIN)
    return row
