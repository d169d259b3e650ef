"""A model that reads too: agreement raises confidence, disagreement lowers it and shows both, and nothing is made up."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from backstay import App, Models
from backstay.ai.documents.model import Document
from backstay.ai.extraction import Consulting, Extraction, Extractor
from backstay.ai.models import Model, Price
from backstay.ai.scripted import ScriptedModel, call
from backstay.errors import NotRetryable
from backstay.testing import harness
from backstay.testing_provider import FakeProvider


class Order(BaseModel):
    vendor: str
    number: str
    total: Decimal
    contact: str | None = None


order = Extractor("order", Order)
consulting = Consulting(order)

TEXT = """Fennimore Castings Ltd
3 Foundry Row, Leeds LS9 8AG

Invoice number: 44-1207
Purchase order: 90881
Ask for: Imogen Vance

Castings, grey iron          640.00

Total due                    640.00
"""
PAPER = Document(name="a.txt", media_type="text/plain", digest="1" * 64, size=len(TEXT), text=TEXT)
SAYS = {"vendor": "Fennimore Castings Ltd", "number": "44-1207", "total": "640.00", "contact": None}


async def read(models: Models) -> Extraction[Order]:
    async with harness(App("orders", workflows=[consulting], suppliers=[order], models=models)) as it:
        run = await it.start(consulting, document=PAPER.model_dump(mode="json"))
        return Extraction[Order].model_validate(await it.result(run))


def says(**other: Any) -> Models:
    return Models(careful=ScriptedModel([call("fields", **(SAYS | other))]))


async def test_a_model_that_agrees_raises_confidence() -> None:
    alone, both = order.read(PAPER), await read(says())
    assert (
        both.value == alone.value == Order(vendor="Fennimore Castings Ltd", number="44-1207", total=Decimal("640.00"))
    )
    assert all(both.fields[name].confidence > alone.fields[name].confidence for name in ("vendor", "number", "total"))
    assert "model" in both.by


async def test_a_model_that_reads_another_value_lowers_confidence_and_both_are_shown() -> None:
    both = await read(says(number="90881"))
    number = both.fields["number"]
    assert number.value == "44-1207"
    assert number.confidence < 0.6
    assert (number.lost[0].value, number.lost[0].by) == ("90881", "model scripted")
    assert number.lost[0].source is not None
    assert not both.sure
    assert "number: the model reads another value" in both.problems


async def test_what_stands_nowhere_in_the_document_is_never_taken() -> None:
    both = await read(says(number="77-0001", contact="Nobody Here"))
    assert both.fields["number"].value == "44-1207"
    assert both.fields["contact"].value is None
    assert both.fields["contact"].lost[0].source is None
    assert not both.sure


async def test_a_field_that_no_label_names_is_found_by_the_model_and_has_its_place() -> None:
    both = await read(says(contact="Imogen Vance"))
    contact = both.fields["contact"]
    assert contact.value == "Imogen Vance"
    assert contact.source is not None
    assert TEXT[contact.source.start : contact.source.end] == "Imogen Vance"
    assert not contact.sure


async def test_a_value_that_does_not_fit_the_model_is_a_problem_and_no_error() -> None:
    both = await read(says(total="six hundred"))
    assert both.fields["total"].value == "640.00"
    assert any("does not fit" in problem for problem in both.problems)


async def test_a_model_that_cannot_be_had_leaves_the_local_answer() -> None:
    broken = Models(careful=ScriptedModel([NotRetryable("the provider refuses")]))
    assert await read(broken) == order.read(PAPER)


async def test_a_model_behind_a_server_is_asked_once_with_the_fields_as_its_tool() -> None:
    async with FakeProvider([call("fields", **SAYS)]) as provider:
        both = await read(Models(careful=Model(name="any", url=provider.url, price=Price(input="1", output="2"))))
        assert both.value is not None
        assert len(provider.requests) == 1
        tool: Any = provider.requests[0]["tools"]
        assert sorted(tool[0]["function"]["parameters"]["properties"]) == ["contact", "number", "total", "vendor"]


@pytest.mark.parametrize("said", ["", "I cannot read this.", "[1, 2]", '{"number": '])
async def test_a_model_that_says_nothing_useful_takes_confidence_and_no_value(said: str) -> None:
    both = await read(Models(careful=ScriptedModel([said])))
    assert both.value == order.read(PAPER).value
    assert not both.sure
