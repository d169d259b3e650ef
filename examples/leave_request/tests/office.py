"""The office in which the stories are told: people who ask, people who decide, the HR system, a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

from backstay import App
from backstay.testing import Harness, ManualClock, harness
from examples.leave_request.app import app, ask_for_leave, set_up
from examples.leave_request.hr import Hr
from examples.leave_request.models import LeaveRequest

WEEK: dict[str, Any] = {"first_day": date(2026, 2, 9), "last_day": date(2026, 2, 13)}
"""Five working days, asked for five weeks before."""
MARCH: dict[str, Any] = {"first_day": date(2026, 3, 2), "last_day": date(2026, 3, 27)}
"""Twenty working days: HR must agree too."""


def wish(employee: str = "nina", **fields: Any) -> LeaveRequest:
    """Nina's week in February, where nothing else is said."""
    given = {"kind": "annual", "substitute": "tomek", **WEEK, **fields}
    return LeaveRequest.model_validate({"employee": employee, **given})


class Office:
    """The open application, seen by those who work with it."""

    def __init__(self, it: Harness, hr: Hr) -> None:
        self.it, self.hr = it, hr

    async def asks(self, employee: str = "nina", **fields: Any) -> str:
        """Somebody sends a form; answers with its run."""
        form = f"form {len(self.it.client.runs()) + 1}"
        run = await ask_for_leave(self.it.client, wish(employee, **fields), form=form)
        await self.it.settle()
        return run

    def item(self, run: str) -> str:
        """The approval that a run waits for."""
        (wait,) = [wait for wait in self.it.waits(run) if wait.kind == "approval"]
        return wait.id

    async def approves(self, run: str, *, by: str) -> None:
        await self.it.approve(self.item(run), by=by)

    async def rejects(self, run: str, *, by: str, code: str, reason: str = "") -> None:
        await self.it.reject(self.item(run), by=by, code=code, reason=reason)

    async def withdraws(self, run: str, reason: str = "", *, by: str = "nina") -> None:
        await self.it.signal(run, "withdraw", {"reason": reason}, by=by)

    async def ending(self, run: str) -> str:
        """How a case ended."""
        return str((await self.it.result(run))["status"])

    def happened(self, run: str, kind: str) -> list[str]:
        """When something of this kind happened in a run, to the minute, in UTC."""
        return [event.at[:16] for event in self.it.events(run, kind)]


@asynccontextmanager
async def office(home: Path, application: App = app, clock: ManualClock | None = None) -> AsyncGenerator[Office, None]:
    """Open the office at `home`; one that was open before goes on, by its own clock."""
    hr = set_up(home)
    async with harness(application, home, clock=clock) as it:
        yield Office(it, hr)
