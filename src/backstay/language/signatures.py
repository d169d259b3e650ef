"""A function's signature as a contract: closed JSON Schemas of input and result, validation, JSON out and in."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, cast, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic_core import PydanticSerializationError

from backstay.actions import bind, invalid, schema_of
from backstay.errors import InvalidInput
from backstay.types import Json


@dataclass(frozen=True)
class Signature:
    """Types and defaults of a function's parameters, and the type of its result."""

    name: str
    fn: Callable[..., Any]
    hints: Mapping[str, Any]
    defaults: Mapping[str, Any]
    returns: Any

    @classmethod
    def of(cls, fn: Any, near: Mapping[str, Any] | None = None) -> Signature:
        """Read a function's signature, resolving its annotations; `near` are names besides the module's."""
        resolved = get_type_hints(fn, {**fn.__globals__, **(near or {})}, include_extras=True)
        parameters = inspect.signature(fn).parameters
        defaults = {name: item.default for name, item in parameters.items() if item.default is not item.empty}
        return cls(
            fn.__name__,
            fn,
            {name: resolved.get(name, Any) for name in parameters},
            defaults,
            resolved.get("return", Any),
        )

    @cached_property
    def model(self) -> type[BaseModel]:
        """Input as a model; its fields carry the parameters' names as aliases, as a parameter may be called `copy`."""
        fields: dict[str, Any] = {
            f"p{number}": (hint, Field(self.defaults.get(name, ...), alias=name))
            for number, (name, hint) in enumerate(self.hints.items())
        }
        config = ConfigDict(extra="forbid")
        return create_model(self.name, __config__=config, **fields)

    @cached_property
    def result(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.returns)

    @cached_property
    def input_schema(self) -> dict[str, Json]:
        return schema_of(self.model)

    @cached_property
    def result_schema(self) -> dict[str, Json]:
        return schema_of(self.result)

    def write(
        self, what: str, parameters: tuple[str, ...], args: tuple[Any, ...], named: Mapping[str, Any]
    ) -> dict[str, Json]:
        """Validate arguments and write them as JSON by name."""
        try:
            bound = bind(self.name, parameters, args, named)
        except TypeError as error:
            raise InvalidInput(f"{what} does not fit: {error}") from None
        model = self._validated(what, bound)
        try:
            return model.model_dump(mode="json", by_alias=True)
        except PydanticSerializationError as error:
            raise InvalidInput(f"{what} cannot be written as JSON: {error}") from None

    def read(self, what: str, document: Json) -> dict[str, Any]:
        """Arguments by name, in the function's own types, from their JSON."""
        model = self._validated(what, document)
        return {name: getattr(model, f"p{number}") for number, name in enumerate(self.hints)}

    def _validated(self, what: str, document: Any) -> BaseModel:
        try:
            return self.model.model_validate(document)
        except ValidationError as error:
            raise invalid(what, error) from None

    def write_result(self, what: str, value: Any) -> Json:
        """Validate a result and write it as JSON."""
        try:
            return self.result.dump_python(self.result.validate_python(value), mode="json", by_alias=True)
        except ValidationError as error:
            raise invalid(what, error) from None
        except PydanticSerializationError as error:
            raise InvalidInput(f"{what} cannot be written as JSON: {error}") from None


def adapter(returns: Any) -> TypeAdapter[Any]:
    """The reader of a command's answer: `adapter(command.returns).validate_json(text)`. One per annotation."""
    return cast("TypeAdapter[Any]", returns) if isinstance(returns, TypeAdapter) else _adapter(returns)


@lru_cache(maxsize=4096)
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)
