"""A router names one of the workflows that it was given, or none of them, and starts nothing."""

from __future__ import annotations

import pytest

from backstay import App, task, workflow
from backstay.ai.routing import Router
from backstay.errors import AuthorError
from backstay.testing import harness


@workflow
async def replace_card(text: str) -> str:
    """A bank card was lost, stolen or does not work: block it and send another one."""
    return "replaced"


@workflow
async def explain_fee(text: str) -> str:
    """A customer asks about a fee, a charge or an exchange rate on the statement."""
    return "explained"


@workflow
async def close_account(text: str) -> str:
    """A customer wants to leave: close the account and pay out what is on it."""
    return "closed"


@workflow
async def mute(text: str) -> str:
    return text


WORKFLOWS = [replace_card, explain_fee, close_account]
EXAMPLES = {
    "replace_card": ["I lost my card", "My card was stolen", "The card is broken", "The machine kept my card", "My card does not work any more",
                     "I need another card, mine is gone", "Somebody took my card", "The chip of the card is dead"],
    "explain_fee": ["What is this fee", "Why was I charged two euros", "The exchange rate is wrong", "There is a charge on my statement",
                    "Why does cash cost a fee", "I do not understand the commission", "Which rate did you use", "An extra charge appeared"],
    "close_account": ["Close my account", "I want to leave the bank", "Please end our contract", "Delete my account",
                      "How do I stop being a customer", "Cancel everything I have with you", "I am leaving, pay out my balance", "Terminate the account"],
}  # fmt: skip

desk = Router("desk", to=WORKFLOWS, examples=EXAMPLES, target=0.8, embeddings=None, review=0.0)
route_desk = desk.route


@workflow
async def dispatch(text: str) -> str:
    """Send a question where it belongs."""
    answer = await route_desk(text)
    if answer.sure and answer.value == "replace_card":
        return await replace_card(text)
    if answer.sure and answer.value == "explain_fee":
        return await explain_fee(text)
    if answer.sure and answer.value == "close_account":
        return await close_account(text)
    await task("desk", show=answer)
    return "by hand"


app = App("bank", workflows=[dispatch, *WORKFLOWS], suppliers=[desk])


@pytest.mark.parametrize(
    ("text", "ends"),
    [("My card was stolen, I lost it", "replaced"), ("Why was I charged this fee", "explained"), ("Please close my account", "closed")],
)  # fmt: skip
async def test_a_question_goes_to_the_workflow_that_it_belongs_to(text: str, ends: str) -> None:
    async with harness(app) as it:
        run = await it.start(dispatch, text=text)
        assert await it.result(run) == ends
        assert it.events(run, "call_returned", action="route_desk")[0].result["by"].startswith("tfidf fit 1")


async def test_what_belongs_nowhere_goes_to_a_person() -> None:
    async with harness(app) as it:
        run = await it.start(dispatch, text="Rhubarb crumble recipe")
        assert it.waits_in(run) == ["desk"]


async def test_without_examples_it_goes_by_what_the_workflows_say_and_is_never_sure() -> None:
    bare = Router("bare", to=WORKFLOWS, embeddings=None)
    answers = bare.try_on(["a card was stolen", "a fee on the statement", "close the account"])
    assert [answer.label for answer in answers] == ["replace_card", "explain_fee", "close_account"]
    assert not any(answer.sure for answer in answers)


def test_a_workflow_that_does_not_say_what_it_is_for_is_refused() -> None:
    with pytest.raises(AuthorError, match="mute has no docstring"):
        Router("desk", to=[replace_card, mute])
