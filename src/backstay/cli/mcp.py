"""`backstay mcp`: agents that were built elsewhere use an agent's tools through the same gate."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from backstay.cli.exits import OK
from backstay.cli.options import DEFAULT_HOME, AsJson, By, Home, person

if TYPE_CHECKING:
    from backstay.cli.mcp_server import Serving
    from backstay.engine.client import Client

app = typer.Typer(
    help="Let agents that were built elsewhere use an agent's tools, through the same gate.", no_args_is_help=True
)


@app.callback()
def mcp() -> None:
    """Let agents that were built elsewhere use an agent's tools, through the same gate."""


@app.command()
def serve(
    target: Annotated[str, typer.Argument(metavar="FILE[:APP]", help="A file with an `App`.")],
    agent: Annotated[str, typer.Option("--agent", metavar="NAME", help="Whose tools and rules; default: the only one.")] = "",
    requester: Annotated[str, typer.Option("--for", metavar="NAME", help="The person who asks; they approve nothing themselves.")] = "",
    goal: Annotated[str, typer.Option("--goal", metavar="TEXT", help="What the case is about, in that person's words.")] = "",
    http: Annotated[str, typer.Option("--http", metavar="HOST:PORT", help="Over HTTP; default: over stdio.")] = "",
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> int:  # fmt: skip
    """Serve an agent's tools over MCP, as the worker of the store. Each connection is one session of the agent. What happens is told on stderr."""
    import asyncio
    from contextlib import nullcontext
    from importlib import import_module
    from pathlib import Path

    from backstay.errors import OperatorError

    try:
        import_module("mcp.server")
    except ImportError as error:
        raise OperatorError(f"this needs the extra 'mcp': pip install 'backstay[mcp]' ({error})") from error
    from backstay.cli.loading import find_app, load, split
    from backstay.cli.mcp_server import Serving, listen, serve_http, serve_stdio, wire
    from backstay.operations.mcp_server import agent_of

    with nullcontext() if http else wire() as streams:  # first of all, as the author's file may print
        path, name = split(target)
        application = find_app(load(path), name)
        serving = Serving(
            app=application, agent=agent_of(application, agent), home=Path(home), goal=goal, acting_for=requester or None,
            as_json=as_json,
        )  # fmt: skip
        if streams is None:
            with listen(http) as listening:
                asyncio.run(serve_http(serving, person(by), listening))
        else:
            asyncio.run(serve_stdio(serving, lambda client: acting(client, by, serving), *streams))
    return OK


def acting(client: Client, by: str, serving: Serving) -> Client:
    """The client of whoever BACKSTAY_KEY stands for, else of whoever is named; raises NotAllowed."""
    key = os.environ.get("BACKSTAY_KEY", "").strip()
    if serving.acting_for:
        client.directory.requester(serving.acting_for, person(by))
    return client.sign_in(key) if key else client.acting(person(by))
