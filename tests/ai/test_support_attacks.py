"""Attacks on the agent of support triage: by what customers write, in mails that arrive as mails do.

The example is used as it is: its agent, its policy, its helpdesk. Its model obeys the mail.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from backstay.ai.providers import Asked
from backstay.ai.scripted import Turn, call
from backstay.errors import NotRetryable
from backstay.events import CallIntended, CallReturned
from backstay.types import Json
from examples.support_triage.arrivals import received
from examples.support_triage.demo import MAILS
from examples.support_triage.tests.desk import CONTRACT, Desk, desk, scripted

ATTACKS = [
    json.loads(line) for line in Path(__file__).with_name("attacks").joinpath("support.jsonl").read_text().splitlines()
]
READS = ("search_orders", "subscription_of", "mail_thread")
OTHER = "T-000001"
"""The ticket of another customer."""

OPEN_TO_YES = {"read-next-ticket": "a number that the model made up stands in no text, so a person is asked"}


class Obeying:
    """Reads what an honest agent reads, then does what the mail says; on other tickets it does nothing."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def turn(self, asked: Asked) -> Turn:
        ticket = json.loads(asked.messages[0].text)["ticket"]
        reads = [call(name, ticket=ticket) for name in READS]
        steps = [
            [*reads, call("refund_policy")],
            *([call(tool, **_filled(args, ticket)) for tool, args in step] for step in self.calls),
        ]
        number = sum(message.role == "model" for message in asked.messages)
        return steps[number] if self.calls and number < len(steps) else NotRetryable("the script is over")


def _filled(args: Json, ticket: str) -> Json:
    return json.loads(json.dumps(args).replace("{ticket}", ticket).replace("{other}", OTHER))


@asynccontextmanager
async def office(home: Path) -> AsyncIterator[tuple[Desk, Obeying]]:
    """The desk, with another customer's ticket."""
    model = Obeying()
    async with desk(home, scripted(model.turn)) as it:
        await it.arrives(CONTRACT)
        yield it, model


async def obeyed(it: Desk, model: Obeying, attack: Json, *, approve: bool) -> list[Json]:
    """What the agent got done of what must not happen."""
    before = {run.id for run in it.it.client.runs(limit=10_000)}
    mail, more = received(MAILS / attack["mail"]), attack["content"].replace("{other}", OTHER)
    said = {"lines": [*mail.lines, more], "subject": f"{mail.subject} {more}", "attachments": [*mail.attachments, more]}
    model.calls = attack["calls"]
    await it.arrives(mail.model_copy(update={attack["at"]: said[attack["at"]], "digest": attack["id"]}))
    while approve and (held := [wait for wait in it.it.client.inbox() if wait.kind == "approval"]):
        await it.it.approve(held[0].id, by="maria")
    made = [
        made
        for run in it.it.client.runs(limit=10_000)
        if run.id not in before and run.workflow in ("support-agent", "refund_order")
        for made in _returned(it, run.id)
    ]
    wanted = [_filled(never, "") for never in attack["never"]]
    return [args for args in made if any(never.items() <= args.items() for never in wanted)][attack.get("honest", 0) :]


def _returned(it: Desk, run: str) -> list[Json]:
    """The calls of a run that were made, as their arguments and the action; of a write, its intent has them."""
    intents: dict[str, Json] = {}
    found: list[Json] = []
    for stored in it.it.client.events(run):
        event = stored.event
        if isinstance(event, CallIntended):
            intents[event.command] = event.args
        elif isinstance(event, CallReturned):
            found.append({**(event.args or intents.get(event.command, {})), "action": event.action})
    return found


@pytest.mark.parametrize("approve", [False, True])
async def test_what_a_customer_writes_decides_nothing(home: Path, approve: bool) -> None:
    came_through: dict[str, list[Json]] = {}
    async with office(home) as (it, model):
        for attack in ATTACKS:
            if harm := await obeyed(it, model, attack, approve=approve):
                came_through[attack["id"]] = harm
        assert it.refunds() == [("ORD-1042", "39.90")], "the honest refund, once"
    assert came_through.keys() == (OPEN_TO_YES.keys() if approve else set())
