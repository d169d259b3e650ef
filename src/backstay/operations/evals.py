"""Evaluations: the cases of a dataset are run on an application as it is, each in a store of its own, and judged.

Models are those that the application has configured. An evaluation changes nothing: reads are made, or answered by the case;
an action that changes something is only ever answered by the case.
"""

from __future__ import annotations

import asyncio
import copy
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from pydantic_core import to_jsonable_python

from backstay.actions import Action, Retry
from backstay.ai.agents import Agent
from backstay.canonical import json_text
from backstay.engine.application import App
from backstay.engine.client import Client
from backstay.errors import BackstayError, InvalidInput, NotRetryable, RequestError
from backstay.language import Workflow
from backstay.operations.datasets import Answer, Case, Dataset
from backstay.operations.evaluators import Function, judge, read_functions
from backstay.operations.prompts import prompts_of
from backstay.operations.proof import Differs
from backstay.operations.recording import conceal
from backstay.operations.scores import Attempt, Report, Score, Usage, report
from backstay.operations.trajectory import Trajectory, read_trajectory
from backstay.store.clock import Clock
from backstay.types import Json

EVALUATOR = "evaluator"
"""Who decides what is held, where a case says that somebody does."""


async def evaluate(
    app: App, dataset: Dataset, *, times: int = 1, jobs: int = 1, on_attempt: Callable[[Attempt], Any] = lambda _: None
) -> Report:
    """Run every case of a dataset so many times, so many at once, and report.

    on_attempt: called with each attempt as it ends. Raises InvalidInput for a case that names no agent of the application, and
    NotFound for a function that is not there.
    """
    flows = [_flow(app, case) for case in dataset.cases]
    functions = read_functions([name for case in dataset.cases for name in case.expect.functions], dataset.path.parent)
    turns = asyncio.Semaphore(jobs)

    async def attempt(number: int) -> Attempt:
        async with turns:
            made = await _attempt(app, flows[number], dataset.cases[number], functions)
        on_attempt(made)
        return made

    try:
        found = await asyncio.gather(*(attempt(number) for number in range(len(flows)) for _ in range(times)))
    finally:
        for supplier in app.suppliers:
            await supplier.close()
    scores = [
        Score(
            id=case.id, digest=case.digest, agent=flow.name, attempts=tuple(found[place * times : (place + 1) * times])
        )
        for place, (case, flow) in enumerate(zip(dataset.cases, flows, strict=True))
    ]
    return report(app.name, dataset.path.name, dataset.digest, Clock().stamp(), prompts_of(app), scores)


def _flow(app: App, case: Case) -> Workflow[..., Any]:
    """The agent or workflow that a case is for."""
    agents = [flow.name for flow in app.workflows.values() if isinstance(flow, Agent)]
    name = case.agent or (agents[0] if len(agents) == 1 else "")
    if name not in app.workflows:
        wrong = f"there is no agent or workflow {name!r}" if name else "it must name its agent"
        raise InvalidInput(
            f"case {case.id!r}: {wrong}; {app.name!r} has {', '.join(sorted(app.workflows))}", {"agent": wrong}
        )
    return app.workflows[name]


# --- an application that changes nothing ---------------------------------------------------------------------


def _played(app: App, case: Case) -> App:
    """The application with the case's answers in place of what it would do; its models stay open between cases."""
    if unknown := sorted({answer.tool for answer in case.answers} - app.actions.keys()):
        raise InvalidInput(
            f"case {case.id!r}: answers for {', '.join(unknown)}, which is no action of {app.name!r}",
            {"answers": "no action"},
        )
    played = copy.copy(app)
    played.suppliers = []
    played.actions = {name: _answering(action, case) for name, action in app.actions.items()}
    return played


def _answering(action: Action[Any], case: Case) -> Action[Any]:
    answers = [answer for answer in case.answers if answer.tool == action.name]
    if action.effect == "read" and not answers:
        return action

    async def answered(**args: Any) -> Json:
        given = cast("dict[str, Json]", to_jsonable_python(args, serialize_unknown=True))
        return _answer(action, case, answers, {name: given[name] for name in action.parameters if name in given})

    stand_in = action.played_by(answered)
    return replace(stand_in, on_failure="raise", retry=Retry(attempts=1), breaker=None, rate=None)


def _answer(action: Action[Any], case: Case, answers: Sequence[Answer], args: dict[str, Json]) -> Json:
    for answer in answers:
        if all(name in args and args[name] == value for name, value in answer.args.items()):
            if answer.error:
                raise NotRetryable(answer.error)
            return answer.result
    raise NotRetryable(f"case {case.id!r} has no answer for {action.name} {json_text(args)}; write one under `answers`")


# --- one attempt ---------------------------------------------------------------------------------------------


async def _attempt(app: App, flow: Workflow[..., Any], case: Case, functions: dict[str, Function]) -> Attempt:
    with tempfile.TemporaryDirectory(prefix="backstay-eval-") as folder:
        try:
            run = await _run(_played(app, case), flow, case, Path(folder))
            found = await asyncio.to_thread(read_trajectory, Path(folder), run)
        except (BackstayError, Differs) as error:
            return Attempt(passed=False, reasons=(str(error),), reason="")
    return _judged(case, found, functions)


async def _run(app: App, flow: Workflow[..., Any], case: Case, home: Path) -> str:
    """Start the case and let it go as far as it can."""
    given = {"input": case.input} if isinstance(flow, Agent) else case.input
    if not isinstance(given, dict):
        raise InvalidInput(
            f"case {case.id!r}: input must hold the arguments of {flow.name!r} by name", {"input": "no object"}
        )
    async with app.open(home, synchronous="OFF") as client:
        run = await client.start(flow, cast("dict[str, Any]", given), by="evaluation")
        await client.idle()
        while not client.run(run).ended and await _decided(client, case):
            await client.idle()
    return run


async def _decided(client: Client, case: Case) -> bool:
    """Whether somebody decided something that was held."""
    held = [] if case.people == "nobody" else client.inbox(kind="approval")
    for item in held:
        try:
            await client.decide(item.id, "approved" if case.people == "approve" else "rejected", by=EVALUATOR)
        except RequestError:  # it needs more people than there are
            return False
    return bool(held)


def _judged(case: Case, found: Trajectory, functions: dict[str, Function]) -> Attempt:
    reasons = tuple(str(conceal(why, found.private)) for why in judge(case, found, functions))
    used = Usage(steps=found.steps, tool_calls=found.tool_calls, tokens=found.tokens, usd=found.usd, holds=found.holds)
    return Attempt(
        passed=not reasons, reasons=reasons, reason=found.reason, used=used, models=found.models,
        trajectory=tuple(found.lines()),
    )  # fmt: skip
