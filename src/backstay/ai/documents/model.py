"""What a file says and where on its pages: plain data that passes through the journal. Pure; reads nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, Field

from backstay.types import Outside

Box: TypeAlias = tuple[float, float, float, float]
"""x0, y0, x1, y1 in points (1/72 inch), from the top left corner of the page as a reader holds it."""


Told: TypeAlias = Annotated[str, Outside()]
"""Text from outside."""


class Word(BaseModel):
    """A word as it is printed, without the spaces around it."""

    text: Told
    box: Box
    confidence: float = 1.0
    """Of the recogniser, in [0, 1]; 1 where the file itself says what stands there."""


class Table(BaseModel):
    """Rows of cells, all of one length; a cell that spans others is written once, the rest are empty."""

    box: Box | None = None
    rows: list[list[Told]]


@dataclass(frozen=True, slots=True)
class Line:
    """Words that a reader takes together, from left to right."""

    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def box(self) -> Box:
        return (
            min(word.box[0] for word in self.words), min(word.box[1] for word in self.words),
            max(word.box[2] for word in self.words), max(word.box[3] for word in self.words),
        )  # fmt: skip


class Page(BaseModel):
    """One page, upright. Its words stand in reading order."""

    number: int
    """From 1."""
    width: float
    height: float
    words: list[Word] = []
    tables: list[Table] = []
    origin: Literal["text", "ocr", "none"] = "none"
    """text: the file says what stands there. ocr: it was recognised in a picture. none: there are no words."""

    @property
    def lines(self) -> list[Line]:
        """The words of the page line by line, in reading order; columns of running text come one after the other."""
        groups: list[list[Word]] = []
        for word in self.words:
            last = groups[-1][-1].box if groups else (0.0, 0.0, 0.0, 0.0)
            overlap = min(last[3], word.box[3]) - max(last[1], word.box[1])
            level = overlap > 0.4 * min(last[3] - last[1], word.box[3] - word.box[1])
            if groups and level and word.box[0] >= last[0]:
                groups[-1] = [*groups[-1], word]
            else:
                groups = [*groups, [word]]
        return [Line(words=tuple(group)) for group in groups]

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)


class Document(BaseModel):
    """One file and what lies in it. Everything in it is text from outside: it informs, and decides nothing."""

    name: Told
    """As its sender named it, without folders."""
    media_type: str
    """By its content, never by its name."""
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of its bytes."""
    size: int
    """In bytes."""
    pages: list[Page] = []
    """Empty for what has no pages: mail, web pages, office files, plain text."""
    text: Told = ""
    """All of it, in reading order."""
    tables: list[Table] = []
    """Of a document without pages; those of pages lie in `pages`."""
    parts: list[Document] = []
    """Attachments and embedded files, each read like a file of its own."""
    headers: dict[str, Told] = {}
    """Of a mail, by lower-case name."""
    data: Annotated[dict[str, Any] | None, Outside()] = None
    """The e-invoice in it, normalised: `EInvoice.model_validate(document.data)`."""
    problems: list[str] = []
    """What a person should know before they rely on it, each a sentence."""

    def walk(self) -> list[Document]:
        """The document and its parts, all the way down."""
        found: list[Document] = [self]
        for part in self.parts:
            found = [*found, *part.walk()]
        return found
