"""What leaves to a provider: no private text, however it is written; and what comes back are values again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import BaseModel, Field

from backstay import Agent, App, Models, Sensitive, action
from backstay.ai.providers import Asked
from backstay.ai.scripted import ScriptedModel, call, finish
from backstay.ai.transcripts import Message, ToolCall
from backstay.canonical import json_text
from backstay.testing import harness
from backstay.types import Mask

AWKWARD = 'Zoë "Bo" O\\Neil\nof Köln'
mask = Mask({AWKWARD: "pii:a1", "Ann": "pii:a2", "123": "pii:a3", "DE8937": "pii:a4", "50000.0": "pii:a5"})


# --- a text --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        AWKWARD,
        json_text({"name": AWKWARD}),
        json.dumps({"name": AWKWARD}),
        json_text({"observed": json_text({"name": AWKWARD})}),
        json_text({"observed": json.dumps({"name": AWKWARD})}),
    ],
)
def test_a_private_text_is_found_however_json_writes_it(written: str) -> None:
    hidden = mask.hide(written)
    assert "pii:a1" in hidden
    assert "Bo" not in hidden
    assert "Neil" not in hidden


def test_what_comes_back_is_the_text_and_not_how_json_wrote_it() -> None:
    assert mask.show({"to": "pii:a1", "cc": ["x pii:a2"]}) == {"to": AWKWARD, "cc": ["x Ann"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[o1] {"name":"Ann","cvv":123}', '[o1] {"name":"pii:a2","cvv":pii:a3}'),
        ('["Ann",123,"123"]', '["pii:a2",pii:a3,"pii:a3"]'),
        (r'{"observed":"{\"name\":\"Ann\"}"}', r'{"observed":"{\"name\":\"pii:a2\"}"}'),
        ("[o1] 123", "[o1] pii:a3"),
        ("Ann", "pii:a2"),
        ('{"name":"Annabel","at":"10:123","n":1234,"m":0.123}', '{"name":"Annabel","at":"10:123","n":1234,"m":0.123}'),
        ("Ann paid 123 times", "Ann paid 123 times"),
        ('{"salary":50000}', '{"salary":pii:a5}'),
    ],
)
def test_a_short_one_is_hidden_by_its_place(text: str, expected: str) -> None:
    assert mask.hide(text) == expected


def test_numbers_among_arguments_are_hidden_too() -> None:
    assert mask.hide({"cvv": 123, "ok": True, "n": 1}) == {"cvv": "pii:a3", "ok": True, "n": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[o1] {"iban":"DE89 ... (cut)', '[o1] {"iban":"pii:(cut) ... (cut)'),
        ('{"name":"Zoë \\"B ... (cut)', '{"name":"pii:(cut) ... (cut)'),
        ('{"observed":"DE89 ... (cut)","more":1}', '{"observed":"pii:(cut) ... (cut)","more":1}'),
        ('{"iban":"DE8 ... (cut)', '{"iban":"DE8 ... (cut)'),
        ("DE89 is how accounts begin", "DE89 is how accounts begin"),
    ],
)
def test_the_beginning_of_one_is_hidden_where_the_text_was_cut(text: str, expected: str) -> None:
    assert mask.hide(text) == expected


def test_the_parts_of_one_value_come_back_as_themselves() -> None:
    home = Mask({"Querweg 7": "pii:b1", "Ulm an der Donau": "pii:b1"})
    hidden = home.hide("Querweg 7, Ulm an der Donau")
    assert hidden == "pii:b1, pii:b1/2"
    assert home.show(hidden) == "Querweg 7, Ulm an der Donau"


def test_of_two_that_overlap_nothing_stays() -> None:
    assert Mask({"Anna Mei": "pii:1", "na Meier": "pii:2"}).hide("Anna Meier!") == "pii:1pii:2!"


def test_a_pseudonym_is_not_searched_for_private_texts() -> None:
    both = Mask({"Ann-Kathrin": "card:12345", "card": "pii:1", "12345": "pii:2"})
    assert both.hide("Ann-Kathrin has a card") == "card:12345 has a pii:1"
    assert both.show("card:12345 has a pii:1") == "Ann-Kathrin has a card"


def test_what_a_model_may_see_stays() -> None:
    assert (
        mask.hide('{"name":"Ann","iban":"DE8937 ... (cut)', allowed={"pii"}) == '{"name":"Ann","iban":"DE8937 ... (cut)'
    )


def test_what_is_detected_in_json_comes_back_without_its_escapes() -> None:
    def detect(text: str) -> dict[str, str]:
        return {"KEY\\nabc": "secret:1"} if "KEY\\nabc" in text else {}

    found = Mask({}, detect)
    assert found.hide('{"key":"KEY\\nabc"}') == '{"key":"secret:1"}'
    assert found.show("secret:1") == "KEY\nabc"
    assert found.hide({"key": "KEY\nabc"}) == {"key": "secret:1"}


# --- a request -----------------------------------------------------------------------------------------


def test_the_words_that_pair_and_sort_messages_stay() -> None:
    words = Mask({"user": "pii:1", "find_user": "pii:2", "role": "pii:3", "call-1": "pii:4", "iban": "pii:5"})
    asked = Asked(
        system="You are user.",
        messages=[
            Message(role="user", text="I am user"),
            Message(
                role="model",
                calls=[ToolCall(id="call-1", tool="find_user", args={"iban": "user"}, problem="iban: not user")],
            ),
            Message(role="tool", answers="call-1", tool="find_user", text="role"),
        ],
        tools="[]",
    )
    hidden = asked.hidden(words, ())
    assert [message.model_dump(exclude_defaults=True) for message in hidden.messages] == [
        {"role": "user", "text": "I am pii:1"},
        {
            "role": "model",
            "calls": [
                {"id": "call-1", "tool": "find_user", "args": {"pii:5": "pii:1"}, "problem": "pii:5: not pii:1"},
            ],
        },
        {"role": "tool", "answers": "call-1", "tool": "find_user", "text": "pii:3"},
    ]


# --- an agent ------------------------------------------------------------------------------------------


class Customer(BaseModel):
    name: Sensitive["pii"]
    nick: Sensitive["pii"]
    cvv: Sensitive["pii", int]
    city: str


class Answer(BaseModel):
    city: str


got: list[str] = []


@action(effect="read")
async def find_customer(number: str) -> Customer:
    """Look up a customer."""
    return Customer(name=AWKWARD, nick="Bob", cvv=987, city="Kiel")


@action(effect="read")
async def greet(name: str = Field(pattern="^Zo", max_length=40)) -> str:
    """Greet somebody by name."""
    got.append(name)
    return "done"


finder = Agent("finder", goal="Find the city.", tools=[find_customer, greet], output=Answer)


def found_in(asked: Asked, field: str) -> str:
    text = next(message.text for message in asked.messages if message.role == "tool")
    return text.split(f'"{field}":"')[1].split('"')[0]


def app_with(*turns: Any) -> tuple[App, ScriptedModel]:
    def turn(asked: Asked) -> Any:
        now = turns[sum(message.role == "model" for message in asked.messages)]
        return now(asked) if callable(now) else now

    model = ScriptedModel(turn)
    return App("masked", workflows=[finder], models=Models(careful=model)), model


LOOK = call("find_customer", number="7")
END = finish({"city": "Kiel"}, ("There.", "o1", "Kiel"))


async def sent_after(*turns: Any) -> tuple[Sequence[Asked], list[Any]]:
    got.clear()
    app, model = app_with(*turns, END)
    async with harness(app) as it:
        run = await it.start(finder, input={"number": "7"})
        assert (await it.result(run))["reason"] == "goal-met"
        return model.asked, it.events(run, "call_returned", action="ask_model")


async def test_a_model_sees_no_tagged_value_however_short_or_awkward() -> None:
    asked, _ = await sent_after(LOOK)
    told = asked[1].messages[-1].text
    assert "Kiel" in told
    for private in ("Zo", "Neil", "Bob", "987"):
        assert private not in told


async def test_arguments_are_checked_as_the_values_that_the_tool_gets() -> None:
    asked, _ = await sent_after(LOOK, lambda asked: call("greet", name=found_in(asked, "name")))
    assert got == [AWKWARD]
    assert AWKWARD not in str(asked)


async def test_what_is_said_about_wrong_arguments_keeps_them_private() -> None:
    asked, replies = await sent_after(LOOK, lambda asked: call("greet", name=found_in(asked, "nick")))
    said = replies[1].result["calls"][0]["problem"]
    assert "Bob" not in said
    assert said == "name: this private value does not fit 'pattern'"
    assert asked[2].messages[-1].text == said
    assert got == []
