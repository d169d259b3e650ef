"""The small vocabulary that every room shares: JSON, durations, tags and decisions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer, model_validator
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticSerializationError, from_json, to_json

from backstay.canonical import Json, canonical
from backstay.errors import InvalidInput

T = TypeVar("T")

Effect: TypeAlias = Literal["read", "write", "irreversible"]
"""read: changes nothing. write: can be undone, or repeated under a key. irreversible: cannot be taken back."""

Duration: TypeAlias = str | int | float | timedelta
"""A timedelta, a number of seconds, or text such as "90s", "15m", "48h", "30d", "1h30m"."""


DATA_CLASS = "x-data-class"
"""The JSON Schema keyword that carries a field's data class."""


ORIGIN: Final = "x-origin"
"""The JSON Schema keyword of a field that outsiders write."""


SUBJECT: Final = "subject"
"""The data class of the field that names a person: `Sensitive["subject"]`."""


class IdempotencyKey(str):
    """Parameter type of an action that honours keys: the engine fills it, the same for every retry of one effect."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Callable[[Any], Any]) -> Any:
        return handler(str)


class Mask:
    """Parameter type of an action that sends a case's texts out: the engine fills it with what is private there.

    A private text is found as it is and as JSON writes it. One that is shorter than MIN_SECRET would be found in any word:
    it is hidden where it is all of a value, or a whole string or number of JSON; elsewhere it stays.
    """

    __slots__ = ("_detect", "_private", "_values")

    def __init__(self, tokens: Mapping[str, str], detect: Callable[[str], Mapping[str, str]] | None = None) -> None:
        self._private: dict[str, _Private] = {}
        self._values: dict[str, str] = {}
        """Pseudonym -> the text that it stands for."""
        self._detect = detect
        for text, token in tokens.items():
            self._learn(text, token)

    def hide(self, value: Json, *, allowed: Collection[str] = ()) -> Json:
        """The value with a pseudonym for every private text in it whose data class is not among those allowed.

        Before a mark that the text was cut, the beginning of a private text is hidden too; nothing turns that back.
        """
        if isinstance(value, dict):
            return {self.hide(key, allowed=allowed): self.hide(item, allowed=allowed) for key, item in value.items()}
        if isinstance(value, list):
            return [self.hide(item, allowed=allowed) for item in value]
        if value is None or isinstance(value, bool):
            return value
        for text, token in self._detect(str(value)).items() if self._detect is not None else ():
            self._learn(_unescaped(text), token)
            if text not in self._private[_unescaped(text)].forms:
                self._learn(text, token)
        if isinstance(value, str):
            return _replaced(value, self._found(value, allowed))
        whole = self._private.get(str(value))
        return value if whole is None or whole.data_class in allowed else whole.token

    def show(self, value: Json) -> Json:
        """The value with every pseudonym that was given out turned back into its text, as it is outside of JSON."""
        if isinstance(value, dict):
            return {self.show(key): self.show(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.show(item) for item in value]
        if not isinstance(value, str):
            return value
        places = [(at, at + len(token), text) for token, text in self._values.items() for at in _places(token, value)]
        return _replaced(value, places, within=False)

    def begins(self, text: str) -> int:
        """Where at the end of a text that goes on a private one may have begun; its length where none has."""
        forms = (form for text, known in self._private.items() for form in known.forms or _forms(text))
        before = text.rstrip("\\")  # a quotation mark that follows may be escaped
        return min((_open(form, before) for form in forms), default=len(text))

    def _learn(self, text: str, token: str) -> None:
        """Take in a private text. Where its pseudonym already stands for another, as parts of one value, it is numbered."""
        if not text or text == token:
            return
        name, number = token, 1
        while self._values.setdefault(name, text) != text:
            number += 1
            name = f"{token}/{number}"
        forms = _forms(text) if len(text) >= MIN_SECRET else ()
        self._private[text] = _Private(name, name.partition(":")[0], forms, _alone(text))

    def _found(self, value: str, allowed: Collection[str]) -> Iterator[Span]:
        cuts = _places(CUT, value)
        for private in self._private.values():
            if private.data_class in allowed:
                continue
            for form in private.forms:
                yield from ((at, at + len(form), private.token) for at in _places(form, value))
                for at in cuts:
                    if begun := _begun(form, value[max(0, at - len(form) + 1) : at]):
                        yield at - begun, at, f"{private.data_class}:(cut)"
            if private.alone is not None:
                yield from ((*match.span(), private.token) for match in private.alone.finditer(value))


PieceKind: TypeAlias = Literal["begun", "text", "tool", "done"]
"""begun: somebody begins to answer, and what was told before of this call counts no more. text: more of what is said. tool:
a tool is about to be asked for. done: all was said."""


class Progress:
    """Parameter type of an action that tells how far it is, while it is: the engine fills it, and nothing of it is kept.

    Whoever watches the case is told, with pseudonyms for what is private.
    """

    def __init__(self, tell: Callable[[PieceKind, str], None] | None = None) -> None:
        self._tell = tell

    def __call__(self, kind: PieceKind, text: str = "") -> None:
        """Tell a piece."""
        if self._tell is not None:
            self._tell(kind, text)


Span: TypeAlias = tuple[int, int, str]
"""From where to where in a text, and what is to stand there."""

MIN_SECRET: Final = 4
"""Shorter private texts are not searched for in other text."""

CUT: Final = " ... (cut)"
"""What stands at the end of a text of which the rest was left out."""

NESTED: Final = 3
"""So often may JSON lie in texts of JSON for a private text within to be found."""


@dataclass(frozen=True, slots=True)
class _Private:
    token: str
    data_class: str
    forms: tuple[str, ...]
    """How it may be written; each is searched for anywhere."""
    alone: re.Pattern[str] | None
    """Finds it where it is a whole string or number of JSON."""


def _forms(text: str) -> tuple[str, ...]:
    """A text as it is, and escaped as JSON does it, with and without letters beyond ASCII."""
    found, last = dict.fromkeys([text]), [text]
    for _ in range(NESTED):
        last = [json.dumps(form, ensure_ascii=plain)[1:-1] for form in last for plain in (False, True)]
        last = [form for form in dict.fromkeys(last) if form not in found]
        found.update(dict.fromkeys(last))
    return tuple(found)


def _alone(text: str) -> re.Pattern[str] | None:
    """What finds a short text, or a number that JSON writes in another way, as a whole string or number."""
    parts: list[str] = []
    if len(text) < MIN_SECRET:
        either = "|".join(map(re.escape, _forms(text)))
        parts.append(rf'(?<=")(?:{either})(?=\\*")|\A(?:{either})\Z')
    number = canonical(json.loads(text)) if _NUMBER.fullmatch(text) else ""
    if number and (len(text) < MIN_SECRET or number != text):
        parts.append(rf"(?:\A|(?<=[:\[,])|(?<=\] )){re.escape(number)}(?=[,}}\]]|\Z)")
    return re.compile("|".join(parts)) if parts else None


_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d{0,30})(?:\.\d{1,30})?(?:[eE][+-]?\d{1,2})?")


def _unescaped(text: str) -> str:
    """What a piece of a JSON string stands for; the text itself where it cannot be one."""
    if "\\" not in text:
        return text
    try:
        return json.loads(f'"{text}"')
    except ValueError:
        return text


def _places(part: str, text: str) -> list[int]:
    found: list[int] = []
    at = text.find(part)
    while at >= 0:
        found.append(at)
        at = text.find(part, at + len(part))
    return found


def _begun(form: str, before: str) -> int:
    """How many characters at the end of a text are the beginning of a private one; 0 for fewer than MIN_SECRET."""
    starts = _places(form[:MIN_SECRET], before)
    return next((len(before) - at for at in starts if form.startswith(before[at:])), 0)


def _open(form: str, text: str) -> int:
    """Where at the end of a text another one begins, or stands; the text's length where it does not."""
    at = text.find(form[0], max(0, len(text) - len(form)))
    while at >= 0 and not form.startswith(text[at:]):
        at = text.find(form[0], at + 1)
    return len(text) if at < 0 else at


def _replaced(text: str, spans: Iterable[Span], *, within: bool = True) -> str:
    """The text with something else at some places: the longest first, and of two that overlap both.

    within: whether what only overlaps another place counts.
    """
    pieces: list[str] = []
    end = 0
    for start, stop, put in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start >= end or (within and stop > end):
            pieces += [text[end:start], put]
            end = stop
    return "".join([*pieces, text[end:]])


@dataclass(frozen=True)
class Tag:
    """The data class of a field: what `Sensitive["pii"]` leaves in an annotation's metadata."""

    name: str

    def __get_pydantic_json_schema__(
        self, core_schema: Any, handler: Callable[[Any], dict[str, Any]]
    ) -> dict[str, Any]:
        """Leave the tag in the JSON Schema, which is where the sealing walk reads it."""
        return {**handler(core_schema), DATA_CLASS: self.name}


class Sensitive:
    """Mark a field whose value is sealed before anything is written: `iban: Sensitive["pii"]` is a sealed `str`.

    `Sensitive["pii", Decimal]` seals another type. The journal holds a pseudonym; the value lies encrypted beside it.
    `number: Sensitive["subject"]` names the person whose values the sealed fields of the same model are: they lie under a
    key of that person's own, which `backstay erase` destroys.
    """

    def __class_getitem__(cls, item: Any) -> Any:
        name, kind = item if isinstance(item, tuple) else (item, str)
        return Annotated[kind, Tag(name)]


@dataclass(frozen=True)
class Outside:
    """What `FromOutside[str]` leaves in an annotation's metadata."""

    def __get_pydantic_json_schema__(
        self, core_schema: Any, handler: Callable[[Any], dict[str, Any]]
    ) -> dict[str, Any]:
        return {**handler(core_schema), ORIGIN: "outside"}


class FromOutside:
    """Mark a field that outsiders write, such as the text of a mail: `body: FromOutside[str]`.

    What stands in it never decides who or what a call is about, unless a person confirms it.
    """

    def __class_getitem__(cls, item: Any) -> Any:
        return Annotated[item, Outside()]


class Decision(BaseModel):
    """What a person decided on an approval."""

    model_config = ConfigDict(frozen=True)

    approved: bool
    verdict: Literal["approved", "rejected", "expired"]
    by: str
    """The person; empty when it expired."""
    reason: str = ""
    code: str = ""
    """The queue's own word for the reason."""
    at: datetime
    voters: SkipJsonSchema[list[str]] = []
    """Everybody who voted for what was decided, `by` included; empty when it expired. Written as JSON only where there
    are several, so that what one person decided reads as it always did."""

    @model_validator(mode="before")
    @classmethod
    def _alone(cls, given: Any) -> Any:
        alone = isinstance(given, dict) and "voters" not in given and given.get("by")
        return {**given, "voters": [given["by"]]} if alone else given

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        said: dict[str, Any] = write(self)
        return said if len(self.voters) > 1 else {name: value for name, value in said.items() if name != "voters"}


class Done(BaseModel):
    """What a person reported on a task that has no form of its own."""

    model_config = ConfigDict(frozen=True)

    by: str
    comment: str = ""
    at: datetime


@dataclass(frozen=True)
class Happened:
    """What a `probe` returns to say that the effect happened where its result may be None."""

    result: Any = None


class Received(BaseModel, Generic[T]):
    """A signal with who sent it and when: what `wait_for(..., details=True)` answers with."""

    model_config = ConfigDict(frozen=True)

    value: T
    """The payload, in the type that was waited for."""
    by: str
    """Who sent it, as the client was told."""
    at: datetime
    """When it came in, which may be before the workflow waited for it."""


class Winner(BaseModel):
    """Which command of a `race` finished first, and what it returned."""

    model_config = ConfigDict(frozen=True)

    index: int
    value: Any = None


class Tried(BaseModel):
    """How an attempted command went."""

    model_config = ConfigDict(frozen=True)

    ok: bool
    value: Any = None
    type: str = ""
    """Name of the error's class, when it failed."""
    error: str = ""


class Claim(BaseModel):
    """One statement of an agent, with the observation that supports it."""

    model_config = ConfigDict(frozen=True)

    text: str
    source: str
    """Id of the observation, as `Finding.observed` has it."""
    quote: str
    """Words that stand in that observation."""


StopReason: TypeAlias = Literal[
    "goal-met", "low-confidence", "limit", "policy", "no-progress", "error", "person"
]  # fmt: skip
"""goal-met: with the required evidence. low-confidence: below what the agent must have. limit: a budget is used up.
policy: what it wanted is refused. no-progress: it did the same and saw the same. error: its model failed, or its calls
could not be carried out. person: somebody answered in its place."""


class Used(BaseModel):
    """A tool that a loop outside used, and what became of that."""

    model_config = ConfigDict(frozen=True)

    place: int
    """Which of its calls this was, from 1."""
    tool: str
    args: dict[str, Any]
    outcome: Tried | None
    """None when it had no answer yet."""


class Served(BaseModel):
    """What a loop outside did with the tools that a `serve` opened to it, and what it ended with."""

    model_config = ConfigDict(frozen=True)

    finish: Any
    used: list[Used]


class Finding(BaseModel, Generic[T]):
    """What an agent came back with, and why it stopped."""

    model_config = ConfigDict(frozen=True)

    agent: str
    reason: StopReason
    why: str = ""
    output: T | None = None
    """None unless the goal was met, or a person answered; below the wanted confidence it is a proposal."""
    confidence: float = 0.0
    evidence: list[Claim] = []
    plan: list[str] = []
    observed: dict[str, str] = {}
    """Id -> what a tool returned, as the model saw it, for each observation that a claim names."""
    tried: list[str] = []
    """Every call that was made, with its arguments."""
    steps: int = 0
    tool_calls: int = 0
    tokens: int = 0
    usd: Decimal | None = None
    """None: the price of a reply was not known."""
    charged: Decimal = Decimal(0)
    """What counted against the budget."""


# --- what the journal can keep --------------------------------------------------------------------------

MAX_EXACT: Final = 2**53
"""Integers up to this are the same number to every reader of JSON."""


def journalable(value: Any, what: str) -> Json:
    """The value as the journal will give it back; raises InvalidInput for NaN, half a surrogate pair, too deep a nesting."""
    kind = type(value)
    if value is None or kind is bool or (kind is int and -MAX_EXACT <= value <= MAX_EXACT):
        return value
    try:
        return from_json(b"[[" + to_json(value) + b"]]", allow_inf_nan=False)[0][0]
    except (ValueError, PydanticSerializationError, RecursionError) as error:
        raise InvalidInput(f"{what} cannot be kept as JSON: {error}", {"(whole value)": str(error)}) from None


# --- time --------------------------------------------------------------------------------------------

BUSINESS_DAYS = re.compile(r"([1-9]\d{0,3})bd")
"""Business days, such as "3bd": for what people do, by their queue's calendar."""

_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|s|m|h|d|w)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def seconds(duration: Duration) -> float:
    """Read a duration as seconds; raises ValueError naming the text that is not one."""
    if isinstance(duration, timedelta):
        return duration.total_seconds()
    if isinstance(duration, int | float):
        return float(duration)
    text = duration.replace(" ", "")
    if not text or _DURATION.sub("", text):
        raise ValueError(f"{duration!r} is not a duration; write for example '90s', '15m', '48h', '30d' or '1h30m'")
    return sum(float(part["number"]) * _UNITS[part["unit"]] for part in _DURATION.finditer(text))


def iso(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC with microseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
