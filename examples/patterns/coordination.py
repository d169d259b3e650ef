"""Several agents, coordinated by a workflow that ends whatever they do.

Each has limits of its own, an hour of the workflow's time, and a failure that is only told. What is missing a person adds,
and where nobody does the case ends undecided. The deadline of the workflow stands behind all that.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from backstay import (
    Agent,
    AgentLimits,
    App,
    Models,
    NotRetryable,
    Queue,
    Winner,
    action,
    gather,
    race,
    rule,
    sleep,
    task,
    workflow,
)
from backstay.ai.scripted import Turn, call, finish
from backstay.commands import attempt
from backstay.testing import Harness, harness
from examples.patterns.stage import Line, play, scripted, told_of


class Claim(BaseModel):
    number: str
    text: str


class Opinion(BaseModel):
    verdict: Literal["pay", "refuse"]
    why: str


class Assessment(BaseModel):
    verdict: Literal["pay", "refuse", "undecided"]
    heard: list[str]


@action(effect="read")
async def read_file(number: str, page: int) -> str:
    """A page of a claim's file."""
    return f"Page {page} of claim {number}: the roof was lifted by the storm of 3 March."


def expert(name: str, asked: str) -> Agent[Opinion]:
    limits = AgentLimits(steps=5, tool_calls=5)
    return Agent(name, goal=asked, tools=[read_file], output=Opinion, evidence=[read_file], limits=limits)


damage_expert = expert("damage-expert", "Say whether the damage is what was reported.")
cover_expert = expert("cover-expert", "Say whether the policy covers this damage.")
history_expert = Agent(
    "history-expert",
    goal="Say whether earlier claims speak against this one.",
    tools=[read_file],
    output=Opinion,
    limits=AgentLimits(steps=5, tool_calls=5),
    escalate="archive",
)


@rule
def opinions(heard: list[Winner]) -> list[Opinion]:
    """What those said who came to an end in time, with evidence."""
    answers = [each.value for each in heard if each.index == 0 and each.value.ok]
    return [answer.value.output for answer in answers if answer.value.reason in ("goal-met", "person")]


@rule
def verdict_of(heard: list[Opinion]) -> str:
    """Two must agree."""
    for verdict in ("pay", "refuse"):
        if len([each for each in heard if each.verdict == verdict]) >= 2:
            return verdict
    return "undecided"


@workflow(deadline="3d")
async def assess_claim(claim: Claim) -> Assessment:
    """Hear three experts, then say what two of them agree on."""
    heard = await gather(
        race(attempt(damage_expert(claim)), sleep("1h")),
        race(attempt(cover_expert(claim)), sleep("1h")),
        race(attempt(history_expert(claim)), sleep("1h")),
    )
    said = opinions(heard)
    verdict = verdict_of(said)
    if verdict == "undecided":
        asked = await race(task("claims-desk", show={"claim": claim, "heard": said}, form=Opinion), sleep("1d"))
        if asked.index == 1:
            return Assessment(verdict="undecided", heard=[each.why for each in said])
        return Assessment(verdict=asked.value.verdict, heard=[asked.value.why])
    return Assessment(verdict=verdict, heard=[each.why for each in said])


def says(verdict: str) -> Line:
    """Reads one page and has an opinion."""

    def line(case: dict[str, Any], told: list[str]) -> Turn:
        if not told:
            return call("read_file", number=case["number"], page=1)
        return finish({"verdict": verdict, "why": "a storm"}, ("A storm.", "o1", "lifted by the storm"))

    return line


def loops(case: dict[str, Any], told: list[str]) -> Turn:
    """Reads page after page, for ever."""
    return call("read_file", number=case["number"], page=len(told) + 1)


def fails(case: dict[str, Any], told: list[str]) -> Turn:
    """Its model is out of order."""
    return NotRetryable("the provider refuses")


def application(**parts: Line) -> App:
    """The application, with what each expert does."""
    return App(
        "claims",
        workflows=[assess_claim, damage_expert, cover_expert, history_expert],
        queues=[
            Queue(name="claims-desk", owner="cleo", about="Claims on which the experts do not agree"),
            Queue(name="archive", owner="nobody yet", about="What the history expert asks"),
        ],
        models=Models(careful=scripted(**parts)),
    )


app = application(damage_expert=says("pay"), cover_expert=loops, history_expert=fails)
CLAIM = Claim(number="C-9", text="The roof is gone.")


async def assessed(it: Harness) -> str:
    """A claim whose people never answer, until its end."""
    run = await it.start(assess_claim, claim=CLAIM)
    await it.advance("1h")  # the archive never answers the history expert
    await it.advance("1d")  # and the claims desk never answers at all
    return run


async def story() -> list[str]:
    async with harness(app) as it:
        return told_of(it, await assessed(it))


if __name__ == "__main__":
    play(story)
