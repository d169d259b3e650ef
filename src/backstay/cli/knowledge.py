"""`backstay knowledge`: the knowledge bases of a home, what is in them, and what somebody would find."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backstay.cli.groups import FirstByDefault
from backstay.cli.options import DEFAULT_HOME, AsJson, By, Home, person

if TYPE_CHECKING:
    from backstay.ai.knowledge import KnowledgeBase

app = typer.Typer(
    cls=FirstByDefault,
    help="Knowledge bases: list them, bring one up to date, search one as somebody.",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SHOWN = 160
"""Characters of a passage on the screen."""

FileName = Annotated[str, typer.Argument(metavar="FILE", help="FILE or FILE:NAME of the application that has it.")]
BaseName = Annotated[str, typer.Argument(metavar="BASE", help="Name of a knowledge base.")]


@app.command("list")
def list_(by: By = "", home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Show the knowledge bases of a home, with how much of them you may read."""
    from backstay.ai.knowledge.asking import of_person
    from backstay.cli import screen
    from backstay.operations.wording import moment
    from backstay.store.knowledge import known

    who = of_person(home, person(by))
    with known(home) as file:
        found = [] if file is None else file.counts(who)
        problems = {} if file is None else {each["name"]: file.problems(each["name"], who) for each in found}
    if as_json:
        screen.show_json([{**each, "problems": problems[each["name"]]} for each in found])
        return
    if not found:
        screen.say("There is no knowledge base here yet.")
        screen.hint(
            "KnowledgeBase(NAME, sources=[...]) in App(suppliers=[...]), then: backstay knowledge index FILE BASE"
        )
        return
    table = screen.table("base", "documents", "passages", "embedder", "last looked at")
    screen.rows(table, [
        (each["name"], str(each["documents"]), str(each["passages"]), each["embedder"] or "words only",
         moment(each["indexed"]) if each["indexed"] else "never")
        for each in found
    ])  # fmt: skip
    for base, wrong in problems.items():
        for name, why in wrong.items():
            screen.say(f"{base}: {name}: {why}", "yellow")


@app.command()
def index(file: FileName, base: BaseName = "", home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Bring a knowledge base up to date: read what is new or has changed, forget what is gone. It may be interrupted."""
    from backstay.ai.knowledge import Folder
    from backstay.cli import screen
    from backstay.cli.stores import signed_in
    from backstay.store.clock import Clock

    found = _base(file, base)
    signed_in(home, "see")
    home.mkdir(parents=True, exist_ok=True)
    done = found.index(home, Clock().stamp())
    if as_json:
        screen.show_json({"base": found.name, **done.model_dump()})
        return
    screen.say(
        f"{found.name}: {done.read} document(s) read, {done.gone} gone, {done.embedded} passage(s) embedded.", "bold"
    )
    for name in done.unreadable:
        screen.say(name, "yellow")
    empty = [each.emptiness for each in found.sources if isinstance(each, Folder) and each.emptiness]
    for each in empty:
        screen.say(each, "yellow")
    if not (done.read or done.gone or done.unreadable or empty):
        screen.say("It was up to date.")


@app.command()
def search(
    file: FileName,
    base: BaseName,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="A question, or words.")],
    most: Annotated[int, typer.Option("--limit", "-n", min=1, max=50, help="At most so many passages.")] = 5,
    whole: Annotated[bool, typer.Option("--whole", help="Show all of each passage.")] = False,
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show what somebody would find, with citations, and how likely the base holds it at all."""
    from backstay.ai.knowledge.asking import of_person
    from backstay.cli import screen

    found = _base(file, base)
    answer = found.look_up(home, query, of_person(home, person(by)), most) if _indexed(home, found.name) else None
    if as_json:
        screen.show_json(None if answer is None else answer.model_dump())
        return
    if answer is None:
        screen.say(f"Knowledge base {found.name} has not been indexed yet.")
        screen.hint(f"backstay knowledge index {file} {found.name}")
        return
    verdict = "It is here" if answer.sure else "It may not be here"
    likely = f"the probability that it is here is {answer.in_base:.0%}, and " if answer.passages else ""
    screen.say(f"{verdict}: {likely}{answer.why}.", "bold green" if answer.sure else "bold yellow")
    if not answer.passages:
        screen.say("Nothing that you may read has any of these words.")
        return
    table = screen.table("citation", "headings", "passage", flexible="passage")
    screen.rows(
        table, [(each.citation, " > ".join(each.heading), _shown(each.text, whole)) for each in answer.passages]
    )


def _shown(text: str, whole: bool) -> str:
    line = " ".join(text.split())
    return line if whole or len(line) <= SHOWN else f"{line[: SHOWN - 1].rstrip()}…"


def _base(file: str, name: str) -> KnowledgeBase:
    """A knowledge base of an application, by name or as the only one; raises NotFound."""
    from backstay.ai.knowledge import KnowledgeBase
    from backstay.cli.loading import find_app, load, split
    from backstay.errors import NotFound

    path, called = split(file)
    application = find_app(load(path), called)
    bases: dict[str, Any] = {each.name: each for each in application.suppliers if isinstance(each, KnowledgeBase)}
    if name in bases or (not name and len(bases) == 1):
        return bases[name] if name else next(iter(bases.values()))
    if bases and not name:
        raise NotFound(f"app {application.name!r} has several knowledge bases, name one of them: {', '.join(bases)}")
    wanted = f"has no knowledge base {name!r}" if name else "has no knowledge base"
    raise NotFound(f"app {application.name!r} {wanted}; it has {', '.join(bases) or 'none'} among its suppliers")


def _indexed(home: Path, name: str) -> bool:
    from backstay.store.knowledge import known

    with known(home) as file:
        return file is not None and file.generation(name) > 0
