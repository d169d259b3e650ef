"""What can be read off literal parts of a program: formats, enum members, singletons."""

from __future__ import annotations

import ast
import re
from typing import Final

from backstay.language.subset import DATE_DIRECTIVES, FORMAT_WIDTH

_SPEC: Final = re.compile(r"(.?[<>=^])?[-+ ]?z?#?0?(\d*)[_,]?(?:\.(\d+))?[bdeEfFgGosxX%]?")


def enum_members(tree: ast.ClassDef) -> set[str]:
    """The names that an enum spells out."""
    return {
        target.id
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }


def good_format(spec: str) -> bool:
    """A literal format: bounded, and the same in every locale."""
    if "%" in spec[:-1] or (spec.endswith("%") and "%" in spec[:-1]):
        parts = spec.split("%")[1:]
        return len(spec) <= FORMAT_WIDTH and all(part[:1] in DATE_DIRECTIVES for part in parts if part)
    found = _SPEC.fullmatch(spec)
    return found is not None and all(int(part or 0) <= FORMAT_WIDTH for part in found.groups()[1:])


def is_singleton(node: ast.expr) -> bool:
    """None, True or False: the values that `is` may compare with."""
    return isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool))
