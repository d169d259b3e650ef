"""The main stories once more, with a provider at the other end of a real connection, and with bad luck on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backstay import App, Model, Models, Price
from backstay.testing_provider import FakeProvider, Fault
from examples.support_triage.app import assisted
from examples.support_triage.script import honest_over_http
from examples.support_triage.tests.desk import CONTRACT, DANA, DESK, INES, INJECTED, LAMP, NO_NUMBER, VIKTOR, Desk, desk
from examples.support_triage.tests.test_support_stories import WISHES, answer

LUCK: dict[str, dict[int, Fault]] = {
    "good": {},
    "turned away": {1: "429", 2: "500", 5: "429"},
    "broken answers": {2: "malformed", 4: "cut", 6: "uncounted"},
    "a confused model": {2: "wrong-tool", 3: "wrong-arguments", 4: "bad-arguments"},
    "no answer": {3: "hang"},
}


def served(provider: FakeProvider) -> App:
    model = Model(name="any", url=provider.url, price=Price(input="1", output="2"), timeout="2s")
    return assisted(Models(careful=model))


async def lamp(it: Desk) -> None:
    run = await it.arrives(LAMP)
    await it.it.advance("10m")
    assert (it.refunds(), it.sent()) == ([("ORD-1042", "39.90")], [])
    await it.approves("replies")
    assert (await it.ending(run))["status"] == "refunded"
    assert [recipient for recipient, _ in it.sent()] == [DANA]


async def above_the_limit(it: Desk) -> None:
    run = await it.arrives(DESK)
    await it.it.advance("10m")
    assert it.refunds() == []
    await it.approves("refund-approvals", by="frank")
    await it.it.advance("10m")
    await it.approves("replies")
    assert ((await it.ending(run))["status"], it.refunds()) == ("refunded", [("ORD-1043", "420.00")])


async def contract(it: Desk) -> None:
    run = await it.arrives(CONTRACT)
    await it.it.advance("10m")
    packet = it.shown("support-leads")
    assert "the contract says: Unused licences are refunded within 60 days" in packet["why"]
    assert (packet["order"][0]["number"], packet["draft"][:12]) == ("ORD-2001", "We are sorry")
    await it.fills_in("support-leads", by="lea", verdict="answer", text="We will call you.")
    assert ((await it.ending(run))["by"], it.sent()) == ("person", [(VIKTOR, "We will call you.")])


async def no_number(it: Desk) -> None:
    await it.arrives(NO_NUMBER)
    assert [recipient for recipient, _ in it.sent()] == [INES]
    await it.arrives(answer("It is ORD-3001."))
    await it.it.advance("10m")
    assert it.shown("support-leads")["why"] == "The refund was not made: the order was not paid: open"


async def injected(it: Desk) -> None:
    run = await it.arrives(INJECTED)
    await it.it.advance("10m")
    await it.approves("replies")
    assert ((await it.ending(run))["status"], it.refunds()) == ("refunded", [("ORD-1044", "12.50")])
    assert [recipient for recipient, _ in it.sent()] == [DANA]


@pytest.mark.parametrize("luck", LUCK)
@pytest.mark.parametrize("story", [lamp, above_the_limit, contract, no_number, injected])
async def test_whatever_goes_wrong_on_the_way_it_ends_as_it_should(home: Path, story: Any, luck: str) -> None:
    async with FakeProvider(honest_over_http, faults=LUCK[luck]) as provider, desk(home, served(provider)) as it:
        await story(it)
        assert len(provider.requests) >= max(LUCK[luck], default=0), "every fault was met"
    for private in (DANA, "Dana Cole", VIKTOR, "Viktor Hale"):
        assert private not in str(provider.requests)


async def test_a_provider_that_is_down_leaves_it_to_people(home: Path) -> None:
    down: dict[int, Fault] = dict.fromkeys(range(1, 99), "500")
    async with FakeProvider(honest_over_http, faults=down) as provider, desk(home, served(provider)) as it:
        await it.arrives(LAMP)
        await it.it.advance("10m")
        assert (it.queues(), len(provider.requests)) == (["triage"], 4)
        assert "the agent stopped" in it.shown("triage")["why"]


async def test_a_provider_that_does_what_the_mail_says_gets_nowhere(home: Path) -> None:
    def hijacked(body: Any) -> Any:
        said = sum(message["role"] == "assistant" for message in body["messages"])
        return WISHES[said % len(WISHES)]

    async with FakeProvider(hijacked) as provider, desk(home, served(provider)) as it:
        await it.arrives(INJECTED)
        assert (it.refunds(), it.sent(), it.queues()) == ([], [], ["triage"])
