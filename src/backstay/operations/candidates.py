"""Candidates: the program that a changed file would make of a stored definition, checked by the language.

A workflow file gives its workflow as it is. A rule file gives the stored definition with its rules, tables and constants
in place of the stored ones, so that a rule can be tried without the workflow's own file.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from backstay.errors import NotFound, WorkflowRefused
from backstay.language import Definition, Program, Rule, Workflow, check_file
from backstay.language.closure import Closure, Item
from backstay.language.collect import collect
from backstay.language.definitions import define, read_document
from backstay.language.trees import tree_digest

DECIDING: Final = frozenset({"rule", "table", "constant"})
"""Kinds of items that a rule file replaces; models and actions belong to the workflow."""


@dataclass(frozen=True)
class Changed:
    """A file that was checked: what it offers in place of what is stored."""

    path: Path
    name: str
    """The workflow or rule that was asked for; "" for whatever fits."""
    workflows: tuple[Workflow[..., Any], ...]
    rules: tuple[Rule[..., Any], ...]

    def definition(self, stored: Program) -> Definition | None:
        """What a case of a stored program would run with; None when the file has nothing of it.

        Raises WorkflowRefused when the rules do not fit into the stored workflow.
        """
        wanted = self.name or stored.name
        for workflow in self.workflows:
            if workflow.name == wanted:
                return workflow.definition
        rules = [rule for rule in self.rules if rule.name in stored.closure.items and self.name in ("", rule.name)]
        return define(self._merged(stored, rules)) if rules else None

    def offers(self) -> str:
        """The names in the file, for messages."""
        return ", ".join(sorted(one.name for one in (*self.workflows, *self.rules))) or "nothing"

    def _merged(self, stored: Program, rules: list[Rule[..., Any]]) -> Closure:
        """The stored closure with the file's items in it, each after all it needs."""
        merged, _ = read_document(stored.text)
        fresh: dict[str, Item] = {}
        for rule in rules:
            closure = collect(inspect.unwrap(rule), rule.name, "rule", rule.scope)
            fresh.update({name: item for name, item in closure.items.items() if self._replaces(item, merged)})
            merged.library.update(closure.library)
            merged.aliases.update(closure.aliases)
            merged.interfaces.update(
                {name: one for name, one in closure.interfaces.items() if name not in merged.interfaces}
            )
        items = {item.name: item for item in _in_order(merged.items, fresh)}
        return replace(merged, items=items)

    def _replaces(self, item: Item, stored: Closure) -> bool:
        there = stored.items.get(item.name)
        if there is None:
            return True
        own = item.kind in DECIDING and Path(item.source.file).resolve() == self.path
        return own and tree_digest(item.tree) != tree_digest(there.tree)


def _in_order(stored: dict[str, Item], fresh: dict[str, Item]) -> Iterator[Item]:
    """Stored items in their order; before one that is replaced, the fresh ones that it may need."""
    placed, order = set[str](), [*fresh]
    for name, item in stored.items():
        needed = order[: order.index(name)] if name in fresh else []
        for each in (*needed, name):
            if each not in placed:
                placed.add(each)
                yield fresh.get(each, item)


def read_change(path: Path, name: str) -> Changed:
    """Check a changed file; raises NotFound, or WorkflowRefused with everything that is outside the language."""
    if not path.is_file():
        raise NotFound(f"there is no file {str(path)!r}")
    checked = check_file(path)
    if checked.diagnostics:
        raise WorkflowRefused(list(checked.diagnostics))
    changed = Changed(path.resolve(), name, (*checked.workflows, *checked.agents), checked.rules)
    if name and name not in {one.name for one in (*changed.workflows, *changed.rules)}:
        raise NotFound(f"{path.name} has no workflow and no rule {name!r}; it has {changed.offers()}")
    return changed
