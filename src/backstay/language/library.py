"""Every name from outside that a program may use, as one literal table; what is not here does not exist for it."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import pydantic

from backstay import canonical, commands, errors, judged, types
from backstay.language.tables import DecisionTable

Kind = Literal[
    "command",
    "builtin",
    "type",
    "shape",
    "error",
    "value",
    "annotation",
    "base",
    "decorator",
    "maker",
    "table",
]
"""command: builds something to await. builtin: a pure function. type: a class that is called, tested and annotated.
shape: a model that ships with Backstay. error: an exception. value: a constant. annotation: only in types.
base: only as a base class. decorator: only on classes and methods. maker: only in class bodies. table: only in constants."""


@dataclass(frozen=True)
class Entry:
    """One outside name."""

    kind: Kind
    value: Any


def _entries(kind: Kind, **values: Any) -> dict[str, Entry]:
    return {name: Entry(kind, value) for name, value in values.items()}


LIBRARY: Final[Mapping[str, Entry]] = {
    **_entries(
        "command",
        approval=commands.approval,
        task=commands.task,
        wait_for=commands.wait_for,
        sleep=commands.sleep,
        start=commands.start,
        now=commands.now,
        random=commands.random,
        new_id=commands.new_id,
        setting=commands.setting,
        note=commands.note,
        gather=commands.gather,
        race=commands.race,
        attempt=commands.attempt,
        use=commands.use,
        serve=commands.serve,
    ),
    **_entries(
        "builtin",
        abs=abs,
        all=all,
        any=any,
        chr=chr,
        divmod=divmod,
        enumerate=enumerate,
        isinstance=isinstance,
        len=len,
        max=max,
        min=min,
        next=next,
        ord=ord,
        range=range,
        reversed=reversed,
        round=round,
        sorted=sorted,
        sum=sum,
        zip=zip,
        json_text=canonical.json_text,
    ),
    **_entries(
        "type",
        bool=bool,
        int=int,
        float=float,
        str=str,
        list=list,
        tuple=tuple,
        dict=dict,
        Decimal=decimal.Decimal,
        date=datetime.date,
        datetime=datetime.datetime,
        time=datetime.time,
        timedelta=datetime.timedelta,
    ),
    **_entries(
        "shape",
        Decision=types.Decision,
        Done=types.Done,
        Received=types.Received,
        Winner=types.Winner,
        Tried=types.Tried,
        Served=types.Served,
        Used=types.Used,
        Claim=types.Claim,
        Finding=types.Finding,
        Judged=judged.Judged,
        Source=judged.Source,
        Extraction=judged.Extraction,
        FieldRead=judged.FieldRead,
    ),
    **_entries(
        "error",
        Exception=Exception,
        ArithmeticError=ArithmeticError,
        AssertionError=AssertionError,
        IndexError=IndexError,
        KeyError=KeyError,
        LookupError=LookupError,
        OverflowError=OverflowError,
        TypeError=TypeError,
        ValueError=ValueError,
        ZeroDivisionError=ZeroDivisionError,
        DecimalException=decimal.DecimalException,
        InvalidOperation=decimal.InvalidOperation,
        ValidationError=pydantic.ValidationError,
        ProcessError=errors.ProcessError,
        ActionFailed=errors.ActionFailed,
        ActionDenied=errors.ActionDenied,
        ActionDrafted=errors.ActionDrafted,
        Cancelled=errors.Cancelled,
        TimedOut=errors.TimedOut,
        ChildFailed=errors.ChildFailed,
        ProgramLimit=errors.ProgramLimit,
    ),
    **_entries(
        "value",
        UTC=datetime.UTC,
        ROUND_CEILING=decimal.ROUND_CEILING,
        ROUND_DOWN=decimal.ROUND_DOWN,
        ROUND_FLOOR=decimal.ROUND_FLOOR,
        ROUND_HALF_DOWN=decimal.ROUND_HALF_DOWN,
        ROUND_HALF_EVEN=decimal.ROUND_HALF_EVEN,
        ROUND_HALF_UP=decimal.ROUND_HALF_UP,
        ROUND_UP=decimal.ROUND_UP,
        ROUND_05UP=decimal.ROUND_05UP,
    ),
    **_entries(
        "annotation",
        Annotated=typing.Annotated,
        Any=typing.Any,
        ClassVar=typing.ClassVar,
        Final=typing.Final,
        Literal=typing.Literal,
        Mapping=Mapping,
        Optional=typing.Optional,
        Self=typing.Self,
        Sequence=Sequence,
        TypeAlias=typing.TypeAlias,
        Union=typing.Union,
        object=object,
        Json=types.Json,
        Sensitive=types.Sensitive,
        FromOutside=types.FromOutside,
        Outside=types.Outside,
        Tag=types.Tag,
        IdempotencyKey=types.IdempotencyKey,
        Duration=types.Duration,
        HttpUrl=pydantic.HttpUrl,
        NonNegativeInt=pydantic.NonNegativeInt,
        PositiveInt=pydantic.PositiveInt,
        AwareDatetime=pydantic.AwareDatetime,
    ),
    **_entries(
        "base",
        BaseModel=pydantic.BaseModel,
        Enum=enum.Enum,
        IntEnum=enum.IntEnum,
        StrEnum=enum.StrEnum,
    ),
    **_entries(
        "decorator",
        dataclass=dataclasses.dataclass,
        property=property,
        classmethod=classmethod,
        staticmethod=staticmethod,
    ),
    **_entries(
        "maker",
        Field=pydantic.Field,
        ConfigDict=pydantic.ConfigDict,
        StringConstraints=pydantic.StringConstraints,
        auto=enum.auto,
        field=dataclasses.field,
    ),
    **_entries("table", DecisionTable=DecisionTable),
}

_BY_IDENTITY: Final = {id(entry.value): name for name, entry in LIBRARY.items() if entry.kind != "value"}


def outside_name(value: Any, written: str) -> str | None:
    """The table's name for an object that a module imported as `written`, or None if the table has no such object."""
    entry = LIBRARY.get(written)
    if entry is not None and entry.value is value:
        return written
    return _BY_IDENTITY.get(id(value))


REFUSED_CALLS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("time.time", "time.monotonic", "time.perf_counter", "time.localtime", "time.gmtime"), "B202"),
    **dict.fromkeys(("now", "utcnow", "today", "datetime.now", "datetime.utcnow", "datetime.today"), "B202"),
    **dict.fromkeys(("date.today", "time.time_ns", "perf_counter", "monotonic"), "B202"),
    **dict.fromkeys(("time.sleep", "asyncio.sleep"), "B220"),
    **dict.fromkeys(("randint", "choice", "shuffle", "uniform", "sample", "secrets", "numpy"), "B203"),
    **dict.fromkeys(("uuid1", "uuid3", "uuid4", "uuid5", "uuid", "ulid"), "B204"),
    **dict.fromkeys(("environ", "getenv", "os", "platform", "sys", "locale", "getpass"), "B205"),
    **dict.fromkeys(("open", "subprocess", "socket", "requests", "httpx", "urllib", "pathlib", "Path"), "B206"),
    **dict.fromkeys(("shutil", "tempfile", "asyncio", "threading", "multiprocessing", "concurrent"), "B206"),
    **dict.fromkeys(("print", "input", "logging", "logger", "log", "breakpoint"), "B207"),
    **dict.fromkeys(("eval", "exec", "compile", "__import__", "getattr", "setattr", "delattr", "hasattr"), "B208"),
    **dict.fromkeys(("globals", "locals", "vars", "dir", "callable", "super", "importlib", "operator"), "B208"),
    **dict.fromkeys(("inspect", "functools", "ctypes", "gc", "builtins", "copy", "pickle"), "B208"),
    **dict.fromkeys(("type", "id", "hash", "repr", "ascii", "issubclass", "object", "memoryview"), "B215"),
    **dict.fromkeys(("set", "frozenset"), "B109"),
    **dict.fromkeys(("map", "filter", "iter", "aiter", "anext", "itertools"), "B218"),
    **dict.fromkeys(("format", "string"), "B125"),
}
"""Well-known names that are refused, each with the code that explains why."""

REFUSED_MODULES: Final[Mapping[str, str]] = {"random": "B203", "time": "B202"}
"""Modules whose names are those of allowed things."""

TYPE_METHODS: Final[Mapping[str, frozenset[str]]] = {
    "Decimal": frozenset({"from_float"}),
    "date": frozenset({"fromisoformat", "fromordinal", "fromisocalendar"}),
    "datetime": frozenset({"fromisoformat", "fromordinal", "fromisocalendar", "combine"}),
    "time": frozenset({"fromisoformat"}),
    "dict": frozenset({"fromkeys"}),
}
"""Methods of outside classes that are called on the class itself."""

CLOCKS: Final = frozenset({"now", "utcnow", "today"})
"""Class methods that read the machine's clock, wherever they are called."""
