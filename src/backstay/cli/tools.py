"""`backstay tools`: the reviewed files of MCP servers' tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backstay.cli.exits import OK
from backstay.cli.options import DEFAULT_HOME, AsJson, By, Home, person

if TYPE_CHECKING:
    from backstay.ai.mcp_connection import Connection
    from backstay.ai.tool_file import Outcome, Tool, ToolFile

app = typer.Typer(help="Pin the tools of MCP servers in a file, review them, see what changed.", no_args_is_help=True)

FileName = Annotated[Path, typer.Argument(metavar="FILE", help="A tool file.")]


@app.callback()
def tools() -> None:
    """Pin the tools of MCP servers in a file, review them, see what changed."""


@app.command()
def pull(
    server: Annotated[
        list[str],
        typer.Argument(metavar="SERVER", help="A URL, the words of a command after --, or FILE of an application."),
    ],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="The tool file; an application says its own.")] = None,
    env: Annotated[list[str] | None, typer.Option("--env", metavar="NAME", help="An environment variable that the command is given.")] = None,
    header: Annotated[list[str] | None, typer.Option("--header", metavar="NAME:TEXT", help="For a URL; ${NAME} stands for an environment variable.")] = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> int:  # fmt: skip
    """Ask a server what tools it offers, and write that into a tool file. New tools count as irreversible; changed ones are held until they are reviewed."""
    from backstay.cli import screen

    found = [(path, update(connection, path)) for path, connection in servers(server, out, env or (), header or ())]
    if as_json:
        screen.show_json([{"file": str(path), "tools": told} for path, told in found])
        return OK
    for path, told in found:
        screen.say(str(path), "bold")
        screen.rows(screen.table("tool", "what became of it"), list(told.items()))
        if not told:
            screen.say("The server offers no tools.")
        if any(outcome != "same" for outcome in told.values()):
            screen.hint(f"backstay tools list {path} shows them; backstay tools review {path} --tool NAME accepts one.")
    return OK


@app.command()
def review(
    file: FileName,
    tool: Annotated[list[str], typer.Option("--tool", metavar="NAME", help="Which; repeat it.")],
    effect: Annotated[str | None, typer.Option("--effect", metavar="EFFECT", help="read, write or irreversible.")] = None,
    sink: Annotated[list[str] | None, typer.Option("--sink", metavar="NAME", help="An argument that decides who or what; repeat it.")] = None,
    untrusted: Annotated[bool | None, typer.Option("--untrusted/--trusted", help="Whether outsiders write what comes back.")] = None,
    atomic: Annotated[bool | None, typer.Option("--atomic/--not-atomic", help="Whether nothing happened when it reports an error.")] = None,
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> int:  # fmt: skip
    """Accept tools as their server describes them now, and say what they do. What is not given stays as it was."""
    from backstay.ai.tool_file import Review, load
    from backstay.cli import screen
    from backstay.errors import InvalidInput
    from backstay.store.clock import Clock

    if effect not in (None, "read", "write", "irreversible"):
        raise InvalidInput(f"--effect {effect!r} is not read, write or irreversible", {"effect": "one of the three"})
    pinned, reviewed = load(file), Review(by=person(by), at=Clock().stamp())
    for name in tool:
        pinned.review(name, reviewed, effect=effect, sinks=sink, untrusted=untrusted, atomic=atomic)  # type: ignore[arg-type]
    pinned.save(file)
    if as_json:
        screen.show_json([row(name, pinned.tools[name]) for name in tool])
        return OK
    for name in tool:
        screen.say(f"{name}: {pinned.tools[name].effect}, reviewed by {reviewed.by}.", "bold green")
    return OK


@app.command(name="list")
def list_(file: FileName, home: Home = DEFAULT_HOME, as_json: AsJson = False) -> int:
    """Show the tools of a file: what they may do, who reviewed them, and what their server changed."""
    from backstay.ai.tool_file import load
    from backstay.cli import screen

    pinned = load(file)
    if as_json:
        screen.show_json([row(name, pinned.tools[name]) for name in sorted(pinned.tools)])
        return OK
    if not pinned.tools:
        screen.say("No tools are in this file; backstay tools pull asks a server for them.")
        return OK
    table = screen.table("tool", "effect", "reviewed", "sinks", "result", "the server claims")
    screen.rows(table, [cells(name, pinned.tools[name]) for name in sorted(pinned.tools)])
    for name, lines in differences(pinned):
        screen.say(f"{name} is to become:", "bold")
        for line in lines:
            screen.say(line)
    screen.hint("What a server claims of its tools counts for nothing; the effect is yours to say.")
    return OK


# --- how it is found and told ---------------------------------------------------------------------------


def servers(
    words: Sequence[str], out: Path | None, env: Sequence[str], headers: Sequence[str]
) -> list[tuple[Path, Connection]]:
    """(tool file, how to reach the server) of what the command line names."""
    from backstay.ai.mcp_connection import Connection
    from backstay.ai.mcp_tools import MCPServer
    from backstay.cli.loading import find_app, load, split
    from backstay.errors import InvalidInput, NotFound

    path, name = split(words[0])
    if len(words) == 1 and path.suffix == ".py":
        application = find_app(load(path), name)
        owned = [supplier for supplier in application.suppliers if isinstance(supplier, MCPServer)]
        if not owned:
            raise NotFound(f"app {application.name!r} has no MCP server among its suppliers")
        return [(server.file, server.connection) for server in owned]
    if out is None:
        raise InvalidInput("say with --out which file the tools are to be written to", {"out": "is missing"})
    if len(words) == 1 and words[0].startswith(("http://", "https://")):
        parts = [header.partition(":") for header in headers]
        return [
            (out, Connection(out.stem, url=words[0], headers={name.strip(): text.strip() for name, _, text in parts}))
        ]
    return [(out, Connection(out.stem, command=words, env=env))]


def update(connection: Connection, path: Path) -> dict[str, Outcome]:
    """Ask a server, and write its file."""
    import asyncio

    from backstay.ai.tool_file import ToolFile, load
    from backstay.errors import OperatorError

    async def ask() -> Any:
        try:
            return await connection.offered()
        finally:
            await connection.close()

    pinned = load(path) if path.exists() else ToolFile()
    try:
        offered = asyncio.run(ask())
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise OperatorError(f"the server cannot be asked, so {str(path)!r} was not written: {said}") from error
    told = pinned.update(offered)
    pinned.save(path)
    return told


def row(name: str, tool: Tool) -> dict[str, Any]:
    from backstay.ai.mcp_tools import unusable

    return {
        "tool": name, "effect": tool.effect, "sinks": tool.sinks, "untrusted": tool.untrusted, "atomic": tool.atomic,
        "reviewed": None if tool.reviewed is None else tool.reviewed.model_dump(), "changed": tool.changed,
        "gone": tool.gone, "unusable": unusable(tool.pinned), "claims": (tool.offered or tool.pinned).hints,
        "description": tool.pinned.description,
    }  # fmt: skip


def cells(name: str, tool: Tool) -> tuple[str, ...]:
    from backstay.ai.mcp_tools import unusable

    claims = [hint.replace("_", "-") for hint, holds in (tool.offered or tool.pinned).hints.items() if holds]
    reason = unusable(tool.pinned)
    return (
        name, tool.effect, f"cannot be used: {reason}" if reason else tool.state, "(by default)" if tool.sinks is None else ", ".join(tool.sinks),
        "outside" if tool.untrusted else "trusted", ", ".join(claims),
    )  # fmt: skip


def differences(pinned: ToolFile) -> list[tuple[str, list[str]]]:
    """(tool, what its server changed, line by line)."""
    from difflib import unified_diff

    from backstay.ai.tool_file import visible

    found: list[tuple[str, list[str]]] = []
    for name, tool in sorted(pinned.tools.items()):
        if tool.offered is not None:
            old, new = (visible(part.model_dump_json(indent=2)).splitlines() for part in (tool.pinned, tool.offered))
            found.append((name, list(unified_diff(old, new, n=0, lineterm=""))[2:]))
    return found
