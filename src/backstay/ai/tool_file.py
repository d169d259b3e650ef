"""The reviewed file of an MCP server's tools: what each was when somebody looked at it, and what may be done with it.

It is committed with the application. A server may say something else tomorrow; that is kept beside what was reviewed, and
the tool is not called until somebody accepts it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from unicodedata import category

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backstay.actions import invalid
from backstay.canonical import digest
from backstay.errors import AuthorError, InvalidInput, NotFound
from backstay.types import Effect

Outcome: TypeAlias = Literal["new", "changed", "gone", "same"]
"""new: not in the file before. changed: held until it is reviewed. gone: the server does not offer it any more."""

HINTS: Final = ("read_only", "destructive", "idempotent", "open_world")
"""What a server says of its tools for display; nothing here believes it."""


UNSEEN: Final = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"})
"""Kinds of characters that show nothing: controls, marks of direction, tags, separators."""


class Definition(BaseModel):
    """What a server says of a tool."""

    model_config = ConfigDict(extra="forbid")

    description: str = ""
    arguments: dict[str, Any]
    """JSON Schema."""
    result: dict[str, Any] | None = None
    """JSON Schema of its structured result, if it promises one."""
    hints: dict[str, bool] = {}
    """Not part of the digest: a server may say what it likes."""

    @property
    def digest(self) -> str:
        return digest({"description": self.description, "arguments": self.arguments, "result": self.result})


class Review(BaseModel):
    """Who looked at a tool, and when."""

    model_config = ConfigDict(extra="forbid")

    by: str
    at: str


class Tool(BaseModel):
    """One tool of the file."""

    model_config = ConfigDict(extra="forbid")

    effect: Effect = "irreversible"
    """What nobody classified counts as the worst."""
    sinks: list[str] | None = None
    """None: nobody said, so that an agent's calls are looked at by `Action.default_sinks`."""
    untrusted: bool = True
    """Whether outsiders wrote what comes back."""
    atomic: bool = False
    """Whether nothing happened when it reports an error; otherwise the outcome of a change is then unknown."""
    digest: str
    reviewed: Review | None = None
    changed: bool = False
    """The server says something else now: see `offered`."""
    gone: bool = False
    """The server did not offer it when it was last asked."""
    pinned: Definition
    offered: Definition | None = None
    """What the server says now, where that is not what is pinned."""

    @property
    def state(self) -> str:
        """In a few words, where it stands."""
        if self.changed:
            return "changed, held"
        if self.gone:
            return "gone"
        return "not reviewed" if self.reviewed is None else f"{self.reviewed.by}, {self.reviewed.at[:10]}"


class ToolFile(BaseModel):
    """The tools of one server by their names there."""

    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    tools: dict[str, Tool] = Field(default_factory=dict[str, Tool])

    def update(self, offered: Mapping[str, Definition]) -> dict[str, Outcome]:
        """Take in what the server offers now; what was reviewed stays as it is. Gives what became of each tool."""
        told: dict[str, Outcome] = {}
        for name, definition in offered.items():
            tool = self.tools.get(name)
            if tool is None:
                self.tools[name], told[name] = Tool(digest=definition.digest, pinned=definition), "new"
                continue
            tool.gone, tool.changed = False, definition.digest != tool.digest
            tool.offered = definition if tool.changed else None
            told[name] = "changed" if tool.changed else "same"
        for name, tool in self.tools.items():
            if name not in offered:
                tool.gone, told[name] = True, "gone"
        return told

    def review(
        self, name: str, by: Review, *, effect: Effect | None = None, sinks: Sequence[str] | None = None,
        untrusted: bool | None = None, atomic: bool | None = None,
    ) -> Tool:  # fmt: skip
        """Accept a tool as the server describes it now, and say what it does; what is not given stays as it was."""
        tool = self.tools.get(name)
        if tool is None:
            raise NotFound(f"there is no tool {name!r} in this file; it has {', '.join(sorted(self.tools)) or 'none'}")
        pinned = tool.offered or tool.pinned
        known = pinned.arguments.get("properties", {})
        wanted = tool.sinks if sinks is None else list(sinks)
        if unknown := sorted(set(wanted or ()) - set(known)):
            raise InvalidInput(
                f"tool {name!r} has no argument {', '.join(map(repr, unknown))}; it has {', '.join(known) or 'none'}",
                {"sinks": "names arguments of the tool"},
            )
        given = {"effect": effect, "untrusted": untrusted, "atomic": atomic}
        stated = {field: value for field, value in given.items() if value is not None}
        accepted = {"pinned": pinned, "digest": pinned.digest, "offered": None, "changed": False}
        self.tools[name] = tool.model_copy(update={**stated, **accepted, "sinks": wanted, "reviewed": by})
        return self.tools[name]

    def save(self, path: Path) -> None:
        """Write it so that a difference reads well; whoever reads sees the old file or the new one."""
        body = self.model_dump(mode="json", exclude_none=True)
        body["tools"] = {name: body["tools"][name] for name in sorted(body["tools"])}
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_text(visible(json.dumps(body, ensure_ascii=False, indent=2)) + "\n", "utf-8")
        os.replace(fresh, path)


def visible(text: str) -> str:
    """JSON text in which nothing is written that a reviewer cannot see: it is escaped."""
    return "".join(json.dumps(sign)[1:-1] if category(sign) in UNSEEN and sign != "\n" else sign for sign in text)


def load(path: Path) -> ToolFile:
    """Read a tool file; raises NotFound, and AuthorError for one that does not fit or whose definitions were edited."""
    try:
        found = ToolFile.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise NotFound(
            f"there is no tool file {str(path)!r}; write it with `backstay tools pull --out {path} URL`, or with "
            f"`backstay tools pull --out {path} -- COMMAND ...`"
        ) from None
    except ValidationError as error:
        raise AuthorError(str(invalid(f"tool file {str(path)!r}", error))) from None
    for name, tool in found.tools.items():
        if tool.digest != tool.pinned.digest:
            raise AuthorError(
                f"tool file {str(path)!r}: the definition of {name!r} was edited by hand, so it is not what was reviewed; "
                "restore it, or delete the tool from the file, pull it and review it again"
            )
    return found
