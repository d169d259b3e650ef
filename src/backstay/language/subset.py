"""The subset as tables: which syntax is refused, which attributes and methods of values may be used, and where."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Final

REFUSED_SYNTAX: Final[Mapping[type[ast.AST], tuple[str, str]]] = {
    ast.FunctionDef: ("B101", "{node.name}"),
    ast.AsyncFunctionDef: ("B101", "{node.name}"),
    ast.ClassDef: ("B102", "{node.name}"),
    ast.Lambda: ("B103", ""),
    ast.Import: ("B104", ""),
    ast.ImportFrom: ("B104", ""),
    ast.Global: ("B105", "global"),
    ast.Nonlocal: ("B105", "nonlocal"),
    ast.With: ("B106", ""),
    ast.AsyncWith: ("B106", ""),
    ast.AsyncFor: ("B107", ""),
    ast.Yield: ("B108", ""),
    ast.YieldFrom: ("B108", ""),
    ast.Set: ("B109", ""),
    ast.SetComp: ("B109", ""),
    ast.TryStar: ("B113", ""),
    ast.GeneratorExp: ("B116", ""),
    ast.MatMult: ("B120", "matrix multiplication"),
}
"""Node -> code, and what the diagnostic calls it. Some nodes are allowed in places that the checker knows."""

ALLOWED_STATEMENTS: Final = frozenset(
    {
        ast.AnnAssign,
        ast.Assert,
        ast.Assign,
        ast.AugAssign,
        ast.Break,
        ast.Continue,
        ast.Delete,
        ast.Expr,
        ast.For,
        ast.If,
        ast.Match,
        ast.Pass,
        ast.Raise,
        ast.Return,
        ast.Try,
        ast.While,
    }
)

ALLOWED_EXPRESSIONS: Final = frozenset(
    {
        ast.Attribute,
        ast.Await,
        ast.BinOp,
        ast.BoolOp,
        ast.Call,
        ast.Compare,
        ast.Constant,
        ast.Dict,
        ast.DictComp,
        ast.FormattedValue,
        ast.IfExp,
        ast.JoinedStr,
        ast.List,
        ast.ListComp,
        ast.Name,
        ast.NamedExpr,
        ast.Slice,
        ast.Starred,
        ast.Subscript,
        ast.Tuple,
        ast.UnaryOp,
    }
)

CONSTANTS: Final = (str, int, float, bool, type(None))
"""Types of literals; bytes, complex numbers and `...` are not data that JSON holds."""

STR_METHODS: Final = frozenset(
    {
        "capitalize", "casefold", "center", "count", "endswith", "find", "index", "isalnum", "isalpha", "isascii",
        "isdecimal", "isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper", "join", "ljust", "lower",
        "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rjust", "rpartition",
        "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "swapcase", "title", "upper", "zfill",
    }
)  # fmt: skip
LIST_METHODS: Final = frozenset(
    {"append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"}
)
DICT_METHODS: Final = frozenset(
    {"clear", "copy", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values"}
)
DECIMAL_METHODS: Final = frozenset(
    {
        "adjusted", "compare", "copy_abs", "copy_negate", "copy_sign", "is_finite", "is_infinite", "is_nan",
        "is_signed", "is_zero", "max", "min", "normalize", "quantize", "remainder_near", "scaleb", "sqrt",
        "to_integral_value",
    }
)  # fmt: skip
NUMBER_METHODS: Final = frozenset({"bit_count", "bit_length", "is_integer"})
DATE_METHODS: Final = frozenset(
    {
        "astimezone", "date", "isocalendar", "isoformat", "isoweekday", "replace", "strftime", "time", "timetz",
        "toordinal", "total_seconds", "utcoffset", "weekday",
    }
)  # fmt: skip
MODEL_METHODS: Final = frozenset({"model_copy", "model_dump"})
MODEL_CLASS_METHODS: Final = frozenset({"model_validate"})

METHODS: Final = (
    STR_METHODS | LIST_METHODS | DICT_METHODS | DECIMAL_METHODS | NUMBER_METHODS | DATE_METHODS | MODEL_METHODS
)
"""Pure methods of values; the same name on different types is looked up on the value at run time."""

DATA_ATTRIBUTES: Final = frozenset(
    {
        "day", "days", "hour", "microsecond", "microseconds", "minute", "month", "second", "seconds", "year",
        "name", "value",
        "action", "attempts", "code", "message", "reason", "reason_code", "run", "stage", "type", "what", "workflow",
        "approved", "at", "by", "comment", "index", "verdict", "voters", "ok", "error",
        "agent", "confidence", "evidence", "observed", "output", "plan", "quote", "source", "steps", "text", "tokens",
        "tool_calls", "tried", "usd", "why", "finish", "used", "tool", "args", "outcome", "place",
        "sure", "review", "sources", "document", "page", "box", "start", "end", "fields", "problems", "vendor", "lost", "score",
    }
)  # fmt: skip
"""Fields of dates, enum members, process errors and the models that ship with Backstay."""

VIEWS: Final = frozenset({"keys", "values", "items"})
VIEW_CONSUMERS: Final = frozenset(
    {
        "all",
        "any",
        "dict",
        "enumerate",
        "len",
        "list",
        "max",
        "min",
        "reversed",
        "sorted",
        "sum",
        "tuple",
        "zip",
    }
)
"""Functions that take a dictionary view as an argument without letting it out."""

GENERATOR_CONSUMERS: Final = frozenset({"all", "any", "dict", "list", "max", "min", "next", "sorted", "sum", "tuple"})
"""Functions that use a generator expression up before they return."""

KEYWORDS: Final[Mapping[str, frozenset[str]]] = {
    "sorted": frozenset({"key", "reverse"}),
    "min": frozenset({"key", "default"}),
    "max": frozenset({"key", "default"}),
    "sum": frozenset({"start"}),
    "enumerate": frozenset({"start"}),
    "round": frozenset({"ndigits"}),
    "zip": frozenset({"strict"}),
    "sort": frozenset({"key", "reverse"}),
    "model_validate": frozenset({"strict", "by_alias", "by_name"}),
}
"""Keywords that built-in functions and list.sort take; others take none, types and commands take what Python allows."""

CLASS_ARGUMENTS: Final[Mapping[str, frozenset[str]]] = {
    "task": frozenset({"form"}),
    "wait_for": frozenset({"type"}),
}
"""Command -> keywords that take a class."""

CLASS_DECORATORS: Final = frozenset({"dataclass"})
METHOD_DECORATORS: Final = frozenset({"property", "classmethod", "staticmethod"})
DEFAULT_FACTORIES: Final = frozenset({"list", "dict"})

FORMAT_WIDTH: Final = 200
"""Widest literal format of an f-string."""
DATE_DIRECTIVES: Final = frozenset("YmdHMSfjy%")
"""What `{due:%Y-%m-%d}` and strftime may contain: the parts that no locale changes."""
