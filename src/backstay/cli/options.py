"""Options that every command shares, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

DEFAULT_HOME: Final = Path(".backstay")

Home: TypeAlias = Annotated[
    Path, typer.Option("--home", envvar="BACKSTAY_HOME", metavar="DIR", help="Where the store lies.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON value and nothing else.")]
By: TypeAlias = Annotated[
    str, typer.Option("--as", envvar="BACKSTAY_USER", metavar="NAME", help="Who acts; default: the system's user.")
]
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
