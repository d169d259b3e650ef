"""An MCP server of a help desk, written with the SDK: `python mcp_desk.py FOLDER`, over stdio, or with a port over HTTP.

In FOLDER: `started` lists the processes; `calls` what was really called; `wording`, if it is there, is what the server says of `find_ticket` now.
"""

from __future__ import annotations

import base64
import os
import sys
import time
from pathlib import Path

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, EmbeddedResource, ImageContent, TextContent, TextResourceContents, ToolAnnotations
from pydantic import BaseModel

FOLDER = Path(sys.argv[1])
desk = MCPServer("desk", log_level="ERROR")


class Ticket(BaseModel):
    number: str
    subject: str


def called(what: str) -> None:
    with (FOLDER / "calls").open("a") as file:
        file.write(f"{what}\n")


def wording() -> str:
    file = FOLDER / "wording"
    return file.read_text() if file.exists() else "Look up a ticket by its number."


@desk.tool(description=wording(), annotations=ToolAnnotations(read_only_hint=True))
def find_ticket(number: str) -> Ticket:
    called(f"find {number}")
    return Ticket(number=number, subject=f"printer, by {os.environ.get('DESK_USER', 'nobody')}")


@desk.tool(structured_output=False)
def open_ticket(subject: str, urgent: bool = False) -> str:
    """Open a ticket."""
    called(f"open {subject}")
    if subject == "die":
        os._exit(1)
    if subject == "fail":
        raise ToolError("the desk is closed on Sundays")
    if subject == "hang":
        time.sleep(30)
    return f"opened: {subject}"


@desk.tool(structured_output=False)
def read_page(length: int) -> str:
    """A page of so many letters."""
    if length < 0:
        os._exit(1)
    return "x" * length


@desk.tool(structured_output=False)
def screenshot() -> CallToolResult:
    """What the screen shows."""
    page = TextResourceContents(uri="desk://notes", mime_type="text/plain", text="on the desk")
    shown = ImageContent(data=base64.b64encode(b"pixels").decode(), mime_type="image/png")
    return CallToolResult(content=[TextContent(text="two"), shown, EmbeddedResource(resource=page)])


if __name__ == "__main__":
    with (FOLDER / "started").open("a") as started:
        started.write(f"{os.getpid()}\n")
    if len(sys.argv) > 2:
        desk.run("streamable-http", port=int(sys.argv[2]))
    else:
        desk.run()
