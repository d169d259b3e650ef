"""`backstay memory`: what agents and workflows keep for later cases, with its provenance, and how it is taken back."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backstay.cli.groups import FirstByDefault
from backstay.cli.options import DEFAULT_HOME, AsJson, By, Home, person
from backstay.cli.stores import change, reading

if TYPE_CHECKING:
    from backstay.store.memories import Item

app = typer.Typer(
    cls=FirstByDefault,
    help="What is remembered across cases: list, show and forget it.",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ItemId = Annotated[str, typer.Argument(metavar="ID", help="As `backstay memory list` shows it.")]


@app.command("list")
def list_(
    subject: Annotated[str, typer.Option("--subject", metavar="TEXT", help="Only what is about that.")] = "",
    expired: Annotated[bool, typer.Option("--expired", help="Only what has expired and is not dropped yet.")] = False,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Show what is remembered: about what, who kept it, who approved it, until when."""
    from backstay.cli import screen
    from backstay.operations.wording import moment
    from backstay.store.clock import Clock
    from backstay.store.memories import remembered

    with reading(home), remembered(home) as memories:
        times = {"expired" if expired else "now": Clock().stamp()}
        found = [] if memories is None else memories.items(subject=subject or None, **times)
    if as_json:
        screen.show_json(found)
        return
    if not found:
        screen.say("Nothing has expired." if expired else _nothing(subject))
        if not expired:
            screen.hint(
                "Memory(NAME) in App(suppliers=[...]) and Agent(tools=[memory.recall, memory.keep]) gives agents one."
            )
        return
    made = screen.table("id", "memory", "subject", "text", "kept by", "approved by", "until", flexible="text")
    screen.rows(made, [
        (each.id, each.memory, each.subject, each.text, each.by, _people(each), moment(each.until) if each.until else "ever")
        for each in found
    ])  # fmt: skip
    if expired:
        screen.hint("  backstay memory forget --expired")


def _nothing(subject: str) -> str:
    return f"Nothing is remembered about {subject}." if subject else "Nothing is remembered yet."


def _people(item: Item) -> str:
    return ", ".join(item.approved_by) or "nobody was asked"


@app.command()
def show(item: ItemId, home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Show one item, and each time that it was kept: in which case, from which observation, in which words."""
    from backstay.cli import screen
    from backstay.errors import NotFound
    from backstay.operations.wording import moment
    from backstay.store.memories import remembered

    with reading(home), remembered(home) as memories:
        if memories is None:
            raise NotFound("nothing is remembered here yet")
        found, kept = memories.find(item), memories.history(item)
    if as_json:
        screen.show_json({**asdict(found), "history": kept})
        return
    screen.say(found.text, "bold")
    until = f"until {moment(found.until)}" if found.until else "without an end"
    screen.say(f"about {found.subject}, in memory {found.memory}, since {moment(found.since)}, {until}")
    screen.rows(
        screen.table("kept", "by", "approved by", "run", "source", "quote", flexible="quote"),
        [_row(each) for each in kept],
    )
    screen.hint(f"  backstay log {found.run}")


def _row(kept: dict[str, Any]) -> tuple[str, ...]:
    from backstay.operations.wording import moment

    place = f"{kept['source']} ({kept['command']})" if kept["command"] else kept["source"]
    people = ", ".join(kept["approved_by"]) or "nobody was asked"
    return moment(kept["at"]), kept["by"], people, kept["run"], place, kept["quote"]


@app.command()
def forget(
    item: Annotated[str, typer.Argument(metavar="ID", help="As `backstay memory list` shows it.")] = "",
    expired: Annotated[bool, typer.Option("--expired", help="Everything that has expired, in place of an ID.")] = False,
    reason: Annotated[str, typer.Option("--reason", "-r", metavar="TEXT", help="Why; kept in the journal.")] = "",
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Drop an item from its memory and from the file, or everything that has expired. It takes the role approver."""
    from backstay.cli import screen
    from backstay.errors import InvalidInput

    if bool(item) == expired:
        raise InvalidInput(
            "say what to forget: an ID, or --expired", {"ID": "is missing" if not item else "is too much"}
        )
    who = person(by)
    if expired:
        gone, _ = change(home, lambda client: client.forget_expired(by=who))
        if as_json:
            screen.show_json({"forgotten": gone, "by": who})
        else:
            screen.say(f"{gone} expired item(s) dropped.")
        return
    change(home, lambda client: client.forget(item, by=who, reason=reason))
    if as_json:
        screen.show_json({"forgotten": 1, "id": item, "by": who, "reason": reason})
        return
    screen.say(f"{item} is forgotten, by {who}. Cases that recalled it keep it in their journals.")
