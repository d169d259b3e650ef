"""The six patterns: each story as it is told, what happens off its path, and pictures that are those of the code."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from backstay import App, Models, NotRetryable, workflow
from backstay.ai import patterns
from backstay.ai.scripted import Turn, call, finish
from backstay.cli.pictures import draw
from backstay.errors import AuthorError
from backstay.testing import harness
from examples.patterns import (
    agent_calls_workflow,
    coordination,
    exception_handler,
    propose,
    router,
    supervisor,
)
from examples.patterns.stage import Line, scripted

FOLDER = Path(__file__).parents[1]
PICTURES = {
    "router": router.sort_mail,
    "exception_handler": exception_handler.take_order,
    "supervisor": supervisor.supervisor,
    "propose": propose.settle_complaint,
    "agent_calls_workflow": agent_calls_workflow.advisor,
    "coordination": coordination.assess_claim,
}


@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_is_that_of_the_code(name: str) -> None:
    file = FOLDER / f"{name}.svg"
    assert draw(PICTURES[name].program, "svg") == file.read_text("utf-8"), (
        f"draw {file.name} anew, see docs/patterns.md"
    )


def told(lines: list[str], *expected: str) -> None:
    """Each of these is told, in this order."""
    rest = iter(line.strip() for line in lines)
    for each in expected:
        assert each in rest, f"{each!r} is not told, or not in this order"


def replaced(app: App, models: Models) -> App:
    """The application with another model."""
    return App(app.name, workflows=list(app.workflows.values()), models=models)


# --- the stories ------------------------------------------------------------------------------------------


async def test_router() -> None:
    lines = await router.story()
    told(
        lines,
        "Rule “known sender” → report_damage", "report_damage finished",
        "Starts and waits for mail-router", "change_address finished",
        "case _ → yes", "Task for post-room: sort by hand: pay_out",
    )  # fmt: skip


@pytest.mark.parametrize("line", [lambda *_: NotRetryable("gone"), lambda *_: call("read_mail", mail="m2")])
async def test_a_router_that_is_gone_or_gets_nowhere_leaves_the_mail_to_a_person(line: Line) -> None:
    async with harness(replaced(router.app, Models(fast=scripted(mail_router=line)))) as it:
        run = await it.start(router.sort_mail, mail="m2")
        assert it.waits_in(run) == ["post-room"]


@workflow
async def unexplained(mail: str) -> str:
    return mail


def test_a_router_needs_to_be_told_what_each_workflow_is_for() -> None:
    with pytest.raises(AuthorError, match="unexplained has no docstring"):
        patterns.router("r", among=[router.report_damage, unexplained], reads=[router.read_mail])
    assert "- mail-router: Say which" in patterns.router("r", among=[router.mail_router], reads=[]).instructions


async def test_exception_handler() -> None:
    lines = await exception_handler.story()
    told(lines, "reserve", "Finished", "Starts and waits for article-resolver", "reserve", "Task for order-desk")


async def test_a_handler_that_finds_nothing_leaves_the_order_to_a_person() -> None:
    def line(case: dict[str, Any], told: list[str]) -> Turn:
        return finish({"article": "A-25"}, ("I think so.", "o1", "nothing was looked at"))

    async with harness(replaced(exception_handler.app, Models(careful=scripted(article_resolver=line)))) as it:
        run = await it.start(exception_handler.take_order, article="A-17", pieces=3)
        assert it.waits_in(run) == ["order-desk"]
        await it.complete(run, {"article": "A-20"}, by="olga")
        assert await it.result(run) == "3 x Pump 20 l"


async def test_supervisor() -> None:
    lines = await supervisor.story()
    told(
        lines,
        "book_invoice waits in manual-backlog", "book_invoice is tried again",
        "Nobody can tell whether pay_invoice happened",
        "scripted wants retry_call", "retry_call", "scripted wants retry_call", "retry_call was not allowed", "escalate",
    )  # fmt: skip
    assert "pay_invoice is tried again" not in [line.strip() for line in lines]
    assert lines[-1].endswith("paid R-17")


async def test_propose() -> None:
    lines = await propose.story()
    told(
        lines,
        "pay_back needs a decision by treasury",
        "Approved",
        "pay_back",
        "Rejected",
        "the bank was told: O-71 90.00",
    )


async def test_agent_calls_workflow() -> None:
    lines = await agent_calls_workflow.story()
    told(lines, "percent > 10? → no", "percent > 10? → yes", "head-of-sales must decide", "Approved")


async def test_what_a_person_refuses_within_a_tool_the_agent_is_told() -> None:
    def line(case: dict[str, Any], told: list[str]) -> Turn:
        if not told:
            return call("quote_price", article="chair", pieces=100)
        return finish({"text": "No such rebate."}, ("It was refused.", "o1", "null"))

    async with harness(replaced(agent_calls_workflow.app, Models(careful=scripted(sales_advisor=line)))) as it:
        run = await it.start(agent_calls_workflow.advisor, by="rita", input={"pieces": 100})
        [asked] = it.client.inbox(queue="head-of-sales")
        await it.reject(asked.id, by="hugo", reason="too much")
        assert (await it.result(run))["output"] == {"text": "No such rebate."}


# --- a guaranteed end -------------------------------------------------------------------------------------


async def test_coordination() -> None:
    lines = await coordination.story()
    told(lines, "cover-expert finished", "The time has come", "Task for claims-desk", "The time has come", "Finished")


BEHAVIOURS: dict[str, Line] = {
    "has an opinion": coordination.says("pay"),
    "loops for ever": coordination.loops,
    "fails": coordination.fails,  # the history expert then asks an archive, and is never answered
}


@pytest.mark.parametrize("behaviours", list(product(BEHAVIOURS, repeat=3)), ids=", ".join)
async def test_whatever_the_participants_do_it_ends(behaviours: tuple[str, str, str]) -> None:
    experts = dict(zip(("damage_expert", "cover_expert", "history_expert"), behaviours, strict=True))
    app = coordination.application(**{name: BEHAVIOURS[each] for name, each in experts.items()})
    async with harness(app) as it:
        run = await coordination.assessed(it)
        agreed = behaviours.count("has an opinion") >= 2
        assert it.status(run) == "finished"
        assert (await it.result(run))["verdict"] == ("pay" if agreed else "undecided")
        open_runs = [each.workflow for each in it.client.runs() if not each.ended]
        assert open_runs == [], "a participant outlives its case"


async def test_a_participant_that_an_operator_stops_is_only_missing() -> None:
    app = coordination.application(
        damage_expert=coordination.says("pay"), cover_expert=coordination.says("pay"), history_expert=coordination.fails
    )
    async with harness(app) as it:
        run = await it.start(coordination.assess_claim, claim=coordination.CLAIM)
        [waiting] = it.client.runs(status="waiting", workflow="history-expert")
        await it.cancel(waiting.id, by="otto")
        assert await it.result(run) == {"verdict": "pay", "heard": ["a storm", "a storm"]}


async def test_a_person_who_answers_is_heard() -> None:
    app = coordination.application(
        damage_expert=coordination.says("pay"),
        cover_expert=coordination.says("refuse"),
        history_expert=coordination.loops,
    )
    async with harness(app) as it:
        run = await it.start(coordination.assess_claim, claim=coordination.CLAIM)
        [archive] = it.client.inbox(queue="archive")
        await it.complete(archive.id, {"verdict": "refuse", "why": "the third storm this year"}, by="arno")
        assert (await it.result(run))["verdict"] == "refuse"
