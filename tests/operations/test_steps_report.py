"""The report on AI steps reads every answer, also those that are long enough to lie beside the journal."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from backstay import Agent, App, Models, action, workflow
from backstay.ai.judged import Judged
from backstay.ai.scripted import ScriptedModel, finish
from backstay.operations.steps_report import told
from backstay.store.database import Reader
from backstay.testing import harness


@action(effect="read")
async def judge(words: int) -> Judged[str]:
    """Judge something, in so many words."""
    return Judged(value="yes", confidence=0.9, sure=True, by="hand", why="because " * words)


@workflow
async def judges(words: int) -> str:
    answer = await judge(words)
    return answer.by


class Note(BaseModel):
    text: str


async def test_answers_and_replies_are_counted_however_long_they_are() -> None:
    model = ScriptedModel([finish({"text": "long " * 1000})], usd="0.02")
    clerk = Agent("clerk", goal="Write a note.", tools=[], output=Note)
    async with harness(App("desk", workflows=[judges, clerk], models=Models(careful=model))) as it:
        for words in (1, 1000):
            await it.result(await it.start(judges, words=words, by="ann"))
        run = await it.start(clerk, input={"about": "a"}, by="ann")
        reply: Any = it.events(run, "call_returned", action="ask_model")[0]
        reader = Reader(it.home / "backstay.db")
        asked, models = told(reader)
        reader.close()
    assert [(each.value, each.sure) for each in asked["judge"]] == [("yes", True)] * 2
    assert models["clerk"].calls == models["clerk"].usd / Decimal("0.02")
    assert models["clerk"].tokens >= reply.result["input_tokens"] + reply.result["output_tokens"] > 0
    assert len(str(reply.result)) > 1024
