"""Options that every command shares, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

DEFAULT_HOME: Final = Path(".backstay")


def acting(context: typer.Context, named: str) -> str:
    """Who acts: whoever the key in BACKSTAY_KEY stands for, if there is one, else as named. It may not be named otherwise."""
    if context.resilient_parsing:
        return named
    from backstay.cli.stores import signed_in

    return signed_in(context.params["home"], named=named) or named


Home: TypeAlias = Annotated[
    Path,
    typer.Option("--home", envvar="BACKSTAY_HOME", metavar="DIR", is_eager=True, help="Where the store lies."),
]
"""Read first, so that `--as` can be checked against the store."""
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON value and nothing else.")]
By: TypeAlias = Annotated[
    str,
    typer.Option(
        "--as", envvar="BACKSTAY_USER", metavar="NAME", callback=acting,
        help="Who acts; default: whose BACKSTAY_KEY it is, or the system's user.",
    ),
]  # fmt: skip
Reason: TypeAlias = Annotated[str, typer.Option("--reason", "-r", metavar="TEXT", help="Why; kept in the journal.")]
RunName: TypeAlias = Annotated[
    str, typer.Argument(metavar="RUN", help="Id of a run, or four or more characters of its beginning or end.")
]
ItemName: TypeAlias = Annotated[str, typer.Argument(metavar="ITEM", help="RUN/COMMAND as the inbox lists it, or RUN.")]
Limit: TypeAlias = Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="At most so many rows.")]


def person(by: str) -> str:
    """Who acts: as named, or the system's user."""
    if by.strip():
        return by.strip()
    import getpass

    return getpass.getuser()
