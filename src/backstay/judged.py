"""What every AI step answers: a value, how likely it is to be right, whether that is enough, and where it came from.

Low confidence is an answer, not an error: a workflow branches on `sure`, and asks somebody where it is not.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")


class Source(BaseModel):
    """Where a value came from, for a reviewer to look at."""

    model_config = ConfigDict(frozen=True)

    document: str = ""
    """Name or digest of the document."""
    page: int | None = None
    """From 1."""
    box: tuple[float, float, float, float] | None = None
    """x0, y0, x1, y1 in points from the page's top left corner."""
    start: int | None = None
    """The first character in the text, where there is no geometry."""
    end: int | None = None
    """The character after the last."""
    quote: str = ""
    """The words there."""


class Judged(BaseModel, Generic[T]):
    """A judgement: the best answer, and an honest word on it."""

    model_config = ConfigDict(frozen=True)

    value: T | None
    """The best answer, also when it is not sure; None where there is none."""
    confidence: float = Field(ge=0.0, le=1.0)
    """Calibrated probability that `value` is right."""
    sure: bool
    """Whether it meets the step's target accuracy: what a workflow branches on."""
    by: str
    """What judged: implementation and version of the fit, or the model."""
    why: str = ""
    """In words: why it is not sure, or what spoke for it."""
    review: bool = False
    """It was drawn for a person to look at all the same: so the realised accuracy of a step is measured."""
    sources: list[Source] = []
    """Where the value stands."""


class Lost(BaseModel):
    """A value of a field that was not chosen."""

    value: Any
    score: float
    """How good it looked by itself, from 0 to 1."""
    source: Source | None = None
    by: str = ""
    """The model that said so, where it was not the local extractor."""


class FieldRead(BaseModel):
    """One field of a document as it was read."""

    value: Any = None
    """As JSON writes it; shortened where the field is private; None where nothing was found."""
    confidence: float = Field(default=0.0, ge=0.0, le=1.0)
    sure: bool = False
    why: str = ""
    source: Source | None = None
    lost: list[Lost] = []
    """The next best, best first."""


class Extraction(Judged[T], Generic[T]):
    """A document read as a model. `value` is there when all required fields are; each field is judged by itself in `fields`."""

    fields: dict[str, FieldRead] = {}
    """By the field's path with dots."""
    problems: list[str] = []
    """Sums that do not hold, what is missing, and where two sources disagree, each a sentence."""
    vendor: str = ""
    """The vendor whose earlier corrections helped; empty where none did."""
