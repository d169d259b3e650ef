"""Models behind a real HTTP server that speaks a provider's protocol, and does what providers do on bad days."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from backstay import Agent, AgentLimits, App, Model, Models, Price, Sensitive, action
from backstay.ai.models import Player
from backstay.ai.providers import Asked
from backstay.ai.scripted import ScriptedModel, Turn, call, finish
from backstay.ai.transcripts import Allowance, Message, Reply, ToolCall
from backstay.errors import AuthorError, BudgetCrossed, NotRetryable
from backstay.testing import harness
from backstay.testing_provider import FakeProvider, Fault
from backstay.types import IdempotencyKey, Mask


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


# --- the port alone ------------------------------------------------------------------------------------

TOOLS = json.dumps([{"name": "look", "description": "", "arguments": {"type": "object"}}])
KEY = IdempotencyKey("question-1")
DEAR = Price(input="1000000", output="0")
"""A dollar a token of what is sent: the sums are easy to see."""


async def ask(
    models: Models, left: Allowance | None = None, text: str = "Zoë", key: IdempotencyKey = KEY, turns: int = 0
) -> Reply:
    messages = [Message(role="user", text=text), *([Message(role="model", text="Hm.")] * turns)]
    return await models.ask("careful", "Look.", messages, TOOLS, left or Allowance(), Mask({}), key)


def size(text: str = "Zoë") -> int:
    return len("Look.") + len(TOOLS) + 8 + len(Message(role="user", text=text).model_dump_json().encode())


def at(url: str, **options: Any) -> Model:
    return Model(name="any", url=url, timeout="2s", answer_tokens=10, **{"price": DEAR, **options})


async def test_where_a_server_does_not_say_what_it_used_the_worst_counts() -> None:
    async with FakeProvider(["Hello."], faults={1: "uncounted"}) as provider:
        models = Models(careful=at(provider.url))
        reply = await ask(models)
        await models.close()
    assert (reply.input_tokens, reply.output_tokens) == (size(), 10)
    assert (reply.usd, reply.charged) == (None, Decimal(size()))


async def test_what_costs_nothing_costs_nothing_also_uncounted() -> None:
    async with FakeProvider(["Hello."], faults={1: "uncounted"}) as provider:
        models = Models(careful=at(provider.url, price=Price(input="0", output="0")))
        reply = await ask(models)
        await models.close()
    assert (reply.usd, reply.charged) == (Decimal(0), Decimal(0))


async def test_a_question_is_bounded_by_bytes_as_a_token_may_be_one() -> None:
    models = Models(careful=ScriptedModel(["Hello."] * 3))
    text = "語" * 1000
    assert (await ask(models, Allowance(tokens=size(text) + 50), text)).text == "Hello."
    with pytest.raises(BudgetCrossed, match="may take"):
        await ask(models, Allowance(tokens=size(text) + 49), text)


async def test_it_is_bounded_by_what_leaves_and_not_by_what_was_hidden() -> None:
    models = Models(careful=ScriptedModel(["Hello."]))
    mask = Mask({"secret " * 1000: "pii:1"})
    messages = [Message(role="user", text="secret " * 1000)]
    left = Allowance(tokens=size("pii:1") + 50)
    assert (await models.ask("careful", "Look.", messages, TOOLS, left, mask, KEY)).text == "Hello."


LOST: dict[Fault, int] = {"429": 0, "500": 0, "401": 0, "cut": 1, "malformed": 1, "hang": 1}


@pytest.mark.parametrize("fault", LOST)
async def test_an_answer_that_was_lost_counts_against_what_is_left(fault: Fault) -> None:
    async with FakeProvider(["Hello."], faults={1: fault}) as provider:
        models = Models(careful=at(provider.url, fallback="local"), local=ScriptedModel(["Hi."], usd="1"))
        reply = await ask(models, Allowance(usd=Decimal(size() + 1)))
        assert (reply.role, reply.usd, reply.charged) == ("local", Decimal(1), LOST[fault] * size() + 1)
        assert reply.input_tokens == LOST[fault] * (size() + 10)
        await models.close()


async def test_a_fallback_is_not_asked_for_what_the_first_may_have_spent() -> None:
    async with FakeProvider(["Hello."], faults={1: "malformed"}) as provider:
        models = Models(careful=at(provider.url, fallback="local"), local=ScriptedModel(["Hi."], usd="1"))
        with pytest.raises(BudgetCrossed, match="after what was lost"):
            await ask(models, Allowance(usd=Decimal(size())))
        await models.close()


async def test_attempts_at_one_question_add_up_and_those_at_another_do_not() -> None:
    async with FakeProvider(["Hello."], faults={1: "malformed", 2: "malformed"}) as provider:
        models = Models(careful=at(provider.url))
        left = Allowance(usd=Decimal(2 * size()))
        for _ in range(2):
            with pytest.raises(Exception, match="Invalid|JSON|json"):
                await ask(models, left)
        with pytest.raises(BudgetCrossed):
            await ask(models, left)
        assert (await ask(models, left, key=IdempotencyKey("question-2"))).text == "Hello."
        await models.close()


async def test_a_connection_that_never_was_costs_nothing() -> None:
    models = Models(careful=at("http://127.0.0.1:9/v1", fallback="local"), local=ScriptedModel(["Hi."], usd="1"))
    reply = await ask(models)
    assert (reply.role, reply.charged) == ("local", Decimal(1))
    await models.close()


# --- who stands in -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["401", "404"])
async def test_a_model_that_its_provider_does_not_give_us_has_a_stand_in(fault: Fault) -> None:
    async with FakeProvider(["Hello."], faults={1: fault}) as provider:
        models = Models(careful=at(provider.url, fallback="local"), local=ScriptedModel(["Hi."]))
        assert (await ask(models)).role == "local"
        await models.close()


@pytest.mark.parametrize("name", ["openai:gpt-5-mini", "groq:some", "nowhere:some"])
async def test_a_model_without_a_key_or_a_library_has_a_stand_in(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    alone, helped = Model(name=name), Model(name=name, fallback="local")
    assert (await ask(Models(careful=helped, local=ScriptedModel(["Hi."])))).role == "local"
    with pytest.raises(NotRetryable, match="is not configured|needs another package"):
        await ask(Models(careful=alone))


async def test_what_is_wrong_with_the_request_is_final() -> None:
    async with FakeProvider(["Hello."], faults={1: "400"}) as provider:
        models = Models(careful=at(provider.url, fallback="local"), local=ScriptedModel(["Hi."]))
        with pytest.raises(NotRetryable, match="refused the request"):
            await ask(models)
        await models.close()


async def test_a_missing_stand_in_does_not_end_what_another_attempt_may_cure() -> None:
    async with FakeProvider(["Hello."], faults={1: "500"}) as provider:
        first, second = at(provider.url, fallback="local"), Model(name="nowhere:some")
        models = Models(careful=first, local=second)
        with pytest.raises(Exception, match="500") as raised:
            await ask(models)
        assert not isinstance(raised.value, NotRetryable)
        assert (await ask(models)).role == "careful"
        await models.close()


# --- a reply cannot fail the run -----------------------------------------------------------------------


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


async def replied(turn: Turn) -> list[ToolCall]:
    return (await ask(Models(careful=ScriptedModel([turn])))).calls


WRONG = {
    "deeper than 50": nested(51),
    "100011 characters of JSON, and may be 100000": {"text": "x" * 100_000},
    "cannot be kept as JSON: ": {"text": "\ud800"},
    "cannot be kept": {"number": float("nan")},
}


@pytest.mark.parametrize("words", WRONG)
async def test_arguments_that_nobody_can_carry_on_are_dropped_and_told(words: str) -> None:
    (found,) = await replied(call("look", **WRONG[words]))
    assert found.args == {}
    assert words in found.problem


async def test_arguments_at_the_limit_pass() -> None:
    (deep,) = await replied(call("look", **nested(50)))
    assert (deep.args, deep.problem) == (nested(50), "")


async def test_a_reply_may_ask_for_fifty_calls() -> None:
    found = await replied([call("look", n=n) for n in range(60)])
    assert (len(found), [each.problem for each in found[:50]]) == (51, [""] * 50)
    assert found[50].problem == "one reply may ask for 50 calls; this one and 9 after it were not looked at"
    assert found[50].args == {}


async def test_every_call_has_an_id_of_its_own() -> None:
    calls = [ToolCall(id=name, tool="look") for name in ("a", "a", "", "", "b" * 1000)]
    names = [each.id for each in await replied(calls)]
    assert len(set(names)) == 5
    assert names[0] == "a"
    assert max(map(len, names)) == 200


async def test_an_id_is_not_used_again_in_a_later_turn() -> None:
    models = Models(careful=ScriptedModel(lambda _: ToolCall(id="call_0", tool="look")))
    first = await ask(models)
    messages = [Message(role="user", text="Zoë"), Message(role="model", calls=first.calls)]
    second = await models.ask("careful", "Look.", messages, TOOLS, Allowance(), Mask({}), KEY)
    assert (first.calls[0].id, second.calls[0].id) == ("call_0", "call_0-2-0")


async def test_a_text_without_end_is_cut() -> None:
    reply = await ask(Models(careful=ScriptedModel(["x" * 300_000])))
    assert (len(reply.text), reply.text[-10:]) == (200_010, " ... (cut)")


async def test_arguments_too_deep_for_the_reader_of_json_are_told() -> None:
    deep = '{"a":' * 100_000 + "1" + "}" * 100_000

    class Deep(FakeProvider):
        def _scripted(self, body: Any) -> Any:
            function = {"name": "look", "arguments": deep}
            return {
                "role": "assistant", "content": None,
                "tool_calls": [{"id": "c", "type": "function", "function": function}],
            }  # fmt: skip

    async with Deep([]) as provider:
        models = Models(careful=at(provider.url))
        (found,) = (await ask(models)).calls
        await models.close()
    assert "the arguments are not JSON" in found.problem


async def test_a_reply_of_nonsense_ends_no_run() -> None:
    nonsense: list[Any] = [
        call("find_customer", number=nested(300)),
        [ToolCall(id="", tool="find_customer", args={"number": "7"}), ToolCall(id="", tool="\ud800", args={})],
        *TURNS[1:],
    ]
    models: dict[str, Player] = {"careful": ScriptedModel(nonsense)}
    async with harness(App("nonsense", workflows=[finder], models=Models(**models))) as it:
        run = await it.start(finder, input={"number": "7"})
        found = await it.result(run)
    assert found["reason"] in ("goal-met", "no-progress")


def test_the_size_of_a_request_counts_each_message() -> None:
    one, two = (Asked(system="", messages=[Message(role="user")] * number, tools="") for number in (1, 2))
    assert two.size - one.size == 8 + len(Message(role="user").model_dump_json())


def test_a_published_price_bounds_a_question_where_the_role_names_none() -> None:
    known = Model(name="openai:gpt-5-mini").worst(1000)
    assert known is not None
    assert Decimal(0) < known < Decimal("0.05")
    assert Model(name="openai:no-such-model").worst(1000) is None
    assert Model(name="gpt-5-mini", url="http://127.0.0.1:1/v1").worst(1000) is None
