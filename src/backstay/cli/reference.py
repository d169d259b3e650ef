"""Writes `docs/cli.md` from the commands themselves: `python -m backstay.cli.reference docs/cli.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from backstay.cli.entry import COMMANDS, GROUPS, app
from backstay.cli.exits import EXITS

SHARED = ("--home", "--json", "--help")
"""Options that every command has; they are explained once."""

HEAD = """# The command line

*Written by `python -m backstay.cli.reference docs/cli.md`; a test keeps it in step with the commands.*

Every command takes `--home DIR` (where the store lies; default `.backstay`, or `BACKSTAY_HOME`) and `--json` (one JSON value on
standard output and nothing else; an error is `{"error": {"code", "message", "fields"}}`). Commands that change something take
`--as NAME` (who acts; default `BACKSTAY_USER`, or the system's user). With a key in `BACKSTAY_KEY` (`backstay people key`) it is
whoever the key stands for, and `--as` can name nobody else; commands that only show something check it too ([roles](roles.md)).
Two exceptions: `dev --json` and `demo --json` without
`--once` run until they are stopped; `dev` prints one JSON value per line as things happen.
`mcp serve` keeps standard output for its protocol, and prints such lines on standard error.

An id may be abbreviated to four or more characters of its beginning or end, as the lists do. An item is `RUN/COMMAND`, or just
`RUN` when only one thing waits there.

**While a worker runs** (`backstay dev`, `backstay demo`), commands in other terminals decide, start and cancel through it: it
listens on loopback, and `worker.json` in the home, readable by its user only, holds the port and a token. Whoever may read that
file may act under any name, as may whoever may write the store, and whoever may read it can read all that is not sealed: the
home directory is the boundary. **Without a worker** a
decision is recorded in the store, and the run goes on when a worker is started.
"""


def write() -> str:
    """The whole page."""
    group: Any = typer.main.get_command(app)
    parts = [HEAD]
    listed = [(heading, name, group.commands[name]) for heading, name, _ in COMMANDS]
    for heading, group_name, _ in GROUPS:
        commands = group.commands[group_name].commands
        listed += [(heading, f"{group_name} {name}", command) for name, command in commands.items()]
    heading = ""
    for under, name, command in listed:
        if under != heading:
            heading = under
            parts.append(f"## {heading}\n")
        parts.extend(_command(name, command))
    parts.append("## Exit codes\n")
    parts.append(
        "\n".join(["| code | meaning |", "|---|---|", *(f"| {code} | {text} |" for code, text in EXITS.items())])
    )
    return "\n".join(parts) + "\n"


def _command(name: str, command: Any) -> Iterator[str]:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    words = " ".join(_argument(argument) for argument in arguments)
    yield f"### `backstay {name}{' ' + words if words else ''}`\n"
    yield f"{' '.join((command.help or '').split())}\n"
    rows = [f"| `{_argument(argument)}` | {_cell(argument.help)} |" for argument in arguments if argument.help]
    options = [option for option in command.params if option.param_type_name == "option"]
    rows += [f"| {_option(option)} | {_cell(option.help)} |" for option in options if option.opts[0] not in SHARED]
    if rows:
        yield "\n".join(["| | |", "|---|---|", *rows]) + "\n"


def _argument(argument: Any) -> str:
    return argument.metavar or argument.name.upper()


def _option(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    return names if option.is_flag else f"{names} `{_cell(option.metavar or option.name.upper())}`"


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(write(), "utf-8")
