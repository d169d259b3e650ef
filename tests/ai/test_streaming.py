"""What a model says reaches whoever watches the case while it says it; what is kept is the whole reply, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from backstay import Agent, AgentLimits, App, Model, Models, Price, Sensitive, action, workflow
from backstay.ai.providers import Asked
from backstay.ai.scripted import ScriptedModel, Turn, call, finish
from backstay.ai.transcripts import Reply
from backstay.engine.streams import Piece, Streams
from backstay.engine.watching import Committed, Happening
from backstay.errors import NotAllowed
from backstay.events import CallReturned
from backstay.governance.detectors import Detector
from backstay.testing import Harness, harness
from backstay.testing_provider import FakeProvider, Fault
from backstay.types import Mask, Progress

IBAN = "DE89370400440532013000"
CARD = "4111 1111 1111 1111"


class Answer(BaseModel):
    city: str


class Customer(BaseModel):
    name: str
    iban: Sensitive["pii"]


@action(effect="read")
async def find_customer(number: str) -> Customer:
    """Look up a customer by number."""
    return Customer(name="Ann", iban=IBAN)


finder = Agent(
    "finder", goal="Find the city.", tools=[find_customer], output=Answer, limits=AgentLimits(usd="1", tokens=90_000)
)


@workflow
async def asks(number: str) -> str:
    return (await finder({"number": number})).reason


SAYS = "I look the customer up first, and then I say in which city the account is kept."
TURNS: list[Turn] = [
    SAYS,
    call("find_customer", number="7"),
    finish({"city": "Kiel"}, ("Ann it is.", "o1", "Ann")),
]


def served(url: str, **options: Any) -> App:
    model = Model(name="any", url=url, price=Price(input="1", output="2"), timeout="1s", **options)
    return App("served", workflows=[asks, finder], models=Models(careful=model))


async def watched(it: Harness, run: str) -> list[Happening]:
    return [happening async for happening in it.client.watch(run)]


def said(happenings: Sequence[Happening]) -> str:
    return "".join(each.text for each in happenings if isinstance(each, Piece) and each.kind == "text")


def answers(happenings: Sequence[Happening]) -> list[Any]:
    """The replies that the journal has."""
    return [
        each.event.result
        for each in happenings
        if isinstance(each, Committed) and isinstance(each.event, CallReturned) and each.event.action == "ask_model"
    ]


# --- who watches a case ---------------------------------------------------------------------------------


async def test_the_words_of_an_agent_come_before_its_reply_also_to_who_watches_the_case_that_asked_it() -> None:
    async with FakeProvider(TURNS) as provider, harness(served(provider.url)) as it:
        run = await it.client.start(asks, {"number": "7"})
        seen = await watched(it, run)
        (child,) = it.client.runs(workflow="finder")
        pieces = [each for each in seen if isinstance(each, Piece)]
        first = next(at for at, each in enumerate(seen) if isinstance(each, Committed) and each.event in
                     it.events(child.id, "call_returned", action="ask_model"))  # fmt: skip
    assert {piece.run for piece in pieces} == {child.id}
    assert [piece.kind for piece in pieces if piece.kind != "text"] == ["begun", "done", *["begun", "tool", "done"] * 2]
    assert [piece.text for piece in pieces if piece.kind == "tool"] == ["find_customer", "finish"]
    assert said(seen[:first]) == SAYS
    assert answers(seen)[0]["text"] == SAYS
    own = [each.seq for each in seen if isinstance(each, Committed) and each.run == run]
    assert own == list(range(1, len(own) + 1))


async def test_a_reply_that_was_streamed_is_kept_as_one_that_was_not() -> None:
    kept = []
    for stream in (True, False):
        async with FakeProvider(TURNS) as provider, harness(served(provider.url, stream=stream)) as it:
            seen = await watched(it, await it.client.start(finder, {"input": {"number": "7"}}))
        kept.append([{**reply, "request": ""} for reply in answers(seen)])  # each store has pseudonyms of its own
        assert (said(seen) == SAYS) is stream
        assert [bool(body.get("stream")) for body in provider.requests] == [stream] * 3
    assert kept[0] == kept[1]


async def test_the_words_come_while_the_question_is_open() -> None:
    """The model goes on only once somebody has heard it."""
    heard = asyncio.Event()

    class Patient(ScriptedModel):
        async def answer(self, asked: Asked) -> Reply:
            asked.progress("text", "I begin. ")
            await heard.wait()
            return await super().answer(asked)

    app = App("patient", workflows=[asks, finder], models=Models(careful=Patient(TURNS)))
    async with harness(app) as it:
        run = await it.client.start(finder, {"input": {"number": "7"}})
        async for happening in it.client.watch(run):
            if isinstance(happening, Piece) and happening.text == "I begin. ":
                assert heard.is_set() or not it.events(run, "call_returned")
                heard.set()
        assert it.status(run) == "finished"


BROKEN: list[Fault] = ["cut", "short", "malformed", "hang-midway"]


@pytest.mark.parametrize("fault", BROKEN)
async def test_a_stream_that_breaks_is_a_failed_attempt_and_the_next_begins_anew(fault: Fault) -> None:
    async with FakeProvider(TURNS, faults={1: fault}) as provider, harness(served(provider.url)) as it:
        run = await it.client.start(finder, {"input": {"number": "7"}})
        watching = asyncio.ensure_future(watched(it, run))
        await it.settle()
        assert it.kinds(run)[1:] == ["attempt_failed"]
        await it.advance("1m")
        seen = await watching
        (failed,) = it.events(run, "attempt_failed")
        replies = answers(seen)
    place = next(at for at, each in enumerate(seen) if isinstance(each, Committed) and each.event == failed)
    assert 0 < len(said(seen[:place])) < len(SAYS)
    assert said(seen[place:]) == SAYS
    assert [reply["text"] for reply in replies] == [SAYS, "", ""]
    assert float(replies[0]["charged"]) > float(replies[0]["usd"])  # the lost answer may have been billed


async def test_a_stand_in_begins_anew() -> None:
    async with FakeProvider(TURNS, faults={1: "short"}) as provider:
        first = Model(name="any", url=provider.url, price=Price(input="1", output="2"), fallback="local")
        app = App("two", workflows=[finder], models=Models(careful=first, local=ScriptedModel(TURNS)))
        async with harness(app) as it:
            seen = list[Any]()
            it.client._runner.gateway.streams.on_stream = seen.append
            await it.start(finder, input={"number": "7"})
    begun = [each.text for each in seen if isinstance(each, Piece) and each.kind == "begun"]
    assert begun[:2] == ["careful", "local"]
    assert said(seen).endswith(SAYS)


async def test_whoever_may_not_see_any_more_hears_nothing_more() -> None:
    gate = asyncio.Event()

    class Slow(ScriptedModel):
        async def answer(self, asked: Asked) -> Reply:
            await gate.wait()
            return await super().answer(asked)

    async with harness(App("slow", workflows=[finder], models=Models(careful=Slow(TURNS)))) as it:
        for name, role in (("root", "administrator"), ("vic", "viewer"), ("ops", "operator")):
            await it.client.register(name, roles=[role], by="root")
        run = await it.client.start(finder, {"input": {"number": "7"}}, by="ops")
        news = it.client.acting("vic").watch(run)
        assert isinstance(await anext(news), Committed)
        await it.client.revoke("vic", by="root")
        gate.set()
        with pytest.raises(NotAllowed, match="'vic' is revoked"):
            [each async for each in news]
        assert it.client._runner.gateway.streams._watches == {}
        assert len(it.client._runner.watchers) == 0


async def test_closing_the_application_lets_watchers_go() -> None:
    class Hangs(ScriptedModel):
        async def answer(self, asked: Asked) -> Reply:
            await asyncio.Event().wait()
            raise AssertionError

    async with harness(App("hangs", workflows=[finder], models=Models(careful=Hangs(TURNS))), prove=False) as it:
        run = await it.client.start(finder, {"input": {"number": "7"}})
        watching = asyncio.ensure_future(watched(it, run))
        await asyncio.sleep(0)
        await it.client.cancel(run, by="ann")
        assert [each.event for each in await watching if isinstance(each, Committed)][-1] == it.events(run)[-1]
        other = await it.client.start(finder, {"input": {"number": "8"}})
        watching = asyncio.ensure_future(watched(it, other))
        await asyncio.sleep(0)
        it.client._runner.gateway.streams.close()
        assert len([each for each in await watching if isinstance(each, Committed)]) == 1
        await it.client.cancel(other, by="ann")


# --- what is private ------------------------------------------------------------------------------------


async def test_a_watcher_sees_pseudonyms_also_of_a_model_that_sees_the_values() -> None:
    tells = f"The account is {IBAN}, and the card that pays is {CARD}. It is all there is to say of it, I believe."

    def turn(body: Any) -> Turn:
        tools = [message["content"] for message in body["messages"] if message["role"] == "tool"]
        if not tools:
            return call("find_customer", number="7")
        assert IBAN in tools[0]
        return tells if body["messages"][-1]["role"] == "tool" else finish({"city": "Kiel"}, ("Ann.", "o1", "Ann"))

    async with FakeProvider(turn) as provider, harness(served(provider.url, classes=frozenset({"pii"}))) as it:
        seen = await watched(it, await it.client.start(finder, {"input": {"number": "7"}}))
    shown = said(seen)
    assert shown.startswith("The account is pii:")
    assert shown.endswith(". It is all there is to say of it, I believe.")
    assert " and the card that pays is card:" in shown
    assert IBAN not in str(seen)
    assert CARD not in str(seen)


PRIVATE = {IBAN: "pii:1", "Anna Meier": "pii:2", 'Zoë "Bo" O\\Neil\nof Köln': "pii:3", "A B": "pii:4", "Q7": "pii:5"}
SECRETS = [
    CARD, "DE89 3704 0044 0532 0130 00", "ghp_" + "a1B2" * 9, "ann@example.com", "86095742719",
    "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIx" * 40 + "." + "s" * 400,
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n\nAbc def\n-----END RSA PRIVATE KEY-----",
]  # fmt: skip
DETECTOR = Detector(["card", "secret", "iban", "email", "national-id"])


def masked() -> Mask:
    def tokens(text: str) -> dict[str, str]:
        return {text[f.start : f.end]: f"{f.name}:{abs(hash(text[f.start : f.end]))}" for f in DETECTOR.find(text)}

    return Mask(PRIVATE, tokens)


async def streamed(text: str, size: int) -> str:
    """What a watcher sees of a text that comes in pieces of a size."""
    streams, heard = Streams(), list[Piece]()
    streams.on_stream = heard.append
    progress: Callable[..., None] = streams.of("run", "0", 1, masked())
    progress("begun", "careful")
    for at in range(0, len(text), size):
        progress("text", text[at : at + size])
        for private in (*PRIVATE, *SECRETS):  # nor does the beginning of one ever stand at the end of what is seen
            for length in range(4, len(private)):
                assert not said(heard).endswith(private[:length]) or text[: at + size].count(private[:length]) == 0
    progress("done")
    return said(heard)


@pytest.mark.parametrize("size", [1, 3, 7, 64])
@pytest.mark.parametrize("private", [*PRIVATE, *SECRETS], ids=range(len(PRIVATE) + len(SECRETS)))
async def test_nothing_private_is_shown_wherever_the_stream_cuts_it(private: str, size: int) -> None:
    text = f'It says "{private}" here, which is\nwhat order 4711 of 2026 is about: {private} and no more than that.'
    assert await streamed(text, size) == masked().hide(text)


async def test_plain_words_are_not_held_back() -> None:
    streams, heard = Streams(), list[Piece]()
    streams.on_stream = heard.append
    progress = streams.of("run", "0", 1, masked())
    for word in ("Freight ", "is ", "billed ", "apart "):
        progress("text", word)
        assert said(heard).endswith(word)


async def test_a_long_text_is_looked_at_rarely_and_told_whole() -> None:
    streams, heard = Streams(), list[Piece]()
    streams.on_stream = heard.append
    progress = streams.of("run", "0", 1, masked())
    for _ in range(10_000):
        progress("text", "word ")
    progress("done")
    assert said(heard) == "word " * 10_000
    assert len(heard) < 300


async def test_a_listener_that_fails_harms_no_case() -> None:
    def fails(piece: Piece) -> None:
        raise ValueError(piece.kind)

    told: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["message"]))
    async with harness(App("two", workflows=[finder], models=Models(careful=ScriptedModel(TURNS)))) as it:
        it.client._runner.gateway.streams.on_stream = fails
        assert (await it.result(await it.start(finder, input={"number": "7"})))["reason"] == "goal-met"
    assert told[0] == "on_stream listener failed: ValueError('begun')"


@action(effect="read")
def counts(progress: Progress) -> int:
    """Work in a thread, and tell how far it is."""
    for number in range(3):
        progress("text", f"{number} ")
    return 3


@workflow
async def counting() -> int:
    return await counts()


async def test_an_action_of_ones_own_tells_how_far_it_is_also_from_a_thread() -> None:
    assert counts.parameters == ()
    async with harness(App("counting", workflows=[counting], actions=[counts])) as it:
        seen = await watched(it, await it.client.start(counting))
    assert said(seen) in ("", "0 ", "0 1 ", "0 1 2 ")
