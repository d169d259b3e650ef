"""What a field or a model may be told: plain aliases, and settings that neither run code nor read attributes."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from pydantic import BaseModel

from backstay import errors, judged, types
from backstay.language.closure import Closure, class_fields

ALIASES: Final = frozenset({"alias", "validation_alias", "serialization_alias"})
MODEL_SETTINGS: Final = frozenset(
    {
        "allow_inf_nan", "coerce_numbers_to_str", "extra", "frozen", "hide_input_in_errors", "json_schema_extra",
        "loc_by_alias", "populate_by_name", "protected_namespaces", "revalidate_instances", "ser_json_bytes",
        "ser_json_inf_nan", "ser_json_timedelta", "serialize_by_alias", "str_max_length", "str_min_length",
        "str_strip_whitespace", "str_to_lower", "str_to_upper", "strict", "title", "use_attribute_docstrings",
        "use_enum_values", "validate_assignment", "validate_by_alias", "validate_by_name", "validate_default",
        "validate_return",
    }
)  # fmt: skip
"""Not among them: `from_attributes` reads attributes of any value, `regex_engine` has one that may take for ever."""

_DATE: Final = ("year", "month", "day")
_CLOCK: Final = ("hour", "minute", "second", "microsecond")
OUTSIDE_FIELDS: Final[Mapping[type, frozenset[str]]] = {
    date: frozenset(_DATE),
    datetime: frozenset((*_DATE, *_CLOCK)),
    time: frozenset(_CLOCK),
    timedelta: frozenset({"days", "seconds", "microseconds"}),
    **{
        shape: frozenset(shape.model_fields)
        for shape in (
            types.Decision,
            types.Done,
            types.Received,
            types.Winner,
            types.Tried,
            types.Used,
            types.Served,
            types.Claim,
            types.Finding,
            judged.Judged,
            judged.Source,
            judged.Extraction,
            judged.FieldRead,
            judged.Lost,
        )
    },
    errors.ProcessError: frozenset({"code"}),
    errors.ActionFailed: frozenset({"code", "action", "type", "message", "attempts"}),
    errors.ActionDenied: frozenset({"code", "action", "stage", "reason", "reason_code", "by"}),
    errors.ActionDrafted: frozenset({"code", "action", "stage", "reason"}),
    errors.TimedOut: frozenset({"code", "what"}),
    errors.ChildFailed: frozenset({"code", "workflow", "run", "message"}),
    errors.ProgramLimit: frozenset({"code"}),
}
"""All that can be read from values whose classes are not part of the definition."""


def bad_alias(keyword: ast.keyword) -> bool:
    """Whether an argument of Field names an alias that is not a plain key of JSON."""
    if keyword.arg not in ALIASES:
        return False
    value = keyword.value.value if isinstance(keyword.value, ast.Constant) else ""
    if value is None:
        return False
    return not isinstance(value, str) or not value or value.startswith("_") or hasattr(BaseModel, value)


def bad_settings(node: ast.expr, closure: Closure) -> Iterator[tuple[ast.AST, str]]:
    """The parts of a `model_config` that are not in the table, each with its name."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and closure.outside(node.func.id) == "ConfigDict":
        if node.args:
            yield node, ast.unparse(node.args[0])
        for keyword in node.keywords:
            if keyword.arg not in MODEL_SETTINGS:
                yield keyword, keyword.arg or "**"
    elif isinstance(node, ast.Dict):
        for key in node.keys:
            if not isinstance(key, ast.Constant) or key.value not in MODEL_SETTINGS:
                yield key or node, ast.unparse(key) if key else "**"
    else:
        yield node, ast.unparse(node)


def fields_of(name: str, closure: Closure) -> frozenset[str]:
    """The fields and properties of a stored class, those of its stored bases included."""
    found: set[str] = set()
    waiting, seen = [name], set[str]()
    while waiting:
        current = waiting.pop()
        current = closure.aliases.get(current, current)
        tree = closure.classes.get(current)
        if tree is None or current in seen:
            continue
        seen.add(current)
        found.update(class_fields(tree, members=False))
        waiting += [base.id for base in tree.bases if isinstance(base, ast.Name)]
        if closure.kind(current) == "enum":
            found.update(("name", "value"))
    return frozenset(found)


def outside_fields(kind: Any) -> frozenset[str]:
    """What can be read from instances of a class from outside, subclasses included."""
    return next((OUTSIDE_FIELDS[base] for base in getattr(kind, "__mro__", ()) if base in OUTSIDE_FIELDS), frozenset())
