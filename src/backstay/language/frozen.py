"""The unchangeable form of constants, so that no run can change what another run sees."""

from __future__ import annotations

from typing import Any, NoReturn, cast


class FrozenDict(dict[Any, Any]):
    """A constant of a definition: reads like a dict, and no run can change what another run sees."""

    __slots__ = ()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("a constant cannot be changed; make a copy first: dict(CONSTANT)")

    __setitem__ = __delitem__ = __ior__ = _refuse  # pyright: ignore[reportAssignmentType] - every mutation refuses
    clear = pop = popitem = setdefault = update = _refuse  # pyright: ignore[reportAssignmentType]

    def copy(self) -> dict[Any, Any]:
        return dict(self)


def freeze(value: Any) -> Any:
    """The unchangeable form of a constant: lists become tuples, dicts read-only."""
    if isinstance(value, dict):
        return FrozenDict({key: freeze(item) for key, item in cast("dict[Any, Any]", value).items()})
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in cast("list[Any]", value))
    return value
