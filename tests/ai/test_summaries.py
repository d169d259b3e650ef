"""A summary says nothing that the text does not say, and says where it stands."""

from __future__ import annotations

from typing import Any

import pytest

from backstay import App, Models
from backstay.ai.documents.model import Document
from backstay.ai.scripted import ScriptedModel
from backstay.ai.summaries import Summarizer, Summarizing
from backstay.errors import AuthorError, NotRetryable
from backstay.testing import harness

TEXT = """The pump in hall 3 stopped on 4 March at 07:40. A worn seal let water into the bearing of the pump. Lunch was good.
The pump was out of use for 9 hours, and 1,200 crates were not filled. Maintenance replaced the seal and the bearing for 3,450
euros.

Anna Brandt asks that the seals of all pumps are looked at every month. The seals of the pumps in halls 1 and 2 are of the same
make. It rained."""


def test_each_statement_is_a_sentence_of_the_text_and_says_where() -> None:
    summary = Summarizer("case", sentences=3).extract(TEXT)
    assert len(summary.statements) == 3
    for each in summary.statements:
        (source,) = each.sources
        assert TEXT[source.start : source.end] == each.text == source.quote
    places = [each.sources[0].start or 0 for each in summary.statements]
    assert places == sorted(places)
    assert not any("Lunch" in each.text or "rained" in each.text for each in summary.statements)
    assert summary == Summarizer("case", sentences=3).extract(TEXT)


def test_what_was_said_is_not_said_again() -> None:
    text = (
        "The pump stopped in the night. " * 6
        + "The gate was found open at dawn. The pump stopped in the morning again."
    )
    summary = Summarizer("case", sentences=2).extract(text)
    assert len({each.text for each in summary.statements}) == 2


@pytest.mark.parametrize("text", ["One.", "no point at all", "¿Qué pasó? ¡Nada!", "A. B. C."])
def test_short_texts_are_given_back(text: str) -> None:
    assert Summarizer("case").extract(text).statements


def test_long_texts_are_summarized_in_their_first_part() -> None:
    text = " ".join(f"Machine number {number} made {number * 7} parts on that day." for number in range(3000))
    assert len(Summarizer("case").extract(text).statements) == 5


REPLY = """- The pump in hall 3 stopped on 4 March because of a worn seal. [1][2]
- It was out of use for 9 hours [4]
- It was out of use for 19 hours. [4]
- Carla Rossi was warned. [6]
- The pump is dangerous.
- Repairs cost 3,450 euros. [44]
- Birds sing loudly every evening. [5]
- Anna Brandt asks for monthly looks at the seals of all pumps. [6]"""


def test_what_a_model_states_without_support_is_dropped_and_said() -> None:
    summary = Summarizer("case").supported(REPLY, "model m", TEXT)
    assert [each.text for each in summary.statements] == [
        "The pump in hall 3 stopped on 4 March because of a worn seal.",
        "It was out of use for 9 hours",
        "Anna Brandt asks for monthly looks at the seals of all pumps.",
    ]
    assert [source.quote.split()[0] for source in summary.statements[0].sources] == ["The", "A"]
    assert [each.rpartition(" (")[2].rstrip(")") for each in summary.dropped] == [
        "'19' does not stand there", "'Rossi' does not stand there", "it cites nothing", "there is no sentence 44",
        "most of its words do not stand there",
    ]  # fmt: skip


case = Summarizer("case", sentences=2)
wording = Summarizing(case)


async def summarized(models: Models | None) -> dict[str, Any]:
    async with harness(App("plant", workflows=[wording], suppliers=[case], models=models)) as it:
        run = await it.start(wording, text=TEXT)
        return await it.result(run)


async def test_a_model_words_it_when_there_is_one() -> None:
    found = await summarized(Models(fast=ScriptedModel(["A worn seal stopped the pump. [1][2]\nMars is red. [3]"])))
    assert [each["text"] for each in found["statements"]] == ["A worn seal stopped the pump."]
    assert found["dropped"] == ["Mars is red. (most of its words do not stand there)"]
    assert found["by"].startswith("model ")


@pytest.mark.parametrize("models", [None, Models(fast=ScriptedModel(["Everything is fine."]))])
async def test_without_a_model_or_with_one_that_invents_sentences_are_chosen(models: Models | None) -> None:
    found = await summarized(models)
    assert found["by"] == "lexrank over words"
    assert len(found["statements"]) == 2


def test_a_document_is_summarized_with_its_parts() -> None:
    part = Document(
        name="note.txt", media_type="text/plain", digest="0" * 64, size=1, text="The crane in hall 5 is broken too."
    )
    whole = Document(name="mail.eml", media_type="message/rfc822", digest="1" * 64, size=1, text=TEXT, parts=[part])
    import asyncio

    summary = asyncio.run(Summarizer("case", sentences=9).summarize.fn(document=whole))  # type: ignore[arg-type]
    assert {each.sources[0].document for each in summary.statements} == {"mail.eml"}
    assert any("crane" in each.text for each in summary.statements)
    with pytest.raises(NotRetryable, match="give one of them"):
        asyncio.run(Summarizer("case").summarize.fn())  # type: ignore[arg-type]


def test_what_comes_out_is_text_from_outside() -> None:
    assert all(each.untrusted for each in case.actions)


@pytest.mark.parametrize(
    ("options", "said"), [({"name": "a b"}, "a name has"), ({"sentences": 0}, "sentences must be")]
)
def test_what_does_not_fit_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(AuthorError, match=said):
        Summarizer(**{"name": "case", **options})  # type: ignore[arg-type]
