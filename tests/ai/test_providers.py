"""Models behind a real HTTP server that speaks a provider's protocol, and does what providers do on bad days."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pydantic import BaseModel

from backstay import Agent, AgentLimits, App, Model, Models, Price, Sensitive, action
from backstay.ai.scripted import ScriptedModel, call, finish
from backstay.errors import AuthorError
from backstay.testing import harness
from backstay.testing_provider import FakeProvider, Fault


class Answer(BaseModel):
    city: str


class Customer(BaseModel):
    name: str
    iban: Sensitive["pii"]


@action(effect="read")
async def find_customer(number: str) -> Customer:
    """Look up a customer by number."""
    return Customer(name="Ann", iban="DE89370400440532013000")


@action(effect="read")
async def find_city(iban: str) -> str:
    """In which city a bank account is kept."""
    seen.append(iban)
    return "Kiel"


seen: list[str] = []
finder = Agent(
    "finder",
    goal="Find the city.",
    tools=[find_customer, find_city],
    output=Answer,
    limits=AgentLimits(usd="1", tokens=90_000),
)
TURNS = [
    call("plan", steps=["look"]),
    call("find_customer", number="7"),
    finish({"city": "Kiel"}, ("Ann it is.", "o1", "Ann")),
]


def served(url: str, **options: object) -> App:
    model = Model(name="any", url=url, price=Price(input="1", output="2"), timeout="2s", **options)  # type: ignore[arg-type]
    return App("served", workflows=[finder], models=Models(careful=model))


async def test_an_agent_runs_on_any_server_that_speaks_chat_completions() -> None:
    async with FakeProvider(TURNS) as provider, harness(served(provider.url)) as it:
        found = await it.result(await it.start(finder, input={"number": "7"}))
    assert (found["reason"], found["output"], len(provider.requests)) == ("goal-met", {"city": "Kiel"}, 3)
    first = provider.requests[0]
    assert [tool["function"]["name"] for tool in first["tools"]] == ["find_customer", "find_city", "plan", "finish"]
    assert first["tools"][0]["function"]["description"] == "Look up a customer by number."
    assert {request.get("max_tokens", request.get("max_completion_tokens")) for request in provider.requests} == {4096}
    assert Decimal(found["usd"]) > 0


FAULTS: list[Fault] = ["429", "500", "cut", "malformed", "bad-arguments", "wrong-tool", "wrong-arguments", "hang"]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_bad_day_costs_another_question_and_nothing_else(fault: Fault) -> None:
    async with FakeProvider(TURNS, faults={2: fault}) as provider, harness(served(provider.url)) as it:
        run = await it.start(finder, input={"number": "7"})
        await it.advance("5m")
        found = await it.result(run)
        retried = it.events(run, "attempt_failed")
    assert (found["reason"], found["output"]) == ("goal-met", {"city": "Kiel"})
    assert len(retried) == (fault in ("429", "500", "cut", "malformed", "hang"))


async def test_what_the_provider_refuses_is_not_asked_again() -> None:
    async with FakeProvider(TURNS, faults={1: "400"}) as provider, harness(served(provider.url)) as it:
        found = await it.result(await it.start(finder, input={"number": "7"}))
    assert (found["reason"], len(provider.requests)) == ("error", 1)


async def test_an_endless_loop_ends() -> None:
    provider = FakeProvider(lambda body: call("find_customer", number="7"))
    async with provider, harness(served(provider.url)) as it:
        found = await it.result(await it.start(finder, input={"number": "7"}))
    assert (found["reason"], len(provider.requests)) == ("no-progress", 2)


async def test_where_one_model_is_not_to_be_had_another_answers() -> None:
    async with FakeProvider(TURNS, faults={1: "500"}) as provider:
        first = Model(name="any", url=provider.url, price=Price(input="1", output="2"), fallback="local")
        models = Models(careful=first, local=ScriptedModel(TURNS))
        async with harness(App("two", workflows=[finder], models=models)) as it:
            run = await it.start(finder, input={"number": "7"})
            roles = [event.result["role"] for event in it.events(run, "call_returned", action="ask_model")]  # type: ignore[attr-defined]
    assert roles == ["local", "careful", "careful"]


async def test_a_provider_sees_pseudonyms_and_the_tools_see_values() -> None:
    seen.clear()

    def turn(body: object) -> object:
        messages = body["messages"]  # type: ignore[index]
        tools = [message["content"] for message in messages if message["role"] == "tool"]
        if not tools:
            return call("find_customer", number="7")
        if len(tools) == 1:
            return call("find_city", iban=tools[0].split('"iban":"')[1].split('"')[0])
        return finish({"city": "Kiel"}, ("It is there.", "o2", "Kiel"))

    async with FakeProvider(turn) as provider, harness(served(provider.url)) as it:  # type: ignore[arg-type]
        run = await it.start(finder, input={"number": "7"})
        assert (await it.result(run))["reason"] == "goal-met"
        stored = b"".join(path.read_bytes() for path in it.home.iterdir() if path.is_file())
    assert seen == ["DE89370400440532013000"]
    assert "DE89370400440532013000" not in str(provider.requests)
    assert b"DE89370400440532013000" not in stored


async def test_a_model_at_home_may_see_what_its_configuration_allows() -> None:
    async with FakeProvider(TURNS) as provider, harness(served(provider.url, classes=frozenset({"pii"}))) as it:
        await it.start(finder, input={"number": "7"})
    assert "DE89370400440532013000" in str(provider.requests)


def test_a_fallback_in_a_circle_is_refused() -> None:
    with pytest.raises(AuthorError, match="not a further role"):
        Models(careful=Model(name="a", fallback="fast"), fast=Model(name="b", fallback="careful"))
