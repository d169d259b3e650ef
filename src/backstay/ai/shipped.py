"""Workflows that ship with the library and work with an object of the author's: each is stored under that object's own name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, ParamSpec, TypeVar

from backstay.actions import Action
from backstay.language.closure import Item
from backstay.language.collect import Scope, collect
from backstay.language.definitions import define
from backstay.language.program import Program, compile_definition
from backstay.language.workflows import Workflow

P = ParamSpec("P")
R = TypeVar("R")


class Shipped(Workflow[P, R]):
    """A workflow of the library with the object's actions in place of those that its module names."""

    def __init__(self, template: Workflow[P, R], name: str, actions: Mapping[str, Action[Any]]) -> None:
        super().__init__(template.fn, Scope(template.fn.__module__, actions), template.deadline)
        self._written, self.name = template.name, name

    @cached_property
    def program(self) -> Program:
        closure = collect(self.fn, self._written, "workflow", self.scope, self.deadline)
        item = closure.items.pop(self._written)
        named = item.source.text.replace(f"async def {self._written}(", f"async def {self.name}(", 1)
        closure.items[self.name] = Item(self.name, "workflow", replace(item.source, text=named))
        closure.root = self.name
        return compile_definition(define(closure).text)
