"""What a pydantic model asks for: each of its fields as a concept with a form, each list of models as a table. Pure."""

from __future__ import annotations

import enum
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Final, Literal, TypeAlias, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from backstay.ai.extraction.vocabulary import Phrases, columns, concepts, labels, letters
from backstay.errors import AuthorError

Kind: TypeAlias = Literal[
    "money", "number", "date", "time", "identifier", "company", "address", "text", "iban", "bic", "vat", "currency", "email",
    "phone", "url", "choice", "bool",
]  # fmt: skip
"""How a field's values look, and so how they are found."""

_STRINGS: Final = frozenset(
    {"identifier", "company", "address", "iban", "bic", "vat", "email", "phone", "url", "currency"}
)
_HINTS: Final[Mapping[str, Kind]] = {
    "number": "identifier", "no": "identifier", "nr": "identifier", "id": "identifier", "code": "identifier", "ref": "identifier",
    "reference": "identifier", "email": "email", "mail": "email", "phone": "phone", "telephone": "phone", "mobile": "phone",
    "iban": "iban", "bic": "bic", "currency": "currency", "website": "url", "url": "url", "address": "address",
    "company": "company", "vat": "vat",
}  # fmt: skip
_COLUMN_NAMES: Final = {
    "name": "description", "text": "description", "product": "description", "title": "description", "total": "amount",
    "lineamount": "amount", "linetotal": "amount", "net": "amount", "sku": "item", "code": "item", "articlenumber": "item",
    "unitprice": "price", "unitofmeasure": "unit", "taxrate": "rate", "vatrate": "rate", "vat": "rate", "count": "quantity",
}  # fmt: skip
_FIGURES: Final = (Decimal, float, int)


@dataclass(frozen=True, eq=False)
class Wanted:
    """One field that is looked for."""

    path: tuple[str, ...]
    concept: str
    """Of the vocabulary, or the path itself where that knows none."""
    kind: Kind
    required: bool
    info: FieldInfo
    choices: tuple[Any, ...] = ()
    """What its value must be one of, for a `Literal` or an `Enum`."""

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @cached_property
    def textual(self) -> bool:
        """Its value is text, so that it is kept as it is printed."""
        return bare(self.info.annotation) is str

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.info.rebuild_annotation())

    def fits(self, value: Any) -> Any:
        """The value as the model takes it; None where it takes no such value."""
        for each in (value, str(value)):
            try:
                return self.adapter.validate_python(each)
            except ValidationError:
                continue
        return None


@dataclass(frozen=True, eq=False)
class WantedTable:
    """A list of models that is looked for as the rows of a table."""

    path: tuple[str, ...]
    model: type[BaseModel]
    columns: Mapping[str, str]
    """Column -> name of the model's field."""
    required: bool

    @property
    def name(self) -> str:
        return ".".join(self.path)


DEEPEST: Final = 8
"""Models within models; one that holds itself has no end."""


class Shape:
    """A model as what is looked for. Raises AuthorError for a model without a field that can be."""

    def __init__(self, model: type[BaseModel], own: Mapping[str, Sequence[str]] | None = None) -> None:
        """own: phrases that stand beside a field's value, besides those that are known, by the field's path with dots."""
        self.model = model
        own = own or {}
        self._base = Phrases(labels())
        self.fields: list[Wanted] = []
        self.tables: list[WantedTable] = []
        self._phrases: list[tuple[str, str, float]] = []
        self._columns: list[tuple[str, str, float]] = []
        self._walk(model, (), own)
        if not self.fields and not self.tables:
            raise AuthorError(f"{model.__name__} has no field that can be read from a document")
        if unknown := sorted(set(own) - {field.name for field in self.fields}):
            raise AuthorError(f"labels are given for {', '.join(unknown)}, which {model.__name__} has no field for")

    @cached_property
    def phrases(self) -> Phrases:
        """All labels: the known ones, and those of this model."""
        return Phrases([*labels(), *self._phrases])

    @cached_property
    def headings(self) -> Phrases:
        """All names of columns."""
        return Phrases([*columns(), *self._columns])

    def _walk(
        self, model: type[BaseModel], path: tuple[str, ...], own: Mapping[str, Sequence[str]], always: bool = True
    ) -> None:
        for name, info in model.model_fields.items():
            inner, here = bare(info.annotation), (*path, name)
            required = always and info.is_required()
            if len(here) > DEEPEST:
                raise AuthorError(f"{self.model.__name__} is nested deeper than {DEEPEST}: {'.'.join(here)}")
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                self._walk(inner, here, own, required)
            elif (row := _row_model(inner)) is not None:
                self.tables.append(WantedTable(here, row, self._columns_of(row), required))
            elif (kind := _form(inner)) is not None:
                self._field(here, info, kind, required, own.get(".".join(here), ()))

    def _field(self, path: tuple[str, ...], info: FieldInfo, kind: Kind, required: bool, own: Sequence[str]) -> None:
        told = [*own, *_said(info)]
        concept = self._concept(path, info, kind)
        known = concepts().get(concept)
        if known is not None and (
            kind != "text" or known.kind in (*_STRINGS, "money", "date", "number", "time", "text")
        ):
            kind = _narrowed(kind, known.kind)
        elif kind == "text":
            kind = _HINTS.get(words(path[len(path) - 1])[-1], "text")
        if known is None:
            told += [" ".join(words(path[-1])), " ".join(word for part in path for word in words(part))]
        self._phrases += [(text, concept, 1.0) for text in told]
        inner = bare(info.annotation)
        choices = (
            tuple(inner)
            if isinstance(inner, type) and issubclass(inner, enum.Enum)
            else get_args(inner)
            if kind == "choice"
            else ()
        )
        self.fields.append(Wanted(path, concept, kind, required, info, choices))

    def _concept(self, path: tuple[str, ...], info: FieldInfo, kind: Kind) -> str:
        """The concept that a field's name, alias or title names, most specific first; else one of its own."""
        whole = " ".join(word for part in path for word in words(part))
        for text in (whole, *_said(info)):
            if (found := self._meant(text, kind)) is not None:
                return found
        *above, own = path
        parent = self._meant(" ".join(words(above[-1])), "text") if above else None
        if parent in (None, "vendor") and (found := self._meant(" ".join(words(own)), kind)) is not None:
            return found
        return ".".join(path)

    def _meant(self, text: str, kind: Kind) -> str | None:
        spelled = letters(text)
        for concept in concepts().values():
            if spelled in concept.names and _agree(kind, concept.kind):
                return concept.name
        for name, worth in self._base.meaning(text):
            if worth >= 0.75 and _agree(kind, concepts()[name].kind) and not name.startswith("other_"):
                return name
        return None

    def _columns_of(self, row: type[BaseModel]) -> dict[str, str]:
        known, found = Phrases(columns()), dict[str, str]()
        for name, info in row.model_fields.items():
            if _form(bare(info.annotation)) is None:
                continue
            said = [" ".join(words(name)), *_said(info)]
            column = next((meant[0][0] for text in said if (meant := known.meaning(text))), None)
            column = _COLUMN_NAMES.get(letters(name)) or column or f"={name}"
            if column in found:
                column = f"={name}"
            self._columns += [(text, column, 1.0) for text in (said if column.startswith("=") else said[1:])]
            found[column] = name
        return found


def words(name: str) -> list[str]:
    """The words of a name in code: `vatId` and `vat_id` are vat, id."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)] or [name]


def bare(annotation: Any) -> Any:
    """A type without None and without what is annotated."""
    while True:
        origin, args = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            annotation = args[0]
        elif origin in (Union, types.UnionType):
            rest = [each for each in args if each is not type(None)]
            if len(rest) != 1:
                return str if str in rest else rest[0]
            annotation = rest[0]
        else:
            return getattr(annotation, "__value__", annotation)


def _row_model(inner: Any) -> type[BaseModel] | None:
    if get_origin(inner) not in (list, tuple, Sequence) or not get_args(inner):
        return None
    row = bare(get_args(inner)[0])
    return row if isinstance(row, type) and issubclass(row, BaseModel) else None


def _form(inner: Any) -> Kind | None:
    """What a type alone says of how its values look; None for what is not looked for."""
    if get_origin(inner) is Literal:
        return "choice"
    if not isinstance(inner, type):
        return None
    if issubclass(inner, enum.Enum):
        return "choice"
    if issubclass(inner, bool):
        return "bool"
    if issubclass(inner, date | datetime):
        return "date"
    if issubclass(inner, time):
        return "time"
    if issubclass(inner, _FIGURES):
        return "money" if issubclass(inner, Decimal) else "number"
    return "text" if issubclass(inner, str) else None


def _agree(form: Kind, of_concept: str) -> bool:
    """Whether values of a type can be values of a concept."""
    match form:
        case "money" | "number":
            return of_concept in ("money", "number")
        case "date" | "time":
            return of_concept == form
        case "text":
            return of_concept != "other"
        case "choice":
            return of_concept in ("currency", "text")
        case _:
            return False


def _narrowed(form: Kind, of_concept: str) -> Kind:
    if form == "choice":
        return "currency" if of_concept == "currency" else "choice"
    return of_concept if of_concept != "other" else form  # type: ignore[return-value]


def _said(info: FieldInfo) -> Iterator[str]:
    """What the author says that the field is called: its title, its aliases, `json_schema_extra={"labels": [...]}`."""
    if info.title:
        yield info.title
    alias: Any = info.validation_alias or info.alias
    names: list[Any] = list(alias.choices) if isinstance(alias, AliasChoices) else [alias] if alias else []
    yield from (" ".join(words(name)) for name in names if isinstance(name, str))
    extra = info.json_schema_extra
    if isinstance(extra, dict) and isinstance(told := extra.get("labels"), list):
        yield from (str(each) for each in told)
