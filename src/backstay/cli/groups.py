"""Groups of commands that mean their first command where none is named: `backstay switch all --off` is `switch flip ...`."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class FirstByDefault(TyperGroup):
    """A group whose first command is meant when none is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the first command, unless one is named or help is asked for."""
        first = next(iter(self.commands))
        named = bool(args) and args[0] in {*self.commands, "--help", "-h"}
        return super().parse_args(ctx, args if named else [first, *args])
