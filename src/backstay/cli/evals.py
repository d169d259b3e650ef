"""`backstay eval` and `backstay prompts`: how well agents do on cases of a dataset, and with which prompts."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backstay.cli.exits import OK, REFUSED
from backstay.cli.options import DEFAULT_HOME, AsJson, Home

if TYPE_CHECKING:
    from backstay.engine.application import App
    from backstay.operations.datasets import Dataset
    from backstay.operations.prompts import Prompt
    from backstay.operations.scores import Comparison, Report, Score, Usage

AppName = Annotated[str, typer.Argument(metavar="APP", help="FILE of the application, or FILE:NAME.")]


def evaluate(
    target: AppName,
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Cases, as JSON Lines or YAML.")],
    times: Annotated[int, typer.Option("--times", min=1, metavar="N", help="Run each case so often.")] = 1,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, metavar="N", help="Run so many cases at once.")] = 1,
    case: Annotated[list[str] | None, typer.Option("--case", metavar="ID", help="Only this case; repeat it.")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Keep the report, as JSON.")] = None,
    against: Annotated[
        Path | None, typer.Option("--against", metavar="FILE", help="A kept report: fail only where it is worse now.")
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            "--tolerance", min=0, max=1, metavar="SHARE", help="With --against: so many attempts may newly fail."
        ),
    ] = 0.0,
    growth: Annotated[
        float | None,
        typer.Option("--growth", min=0, metavar="SHARE", help="With --against: so much more a case may use up."),
    ] = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> int:
    """Run agents on the cases of a dataset and judge what they do; nothing outside is changed."""
    from backstay.cli import screen
    from backstay.operations.datasets import read_dataset
    from backstay.operations.scores import compare, read_report

    if against is None and (tolerance or growth is not None):
        raise typer.BadParameter("--tolerance and --growth compare with a kept report; name it with --against FILE")
    before = None if against is None else read_report(against)
    cases = chosen(read_dataset(dataset), case or [])
    found = run_all(application(target), cases, times, jobs, as_json)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(found.model_dump_json(indent=2) + "\n", "utf-8")
    held = None if before is None else compare(found, before, tolerance, growth)
    if as_json:
        screen.show_json(
            {**found.model_dump(mode="json"), "against": None if held is None else held.model_dump(mode="json")}
        )
    else:
        print_report(found)
        if held is not None:
            print_comparison(held)
        if out is not None:
            screen.hint(
                f"The report is in {out}. `backstay eval {target} {dataset} --against {out}` holds others against it."
            )
    worse = found.passed < found.attempts if held is None else bool(held.regressions)
    return REFUSED if worse else OK


def application(target: str) -> App:
    from backstay.cli.loading import find_app, load, split

    path, name = split(target)
    return find_app(load(path), name)


def chosen(dataset: Dataset, names: list[str]) -> Dataset:
    """Only these cases; raises NotFound for one that is not there."""
    from dataclasses import replace

    from backstay.errors import NotFound

    there = [case.id for case in dataset.cases]
    if unknown := [name for name in names if name not in there]:
        raise NotFound(f"{dataset.path.name} has no case {', '.join(map(repr, unknown))}; it has {', '.join(there)}")
    return replace(dataset, cases=tuple(case for case in dataset.cases if not names or case.id in names))


def run_all(app: App, dataset: Dataset, times: int, jobs: int, quiet: bool) -> Report:
    """Run the cases with a bar on a terminal."""
    import asyncio

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from backstay.cli import screen
    from backstay.operations.evals import evaluate as evaluate_all

    shown = screen.err().is_terminal and not quiet
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    failed = 0
    with Progress(*columns, console=screen.err(), transient=True) if shown else nullcontext() as bar:
        task = bar.add_task("", total=len(dataset.cases) * times) if bar is not None else None

        def ended(attempt: Any) -> None:
            nonlocal failed
            failed += not attempt.passed
            if bar is not None and task is not None:
                bar.update(task, advance=1, description=f"{failed} failed" if failed else "")

        return asyncio.run(evaluate_all(app, dataset, times=times, jobs=jobs, on_attempt=ended))


# --- what it came to -----------------------------------------------------------------------------------------


def print_report(found: Report) -> None:
    from backstay.cli import screen

    tried = {case.agent for case in found.cases}
    if agents := [prompt for prompt in found.agents if prompt.agent in tried]:
        print_prompts(agents)
        screen.hint(f"Models that answered: {', '.join(found.models) or 'none'}.")
        screen.say()
    made = screen.table("case", "passed", "stopped", "steps", "calls", "tokens", "USD", "holds", flexible="case")
    screen.rows(made, [row(case) for case in found.cases])
    screen.say()
    for case in found.cases:
        print_failures(case)
    style = "bold green" if found.passed == found.attempts else "bold red"
    rate = f"{found.rate:.1%}, with 95 % confidence {found.low:.1%} to {found.high:.1%}"
    what = "attempts" if found.times > 1 else "cases"
    screen.say(f"{found.passed} of {found.attempts} {what} passed: {rate}.", style)
    screen.say(f"Medians: {words(found.median)}. In all: {words(found.total)}.")


def row(case: Score) -> tuple[Any, ...]:
    used = case.used
    stopped = ", ".join(dict.fromkeys(attempt.reason or "not started" for attempt in case.attempts))
    return (case.id, f"{case.passed}/{len(case.attempts)}", stopped, number(used.steps), number(used.tool_calls),
            number(used.tokens), cost(used), number(used.holds))  # fmt: skip


def print_failures(case: Score) -> None:
    """What is wrong with each attempt that failed, the same only once, and what it did."""
    from backstay.cli import screen

    told = set[tuple[str, ...]]()
    for attempt in case.attempts:
        if attempt.passed or attempt.reasons in told:
            continue
        told.add(attempt.reasons)
        screen.say(case.id, "bold red")
        for why in attempt.reasons:
            screen.say(f"  {why}")
        for line in attempt.trajectory:
            screen.say(f"    {line}", "dim")
        screen.say()


def print_comparison(held: Comparison) -> None:
    from backstay.cli import screen
    from backstay.operations.wording import counted

    for change in held.changed:
        screen.say(change, "dim")
    others = {"better": held.better, "new or changed": held.new, "gone": held.gone}
    listed = "; ".join(f"{name}: {', '.join(cases)}" for name, cases in others.items() if cases)
    screen.say(f"Compared with the baseline: {counted(held.compared, 'case')}. {listed}".strip())
    for why in held.regressions:
        screen.say(f"Worse: {why}.", "bold red")
    if not held.regressions:
        screen.say("Not worse than the baseline.", "bold green")


def number(value: float) -> str:
    return f"{value:,.1f}".removesuffix(".0")


def cost(used: Usage) -> str:
    return "unknown" if used.usd is None else f"{used.usd.normalize():f}"


def words(used: Usage) -> str:
    price = "at an unknown price" if used.usd is None else f"{cost(used)} USD"
    counts = {"steps": used.steps, "calls": used.tool_calls, "tokens": used.tokens, "holds": used.holds}
    return f"{', '.join(f'{name} {number(count)}' for name, count in counts.items())}, {price}"


# --- prompts -------------------------------------------------------------------------------------------------


def prompts(
    target: AppName,
    agent: Annotated[str, typer.Argument(metavar="[AGENT]", help="Print what this one is told.")] = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> int:
    """Show the prompt of each agent: its file, its version, and the definition that it belongs to."""
    from backstay.cli import screen
    from backstay.errors import NotFound
    from backstay.operations.prompts import prompts_of

    loaded = application(target)
    found = [prompt for prompt in prompts_of(loaded) if agent in ("", prompt.agent)]
    if agent and not found:
        named = ", ".join(prompt.agent for prompt in prompts_of(loaded)) or "none"
        raise NotFound(f"there is no agent {agent!r} in {loaded.name!r}; it has {named}")
    if as_json:
        screen.show_json(
            [{**prompt.model_dump(mode="json"), **({"text": prompt.text} if agent else {})} for prompt in found]
        )
    elif agent:
        for line in found[0].text.splitlines():
            screen.say(line)
    elif found:
        print_prompts(found)
        screen.hint("`backstay prompts APP AGENT` prints one.")
    else:
        screen.say(
            "This application has no agents; `Agent(...)` makes one, and instructions=Path(...) is its prompt's file."
        )
    return OK


def print_prompts(found: list[Prompt]) -> None:
    from backstay.cli import screen

    made = screen.table("agent", "prompt", "file", "definition", "model role", flexible="file")
    rows = [
        (each.agent, each.version[:7], each.file or "in the code", each.definition[:7], each.role) for each in found
    ]
    screen.rows(made, rows)
