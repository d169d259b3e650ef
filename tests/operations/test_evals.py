"""Agents under test: trajectories to assert on, recorded cases driven again, datasets, evaluators, scores."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from backstay import (
    Agent,
    AgentLimits,
    App,
    IdempotencyKey,
    Model,
    Models,
    Price,
    Sensitive,
    Workflow,
    action,
    workflow,
)
from backstay.ai.providers import Asked
from backstay.ai.scripted import ScriptedModel, Turn, call, finish
from backstay.errors import AuthorError, BackstayError, InvalidInput, NotFound
from backstay.operations.datasets import Case, Dataset, Expected, read_dataset
from backstay.operations.evals import evaluate
from backstay.operations.evaluators import EVALUATORS, judge
from backstay.operations.prompts import prompts_of
from backstay.operations.scores import Attempt, Report, Score, Usage, compare, read_report, report, wilson
from backstay.testing import Missed, NotRecorded, Trajectory, harness, recorded
from backstay.testing_provider import FakeProvider

mailed: list[str] = []


class Resolution(BaseModel):
    cause: str
    amount: str = "0"
    parts: list[str] = []


class Contact(BaseModel):
    name: Sensitive["pii"]
    city: str


@action(effect="read")
async def find_order(number: str) -> dict[str, str] | None:
    """Look up a purchase order by its number."""
    return {"number": number, "note": "freight is billed apart"}


@action(effect="read")
async def find_contact(number: str) -> Contact:
    """Who placed an order."""
    return Contact(name="Rosalind Achterberg", city="Ghent")


@action(effect="write", sinks=["to"])
async def write_mail(to: str, text: str, key: IdempotencyKey) -> str:
    """Send a mail."""
    mailed.append(to)
    return "sent"


LOOK = call("find_order", number="7")
MAIL = call("write_mail", to="ann@x.example", text="Freight.")
GOOD = finish({"cause": "freight", "amount": "11.95", "parts": ["pump"]}, ("Apart.", "o1", "freight is billed apart"))
PROMPT = "Look the order up before you answer."


def resolver(**changed: Any) -> Agent[Resolution]:
    fields: dict[str, Any] = {
        "goal": "Find out why.", "tools": [find_order, write_mail, find_contact], "output": Resolution,
        "instructions": PROMPT, "limits": AgentLimits(steps=4, invalid=1),
    }  # fmt: skip
    return Agent("resolver", **{**fields, **changed})


@workflow
async def check(number: str) -> str:
    return "looked at" if await find_order(number) else "unknown"


def obedient(asked: Asked) -> Turn:
    """A model that does what its prompt says, and mails where its case says so."""
    told = [message for message in asked.messages if message.role == "tool"]
    if PROMPT in asked.system and not told:
        return LOOK
    if "mail" in asked.messages[0].text and not any(message.tool == "write_mail" for message in told):
        return MAIL
    return GOOD


def app_of(agent: Agent[Resolution], script: Any = obedient) -> App:
    return App("helpdesk", workflows=[agent, check], models=Models(careful=ScriptedModel(script, usd="0.01")))


# --- trajectories ------------------------------------------------------------------------------------------


async def test_what_an_agent_did_can_be_asserted_on() -> None:
    async with harness(app_of(resolver(), [call("plan", steps=["look"]), [LOOK, call("pay_all")], MAIL, GOOD])) as it:
        run = await it.start("resolver", input={"mail": "ann@x.example"})
        it.trajectory(run).called("write_mail").stopped("waiting").within(holds=1)
        await it.approve(run, by="ann")
        did = it.trajectory(run)
    did.called("find_order", number="7").called("write_mail", to=lambda to: to.endswith("@x.example"))
    did.not_called("find_contact").not_called("find_order", number="8")
    did.before("find_order", "write_mail").before("plan", "find_order").at_most(1, "find_order").at_most(2)
    did.stopped("goal-met").within(steps=4, tool_calls=2, tokens=1000, usd="0.04", holds=1)
    assert did.output == {"cause": "freight", "amount": "11.95", "parts": ["pump"]}
    assert [act.became for act in did.acts] == ["done", "invalid", "done", "done", "done"]


MISSED = {
    "called, with other arguments": (lambda did: did.called("find_order", number="8"), 'find_order {"number":"8"} was not called: with other'),
    "called": (lambda did: did.called("find_contact"), "find_contact was not called"),
    "not called, though in vain": (lambda did: did.not_called("pay_all"), "pay_all was called: invalid"),
    "before, in one turn": (lambda did: did.before("find_order", "write_mail"), "was not called before write_mail: both in one turn"),
    "before, not at all": (lambda did: did.before("find_contact", "write_mail"), "find_contact was not called"),
    "at most": (lambda did: did.at_most(1), "tools: called 2 times, and at most 1"),
    "stopped": (lambda did: did.stopped("policy"), "it stopped for 'goal-met', not 'policy'"),
    "steps and money": (lambda did: did.within(steps=1, usd="0.01"), "steps 2, and at most 1; usd 0.02, and at most 0.01"),
}  # fmt: skip


@pytest.fixture(scope="module")
def rejected() -> Trajectory:
    """An agent looked up and wanted to mail in one turn, asked for a tool in vain, and was refused the mail."""

    async def story() -> Trajectory:
        async with harness(app_of(resolver(), [[LOOK, MAIL, call("pay_all")], GOOD])) as it:
            run = await it.start("resolver", input={"mail": "ann@x.example"})
            await it.reject(run, by="ann", reason="not today")
            return it.trajectory(run)

    return asyncio.run(story())


@pytest.mark.parametrize("name", MISSED)
def test_what_it_did_not_do_is_told_with_all_that_it_did(rejected: Trajectory, name: str) -> None:
    assertion, words = MISSED[name]
    with pytest.raises(Missed) as missed:
        assertion(rejected)
    assert words in missed.value.why
    lines = str(missed.value).splitlines()
    assert lines[1].startswith("resolver@")
    assert any(line.endswith("[refused] not today (a person was asked)") for line in lines)
    assert any(line.startswith('  1 find_order {"number":"7"} → {"note"') for line in lines)


TURNS = st.sampled_from(
    [
        LOOK, [LOOK, call("find_contact", number="7")], MAIL, GOOD, call("pay_all"), call("find_order", nr=7), "Let me think.",
        [call("find_order", number=str(number)) for number in range(9)], call("plan", steps=["look", "finish"]),
        finish({"cause": "?"}, ("?", "o1", "nobody said so")), finish({"what": 1}, ("Apart.", "o1", "billed apart")),
    ]
)  # fmt: skip
"""What a model may do in a turn: well, in vain, too much, or nothing."""


@given(st.lists(TURNS, min_size=1, max_size=6), st.booleans())
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_a_model_does_its_trajectory_counts_as_the_loop_did_and_reruns_alike(
    script: list[Any], ok: bool
) -> None:
    async def story(home: Path) -> None:
        agent = resolver(limits=AgentLimits(steps=6, tool_calls=8, invalid=2))
        async with harness(app_of(agent, script), home) as it:
            run = await it.start("resolver", input={"mail": "ann@x.example"})
            while it.status(run) == "waiting":
                await it.client.decide(run, "approved" if ok else "rejected", by="ann")
                await it.settle()
            found, did = await it.result(run), it.trajectory(run)
            answered = sum(asking.reply is not None for asking in did.asked)
            assert (did.reason, did.steps, did.tokens) == (found["reason"], found["steps"], found["tokens"])
            assert str(did.usd) == found["usd"] or answered == 0
            assert did.tool_calls == found["tool_calls"]
            assert str(recorded(home, run).rerun(agent)) == str(did)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(story(Path(folder)))


async def test_a_finish_that_was_sent_back_does_not_look_like_the_end() -> None:
    early = finish({"cause": "?"}, ("?", "o1", "nobody said so"))
    async with harness(app_of(resolver(), [early, LOOK, GOOD])) as it:
        did = it.trajectory(await it.start("resolver", input="7"))
    assert [(act.tool, act.became) for act in did.acts] == [
        ("finish", "invalid"),
        ("find_order", "done"),
        ("finish", "done"),
    ]


async def test_a_trajectory_shows_pseudonyms_and_compares_the_values() -> None:
    script = [call("find_contact", number="7"), finish({"cause": "Ghent"}, ("Ghent.", "o1", "Ghent"))]
    async with harness(app_of(resolver(), script)) as it:
        did = it.trajectory(await it.start("resolver", input="7"))
    assert did.acts[0].told["name"] == "Rosalind Achterberg"
    assert "Achterberg" not in str(did)
    assert "pii:" in str(did)


async def test_a_workflow_has_a_trajectory_with_all_that_it_started() -> None:
    helper = resolver()

    @workflow
    async def outer(number: str) -> str:
        finding = await helper({"invoice": number})
        return finding.reason

    async with harness(
        App("nested", workflows=[outer, helper], models=Models(careful=ScriptedModel([LOOK, GOOD])))
    ) as it:
        did = it.trajectory(await it.start(outer, number="7"))
    did.called("resolver").called("find_order", number="7").before("resolver", "find_order").stopped("finished")
    assert (did.steps, did.output) == (2, "goal-met")


# --- a recorded case as a test -----------------------------------------------------------------------------


async def recorded_in(home: Path, script: Sequence[Any], *, approve: bool = False) -> str:
    """A case of the past: its run in the store at `home`."""
    mailed.clear()
    async with harness(app_of(resolver(), script), home) as it:
        run = await it.start("resolver", input={"mail": "ann@x.example"})
        if approve:
            await it.approve(run, by="ann")
        assert it.status(run) == "finished"
    return run


async def test_a_recorded_case_runs_again_offline_with_todays_definition(home: Path) -> None:
    run = await recorded_in(home, [LOOK, MAIL, GOOD], approve=True)
    again = recorded(home, run).rerun(resolver())
    again.called("find_order", number="7").called("write_mail").stopped("goal-met").within(holds=1)
    assert again.reworded == 0
    assert str(recorded(home, run[:10]).rerun(resolver())) == str(again)
    assert mailed == ["ann@x.example"], "it was mailed once, by the case itself"


async def test_a_new_limit_holds_for_a_recorded_case(home: Path) -> None:
    run = await recorded_in(home, [LOOK, GOOD])
    recorded(home, run).rerun(resolver(limits=AgentLimits(steps=1))).stopped("limit")
    recorded(home, run).rerun(resolver(confidence=0.99)).stopped("low-confidence")


async def test_replies_to_another_prompt_are_taken_and_told(home: Path) -> None:
    run = await recorded_in(home, [LOOK, GOOD])
    again = recorded(home, run).rerun(resolver(instructions="Be brief."))
    assert (again.reason, again.reworded) == ("goal-met", 2)
    assert "2 questions would be worded otherwise now" in str(again)


async def test_a_removed_tool_breaks_the_recorded_case(home: Path) -> None:
    run = await recorded_in(home, [LOOK, GOOD])
    with pytest.raises(NotRecorded) as missing:
        recorded(home, run).rerun(resolver(tools=[write_mail], limits=AgentLimits(invalid=3)))
    assert "has no answer to what 'resolver' asks now:\n  turn 3 of its model: 2 were recorded" in str(missing.value)
    assert "[invalid] there is no tool 'find_order'" in str(missing.value)


async def test_a_case_of_a_loop_outside_has_a_trajectory_and_runs_again(home: Path) -> None:
    async with harness(app_of(resolver()), home) as it:
        async with it.client.session("resolver", goal="Why?", acting_for="ann") as session:
            await session.call("find_order", {"number": "7"})
            await session.call("pay_all", {})
            claim = {"text": "Freight is apart.", "source": "o1", "quote": "billed apart"}
            await session.finish({"cause": "freight"}, claims=[claim])
        run = it.client.runs()[0].id
        it.trajectory(run).called("find_order", number="7").stopped("goal-met").within(steps=0, tool_calls=2)
    again = recorded(home, run).rerun(resolver())
    assert [act.became for act in again.called("find_order").acts] == ["done", "refused"]
    with pytest.raises(NotRecorded, match='call find_order {"number":"7"}: there is no such tool any more'):
        recorded(home, run).rerun(resolver(tools=[write_mail]))


def check_as_changed() -> Workflow[..., Any]:
    @workflow
    async def check(number: str) -> str:
        await find_order(number)
        return "looked at" if await find_contact(f"{number}a") else "unknown"

    return check


async def test_what_was_never_asked_before_is_named(home: Path) -> None:
    async with harness(app_of(resolver()), home) as it:
        run = await it.start(check, number="7")

    with pytest.raises(NotRecorded, match=r'call find_contact {"number":"7a"}: the recording has no answer to it'):
        recorded(home, run).rerun(check_as_changed())
    with pytest.raises(AuthorError, match="is one of 'check', and cannot be rerun with 'resolver'"):
        recorded(home, run).rerun(resolver())


# --- datasets ----------------------------------------------------------------------------------------------


def dataset(folder: Path, *cases: dict[str, Any]) -> Dataset:
    folder.mkdir(exist_ok=True)
    path = folder / "cases.jsonl"
    path.write_text("".join(f"{json.dumps({'agent': 'resolver', **case})}\n" for case in cases), "utf-8")
    return read_dataset(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\n", "cases.jsonl has no cases; write one a line, for example"),
        ('{"id": "a"}\nnot JSON\n', "line 2 is not JSON"),
        ('{"id": "a", "expects": {}}\n', "line 1: expects: Extra inputs"),
        (
            '{"id": "a", "expect": {"within": {"amount": ["x", 1]}}}\n',
            r"line 1: expect\.within\.amount\.0: Input should be",
        ),
        ('{"id": "a"}\n\n{"id": "a"}\n', "two cases are called a"),
    ],
)
def test_a_dataset_says_where_it_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "cases.jsonl").write_text(text, "utf-8")
    with pytest.raises(InvalidInput, match=words):
        read_dataset(tmp_path / "cases.jsonl")


def test_there_must_be_a_dataset(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no dataset"):
        read_dataset(tmp_path / "none.jsonl")


YAML = """
- id: freight
  input: {invoice: "7", day: 2026-01-05}
  expect:
    fields: {cause: freight}
    called: [find_order, {tool: find_order, args: {number: "7"}}]
"""


def test_yaml_says_the_same_as_json_lines(tmp_path: Path) -> None:
    (tmp_path / "cases.yaml").write_text(YAML, "utf-8")
    (case,) = read_dataset(tmp_path / "cases.yaml").cases
    assert case.input == {"invoice": "7", "day": "2026-01-05"}
    assert [use.args for use in case.expect.called] == [{}, {"number": "7"}]


def test_yaml_without_its_library_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    (tmp_path / "cases.yaml").write_text(YAML, "utf-8")
    with pytest.raises(AuthorError, match=r"install backstay\[yaml\]; or write the cases as JSON Lines"):
        read_dataset(tmp_path / "cases.yaml")


# --- evaluators --------------------------------------------------------------------------------------------

WELL: dict[str, Any] = {
    "reason": "goal-met",
    "exact": {"cause": "freight", "amount": "11.95", "parts": ["pump"]},
    "fields": {"cause": "freight", "parts.0": "pump"},
    "contains": {"cause": "FREI", "parts": ["pump"]},
    "within": {"amount": [12, "0.05"]},
    "called": ["find_order", {"tool": "find_order", "args": {"number": "7"}}],
    "not_called": ["write_mail", {"tool": "find_order", "args": {"number": "8"}}],
    "before": [["find_order", "finish"]],
    "at_most": {"find_order": 1},
    "limits": {"steps": 2, "tool_calls": 1, "usd": "0.02", "holds": 0},
}
ILL: dict[str, tuple[Any, str]] = {
    "reason": ("policy", "reason: it is goal-met, not policy"),
    "exact": ({"cause": "freight"}, 'exact: the output is {"amount":"11.95","cause":"freight","parts":["pump"]}, not {"cause":"freight"}'),
    "fields": ({"parts.1": "fan"}, 'fields: parts.1 is missing, not "fan"'),
    "contains": ({"cause": ["eight", "duty"]}, 'contains: cause is "freight", without "duty"'),
    "within": ({"amount": [12, "0.01"]}, 'within: amount is "11.95", not 12 give or take 0.01'),
    "called": (["find_contact"], "called: find_contact was not called"),
    "not_called": (["find_order"], "not_called: find_order was called: done"),
    "before": ([["finish", "find_order"]], "before: finish was not called before find_order"),
    "at_most": ({"find_order": 0}, "at_most: find_order: called 1 times, and at most 0"),
    "limits": ({"tokens": 1}, "limits: tokens "),
}  # fmt: skip


@pytest.fixture(scope="module")
def good() -> Trajectory:
    """An agent looked an order up and finished."""

    async def story() -> Trajectory:
        async with harness(app_of(resolver())) as it:
            return it.trajectory(await it.start("resolver", input={"invoice": "7"}))

    return asyncio.run(story())


@pytest.mark.parametrize("name", ILL)
def test_each_evaluator_passes_what_is_well_and_names_what_is_not(good: Trajectory, name: str) -> None:
    value, words = ILL[name]
    well, ill = (Case.model_validate({"id": "a", "expect": {name: given}}) for given in (WELL[name], value))
    assert judge(well, good, {}) == []
    (why,) = judge(ill, good, {})
    assert why.startswith(words)


def test_every_field_of_what_is_expected_has_an_evaluator() -> None:
    assert {*EVALUATORS, "functions"} == set(Expected.model_fields) == {*WELL, *ILL, "functions"}


JUDGES = """
def quick(case, trajectory):
    return trajectory.steps < 5

def polite(case, trajectory):
    trajectory.called("write_mail")

def thorough(case, trajectory):
    return f"{case.id}: only {trajectory.tool_calls} call"

def broken(case, trajectory):
    return 1 / 0
"""


async def test_functions_of_the_author_judge_too(tmp_path: Path) -> None:
    (tmp_path / "judges.py").write_text(JUDGES, "utf-8")
    names = [f"judges.py:{name}" for name in ("quick", "polite", "thorough", "broken")]
    (score,) = (
        await evaluate(app_of(resolver()), dataset(tmp_path, {"id": "a", "expect": {"functions": names}}))
    ).cases
    assert score.attempts[0].reasons == (
        "judges.py:polite: write_mail was not called",
        "judges.py:thorough: a: only 1 call",
        "judges.py:broken: ZeroDivisionError: division by zero",
    )
    with pytest.raises(NotFound, match="judges.py has no function 'kind'"):
        await evaluate(app_of(resolver()), dataset(tmp_path, {"id": "a", "expect": {"functions": ["judges.py:kind"]}}))


# --- evaluations -------------------------------------------------------------------------------------------

FREIGHT = {
    "id": "freight",
    "input": {"invoice": "7"},
    "expect": {"fields": {"cause": "freight"}, "called": ["find_order"]},
}


@pytest.mark.parametrize(
    "broken", [{"instructions": ""}, {"tools": [write_mail]}], ids=["prompt removed", "tool removed"]
)
async def test_a_broken_agent_falls_behind_its_baseline(tmp_path: Path, broken: dict[str, Any]) -> None:
    cases = dataset(tmp_path, FREIGHT)
    before = await evaluate(app_of(resolver()), cases)
    assert (before.passed, before.attempts, compare(before, before).regressions) == (1, 1, ())
    held = compare(await evaluate(app_of(resolver(**broken)), cases), before)
    assert held.worse == ("freight",)
    assert held.regressions == ("100.0% of the attempts fail that passed before, and 0.0% may: freight",)
    assert any(change.startswith("resolver: definition") for change in held.changed)


async def test_an_evaluation_changes_nothing(tmp_path: Path) -> None:
    mailed.clear()
    mail = {"input": {"mail": "ann@x.example"}, "people": "approve"}
    answer = {"tool": "write_mail", "args": {"to": "ann@x.example"}, "result": "sent"}
    cases = dataset(
        tmp_path,
        {**mail, "id": "answered", "answers": [answer], "expect": {"called": ["write_mail"], "limits": {"holds": 1}}},
        {**mail, "id": "down", "answers": [{"tool": "write_mail", "error": "the server is down"}]},
        {**mail, "id": "unanswered"},
        {**mail, "id": "rejected", "people": "reject"},
        {**mail, "id": "waits", "people": "nobody", "expect": {"reason": "waiting"}},
    )
    found = {score.id: score.attempts[0] for score in (await evaluate(app_of(resolver()), cases, jobs=3)).cases}
    told = {name: next(line for line in attempt.trajectory if "write_mail" in line) for name, attempt in found.items()}
    assert "→ sent (a person was asked)" in told["answered"]
    assert "[failed] NotRetryable: the server is down" in told["down"]
    assert "case 'unanswered' has no answer for write_mail" in told["unanswered"]
    assert "[refused] rejected" in told["rejected"]
    assert "[waiting]" in told["waits"]
    assert all(attempt.passed for attempt in found.values()), found
    assert mailed == []


async def test_a_workflow_and_its_reads_can_be_evaluated_too(tmp_path: Path) -> None:
    answers = [{"tool": "find_order", "args": {"number": "8"}}, {"tool": "find_order", "result": {"number": "7"}}]
    cases = dataset(
        tmp_path,
        {
            "id": "there",
            "agent": "check",
            "input": {"number": "7"},
            "answers": answers,
            "expect": {"exact": "looked at"},
        },
        {"id": "gone", "agent": "check", "input": {"number": "8"}, "answers": answers, "expect": {"exact": "unknown"}},
        {"id": "wrong input", "agent": "check", "input": {"nr": "8"}},
    )
    there, gone, wrong = [score.attempts[0] for score in (await evaluate(app_of(resolver()), cases)).cases]
    assert (there.passed, gone.passed, wrong.passed, wrong.reason) == (True, True, False, "")
    assert "nr" in wrong.reasons[0]


async def test_a_case_for_nobody_is_refused_before_any_is_run(tmp_path: Path) -> None:
    words = "case 'a': there is no agent or workflow 'nobody'; 'helpdesk' has check, resolver"
    with pytest.raises(InvalidInput, match=words):
        await evaluate(app_of(resolver()), dataset(tmp_path, FREIGHT, {"id": "a", "agent": "nobody"}))


async def test_answers_for_an_action_that_is_gone_fail_their_case(tmp_path: Path) -> None:
    cases = dataset(tmp_path, FREIGHT, {"id": "a", "answers": [{"tool": "pay"}]})
    well, ill = [score.attempts[0] for score in (await evaluate(app_of(resolver()), cases)).cases]
    assert well.passed
    assert ill.reasons == ("case 'a': answers for pay, which is no action of 'helpdesk'",)


async def test_a_flaky_model_is_asked_again_and_again(tmp_path: Path) -> None:
    asked: list[int] = []

    def flaky(asked_now: Asked) -> Turn:
        asked.append(1)
        return LOOK if len(asked_now.messages) == 1 else GOOD if len(asked) % 4 else call("find_order", number="7")

    found = await evaluate(app_of(resolver(), flaky), dataset(tmp_path, FREIGHT), times=4)
    assert (found.attempts, found.passed, found.cases[0].rate) == (4, 2, 0.5)
    assert (found.low, found.high) == wilson(2, 4)
    assert {attempt.reason for attempt in found.cases[0].attempts} == {"goal-met", "no-progress"}


async def test_a_configured_model_is_evaluated_over_http(tmp_path: Path) -> None:
    async with FakeProvider([LOOK, GOOD]) as provider:
        model = Model(name="any", url=provider.url, price=Price(input="1", output="2"), timeout="5s")
        app = App("helpdesk", workflows=[resolver()], models=Models(careful=model))
        found = await evaluate(app, dataset(tmp_path, FREIGHT))
    assert (found.passed, found.models) == (1, ("openai:any",))
    assert found.total.usd is not None
    assert found.total.usd > 0


async def test_a_report_names_prompts_and_models_and_can_be_kept(tmp_path: Path) -> None:
    (tmp_path / "prompt.md").write_text(PROMPT, "utf-8")
    app = app_of(resolver(instructions=tmp_path / "prompt.md"))
    found = await evaluate(app, dataset(tmp_path, FREIGHT))
    (prompt,) = prompts_of(app)
    assert (prompt.file.endswith("prompt.md"), prompt.definition) == (
        True,
        app.workflows["resolver"].definition.version,
    )
    assert [each.version for each in found.agents] == [prompt.version]
    assert prompt.version != next(prompts_of(app_of(resolver(instructions="Guess.")))).version
    assert found.models == ("scripted",)
    assert (found.median.steps, found.total.usd, found.median.usd) == (2, Decimal("0.02"), Decimal("0.02"))
    (tmp_path / "kept.json").write_text(found.model_dump_json(), "utf-8")
    kept = read_report(tmp_path / "kept.json")
    assert kept.model_dump(mode="json") == found.model_dump(mode="json")
    assert compare(found, kept).regressions == ()


async def test_private_values_do_not_get_into_a_report(tmp_path: Path) -> None:
    script = [
        call("find_contact", number="7"),
        finish({"cause": "Rosalind Achterberg"}, ("She.", "o1", "Rosalind Achterberg")),
    ]
    found = await evaluate(
        app_of(resolver(), script), dataset(tmp_path, {"id": "a", "expect": {"fields": {"cause": "x"}}})
    )
    assert found.cases[0].attempts[0].reasons[0].startswith('fields: cause is "pii:')
    assert "Achterberg" not in found.model_dump_json()


# --- scores ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("passed", "number", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_wilsons_interval_is_the_published_one(passed: int, number: int, low: float, high: float) -> None:
    assert wilson(passed, number) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 500), st.integers(1, 500))
def test_the_interval_holds_the_rate(passed: int, number: int) -> None:
    low, high = wilson(min(passed, number), number)
    assert 0 <= low <= min(passed, number) / number + 1e-12
    assert min(passed, number) / number - 1e-12 <= high <= 1


def reported(tokens: float = 100, digest: str = "d", usd: str | None = "0.01", **passed: int) -> Report:
    """A report of cases that passed so many of four times."""
    used = Usage(steps=2, tool_calls=1, tokens=tokens, usd=None if usd is None else Decimal(usd))
    cases = [
        Score(
            id=name, digest=digest, agent="a",
            attempts=tuple(Attempt(passed=number < times, reason="goal-met", used=used) for number in range(4)),
        )
        for name, times in passed.items()
    ]  # fmt: skip
    return report("app", "cases.jsonl", "0", "2026-01-05T09:00:00Z", (), cases)


def test_a_mended_case_does_not_make_up_for_a_broken_one() -> None:
    held = compare(reported(one=4, two=0), reported(one=0, two=4))
    assert (held.better, held.worse) == (("one",), ("two",))
    assert held.regressions == ("50.0% of the attempts fail that passed before, and 0.0% may: two",)


def test_a_tolerance_lets_a_flaky_case_fail_now_and_then() -> None:
    now, before = reported(one=3, two=4), reported(one=4, two=4)
    assert compare(now, before).regressions != ()
    assert compare(now, before, 0.125).regressions == ()


def test_what_a_case_uses_up_may_grow_within_bounds() -> None:
    now, before = reported(tokens=125, one=4), reported(one=4)
    assert compare(now, before).regressions == ()
    assert compare(now, before, growth=0.25).regressions == ()
    (why,) = compare(now, before, growth=0.2).regressions
    assert why == "tokens: 125 in a case on average, 100 before, and 20% more may be"
    assert compare(reported(usd=None, one=4), before, growth=9).regressions == ("usd: the price is not known any more",)


def test_only_the_same_cases_are_compared() -> None:
    held = compare(reported(one=0, two=4), reported(two=4, three=4))
    assert (held.compared, held.new, held.gone, held.regressions) == (1, ("one",), ("three",), ())
    changed = compare(reported(one=4), reported(digest="other", one=4))
    assert changed.regressions == ("no case of the baseline is in this dataset with the same content",)


def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"app": 1}', "utf-8")
    with pytest.raises(BackstayError, match="is no report of an evaluation: app"):
        read_report(tmp_path / "other.json")
