"""`backstay steps`: the AI steps of a store, how good they are, and how a new fit comes into use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backstay.cli.groups import FirstByDefault
from backstay.cli.options import DEFAULT_HOME, AsJson, By, Home, person
from backstay.cli.stores import directory_of, reader_of, reading

if TYPE_CHECKING:
    from backstay.store.steps import Fitted

app = typer.Typer(
    cls=FirstByDefault,
    help="AI steps: what they learned, how good they are, what they cost; make and accept a fit.",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

StepName = Annotated[str, typer.Argument(metavar="STEP", help="As `backstay steps` lists it.")]
NOTHING = "No AI step has answered here yet."
TOO_FEW = "This fit has too few examples to know how often it is right, so it is sure of nothing"
HOW = "Classifier(NAME, labels=..., examples=...) in App(suppliers=[...]) is one; its first question makes it known."


@app.command("list")
def list_(home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Show the steps, the fit that each answers with, and how many examples it has."""
    from backstay.cli import screen
    from backstay.operations.steps_report import waiting
    from backstay.store.steps import step_file

    found = list[dict[str, Any]]()
    with reading(home), step_file(home) as file:
        for step in [] if file is None else file.steps():
            assert file is not None
            current, counted = file.current(step.name), file.counted(step.name)
            found.append({
                "step": step.name, "action": step.action, "labels": len(step.declared["labels"]),
                "target": step.declared["target"], "examples": counted, "waiting_examples": waiting(file, step, current),
                "fit": None if current is None else current.version,
                "accepted_by": None if current is None else current.accepted_by,
                "fits": [each.version for each in file.fits(step.name)],
            })  # fmt: skip
    if as_json:
        screen.show_json(found)
        return
    if not found:
        screen.say(NOTHING)
        screen.hint(HOW)
        return
    made = screen.table(
        "step", "labels", "target", "examples", "new", "fit", "accepted by", "other fits", flexible="accepted by"
    )
    screen.rows(made, [
        (
            each["step"], str(each["labels"]), f"{each['target']:.0%}", str(sum(each["examples"].values())),
            str(each["waiting_examples"]), str(each["fit"] or "none yet"), str(each["accepted_by"] or ""),
            ", ".join(str(other) for other in each["fits"] if other != each["fit"]),
        ) for each in found
    ])  # fmt: skip
    if any(each["waiting_examples"] for each in found):
        screen.hint("  backstay steps fit STEP")


@app.command()
def report(
    step: Annotated[str, typer.Argument(metavar="[STEP]", help="Only this one.")] = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show what steps took off people's hands, how often they were right, what drifted, and what it cost."""
    from backstay.cli import screen
    from backstay.errors import NotFound
    from backstay.operations.steps_report import report as read
    from backstay.store.steps import step_file

    with reading(home) as reader, step_file(home) as file:
        found = read(reader, file, step)
    if step and not found:
        raise NotFound(f"no step {step!r} has answered here; `backstay steps` lists them")
    if as_json:
        screen.show_json(found)
        return
    if not found:
        screen.say(NOTHING)
        screen.hint(HOW)
        return
    for each in found:
        _tell(each)


def _tell(each: dict[str, Any]) -> None:
    from backstay.cli import screen

    sure, unsure, drift, cost = each["realised"]["sure"], each["realised"]["unsure"], each["drift"], each["cost"]
    screen.say(each["step"] or each["action"], "bold")
    screen.say(f"  answers   {each['answers']}, sure {each['sure']} ({_percent(each['coverage'])}); target {_percent(each['target'])}")  # fmt: skip
    low, high = sure["between"]
    bounds = f" (between {low:.0%} and {high:.0%})" if sure["reviewed"] else ""
    screen.say(
        f"  realised  {_percent(sure['share'])} of {sure['reviewed']} sure answers that people looked at{bounds}"
    )
    screen.say(f"            {_percent(unsure['share'])} of {unsure['reviewed']} answers that were not sure")
    if each["fit"] is not None:
        screen.say(f"  fit       {each['fit']} of {each['fits']}, accepted by {each['accepted_by']}; {each['waiting_examples']} examples since")  # fmt: skip
        screen.say(f"  drift     {_drift(drift)}")
    screen.say(
        f"  cost      {cost['calls']} calls in {cost['seconds']:g} s; {cost['model_calls']} questions to a model, "
        f"{cost['tokens']} tokens, {cost['usd']} USD; {cost['reviews']} answers of people"
    )


def _drift(drift: dict[str, Any]) -> str:
    if drift["labels"] is None:
        if drift["needed"] is None:
            return f"not known: this fit has no held-out answers to compare its {drift['answers']} answers with"
        return f"is known from {drift['needed']} answers of this fit on; so far: {drift['answers']}"
    worst = max(drift["labels"], drift["confidences"])
    word = "much" if worst > 0.25 else "some" if worst > 0.1 else "little"
    then, now = (_percent(each) for each in drift["none"])
    return f"{word}: labels {drift['labels']:.2f}, confidence {drift['confidences']:.2f}; none of the labels {then}, now {now}"


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{share:.1%}"


@app.command()
def fit(step: StepName, by: By = "", home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Make a fit of all that is known now, and show what would change. It answers once somebody accepts it."""
    from backstay.ai.embeddings import local_embedder
    from backstay.ai.extraction.fits import refit
    from backstay.ai.steps import fit_again
    from backstay.cli import screen
    from backstay.errors import NotFound
    from backstay.store.clock import Clock
    from backstay.store.steps import step_file

    who = _allowed(home, by)
    with step_file(home, readonly=False) as file:
        if file is None:
            raise NotFound(f"{NOTHING} {HOW}")
        if file.step(step).kind == "extract":
            made = refit(file, step, by=who, at=Clock().stamp())
        else:
            made = fit_again(file, step, local_embedder(), by=who, at=Clock().stamp())
    if as_json:
        screen.show_json(made)
        return
    _tell_fit(step, made)


def _tell_fit(step: str, made: Fitted) -> None:
    from backstay.cli import screen

    after: Any = made.report
    before: Any = after.get("before") or {}
    if before.get("version") == made.version:
        right = f"right in {_percent(before['accuracy'])}" if "accuracy" in after else "sure of nothing"
        screen.say(
            f"Nothing new: fit {made.version} of {step}, from {after['examples']} examples, answers already, {right}."
        )
        return
    screen.say(f"Fit {made.version} of {step}, from {after['examples']} examples", "bold")
    if "evidence" in after:
        screen.say(f"  {after['evidence']}")
    compared = screen.table(
        "held out", "now in use" + (f" ({before['version']})" if before else ""), f"fit {made.version}"
    )
    screen.rows(compared, [
        (words, _percent(before.get(what)), _percent(after.get(what)))
        for what, words in (("accuracy", "right"), ("coverage", "sure"), ("sure_accuracy", "right where sure"), ("at_least", "at least, where sure"))
    ])  # fmt: skip
    since: Any = after.get("since") or {}
    if since.get("examples"):
        screen.say(f"Of {since['examples']} examples that came since, unseen: {_percent(since['before'])} right before, {_percent(since['after'])} now.")  # fmt: skip
    changed: Any = before.get("changed") or {}
    if changed:
        screen.say("What changes, by label:")
        made_table = screen.table("label", "examples", "found", "sure", flexible="label")
        moves = [
            (label, *(_moved(moved.get(what), what) for what in ("examples", "found", "coverage")))
            for label, moved in changed.items()
        ]
        screen.rows(made_table, moves)
    if "accuracy" not in after:
        screen.hint(TOO_FEW + ". To let it answer all the same:")
    screen.hint(f"  backstay steps accept {step} {made.version}")


def _moved(pair: list[Any] | None, what: str) -> str:
    if pair is None:
        return ""
    one, other = (str(each or 0) if what == "examples" else _percent(each) for each in pair)
    return f"{one} -> {other}"


@app.command()
def accept(
    step: StepName,
    version: Annotated[
        int, typer.Argument(metavar="VERSION", help="As `backstay steps fit` says it; an older one takes it back.")
    ],
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Let a fit answer from now on; the others stay, and can be accepted again. It takes the role approver."""
    from backstay.cli import screen
    from backstay.errors import NotFound
    from backstay.store.clock import Clock
    from backstay.store.steps import step_file

    who = _allowed(home, by)
    with step_file(home, readonly=False) as file:
        if file is None:
            raise NotFound(f"{NOTHING} {HOW}")
        file.step(step)
        taken = file.accept(step, version, at=Clock().stamp(), by=who)
    if as_json:
        screen.show_json(taken)
        return
    screen.say(
        f"{step} answers with fit {version}, accepted by {who}; a worker that is running takes it at the next question."
    )
    if "accuracy" not in taken.report:
        screen.hint(TOO_FEW + ".")


@app.command()
def examples(
    step: StepName,
    file: Annotated[
        Path | None,
        typer.Option("--import", metavar="FILE", help="CSV with a head, or JSON lines; text and label in each."),
    ] = None,
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show what a step learns from, or import labelled examples. To import takes the role approver."""
    from backstay.cli import screen
    from backstay.errors import NotFound
    from backstay.store.steps import step_file

    if file is not None:
        who = _allowed(home, by)
        added = _import(home, step, file, who)
        if as_json:
            screen.show_json({"imported": added, "by": who})
            return
        screen.say(f"{added} new example(s) of {step}, by {who}.")
        screen.hint(f"  backstay steps fit {step}")
        return
    with reading(home), step_file(home) as kept:
        if kept is None:
            raise NotFound(f"{NOTHING} {HOW}")
        kept.step(step)
        found = kept.examples(step)
    if as_json:
        screen.show_json(found)
        return
    if not found:
        screen.say(f"{step} has no examples yet: it goes by what its labels mean, and is never sure.")
        screen.hint(f"  backstay steps examples {step} --import FILE.csv")
        return
    made = screen.table("label", "text", "from", "by", flexible="text")
    screen.rows(made, [(each.label, each.text, each.run or each.origin, each.by) for each in found])


def _import(home: Path, step: str, path: Path, who: str) -> int:
    from backstay.errors import NotFound
    from backstay.operations.step_examples import imported
    from backstay.store.clock import Clock
    from backstay.store.steps import step_file

    with step_file(home, readonly=False) as file:
        if file is None:
            raise NotFound(f"{NOTHING} {HOW}")
        return file.add(step, imported(path, file.step(step), by=who, at=Clock().stamp()))


def _allowed(home: Path, by: str) -> str:
    """Who changes a step; raises NotAllowed unless they may decide."""
    who = person(by)
    with reader_of(home):
        directory_of(home).check(who, "decide")
    return who
