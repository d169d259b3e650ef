"""What the checker says: where, what, why, and what to write instead."""

from __future__ import annotations

import ast
from dataclasses import asdict, dataclass
from typing import Any, Final

from backstay.language.codes import CODES
from backstay.types import Json

MAX_LINE: Final = 160
"""A longer source line is cut around the caret."""


@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """One refusal, pointing at a place in a file."""

    code: str
    file: str
    line: int
    col: int
    """Counted from 1, like the line."""
    span: int
    """How many characters the caret underlines."""
    source: str
    """The line of the program."""
    title: str
    reason: str
    help: str

    def __str__(self) -> str:
        source, col = self._window()
        gutter = " " * len(str(self.line))
        span = max(1, min(self.span, len(source) - col + 1))
        return (
            f"{self.file}:{self.line}:{self.col}: {self.code} {self.title}\n"
            f"{gutter} |\n"
            f"{self.line} | {source}\n"
            f"{gutter} | {' ' * (col - 1)}{'^' * span}\n"
            f"{gutter} = {self.reason}\n"
            f"help: {self.help}"
        )

    def _window(self) -> tuple[str, int]:
        if len(self.source) <= MAX_LINE:
            return self.source, self.col
        start = max(0, self.col - 1 - MAX_LINE // 2)
        return self.source[start : start + MAX_LINE], self.col - start

    def as_json(self) -> Json:
        """The fields by name, for editors."""
        return asdict(self)


@dataclass(frozen=True)
class Place:
    """Where the source of one stored item came from; turns its nodes into positions of the file."""

    file: str
    first: int
    """Line of the file on which the item's source begins."""
    indent: int
    """Characters that were cut from every line."""
    lines: tuple[str, ...]

    def refuse(self, code: str, node: ast.AST, name: str = "", **changes: Any) -> Diagnostic:
        """Make the diagnostic `code` that points at a node of this item."""
        row, col, end_row, end_col = _position(node)
        line = self.lines[row - 1] if row <= len(self.lines) else ""
        start = len(line.encode()[:col].decode("utf-8", "ignore"))
        stop = len(line.encode()[:end_col].decode("utf-8", "ignore")) if end_row == row else len(line.rstrip())
        return Diagnostic(
            code=code,
            file=self.file,
            line=self.first + row - 1,
            col=start + self.indent + 1,
            span=max(1, stop - start),
            source=" " * self.indent + line,
            **(_words(code, name) | changes),
        )


def refuse_at(code: str, file: str, line: int, source: str, name: str, **changes: Any) -> Diagnostic:
    """Make a diagnostic for a whole line, where no syntax tree is at hand."""
    col = len(source) - len(source.lstrip()) + 1
    span = max(1, len(source.strip()))
    fields = _words(code, name) | changes
    return Diagnostic(code=code, file=file, line=line, col=col, span=span, source=source.rstrip(), **fields)


def _words(code: str, name: str) -> dict[str, str]:
    entry = CODES[code]
    return {
        "title": entry.title.format(name=name),
        "reason": entry.reason.format(name=name),
        "help": entry.help.format(name=name),
    }


def _position(node: ast.AST) -> tuple[int, int, int, int]:
    row = getattr(node, "lineno", 1)
    col = getattr(node, "col_offset", 0)
    return (
        row,
        col,
        getattr(node, "end_lineno", row) or row,
        getattr(node, "end_col_offset", col + 1) or col + 1,
    )
