"""A draft is made of its fields and of nothing else, and nobody sends it by making it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from backstay import App, Models, action, workflow
from backstay.ai.drafts import Draft, Polishing, Template
from backstay.ai.judged import Source
from backstay.ai.scripted import ScriptedModel
from backstay.errors import AuthorError, InvalidInput
from backstay.testing import harness

sent: list[str] = []


class Answer(BaseModel):
    email: str
    name: str
    order: str
    amount: Decimal
    remark: str = ""


reply = Template(
    "reply", "Dear {name},\n\nwe pay back {amount:,.2f} euros for order {order}.", to="{email}", subject="Order {order}",
    fields=Answer,
)  # fmt: skip
draft_reply = reply.draft
polishing = Polishing(reply)
FIELDS = {"email": "kim@example.org", "name": "Kim", "order": "A-17", "amount": "1250.5"}


@action(effect="irreversible", sinks=["to"])
async def send(to: str, subject: str, body: str) -> str:
    """Send a mail."""
    sent.append(to)
    return "sent"


@workflow
async def answer(name: str, amount: Decimal) -> Draft:
    return await draft_reply(
        Answer(email="kim@example.org", name=name, order="A-17", amount=amount), [Source(document="order.pdf")]
    )


def test_a_draft_is_the_template_with_its_fields() -> None:
    draft = reply.fill(FIELDS)
    assert (draft.to, draft.subject) == ("kim@example.org", "Order A-17")
    assert draft.body == "Dear Kim,\n\nwe pay back 1,250.50 euros for order A-17."
    assert draft.digest == reply.fill(FIELDS).digest != reply.fill({**FIELDS, "amount": "1"}).digest


@pytest.mark.parametrize("field", ["email", "name", "order", "amount"])
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_a_field_that_is_missing_or_empty_is_named(field: str, how: str) -> None:
    given = (
        {**FIELDS, field: ""} if how == "empty" else {name: value for name, value in FIELDS.items() if name != field}
    )
    with pytest.raises(InvalidInput) as refused:
        reply.fill(given)
    assert set(refused.value.fields) == {field}
    assert field in str(refused.value)


def test_a_field_adds_no_line_to_the_head() -> None:
    assert (
        reply.fill({**FIELDS, "email": "kim@example.org\nBcc: eve@example.org"}).to
        == "kim@example.org Bcc: eve@example.org"
    )
    assert "{order}" in reply.fill({**FIELDS, "name": "{order}"}).body  # a value is no template


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"body": "Dear {nme}"}, "body names 'nme'"),
        ({"body": "Dear {name.__class__}"}, "is not the name of a field"),
        ({"body": "Dear {0}"}, "is not the name of a field"),
        ({"body": "Dear {name"}, "body: "),
        ({"body": " "}, "its body is empty"),
        ({"subject": "{subject}"}, "subject names 'subject'"),
        ({"name": "re ply"}, "a name has"),
    ],
)
def test_a_template_that_does_not_fit_its_model_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(AuthorError, match=said):
        Template(**{"name": "reply", "body": "Dear {name}", "fields": Answer, **options})


async def test_a_workflow_drafts_and_nothing_is_sent() -> None:
    async with harness(App("shop", workflows=[answer], suppliers=[reply])) as it:
        draft = await it.result(await it.start(answer, name="Kim", amount="12"))
        assert draft["body"] == "Dear Kim,\n\nwe pay back 12.00 euros for order A-17."
        assert draft["sources"][0]["document"] == "order.pdf"
        assert sent == []


@workflow
async def answer_and_send(fields: Answer) -> str:
    draft = await draft_reply(fields)
    return await send(to=draft.to, subject=draft.subject, body=draft.body)


async def test_who_gets_it_is_held_where_an_outsider_chose_that() -> None:
    fields = Answer(**FIELDS)  # type: ignore[arg-type]
    async with harness(App("shop", workflows=[answer_and_send], suppliers=[reply], actions=[send])) as it:
        run = await it.start(answer_and_send, fields=fields.model_dump(mode="json"))
        assert it.waits_in(run) == ["approvals"]
        assert sent == []


GOOD = "Dear Kim,\n\ngladly we give you back 1,250.50 euros for your order A-17."
BAD = {
    "Dear Kim,\n\nwe pay back 12,500.50 euros for order A-17.": "'12,500.50' is new",
    "Dear Kim,\n\nwe pay back 1,250.50 euros for your order.": "'A-17' is left out",
    "Dear Kim,\n\nour Director Meyer pays back 1,250.50 euros for order A-17.": "'Meyer' is new",
    "": "the model said nothing",
    GOOD + " We are so very sorry." * 40: "characters for",
}


async def polished(words: str | None) -> dict[str, Any]:
    models = None if words is None else Models(fast=ScriptedModel([words]))
    async with harness(App("shop", workflows=[polishing], suppliers=[reply], models=models)) as it:
        run = await it.start(polishing, draft=reply.fill(FIELDS).model_dump(mode="json"))
        return await it.result(run)


async def test_a_model_may_word_it_better() -> None:
    draft = await polished(GOOD)
    assert (draft["body"], draft["problems"]) == (GOOD, [])
    assert draft["digest"] != reply.fill(FIELDS).digest
    assert draft["by"].startswith("template reply, model ")


@pytest.mark.parametrize("words", BAD)
async def test_a_wording_with_something_new_or_missing_is_not_taken(words: str) -> None:
    draft = await polished(words)
    assert draft["body"] == reply.fill(FIELDS).body
    assert any(BAD[words] in each for each in draft["problems"])


async def test_without_a_model_the_draft_stays_as_it_is() -> None:
    assert Draft.model_validate(await polished(None)) == reply.fill(FIELDS)
