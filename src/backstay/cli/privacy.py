"""`backstay erase`: destroy the key of one person, so that nobody can read their values any more."""

from __future__ import annotations

from typing import Annotated

import typer

from backstay.cli.options import DEFAULT_HOME, AsJson, By, Home
from backstay.cli.options import person as who_acts
from backstay.cli.stores import change


def erase(
    person: Annotated[str, typer.Argument(metavar="PERSON", help='As the field `Sensitive["subject"]` names them.')],
    reason: Annotated[str, typer.Option("--reason", "-r", metavar="TEXT", help="Why; kept in the journal.")],
    force: Annotated[bool, typer.Option("--force", help="Even while runs about them are open.")] = False,
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Make all sealed values of a person unreadable for ever; what happened, who decided and when stays provable."""
    from backstay.cli import screen

    who = who_acts(by)
    done, _ = change(home, lambda client: client.erase(person, by=who, reason=reason, force=force))
    if as_json:
        screen.show_json(done)
        return
    kept = f"{done['values']} value(s) in {len(done['runs'])} run(s)"
    screen.say(f"Erased: {kept} of person {', '.join(done['people'])} can never be read again.", "bold green")
    if done["open"]:
        screen.hint(f"These runs can only be cancelled now: {', '.join(done['open'])} (`backstay cancel RUN`).")
    screen.hint(
        "Copies of the store made before now still hold the key: let them expire, or erase again after a restore."
    )
