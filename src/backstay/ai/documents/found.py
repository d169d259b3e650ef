"""What goes in and out of the process that parses: limits, and what was found in one file. Plain data."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel

from backstay.ai.documents.model import Page, Table

MIB: Final = 1024 * 1024
LENGTHS: Final = struct.Struct("!QQ")
"""Before each message between the processes: bytes of its JSON, and of what follows that."""


@dataclass(frozen=True, kw_only=True)
class DocumentLimits:
    """How much one file may ask for. What asks for more is refused, or read in part with a problem that says so."""

    size: int = 50 * MIB
    """Bytes of the file."""
    unpacked: int = 100 * MIB
    """Bytes that its archives and streams may unpack to, and that its parts may have in all."""
    pages: int = 200
    characters: int = 1_000_000
    parts: int = 100
    """Attachments and embedded files in all."""
    depth: int = 4
    """Files within files."""
    seconds: float = 10.0
    """For parsing it with all its parts; what recognises text has a limit of its own."""
    memory: int = 512 * MIB
    """Address space of the process that parses."""
    ocr_pages: int = 20
    ocr_seconds: float = 90.0
    """For recognising the text of all its pages."""
    ocr_memory: int = 2048 * MIB
    """Address space of the process that recognises text: for a page its libraries map some 800 MiB, and hold half of that."""
    pixels: int = 40_000_000
    """Of one picture."""


@dataclass
class Piece:
    """A file within a file."""

    name: str
    data: bytes


@dataclass
class Found:
    """What one reader found in one file. A reader of a container leaves its parts to the door."""

    media_type: str = ""
    """Where it is known better than by the first bytes."""
    pages: list[Page] = field(default_factory=list[Page])
    text: str = ""
    tables: list[Table] = field(default_factory=list[Table])
    headers: dict[str, str] = field(default_factory=dict[str, str])
    data: dict[str, Any] | None = None
    problems: list[str] = field(default_factory=list[str])
    pieces: list[Piece] = field(default_factory=list[Piece])
    scanned: list[int] = field(default_factory=list[int])
    """Numbers of pages that are pictures of text; those of a picture file are not known yet."""
    picture: bool = False
    """Whether the file is a picture."""


class Answer(BaseModel):
    """`Found` on its way between two processes; the bytes of its parts follow one after the other."""

    media_type: str = ""
    pages: list[Page] = []
    text: str = ""
    tables: list[Table] = []
    headers: dict[str, str] = {}
    data: dict[str, Any] | None = None
    problems: list[str] = []
    scanned: list[int] = []
    picture: bool = False
    parts: list[tuple[str, int]] = []
    """Name and size."""
    error: str = ""
    """A code of `errors.py`, where it could not be read; `problems` has the reason."""
    last: bool = False
    """Whether the process ends now."""
