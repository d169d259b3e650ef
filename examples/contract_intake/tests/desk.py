"""The desk at which the stories are told: offers that arrive, people who review, approve and sign, and a clock."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from backstay import App
from backstay.testing import Harness, ManualClock, harness
from examples.contract_intake.app import OFFERS, app, arrive, set_up
from examples.contract_intake.registry import Registry

LEGAL = {"verdict": "fine", "governing_law": "Austria", "liability_capped": True}
SECURITY = {"verdict": "fine", "data_stays_in": "EU", "certificate": "ISO 27001"}
ARCHITECTURE = {"verdict": "fine", "exit_plan": True}


class Desk:
    """The open application, seen by those who work with it."""

    def __init__(self, it: Harness, registry: Registry) -> None:
        self.it, self.registry = it, registry

    async def arrives(self, name: str) -> str:
        """An offer of the example arrives; answers with its run."""
        run = await arrive(self.it.client, OFFERS / f"{name}.json")
        await self.it.settle()
        return run

    def item(self, queue: str) -> str:
        """The only thing in a queue."""
        (wait,) = self.it.client.inbox(queue=queue)
        return wait.id

    def run_of(self, queue: str) -> str:
        return self.item(queue).partition("/")[0]

    def shown(self, queue: str) -> dict[str, Any]:
        """What a person sees who opens the only thing in a queue."""
        run, _, command = self.item(queue).partition("/")
        (asked,) = [event for event in self.it.events(run, command=command) if hasattr(event, "show")]
        return dict(asked.show)

    def queues(self) -> list[str]:
        """The queues in which something lies."""
        return sorted(wait.queue for wait in self.it.client.inbox())

    async def reviews(self, queue: str, form: dict[str, Any], *, by: str, **other: Any) -> None:
        await self.it.complete(self.item(queue), {**form, **other}, by=by)

    async def approves(self, queue: str, *, by: str) -> None:
        await self.it.approve(self.item(queue), by=by)

    async def rejects(self, queue: str, *, by: str, code: str, reason: str = "") -> None:
        await self.it.reject(self.item(queue), by=by, code=code, reason=reason)

    async def ending(self, run: str) -> str:
        """How a case ended."""
        return str((await self.it.result(run))["status"])

    def happened(self, run: str, kind: str) -> list[str]:
        """When something of this kind happened in a run, to the minute, in UTC."""
        return [event.at[:16] for event in self.it.events(run, kind)]


async def planning_is_reviewed(it: Desk) -> None:
    """All three reviews of the planning system, one after the other."""
    await it.reviews("legal", LEGAL, by="lotte", verdict="conditions", conditions=["cap the liability"])
    await it.reviews("security", SECURITY, by="sara")
    await it.reviews("architecture", ARCHITECTURE, by="anna")


@asynccontextmanager
async def desk(home: Path, application: App = app, clock: ManualClock | None = None) -> AsyncGenerator[Desk, None]:
    """Open the desk at `home`; one that was open before goes on, by its own clock."""
    registry = set_up(home)
    async with harness(application, home, clock=clock) as it:
        yield Desk(it, registry)
