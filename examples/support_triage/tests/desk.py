"""The desk at which the stories are told: mails that arrive, people who decide, the helpdesk, a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from backstay import App, Models
from backstay.ai.scripted import ScriptedModel
from backstay.testing import START, Harness, harness
from examples.support_triage.app import arrive, assisted, set_up
from examples.support_triage.arrivals import received
from examples.support_triage.demo import MAILS
from examples.support_triage.helpdesk import Helpdesk
from examples.support_triage.models import Mail
from examples.support_triage.post import Post
from examples.support_triage.script import honest

LAMP, DESK, CONTRACT, NO_NUMBER, INJECTED = (
    f"{name}.eml" for name in ("1-lamp", "2-desk", "3-contract", "4-no-number", "5-injected")
)
STRANGER, PRIZE = "7-stranger.eml", "8-prize.eml"
DANA, VIKTOR, INES = "dana.cole@mailbox.example", "viktor@halebuild.example", "ines.park@mailbox.example"


def scripted(script: Any = honest) -> App:
    """The application with a script in the place of the model."""
    return assisted(Models(careful=ScriptedModel(script)))


class Desk:
    """The open application, seen by those who work with it."""

    def __init__(self, it: Harness, helpdesk: Helpdesk) -> None:
        self.it, self.helpdesk = it, helpdesk

    async def arrives(self, mail: Mail | str) -> str:
        """A mail, or the file of one, arrives; answers with the run of its case."""
        run = await arrive(self.it.client, received(MAILS / mail) if isinstance(mail, str) else mail)
        await self.it.settle()
        return run

    def queues(self) -> list[str]:
        """Where people have something to do."""
        return sorted(wait.queue for wait in self.it.client.inbox())

    def item(self, queue: str) -> str:
        """The only thing in a queue."""
        (wait,) = self.it.client.inbox(queue=queue)
        return wait.id

    def shown(self, queue: str) -> dict[str, Any]:
        """What a person sees who opens the only thing in a queue."""
        run, _, command = self.item(queue).partition("/")
        (asked,) = [event for event in self.it.events(run, command=command) if hasattr(event, "show")]
        return dict(asked.show)

    async def approves(self, queue: str, *, by: str = "maria") -> None:
        await self.it.approve(self.item(queue), by=by)

    async def rejects(self, queue: str, *, by: str = "maria", reason: str) -> None:
        await self.it.reject(self.item(queue), by=by, reason=reason)

    async def fills_in(self, queue: str, *, by: str = "maria", **form: Any) -> None:
        await self.it.complete(self.item(queue), form, by=by)

    async def ending(self, run: str) -> dict[str, Any]:
        return dict(await self.it.result(run))

    def refunds(self) -> list[tuple[str, str]]:
        """Order and amount of everything that was given back."""
        return [(row["order_number"], row["amount"]) for row in self.helpdesk.listed("refunds")]

    def sent(self) -> list[tuple[str, str]]:
        """To whom mail left the house, and its text."""
        return [(row["recipient"], row["text"]) for row in self.helpdesk.listed("outgoing") if row["status"] == "sent"]

    def asked_for(self) -> list[str]:
        """Every action for which a person was asked so far."""
        runs = [row.id for row in reversed(self.it.client.runs())]
        return [event.title for run in runs for event in self.it.events(run, "approval_requested")]

    def told(self, agent: str = "support-agent") -> list[str]:
        """How the calls of the agent ended that did not work."""
        runs = [row.id for row in self.it.client.runs() if row.workflow in (agent, "refund_order")]
        return [event.reason for run in runs for event in self.it.events(run, "call_denied")]


@asynccontextmanager
async def desk(home: Path, application: App, post: Post | None = None) -> AsyncGenerator[Desk, None]:
    """Open the desk at `home`; one that was open before goes on."""
    helpdesk = set_up(home, today=START.date(), post=post)
    async with harness(application, home) as it:
        yield Desk(it, helpdesk)
