"""A step that is not sure asks a person, and what the person says makes the next fit better, once somebody accepts it."""

from __future__ import annotations

from typing import Any

import pytest
from intent_examples import EXAMPLES
from pydantic import BaseModel

from backstay import App, task, workflow
from backstay.ai.classifying import Classifier, drawn
from backstay.ai.steps import fit_again
from backstay.store.steps import STEPS_FILE, StepFile, step_file
from backstay.testing import Harness, harness
from backstay.types import FromOutside, Sensitive

intent = Classifier(
    "intent", labels=["billing", "bug", "cancellation"], examples=EXAMPLES, target=0.8, embeddings=None, review=0.0
)
classify_intent, learn_intent = intent.classify, intent.learn


class Mail(BaseModel):
    customer: Sensitive["subject"] = "K-1"
    sender: Sensitive["pii"] = ""
    text: FromOutside[str]


class Said(BaseModel):
    intent: str


@workflow
async def triage(mail: Mail) -> str:
    answer = await classify_intent(mail.text)
    if answer.sure and not answer.review:
        return f"{answer.value} by the step"
    said = await task("triage", show=mail, form=Said)
    kept = await learn_intent(mail.text, said.intent, answer)
    return f"{said.intent} by {kept.by}, the step was {'right' if kept.right else 'wrong'}"


@workflow
async def invent(mail: Mail) -> str:
    """Nobody was asked, and yet it teaches."""
    kept = await learn_intent(mail.text, "bug", None)
    return kept.by


@workflow
async def boast(mail: Mail) -> str:
    """A person says what it is, and the answer that is counted was never given."""
    said = await task("triage", show=mail, form=Said)
    answer = await classify_intent(mail.text)
    return (
        await learn_intent(mail.text, said.intent, answer.model_copy(update={"value": said.intent, "sure": True}))
    ).by


app = App("desk", workflows=[triage, invent, boast], suppliers=[intent])
PARCEL = "Courier lost parcel near gate"
PARCELS = [
    "Parcel missing, courier found gate locked", "Courier left parcel outside gate", "Lost parcel: courier blames gate",
    "Gate locked, courier took parcel away", "Parcel lost near gate by courier", "Courier lost another parcel",
]  # fmt: skip


def file_of(it: Harness) -> StepFile:
    return StepFile(it.home)


async def test_a_mail_that_is_like_the_examples_is_classified_and_the_journal_says_by_which_fit() -> None:
    async with harness(app) as it:
        run = await it.start(triage, mail={"text": "I was charged twice, please send the invoice"})
        assert await it.result(run) == "billing by the step"
        (call,) = it.events(run, "call_returned", action="classify_intent")
        assert (call.result["value"], call.result["sure"]) == ("billing", True)
        assert call.result["by"].startswith("tfidf fit 1 (")
        assert "invoice" not in call.result["why"]


async def test_what_a_person_says_of_a_doubtful_mail_becomes_an_example_of_the_next_fit() -> None:
    async with harness(app) as it:
        for text in PARCELS:
            run = await it.start(triage, mail={"text": text})
            assert it.waits_in(run) == ["triage"]
            await it.complete(run, {"intent": "bug"}, by="maria")
            assert (await it.result(run)).startswith("bug by maria")

        file = file_of(it)
        kept = file.examples("intent", "person")
        assert [(each.label, each.by) for each in kept] == [("bug", "maria")] * len(PARCELS)
        made = fit_again(file, "intent", None, by="ann", at="2026-01-06T00:00:00Z")
        assert (made.version, made.accepted_by) == (2, None)
        since: Any = made.report["since"]
        assert since["examples"] == len(PARCELS)
        assert since["after"] > since["before"]
        assert "bug" in made.report["before"]["changed"]

        doubtful = await it.start(triage, mail={"text": PARCEL})
        assert it.waits_in(doubtful) == ["triage"]
        file.accept("intent", 2, at="2026-01-06T00:00:00Z", by="ann")
        sure = await it.start(triage, mail={"text": PARCEL})
        assert await it.result(sure) == "bug by the step"
        (call,) = it.events(sure, "call_returned", action="classify_intent")
        assert "fit 2" in call.result["by"]

        file.accept("intent", 1, at="2026-01-07T00:00:00Z", by="ann")
        assert it.waits_in(await it.start(triage, mail={"text": PARCEL})) == ["triage"]
        file.close()


async def test_a_step_learns_only_what_a_person_said_in_the_case() -> None:
    async with harness(app) as it:
        run = await it.start(invent, mail={"text": "anything"})
        assert it.status(run) == "failed"
        assert it.events(run, "call_failed")[0].fault.type == "NotObserved"
        file = file_of(it)
        assert file.examples("intent", "person") == []
        file.close()


async def test_an_answer_is_counted_only_if_the_step_gave_it_in_the_case() -> None:
    async with harness(app) as it:
        run = await it.start(boast, mail={"text": PARCEL})
        await it.complete(run, {"intent": "bug"}, by="maria")
        assert it.status(run) == "failed"
        assert "has not given this answer" in str(it.events(run, "call_failed")[0].fault)
        file = file_of(it)
        assert file.outcomes("intent") == file.examples("intent", "person") == []
        file.close()


async def test_a_step_knows_private_values_by_pseudonyms_only() -> None:
    async with harness(app) as it:
        run = await it.start(
            triage, mail={"sender": "lena.osterkamp@example.org", "text": "lena.osterkamp@example.org wonders"}
        )
        await it.complete(run, {"intent": "bug"}, by="maria")
        assert (await it.result(run)).startswith("bug by maria")
        assert b"osterkamp" not in b"".join(each.read_bytes() for each in it.home.glob(f"{STEPS_FILE}*"))
        with step_file(it.home) as file:
            assert file is not None
            (example,) = file.examples("intent", "person")
        assert example.text.endswith("wonders")


async def test_a_crash_while_a_step_learns_teaches_it_once() -> None:
    async with harness(app) as it:
        run = await it.start(triage, mail={"text": PARCEL})
        await it.restart()
        await it.complete(run, {"intent": "bug"}, by="maria")
        await it.result(run)
        file = file_of(it)
        assert len(file.examples("intent", "person")) == len(file.outcomes("intent")) == 1
        file.close()


def test_the_sample_for_review_is_the_same_for_the_same_and_of_the_size_that_was_asked_for() -> None:
    picked = [drawn(0.1, "intent", str(number)) for number in range(5000)]
    assert picked == [drawn(0.1, "intent", str(number)) for number in range(5000)]
    assert 400 < sum(picked) < 600
    assert not any(drawn(0.0, str(number)) for number in range(100))


async def test_a_sure_answer_that_is_drawn_for_review_goes_to_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intent, "review", 1.0)
    async with harness(app) as it:
        run = await it.start(triage, mail={"text": "I was charged twice, please send the invoice"})
        assert it.waits_in(run) == ["triage"]
        await it.complete(run, {"intent": "billing"}, by="maria")
        assert await it.result(run) == "billing by maria, the step was right"
        file = file_of(it)
        (outcome,) = file.outcomes("intent")
        assert (outcome.sure, outcome.right, outcome.by) == (True, True, "maria")
        file.close()


@pytest.mark.parametrize("text", ["", "   ", "!!!"])
async def test_a_text_without_words_is_none_of_the_labels(text: str) -> None:
    async with harness(app) as it:
        run = await it.start(triage, mail={"text": text})
        assert it.waits_in(run) == ["triage"]


async def test_what_was_learned_of_a_person_is_gone_when_the_person_is_erased() -> None:
    async with harness(app) as it:
        run = await it.start(
            triage,
            mail={
                "customer": "K-17",
                "sender": "lena.osterkamp@example.org",
                "text": "lena.osterkamp@example.org wonders",
            },
        )
        await it.complete(run, {"intent": "bug"}, by="maria")
        await it.result(run)
        other = await it.start(triage, mail={"text": PARCEL})
        await it.complete(other, {"intent": "bug"}, by="maria")
        await it.result(other)
        await it.client.erase("K-17", by="dpo", reason="request 3")
        file = file_of(it)
        assert [each.text for each in file.examples("intent", "person")] == [PARCEL]
        file.close()
