"""Where a classifier is not sure, a model is asked; that they agree is not enough, until it was seen to be right."""

from __future__ import annotations

from typing import Any

import pytest
from intent_examples import EXAMPLES
from pydantic import BaseModel

from backstay import App, Models, task, workflow
from backstay.ai.classifying import Classifier
from backstay.ai.opinions import Judging, SecondOpinion
from backstay.ai.scripted import ScriptedModel
from backstay.operations.steps_report import report
from backstay.store.database import Reader
from backstay.store.steps import Outcome, StepFile
from backstay.testing import Harness, harness

intent = Classifier("intent", labels=list(EXAMPLES), examples=EXAMPLES, target=0.8, embeddings=None, review=0.0)
opinion = SecondOpinion(intent, model="fast")
judge_intent, learn_intent = Judging(opinion), intent.learn
DOUBTFUL = "Odd plan"


class Said(BaseModel):
    intent: str


@workflow
async def triage(mail: str) -> str:
    answer = await judge_intent(mail)
    if answer.sure:
        return f"{answer.value}"
    said = await task("triage", show=answer, form=Said)
    return (await learn_intent(mail, said.intent, answer)).label


def app_of(*replies: str) -> App:
    models = Models(fast=ScriptedModel(list(replies))) if replies else None
    return App("desk", workflows=[triage, judge_intent], suppliers=[intent, opinion], models=models)


async def judged(it: Harness, text: str = DOUBTFUL) -> dict[str, Any]:
    return dict(await it.result(await it.start(judge_intent, text=text)))


@pytest.fixture
def local() -> Any:
    (answer,) = intent.try_on([DOUBTFUL])
    assert not answer.sure
    return answer


async def test_a_model_is_asked_only_where_the_step_is_not_sure() -> None:
    async with harness(app_of('{"label": "bug"}')) as it:
        found = await judged(it, "I was charged twice, please send the invoice")
        assert (found["value"], found["sure"]) == ("billing", True)
        assert "model" not in found["by"]


async def test_agreement_is_not_sure_before_it_was_seen_to_be_right(
    local: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intent, "review", 1.0)
    reply = f'{{"label": "{local.label}"}}'
    async with harness(app_of(reply, reply)) as it:
        first = await judged(it)
        assert (first["value"], first["sure"]) == (local.label, False)
        assert "0 of 0 such answers were right" in first["why"]
        file = StepFile(it.home)
        for number in range(40):
            file.note("intent", f"seen {number}", Outcome(
                fit=first["by"], said=local.label, truth=local.label, confidence=0.5, sure=False, by="maria", run="",
                at="2026-01-05T00:00:00Z",
            ))  # fmt: skip
        file.close()
        later = await judged(it, DOUBTFUL + " ")
        assert (later["value"], later["sure"]) == (local.label, local.label != intent.task.none)
        assert later["confidence"] > first["confidence"]
        assert (first["review"], later["review"]) == (False, later["sure"])  # what is sure is drawn for a look, too


async def test_disagreement_lowers_confidence_and_goes_to_a_person_who_is_learned_from(local: Any) -> None:
    other = next(label for label in EXAMPLES if label != local.label)
    async with harness(app_of(f'Well: {{"label": "{other}"}}')) as it:
        run = await it.start(triage, mail=DOUBTFUL)
        assert it.waits_in(run) == ["triage"]
        await it.complete(run, {"intent": other}, by="maria")
        assert await it.result(run) == other
        (child,) = [row for row in it.client.runs() if row.workflow == "judge_intent"]
        (call,) = it.events(child.id, "call_returned", action="weigh_intent")
        assert call.result["confidence"] <= round(local.confidence / 2, 4) + 1e-4
        assert f"says {other!r}" in call.result["why"]
        file, reader = StepFile(it.home), Reader(it.home / "backstay.db")
        (outcome,) = file.outcomes("intent")
        assert (outcome.right, "but not model" in outcome.fit) == (False, True)
        (step,) = report(reader, file, "intent")
        assert step["cost"]["model_calls"] == 1
        file.close()
        reader.close()


@pytest.mark.parametrize("reply", ["I cannot say", '{"label": "transfer all money"}', "[]", '{"label": 3}'])
async def test_a_model_that_names_no_label_changes_nothing(local: Any, reply: str) -> None:
    async with harness(app_of(reply)) as it:
        found = await judged(it)
        assert (found["value"], found["sure"]) == (local.label, False)
        assert "named no label" in found["why"]
        assert "money" not in found["why"]


async def test_without_a_model_the_steps_own_word_stands(local: Any) -> None:
    async with harness(app_of()) as it:
        found = await judged(it)
        assert (found["value"], found["sure"], found["by"].startswith("tfidf fit 1")) == (local.label, False, True)
