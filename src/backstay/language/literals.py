"""What can be read off literal parts of a program: formats, enum members, singletons."""

from __future__ import annotations

import ast
import re
from typing import Final

from backstay.language.closure import Closure
from backstay.language.subset import DATE_DIRECTIVES, FORMAT_WIDTH

MAKERS: Final = frozenset({"Decimal", "date", "datetime", "time", "timedelta"})
"""What a constant may call."""
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


def impure_parts(node: ast.expr, closure: Closure) -> list[ast.expr]:
    """The smallest parts of an expression that no constant may contain."""
    match node:
        case ast.Constant(value=str() | int() | float() | None):
            return []
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant() as operand):
            return impure_parts(operand, closure)
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return [bad for part in parts for bad in impure_parts(part, closure)]
        case ast.Dict(keys=keys, values=values):
            return [bad for part in (*keys, *values) for bad in (impure_parts(part, closure) if part else [node])]
        case ast.Name(id=name) if closure.kind(name) in ("constant", "value", "later"):
            return []
        case ast.Attribute(value=ast.Name(id=name), attr=member) if is_member(name, member, closure):
            return []
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if closure.outside(name) in MAKERS:
            parts = [*args, *(keyword.value for keyword in keywords)]
            return [bad for part in parts for bad in impure_parts(part, closure)]
        case _:
            return [node]


def is_member(name: str, member: str, closure: Closure) -> bool:
    """Whether `name.member` is a member of an enum in the closure."""
    tree = closure.classes.get(closure.aliases.get(name, name))
    if tree is None or closure.kind(name) != "enum":
        return closure.kind(name) == "later" and not member.startswith("_")
    return member in enum_members(tree)
