"""A model is asked no faster than its role allows, and not before the time that its provider asked for."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from backstay import Agent, App, Model, Models, Price, Rate, Retry
from backstay.actions import LONGEST_PAUSE, pause_of
from backstay.ai.models import ANSWER_SECONDS
from backstay.ai.providers import Asked
from backstay.ai.scripted import ScriptedModel, finish
from backstay.ai.transcripts import Allowance, Message, Reply
from backstay.errors import BudgetCrossed
from backstay.testing import harness
from backstay.testing_provider import FakeProvider
from backstay.types import IdempotencyKey, Mask


class Answer(BaseModel):
    city: str


sayer = Agent("sayer", goal="Say the city.", tools=[], output=Answer)
END = finish({"city": "Kiel"})


def at(url: str, **options: Any) -> Model:
    return Model(name="any", url=url, price=Price(input="1", output="2"), timeout="5s", answer_tokens=10, **options)


async def ask(models: Models, key: str = "1", left: Allowance | None = None) -> Reply:
    messages = [Message(role="user", text="Where?")]
    return await models.ask("careful", "Look.", messages, "[]", left or Allowance(), Mask({}), IdempotencyKey(key))


async def test_questions_go_out_evenly_spread() -> None:
    """The clock of the loop stands in for the provider's: between four questions lie three gaps."""
    loop = asyncio.get_running_loop()
    async with FakeProvider(["Hello."]) as provider:
        models = Models(careful=at(provider.url, rate=Rate(calls=10, per="500ms")))
        begun = loop.time()
        await asyncio.gather(*[ask(models, str(number)) for number in range(4)])
        lasted = loop.time() - begun
        await models.close()
    assert len(provider.requests) == 4
    assert lasted >= 0.15


async def test_whoever_waits_for_its_turn_has_spent_nothing() -> None:
    async with FakeProvider(["Hello."]) as provider:
        models = Models(careful=at(provider.url, rate=Rate(calls=1, per="1h")))
        first = await ask(models)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await ask(models, "2")
        assert models._lost == {}
        await models.close()
    assert len(provider.requests) == 1
    assert first.charged > 0


async def test_a_role_that_is_full_lets_the_others_wait_for_their_turn() -> None:
    answering, most, both = 0, 0, asyncio.Event()

    class Counted(FakeProvider):
        async def _answer(self, *args: Any) -> bool:
            nonlocal answering, most
            answering += 1
            most = max(most, answering)
            if answering == 2:
                both.set()
            await both.wait()
            try:
                return await super()._answer(*args)
            finally:
                answering -= 1

    async with Counted(["Hello."]) as provider:
        models = Models(careful=at(provider.url, concurrency=2))
        await asyncio.gather(*[ask(models, str(number)) for number in range(6)])
        await models.close()
    assert (len(provider.requests), most) == (6, 2)


async def test_a_provider_that_says_when_to_come_back_is_asked_then_and_not_before() -> None:
    async with FakeProvider([END], faults={1: "429"}, retry_after=90) as provider:
        app = App("busy", workflows=[sayer], models=Models(careful=at(provider.url)))
        async with harness(app) as it:
            run = await it.start(sayer, input="go")
            await it.advance("89s")
            assert (len(provider.requests), it.status(run)) == (1, "waiting")
            await it.restart()
            await it.advance("1s")
            assert len(provider.requests) > 1
            (failed,) = it.events(run, "attempt_failed")
            assert getattr(failed, "retry_at").startswith("2026-01-05T09:01:30")  # noqa: B009 - of one kind of event


async def test_without_that_it_is_tried_again_as_ever() -> None:
    async with FakeProvider([END], faults={1: "429"}) as provider:
        async with harness(App("busy", workflows=[sayer], models=Models(careful=at(provider.url)))) as it:
            await it.start(sayer, input="go")
            await it.advance("3s")
        assert len(provider.requests) > 1


async def test_while_one_provider_wants_to_be_left_alone_a_stand_in_answers() -> None:
    async with FakeProvider([END], faults={1: "429"}, retry_after=90) as provider:
        models = Models(careful=at(provider.url, fallback="local"), local=ScriptedModel(["Hi."]))
        assert (await ask(models)).role == "local"
        await models.close()


def test_nobody_is_left_alone_for_ever_and_nonsense_counts_for_nothing() -> None:
    class Busy(Exception):
        retry_after: Any = None

    def pause(said: Any) -> float:
        error = Busy()
        error.retry_after = said
        return pause_of(error)

    assert [pause(said) for said in (3, 2.5, -1, None, "soon", 1e12, float("nan"))] == [
        3.0, 2.5, 0.0, 0.0, 0.0, LONGEST_PAUSE, 0.0,
    ]  # fmt: skip
    assert pause_of(ValueError()) == 0.0
    assert Retry(first="2s", jitter=0).delay(1, 0.5, 90.0) == 90.0
    assert Retry(first="2s", jitter=0).delay(3, 0.5, 1.0) == 8.0


async def test_an_answer_without_end_is_given_up_and_may_have_cost_its_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ANSWER_SECONDS == 300.0
    monkeypatch.setattr("backstay.ai.models.ANSWER_SECONDS", 0.01)

    class Endless(ScriptedModel):
        async def answer(self, asked: Asked) -> Reply:
            while True:
                asked.progress("text", "and ")
                await asyncio.sleep(0)

    models = Models(careful=Endless([], usd="1"))
    with pytest.raises(Exception, match="the answer was not complete after 0.01 s"):
        await ask(models)
    with pytest.raises(BudgetCrossed, match="after what was lost"):
        await ask(models, left=Allowance(usd=Decimal("1.5")))
