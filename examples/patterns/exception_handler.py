"""Exception handler: the happy path is a workflow; one exception that is known calls an agent, any other a person."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from backstay import ActionFailed, Agent, App, IdempotencyKey, Models, NotRetryable, Queue, action, task, workflow
from backstay.ai.scripted import Turn, call, finish
from backstay.testing import harness
from examples.patterns.stage import play, scripted, told_of

STOCK = {"A-20": "Pump 20 l", "A-25": "Pump 25 l"}
SUCCESSORS = {"A-17": "A-17 is no longer made; its successor is A-20, with the same flange"}


class UnknownArticle(NotRetryable):
    """The exception that the agent is called for."""


class Replacement(BaseModel):
    article: str


@action(effect="write")
async def reserve(article: str, pieces: int, key: IdempotencyKey) -> str:
    if pieces > 100:
        raise NotRetryable("more than a hundred pieces are never reserved")
    if article not in STOCK:
        raise UnknownArticle(f"there is no article {article}")
    return f"{pieces} x {STOCK[article]}"


@action(effect="read")
async def bulletin_about(article: str) -> str | None:
    """What the manufacturer announced about an article."""
    return SUCCESSORS.get(article)


@action(effect="read")
async def article(number: str) -> str | None:
    """An article in stock by its number."""
    return STOCK.get(number)


resolver = Agent(
    "article-resolver",
    goal="Find the article in stock that takes the place of the one that was ordered.",
    tools=[bulletin_about, article],
    output=Replacement,
    evidence=[bulletin_about, article],
    confidence=0.7,
    autonomy="recommend",
)


@workflow
async def take_order(article: str, pieces: int) -> str:
    """Reserve what was ordered, or what takes its place."""
    try:
        return await reserve(article, pieces)
    except ActionFailed as failure:
        if failure.type == "UnknownArticle":
            finding = await resolver({"article": article})
            if finding.reason == "goal-met":
                return await reserve(finding.output.article, pieces)
        answer = await task("order-desk", show={"article": article, "fault": failure.message}, form=Replacement)
        return await reserve(answer.article, pieces)


def plays_resolver(case: dict[str, Any], told: list[str]) -> Turn:
    match len(told):
        case 0:
            return call("bulletin_about", article=case["article"])
        case 1:
            return call("article", number="A-20")
        case _:
            return finish({"article": "A-20"}, ("It has a successor.", "o1", "its successor is A-20"))


app = App(
    "orders",
    workflows=[take_order, resolver],
    queues=[Queue(name="order-desk", owner="olga", about="Orders that nobody could place")],
    models=Models(careful=scripted(article_resolver=plays_resolver)),
)


async def story() -> list[str]:
    async with harness(app) as it:
        happy = await it.start(take_order, article="A-25", pieces=2)
        known = await it.start(take_order, article="A-17", pieces=3)
        other = await it.start(take_order, article="A-20", pieces=500)
        return [line for run in (happy, known, other) for line in (*told_of(it, run), "")]


if __name__ == "__main__":
    play(story)
