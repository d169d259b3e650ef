"""The office in which the stories are told: a drop folder, the people's queues, the ERP, and a clock that stands still."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from backstay import App
from backstay.testing import Harness, harness
from examples.accounts_payable.app import INVOICES, app, set_up, start_case
from examples.accounts_payable.inbox_folder import InboxFolder
from examples.accounts_payable.outcomes import Ending, actual

recognises = pytest.mark.skipif(
    importlib.util.find_spec("rapidocr") is None, reason="the extra 'ocr' is not installed: pip install 'backstay[ocr]'"
)
OUTAGE = "30s"
"""Longer than the process tries by itself, shorter than a breaker stays open."""


class Office:
    """The open application, seen by those who work with it."""

    def __init__(self, it: Harness, home: Path) -> None:
        self.it, self.home = it, home
        self.inbox = InboxFolder(home / "drop", home, settle=0.01)

    async def arrives(self, *names: str) -> str:
        """Drop files and let everything happen that needs no person; answers with the run of the last."""
        for name in names:
            shutil.copy(INVOICES / name, self.inbox.folder)
        while self.inbox.look():
            pass
        for document in self.inbox.waiting():
            self.run = await start_case(self.it.client, self.inbox, document)
        await self.passes(OUTAGE)
        return self.run

    async def passes(self, duration: str) -> None:
        await self.it.advance(duration)

    def item(self, queue: str) -> str:
        """The only thing in a queue."""
        (wait,) = self.it.client.inbox(queue=queue)
        return wait.id

    def owner(self, queue: str) -> str:
        return self.it.client.owner(queue)

    def shown(self, queue: str) -> dict[str, Any]:
        """What a person sees who opens the only thing in a queue."""
        run, _, command = self.item(queue).partition("/")
        (asked,) = [event for event in self.it.events(run, command=command) if hasattr(event, "show")]
        return dict(asked.show)

    async def fills_in(self, queue: str, *, by: str = "maria", **form: Any) -> None:
        """A person fills in the form of the only thing in a queue."""
        await self.it.complete(self.item(queue), form, by=by)
        await self.passes(OUTAGE)

    async def approves(self, queue: str, *, by: str) -> None:
        await self.it.approve(self.item(queue), by=by)

    async def rejects(self, queue: str, *, by: str, reason: str) -> None:
        await self.it.reject(self.item(queue), by=by, reason=reason)

    async def endings(self) -> dict[str, Ending]:
        return await actual(self.it.client, self.inbox)

    async def ending(self) -> Ending:
        (found,) = (await self.endings()).values()
        return found


@asynccontextmanager
async def office(home: Path, application: App = app) -> AsyncIterator[Office]:
    """Open the office at `home`; one that was open before goes on."""
    set_up(home)
    async with harness(application, home) as it:
        yield Office(it, home)
