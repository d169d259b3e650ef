"""`backstay replay`: prove one case or every case, and say what a changed workflow or rule would have done with it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backstay.cli.exits import DIFFERENT, OK, REFUSED
from backstay.cli.loading import make_importable, split
from backstay.cli.options import DEFAULT_HOME, AsJson, Home
from backstay.cli.stores import reading, run_named

if TYPE_CHECKING:
    from backstay.operations.candidates import Changed
    from backstay.operations.divergence import Divergence
    from backstay.operations.sweep import Batch, Chosen, Impact
    from backstay.store.database import Reader


def replay(
    run: Annotated[
        str, typer.Argument(metavar="[RUN]", help="Id of a run, or four or more characters of its beginning or end.")
    ] = "",
    with_file: Annotated[
        str, typer.Option("--with", metavar="FILE[:NAME]", help="Say what this workflow or rule file would have done.")
    ] = "",
    assume: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=JSON", help="With --with: an answer of an action, queue or signal not recorded."),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every stored case, as far as the options below choose.")
    ] = False,
    workflow: Annotated[str, typer.Option("--workflow", "-w", metavar="NAME", help="Only runs of this workflow.")] = "",
    status: Annotated[str, typer.Option("--status", "-s", metavar="STATUS", help="Only runs that stand so.")] = "",
    since: Annotated[str, typer.Option(metavar="WHEN", help="Only runs since a date, or for a time: 30d, 12h.")] = "",
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, metavar="N", help="Processes; 0 is one per CPU.")] = 0,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> int:
    """Prove cases from their journals, offline; or say what a changed workflow would have done with them."""
    several = every or bool(workflow or status or since)
    if several == bool(run):
        raise typer.BadParameter("name a run, or choose several with --all, --workflow, --status, --since")
    if assume and not with_file:
        raise typer.BadParameter("--assume answers what a changed workflow asks; name it with --with FILE")
    answers = assumed(assume or [])
    changed = read_changed(with_file) if with_file else None
    if run:
        return prove_one(run, home, as_json) if changed is None else differ_one(run, changed, answers, home, as_json)
    with reading(home) as reader:
        chosen = chosen_runs(reader, workflow, status, since)
        impact = None if changed is None else impact_of(reader, chosen, changed, answers)
    if impact is not None:
        chosen = [each for each in chosen if impact.concerns(each)]
    total, seconds = run_all(home, chosen, jobs, impact, as_json)
    return tell_proofs(total, seconds, as_json) if impact is None else tell_impact(total, seconds, with_file, as_json)


# --- what was asked --------------------------------------------------------------------------------------------


def assumed(given: Sequence[str]) -> dict[str, Any]:
    """Answers by name; what is no JSON is taken as text."""
    found: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"--assume {each!r}: write NAME=JSON, for example --assume ap-approvers=true")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def read_changed(target: str) -> Changed:
    from backstay.operations.candidates import read_change

    path, name = split(target)
    if path.is_file():
        make_importable(path)
    return read_change(path, name)


def chosen_runs(reader: Reader, workflow: str, status: str, since: str) -> list[Chosen]:
    from typing import get_args

    from backstay.operations.sweep import choose
    from backstay.store.views import Status

    if status and status not in get_args(Status):
        raise typer.BadParameter(f"there is no status {status!r}; there are {', '.join(get_args(Status))}")
    return choose(reader, workflow=workflow, status=status, since=moment_of(since) if since else "")


def moment_of(text: str) -> str:
    """A date, or so long ago, as the journal writes moments."""
    from datetime import datetime, timedelta

    from backstay.store.clock import Clock
    from backstay.types import iso, seconds

    try:
        return iso(datetime.fromisoformat(text).astimezone())
    except ValueError:
        pass
    try:
        return iso(Clock().now() - timedelta(seconds=seconds(text)))
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"--since {text!r}: write a date such as 2026-01-31, or a time such as 30d") from None


def impact_of(reader: Reader, chosen: list[Chosen], changed: Changed, answers: dict[str, Any]) -> Impact:
    """The definition that each stored version becomes; raises NotFound when the change concerns no case."""
    from backstay.errors import BackstayError, NotFound
    from backstay.language import Definition
    from backstay.operations.proof import read_program
    from backstay.operations.sweep import Impact

    definitions: dict[str, Definition] = {}
    unreadable = set[str]()
    for version in {each.version for each in chosen}:
        try:
            stored = read_program(reader, version)
        except BackstayError:  # told of each of its cases
            unreadable.add(version)
            continue
        definition = changed.definition(stored)
        if definition is not None:
            definitions[version] = definition
    if chosen and not definitions:
        raise NotFound(f"no chosen case uses anything of {changed.path.name}, which has {changed.offers()}")
    return Impact(definitions=definitions, unreadable=frozenset(unreadable), assume=answers)


def run_all(home: Path, chosen: list[Chosen], jobs: int, impact: Impact | None, quiet: bool) -> tuple[Batch, float]:
    """Replay the cases with a bar on a terminal; gives what came of them and how many seconds it took."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from backstay.cli import screen
    from backstay.operations.sweep import Batch, processors, sweep

    total, begun = Batch(), monotonic()
    shown = screen.err().is_terminal and not quiet
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen.err(), transient=True, disable=not shown) as bar:
        task = bar.add_task("", total=len(chosen))
        for batch in sweep(home, chosen, jobs or processors(), impact):
            total.add(batch)
            bar.advance(task, batch.cases)
    total.failures.sort(key=lambda failure: failure.run)
    total.affected.sort(key=lambda affected: affected.run)
    return total, monotonic() - begun


# --- proofs ------------------------------------------------------------------------------------------------------


def prove_one(run: str, home: Path, as_json: bool) -> int:
    from backstay.cli import screen
    from backstay.operations.proof import prove
    from backstay.operations.wording import counted
    from backstay.store.payloads import Payloads

    with reading(home) as reader:
        proof = prove(reader, Payloads(home, reader), run_named(reader, run).id)
    if as_json:
        screen.show_json(proof)
        return OK if proof.equal else REFUSED
    derived = f"{counted(proof.events, 'event')}, {counted(proof.commands, 'command')}, "
    derived += f"{counted(proof.branches, 'branch', 'branches')}, {counted(proof.effects, 'effect')}"
    screen.say(f"run {proof.run}  {proof.workflow}@{proof.version[:7]}  {proof.status}", "dim")
    if proof.erased and proof.equal:
        far = f"compared up to event {proof.event}" if proof.event else "all compared"
        words = f"{proof.erased} private values were erased; with pseudonyms in their place, {far}. The chain of all"
        screen.say(f"equal as far as it can be: {words} {proof.events} events holds.", "bold yellow")
        return OK
    if proof.equal:
        screen.say(f"equal: {derived} re-derived offline; the chain holds.", "bold green")
        return OK
    screen.say("not equal", "bold red")
    screen.say(proof.mismatch)
    if proof.line:
        screen.say(f"line {proof.line} of the workflow", "dim")
    return REFUSED


def tell_proofs(total: Batch, seconds: float, as_json: bool) -> int:
    from backstay.cli import screen

    code = REFUSED if total.failures else OK
    if as_json:
        screen.show_json({"cases": total.cases, "proved": total.same, "events": total.events,
                          "seconds": round(seconds, 3), "failures": total.failures})  # fmt: skip
        return code
    print_failures(total)
    counted = f"{total.same:,} of {total.cases:,} cases are equal: {total.events:,} events re-derived offline"
    screen.say(f"{counted} in {seconds:.1f} s.", "bold red" if total.failures else "bold green")
    return code


def print_failures(total: Batch) -> None:
    from backstay.cli import screen

    if not total.failures:
        return
    made = screen.table("run", "workflow", "event", "line", "why", flexible="why")
    lines = [
        (screen.short(one.run), f"{one.workflow}@{one.version[:7]}", one.event or "", one.line or "", one.mismatch)
        for one in total.failures
    ]
    screen.rows(made, lines)
    screen.say()


# --- changes -----------------------------------------------------------------------------------------------------


def differ_one(run: str, changed: Changed, answers: dict[str, Any], home: Path, as_json: bool) -> int:
    from backstay.cli import screen
    from backstay.cli.differing import print_divergence
    from backstay.errors import NotFound
    from backstay.language import compile_definition
    from backstay.operations.divergence import compare
    from backstay.operations.proof import Differs, read_program
    from backstay.operations.sweep import load_case
    from backstay.store.payloads import Payloads

    with reading(home) as reader:
        row = run_named(reader, run)
        old = read_program(reader, row.version)
        definition = changed.definition(old)
        if definition is None:
            raise NotFound(f"run {row.id} uses nothing of {changed.path.name}, which has {changed.offers()}")
        try:
            found = compare(
                load_case(reader, Payloads(home, reader), row.id), old,
                compile_definition(definition.text, definition.version), answers,
            )  # fmt: skip
        except Differs as error:
            return refuse_case(row.id, error, as_json)
    if as_json:
        screen.show_json(found)
    else:
        print_divergence(found, row)
    return exit_of(found)


def refuse_case(run: str, error: Exception, as_json: bool) -> int:
    """The case itself is damaged: nothing can be compared with it."""
    from backstay.cli import screen

    if as_json:
        body = {"code": "MISMATCH", "message": str(error), "fields": {}}
        screen.show_json({"error": {**body, "run": run, "event": getattr(error, "seq", None)}})
    else:
        screen.say("The recorded case does not replay, so nothing can be compared with it.", "bold red")
        screen.say(str(error))
    return REFUSED


def exit_of(found: Divergence) -> int:
    return OK if found.same else DIFFERENT


def tell_impact(total: Batch, seconds: float, change: str, as_json: bool) -> int:
    """How many cases a change would have touched, grouped by the first difference."""
    from backstay.cli import screen

    groups = Counter(one.headline for one in total.affected)
    code = REFUSED if total.failures else DIFFERENT if total.affected else OK
    if as_json:
        grouped = [
            {"first": headline, "cases": count, "runs": [one.run for one in total.affected if one.headline == headline]}
            for headline, count in groups.most_common()
        ]
        screen.show_json({"cases": total.cases, "same": total.same, "different": len(total.affected), "groups": grouped,
                          "seconds": round(seconds, 3), "failures": total.failures})  # fmt: skip
        return code
    print_failures(total)
    part = f"{len(total.affected):,} of {total.cases:,} cases would have gone differently with {change}"
    screen.say(f"{part}; replayed in {seconds:.1f} s.", "bold yellow" if total.affected else "bold green")
    if groups:
        print_groups(total, groups)
    return code


def print_groups(total: Batch, groups: Counter[str]) -> None:
    from backstay.cli import screen

    screen.say()
    made = screen.table("cases", "first difference", "then", "for example", flexible="first difference")
    lines: list[tuple[Any, ...]] = []
    for headline, count in groups.most_common():
        members = [one for one in total.affected if one.headline == headline]
        then = ", ".join(f"{number} {status}" for status, number in Counter(one.new for one in members).most_common())
        lines.append((f"{count:,}", headline, then, screen.short(members[-1].run)))
    screen.rows(made, lines)
    screen.hint("`backstay replay RUN --with FILE` shows one case; unknown: it asks for what no recording answers.")
