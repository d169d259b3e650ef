"""From what was chosen to an answer: e-invoice data first, the model filled in, checks told, confidence in each and in all. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from backstay.ai.documents.einvoice import EInvoice, compare
from backstay.ai.documents.model import Document
from backstay.ai.extraction.arithmetic import Ledger
from backstay.ai.extraction.evidence import Candidate
from backstay.ai.extraction.fields import Shape, Wanted, WantedTable, bare
from backstay.ai.extraction.figures import key
from backstay.ai.extraction.line_items import Items, values_of
from backstay.ai.extraction.reading import Choice, Outcome
from backstay.ai.extraction.scoring import Fit, group
from backstay.judged import Extraction, FieldRead, Lost
from backstay.types import DATA_CLASS

M = TypeVar("M", bound=BaseModel)

EMBEDDED: Final = 0.995
"""How likely a field of an e-invoice is right that its print confirms or says nothing of."""
DOUBTED: Final = 0.5
"""How much remains of a confidence that another source contradicts."""
_DATA: Final = {
    "number": "number", "issued": "issued", "due": "due", "currency": "currency", "po_number": "order", "vendor": "seller.name",
    "vat_id": "seller.vat_id", "buyer": "buyer.name", "address": "seller.address", "net": "net", "tax": "tax", "total": "total",
    "registration_number": "seller.tax_number",
}  # fmt: skip
"""Concept -> where an e-invoice says it."""
_MISMATCH: Final = {"number": "number", "total": "total", "iban": "iban", "vat_id": "vat_id", "currency": "currency"}
_LINE: Final = {
    "description": "name",
    "quantity": "quantity",
    "unit": "unit",
    "price": "unit_price",
    "amount": "net",
    "rate": "vat_rate",
    "position": "number",
}


def answer(
    document: Document,
    shape: Shape,
    outcome: Outcome,
    fit: Fit,
    target: float,
    by: str,
    model: type[M],
    more: Sequence[str] = (),
) -> Extraction[M]:
    """The whole answer. target: the accuracy that is asked of what is sure. more: problems that are known before."""
    problems = [*document.problems, *more]
    embedded = None if document.data is None else EInvoice.model_validate(document.data)
    reads: dict[str, FieldRead] = {}
    values: dict[str, Any] = {}
    doubted = {_MISMATCH[each.field] for each in compare(document)} if embedded else set[str]()
    for choice in outcome.choices:
        wanted = choice.wanted
        told = _embedded(embedded, wanted) if embedded else None
        value, read = _of_data(told, choice, document) if told is not None else _of_print(choice, document)
        if wanted.concept in doubted:
            read.confidence, read.why = read.confidence * DOUBTED, "the e-invoice and its print differ"
        if problem := _against_record(choice, outcome, value):
            read.confidence *= DOUBTED
            problems.append(problem)
        doubt = choice.doubt if told is None else ""
        if doubt:
            problems.append(f"{wanted.name}: {doubt}")
        needs = fit.threshold(choice.judged_as or group(wanted), target)
        read.sure = value is not None and not doubt and read.confidence >= needs
        if value is not None and not read.sure:
            less = f"not sure enough: from {needs:.4g} on it would be" if needs <= 1 else "too few like it were counted"
            read.why = ", ".join(each for each in (read.why, doubt or less) if each)
        if value is not None:
            values[wanted.name] = value
        if wanted.required and value is None:
            problems.append(f"{wanted.name} was not found")
        reads[wanted.name] = read
    for table in shape.tables:
        rows, read = _table(table, outcome.evidence.items, embedded)
        read.sure = bool(rows) and read.confidence >= target
        values[table.name], reads[table.name] = rows, read
        if table.required and not rows:
            problems.append(f"{table.name}: no lines were found")
    failing = list(_failing(shape, values, outcome)) if embedded is None else embedded.contradictions()
    problems += failing
    return _whole(shape, values, reads, problems, fit, target, by, model, bool(failing), outcome)


def _whole(
    shape: Shape, values: Mapping[str, Any], reads: dict[str, FieldRead], problems: list[str], fit: Fit, target: float, by: str,
    model: type[M], failing: bool, outcome: Outcome,
) -> Extraction[M]:  # fmt: skip
    value: M | None = None
    try:
        value = model.model_validate(_nested(shape, values, model))
    except ValidationError as error:
        told = {".".join(str(part) for part in each["loc"]): each["msg"] for each in error.errors()}
        problems += [
            f"{name}: {message}" for name, message in told.items() if reads.get(name, FieldRead()).value is not None
        ]
    needed = [reads[wanted.name].confidence for wanted in shape.fields if wanted.required] or [
        read.confidence for read in reads.values() if read.value is not None
    ]
    confidence = 0.0 if value is None else fit.whole(needed) * (DOUBTED if failing else 1.0)
    unsure = [each.name for each in (*shape.fields, *shape.tables) if each.required and not reads[each.name].sure]
    sure = value is not None and not problems and not unsure and confidence >= fit.threshold("document", target)
    why = (
        ""
        if sure
        else "; ".join([f"unsure of {', '.join(unsure)}"] * bool(unsure) + problems[:5]) or "not sure enough as a whole"
    )
    sources = [read.source for read in reads.values() if read.source is not None]
    return Extraction[model](
        value=value, confidence=round(confidence, 4), sure=sure, by=by, why=why, sources=sources, fields=reads, problems=problems,
        vendor=outcome.vendor.vendor if outcome.vendor else "",
    )  # fmt: skip


def _nested(shape: Shape, values: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Values by path as nested dictionaries, by the names that the model validates."""
    out: dict[str, Any] = {}
    for path, name in [(each.path, each.name) for each in (*shape.fields, *shape.tables)]:
        if name not in values:
            continue
        at, kind = out, model
        for part in path[:-1]:
            at = at.setdefault(_alias(kind, part), {})
            kind = bare(kind.model_fields[part].annotation)
        at[_alias(kind, path[-1])] = values[name]
    return out


def _alias(kind: type[BaseModel], name: str) -> str:
    alias = kind.model_fields[name].validation_alias
    return alias if isinstance(alias, str) and not kind.model_config.get("populate_by_name") else name


# --- one field ------------------------------------------------------------------------------------------


def _of_print(choice: Choice, document: Document) -> tuple[Any, FieldRead]:
    lost = [_lost(candidate, choice.wanted, document) for candidate in choice.losers]
    if choice.best is None:
        return None, FieldRead(why="nothing like it was found", lost=lost)
    best = choice.best
    return best.value, FieldRead(
        value=shown(choice.wanted, best.value), confidence=round(choice.confidence, 4), why=", ".join(dict.fromkeys(best.why)),
        source=_source(best, choice.wanted, document), lost=lost,
    )  # fmt: skip


def _of_data(told: Any, choice: Choice, document: Document) -> tuple[Any, FieldRead]:
    """What the e-invoice says; what the print says beside it is shown where it differs."""
    wanted, best = choice.wanted, choice.best
    same = next(
        (each for each in [best, *choice.losers] if each is not None and key(str(each.value)) == key(str(told))), None
    )
    lost = [_lost(each, wanted, document) for each in [best, *choice.losers] if each is not None and each is not same]
    return told, FieldRead(
        value=shown(wanted, told), confidence=EMBEDDED, lost=lost if same is None else lost[:1],
        why="the e-invoice says so" + (", and so does its print" if same else ""), source=_source(same, wanted, document) if same else None,
    )  # fmt: skip


def _embedded(data: EInvoice, wanted: Wanted) -> Any:
    found: Any = None
    if wanted.concept == "iban":
        found = data.ibans[0] if data.ibans else None
    elif wanted.kind == "choice" and data.kind in wanted.choices:
        found = data.kind
    elif (path := _DATA.get(wanted.concept)) is not None:
        found = data
        for part in path.split("."):
            found = getattr(found, part)
    if wanted.concept == "total" and found is None:
        found = data.payable
    return None if found in (None, "") else wanted.fits(found)


def _source(candidate: Candidate, wanted: Wanted, document: Document) -> Any:
    if candidate.run is None:
        return None
    source = candidate.run.source(document.name)
    return source.model_copy(update={"quote": shortened(source.quote)}) if private(wanted) else source


def _lost(candidate: Candidate, wanted: Wanted, document: Document) -> Lost:
    return Lost(
        value=shown(wanted, candidate.value),
        score=round(candidate.score, 4),
        source=_source(candidate, wanted, document),
        by=candidate.by,
    )


def private(wanted: Wanted) -> bool:
    """Whether the model says that the field is of a data class: then only its whole value, in the model, is complete."""
    return DATA_CLASS in str(wanted.adapter.json_schema())


def shown(wanted: Wanted, value: Any) -> Any:
    told = wanted.adapter.dump_python(value, mode="json")
    return shortened(str(told)) if private(wanted) else told


def shortened(text: str) -> str:
    """Enough to recognise something private, too little to use it."""
    bare = "".join(text.split())
    return f"{bare[:4]} … {bare[-4:]}" if len(bare) > 12 else f"{bare[:1]} …"


def _against_record(choice: Choice, outcome: Outcome, value: Any) -> str:
    """Where master data of the one who sent it says something else, in words."""
    known = (outcome.record or {}).get(choice.wanted.name)
    if known in (None, "") or value is None or key(str(known)) == key(str(value)):
        return ""
    return f"{choice.wanted.name} is {shown(choice.wanted, value)!r}, and the master data has another"


# --- tables and checks ----------------------------------------------------------------------------------


def _table(table: WantedTable, items: Items, data: EInvoice | None) -> tuple[list[BaseModel], FieldRead]:
    names = dict(table.columns)
    if data is not None and data.lines:
        raw = [
            {field: getattr(line, _LINE[column]) for column, field in names.items() if column in _LINE}
            for line in data.lines
        ]
        confidence, why = EMBEDDED, "the e-invoice says so"
    else:
        raw = [values_of(item, names) for item in items.rows]
        confidence, why = (
            items.sure if items.headed else items.sure * 0.8,
            "quantity times price is the amount" if items.sure >= 1 else "",
        )
    rows: list[BaseModel] = []
    for each in raw:
        try:
            rows.append(
                table.model.model_validate(
                    {_alias(table.model, name): value for name, value in each.items() if value not in (None, "")}
                )
            )
        except ValidationError:
            confidence *= 0.8
    return rows, FieldRead(
        value=[row.model_dump(mode="json") for row in rows] or None,
        confidence=round(confidence if rows else 0.0, 4),
        why=why,
    )


def _failing(shape: Shape, values: Mapping[str, Any], outcome: Outcome) -> Iterator[str]:
    """Sums of what was chosen that do not hold."""
    chosen: dict[str, frozenset[Decimal]] = {}
    for wanted in shape.fields:
        if wanted.kind == "money" and isinstance(value := values.get(wanted.name), Decimal | int | float):
            chosen[wanted.concept] = frozenset((Decimal(str(value)),))
    total = next(iter(chosen.get("total", ())), None)
    if total is not None:
        around = {**outcome.evidence.ledger.stated, **chosen}
        yield from Ledger(around, outcome.evidence.items.sum).fails("total", total)
    for item in outcome.evidence.items.rows:
        if shape.tables and outcome.evidence.items.headed and item.holds() is False:
            yield f"{item.texts.get('description', 'a line')!r:.60}: quantity times price is not the amount"
