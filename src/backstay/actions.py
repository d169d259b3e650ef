"""Actions: the only way a process touches the world, declared with their effect and how they may fail.

Declaring runs nothing. Calling an action builds a `Call` command; only the gateway invokes `Action.invoke`.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, Final, Generic, Literal, TypeVar, cast, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, PydanticUserError, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError

from backstay.canonical import digest
from backstay.commands import Call
from backstay.errors import ActionRefusedAtImport, InvalidInput
from backstay.types import DATA_CLASS, Duration, Effect, IdempotencyKey, Json, Mask, Progress, journalable, seconds

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Retry:
    """How often and how patiently a failing action is tried again."""

    attempts: int = 3
    first: Duration = "1s"
    """Delay before the second attempt."""
    factor: float = 2.0
    longest: Duration = "5m"
    jitter: float = 0.2
    """Fraction of the delay that is drawn at random, so that many runs do not come back together."""
    give_up_on: tuple[type[BaseException], ...] = ()
    """Error types that another attempt cannot cure, besides `NotRetryable`."""
    deadline: Duration | None = None
    """Give up when this much time has passed since the first attempt."""

    def delay(self, attempt: int, chance: float, pause: float = 0.0) -> float:
        """Seconds to wait after failed attempt number `attempt`, with `chance` in [0, 1): exponential with jitter.

        pause: what the target itself asked for, which is the least.
        """
        grown = seconds(self.first) * self.factor ** min(attempt - 1, 64)
        return max(pause, min(grown, seconds(self.longest)) * (1 - self.jitter + 2 * self.jitter * chance))


LONGEST_PAUSE: Final = 86_400.0
"""Seconds that a target may ask to be left alone: nobody parks a case for ever."""


def pause_of(error: BaseException) -> float:
    """The seconds after which the target wants to be asked again, where an error says so in `retry_after`."""
    said: Any = getattr(error, "retry_after", None)
    return min(float(said), LONGEST_PAUSE) if isinstance(said, int | float) and said > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class Breaker:
    """When an action's target counts as down: its calls are diverted to the manual backlog meanwhile."""

    failures: int = 5
    """Failed attempts in a row that open the breaker."""
    cooldown: Duration = "30s"
    """How long to divert before one queued call is tried as a canary."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """At most `calls` started per `per`."""

    calls: int
    per: Duration = "1s"


PLACES: Final = frozenset({"url", "link", "uri"})
"""Parameters by which a read goes to a place that its caller names."""

PROSE: Final = frozenset({
    "subject", "body", "text", "title", "note", "message", "content", "description", "comment", "summary", "reason",
})  # fmt: skip
"""Parameters that say something, and decide nothing."""


@dataclass(frozen=True, kw_only=True)
class CallContext:
    """Parameter type of an action that must know on which case it works: the engine fills it."""

    home: Path
    """Where the store lies."""
    now: datetime
    """By the application's clock."""
    run: str
    by: str
    """The agent or workflow that makes the call."""
    approval: str | None
    """The command of the run by which people approved exactly this call, if they were asked."""
    clean: Callable[[str, Mapping[str, str]], str]
    """Puts pseudonyms into a text, for the private texts that are given with theirs, and for what is detected."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Action(Generic[R]):
    """A declared action. Call it inside a workflow; to test its function alone, use `.fn`."""

    fn: Callable[..., R | Awaitable[R]]
    name: str
    effect: Effect
    retry: Retry = field(default_factory=Retry)
    timeout: Duration = "60s"
    """One attempt may take this long."""
    on_failure: Literal["queue", "raise"] = "queue"
    """What happens when attempts run out: park in the queue for a person, or raise `ActionFailed` in the workflow."""
    queue: str = "manual-backlog"
    approvers: str = "approvals"
    """Queue whose members decide when the gateway holds a call of this action."""
    compensate: Action[Any] | None = None
    probe: Callable[..., Any] | None = None
    """Asks the target whether an effect under a key happened: returns its result, or None if it did not. Where the
    result may be None itself, it returns `Happened(result)`."""
    breaker: Breaker | None = None
    concurrency: int | None = None
    rate: Rate | None = None
    sinks: frozenset[str] | None = None
    """Parameters that decide who or what; values that untrusted text chose are held for a person. None: its author did not
    say, so that `default_sinks` count in an agent's name."""
    untrusted: bool = False
    """The result carries text that outsiders wrote (documents, mails, pages)."""
    reviewed: bool | None = None
    """Whether somebody looked at its description, where outsiders wrote that: it is text from outside to an agent if not."""
    derived: bool = False
    """A replay computes the arguments again, so the journal keeps their digest only: a transcript is not stored anew with
    every question about it."""
    worst: Callable[[Mapping[str, Any], Mask, str], tuple[int, Decimal | None]] | None = None
    """The most tokens and US dollars that a call may use up, from its arguments, what is private, and its key; None for
    the dollars where nobody knows. Without it a call uses up neither."""

    def __call__(self, *args: Any, **named: Any) -> Call[R]:
        return Call(action=self.name, args=bind(self.name, self.parameters, args, named), returns=self.hints["return"])

    def __repr__(self) -> str:
        return f"<action {self.name}>"

    def played_by(self, fn: Callable[..., Any]) -> Action[R]:
        """The same declaration with another function behind it: what stands in for it where it must not be called."""
        return replace(self, fn=wraps(self.fn)(fn), probe=None)

    @cached_property
    def hints(self) -> dict[str, Any]:
        """Resolved annotations of the function, `return` included."""
        hints = get_type_hints(self.fn, include_extras=True)
        hints.setdefault("return", None)
        return hints

    @cached_property
    def key_parameter(self) -> str | None:
        """The parameter that takes the idempotency key: an action that has one honours it."""
        return self._filled(IdempotencyKey)

    @cached_property
    def context_parameter(self) -> str | None:
        """The parameter that takes the `CallContext`."""
        return self._filled(CallContext)

    @cached_property
    def mask_parameter(self) -> str | None:
        """The parameter that takes the `Mask` of what is private in the case."""
        return self._filled(Mask)

    @cached_property
    def progress_parameter(self) -> str | None:
        """The parameter that takes the `Progress`, by which a call tells how far it is."""
        return self._filled(Progress)

    def _filled(self, kind: type) -> str | None:
        """The parameter that the engine fills with something of a kind."""
        return next((name for name, hint in self.hints.items() if hint is kind and name != "return"), None)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names a workflow may pass, in order; what the engine fills is not among them."""
        engines = (self.key_parameter, self.mask_parameter, self.context_parameter, self.progress_parameter)
        return tuple(name for name in inspect.signature(self.fn).parameters if name not in engines)

    @cached_property
    def default_sinks(self) -> frozenset[str]:
        """What counts as sinks in an agent's name where the author named none: of a read what says where it goes, else all
        but prose."""
        given = frozenset(self.parameters)
        return given & PLACES if self.effect == "read" else given - PROSE

    @cached_property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.fn)

    @cached_property
    def arguments(self) -> type[BaseModel]:
        """The closed schema of the arguments as a model."""
        fields: dict[str, Any] = {}
        for name, parameter in inspect.signature(self.fn).parameters.items():
            if name not in self.parameters:
                continue
            default = ... if parameter.default is inspect.Parameter.empty else parameter.default
            fields[name] = (self.hints[name], default)
        return create_model(self.name, __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=False), **fields)

    @property
    def described(self) -> str:
        """What its author says of it, for whoever must be told of it."""
        return inspect.getdoc(self.fn) or ""

    @property
    def told_schema(self) -> dict[str, Json]:
        """The arguments' JSON Schema with its prose, for whoever must be told of it."""
        return self.arguments.model_json_schema()

    @cached_property
    def result_schema(self) -> dict[str, Json]:
        return schema_of(self.result)

    @cached_property
    def result(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.hints["return"])

    @cached_property
    def interface(self) -> dict[str, Json]:
        """What a definition pins: name, effect, JSON Schema of the arguments and of the result."""
        return {
            "name": self.name,
            "effect": self.effect,
            "parameters": list(self.parameters),
            "arguments": without_prose(self.told_schema),
            "result": self.result_schema,
        }

    @cached_property
    def interface_digest(self) -> str:
        return digest(self.interface)

    @cached_property
    def seals_arguments(self) -> bool:
        return DATA_CLASS in str(self.interface["arguments"])

    @cached_property
    def seals_result(self) -> bool:
        return DATA_CLASS in str(self.interface["result"])

    @cached_property
    def timeout_seconds(self) -> float:
        return seconds(self.timeout)

    def read_arguments(self, text: str | bytes) -> dict[str, Any]:
        """Validate arguments written as JSON; raises InvalidInput naming each field that does not fit."""
        try:
            return dict(self._validate(text, strict=True, extra="forbid").__dict__)
        except ValidationError as error:
            raise invalid(f"arguments of action {self.name!r}", error) from None

    @cached_property
    def _validate(self) -> Callable[..., BaseModel]:
        return self.arguments.__pydantic_validator__.validate_json

    @cached_property
    def _check(self) -> Callable[..., Any]:
        return cast("Callable[..., Any]", self.result.validator.validate_python)

    @cached_property
    def _write(self) -> Callable[..., Any]:
        return cast("Callable[..., Any]", self.result.serializer.to_python)

    def write_result(self, value: Any) -> Json:
        """Validate a result and write it as JSON; raises InvalidInput naming each field that does not fit."""
        try:
            written = self._write(self._check(value), mode="json", by_alias=True)
        except ValidationError as error:
            raise invalid(f"result of action {self.name!r}", error) from None
        return journalable(written, f"result of action {self.name!r}")


def schema_of(shape: type[BaseModel] | TypeAdapter[Any]) -> dict[str, Json]:
    """JSON Schema of what a model or adapter reads, without the prose that may change freely."""
    return without_prose(shape.json_schema() if isinstance(shape, TypeAdapter) else shape.model_json_schema())


def without_prose(schema: dict[str, Json]) -> dict[str, Json]:
    """A JSON Schema without its titles and descriptions."""
    return cast("dict[str, Json]", _without_prose(schema, named=False))


def _without_prose(node: Json, *, named: bool) -> Json:
    if isinstance(node, dict):
        return {
            key: _without_prose(item, named=key in ("properties", "$defs"))
            for key, item in node.items()
            if named or key not in ("title", "description")
        }
    return [_without_prose(item, named=False) for item in node] if isinstance(node, list) else node


def bind(name: str, parameters: tuple[str, ...], args: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """Give positional arguments their names; the closed schema checks everything else."""
    if len(args) == 1 and parameters and not named:
        return {parameters[0]: args[0]}
    if len(args) > len(parameters):
        raise TypeError(f"{name}() takes {len(parameters)} argument(s), {len(args)} were given")
    bound = dict(zip(parameters, args, strict=False))
    for key, value in named.items():
        if key in bound:
            raise TypeError(f"{name}() was given {key!r} twice")
        bound[key] = value
    return bound


def invalid(what: str, error: ValidationError) -> InvalidInput:
    """Turn pydantic's errors into one message that names every field, without repeating the values."""
    fields = {
        ".".join(map(str, item["loc"])) or "(whole value)": item["msg"]
        for item in error.errors(include_url=False, include_input=False)
    }
    listed = "; ".join(f"{field}: {message}" for field, message in fields.items())
    return InvalidInput(
        f"{what} do not fit: {listed}" if what.startswith("arg") else f"{what} does not fit: {listed}", fields
    )


@overload
def action(fn: Callable[..., Awaitable[R]], /) -> Action[R]: ...
@overload
def action(*, effect: Effect, **options: Any) -> Callable[[Callable[..., Any]], Action[Any]]: ...
def action(fn: Any = None, /, *, effect: Effect = "irreversible", **options: Any) -> Any:
    """Declare an action: `@action(effect="read")`.

    effect: "read", "write" or "irreversible" (the default: what nobody classified counts as the worst).
    Further options are the fields of `Action`: retry, timeout, on_failure, queue, approvers, compensate, probe,
    breaker, concurrency, rate, sinks, untrusted, name. Raises ActionRefusedAtImport when the signature has no
    closed schema.
    """
    if fn is not None:
        return _declare(fn, effect, {})
    return lambda function: _declare(function, effect, options)


def _declare(fn: Callable[..., Any], effect: Effect, options: dict[str, Any]) -> Action[Any]:
    name = options.pop("name", fn.__name__)
    if options.get("sinks") is not None:
        options["sinks"] = frozenset(options["sinks"])
    for parameter in inspect.signature(fn).parameters.values():
        where = f"action {name!r}, parameter {parameter.name!r}"
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise ActionRefusedAtImport(f"{where}: name every parameter; *args, **kwargs and '/' have no closed schema")
        if parameter.annotation is parameter.empty:
            raise ActionRefusedAtImport(f"{where}: annotate it, for example `{parameter.name}: str`")
    declared: Action[Any] = Action(fn=fn, name=name, effect=effect, **options)
    if declared.derived and effect != "read":
        raise ActionRefusedAtImport(f"action {name!r}: derived=True is for reads; what changes something is kept whole")
    unknown = (declared.sinks or frozenset()) - set(declared.parameters)
    if unknown:
        raise ActionRefusedAtImport(f"action {name!r}: sinks names {sorted(unknown)}, which are no parameters of it")
    return declared


def check_action(declared: Action[Any]) -> None:
    """Build the schemas now, so that a type without one is refused at start-up and not in the middle of a case."""
    try:
        _ = declared.interface
    except (PydanticSchemaGenerationError, PydanticUserError, NameError, TypeError) as error:
        raise ActionRefusedAtImport(f"action {declared.name!r}: its types have no JSON Schema: {error}") from error
    if declared.probe is not None and _admits_none(declared) and not _says_happened(declared.probe):
        raise ActionRefusedAtImport(
            f"action {declared.name!r} may return None, and from its probe that means 'it did not happen'; "
            "let the probe return Happened(result) when it did, and annotate it `-> Happened | None`"
        )


def _admits_none(declared: Action[Any]) -> bool:
    try:
        declared.result.validate_python(None)
    except ValidationError:
        return False
    return True


def _says_happened(probe: Callable[..., Any]) -> bool:
    said = inspect.get_annotations(probe).get("return")
    return "Happened" in (said if isinstance(said, str) else repr(said))
