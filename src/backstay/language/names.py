"""Who a name belongs to: the variables of a function, and the names that an item takes from outside itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from backstay.language.trees import Definition

Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    """The named parameters in order."""
    return [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]


def variables(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Every name that is a local variable of this function; comprehension variables are not among them."""
    extra = [item for item in (node.args.vararg, node.args.kwarg) if item is not None]
    found = {argument.arg for argument in (*parameters(node), *extra)}
    for statement in node.body:
        found.update(_bound(statement))
    return found


def _bound(node: ast.AST) -> Iterator[str]:
    """Names bound by a node in the scope it stands in."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
            return
        case ast.Lambda():
            return
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            for inner in ast.walk(node):
                if isinstance(inner, ast.NamedExpr):
                    yield inner.target.id
            return
        case _:
            pass
    for child in ast.iter_child_nodes(node):
        yield from _bound(child)


def targets(node: Comprehension) -> set[str]:
    """The variables of one comprehension."""
    return {
        name.id for generator in node.generators for name in ast.walk(generator.target) if isinstance(name, ast.Name)
    }


def free_names(node: ast.AST) -> list[str]:
    """Names that an item takes from its module, in the order of appearance, those in text annotations included."""
    return list(dict.fromkeys(_free(node, frozenset())))


def _free(node: ast.AST, bound: frozenset[str]) -> Iterator[str]:
    match node:
        case ast.Name(id=name):
            if name not in bound:
                yield name
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from _free_in_function(node, bound)
        case ast.ClassDef():
            yield from _free_in_class(node, bound)
        case ast.AnnAssign():
            yield from _free_in_annotation(node.annotation, bound)
            for child in (node.target, node.value):
                if child is not None:
                    yield from _free(child, bound)
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            yield from _free_in_children(node, bound | targets(node))
        case _:
            yield from _free_in_children(node, bound)


def _free_in_children(node: ast.AST, bound: frozenset[str]) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        yield from _free(child, bound)


def _free_in_function(node: ast.FunctionDef | ast.AsyncFunctionDef, bound: frozenset[str]) -> Iterator[str]:
    for outer in (
        *node.decorator_list,
        *node.args.defaults,
        *(item for item in node.args.kw_defaults if item),
    ):
        yield from _free(outer, bound)
    for annotation in (*(argument.annotation for argument in parameters(node)), node.returns):
        if annotation is not None:
            yield from _free_in_annotation(annotation, bound)
    inner = bound | variables(node)
    for statement in node.body:
        yield from _free(statement, inner)


def _free_in_class(node: ast.ClassDef, bound: frozenset[str]) -> Iterator[str]:
    for outer in (*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)):
        yield from _free(outer, bound)
    members = {name for statement in node.body for name in _bound(statement) if not isinstance(statement, Definition)}
    for statement in node.body:
        inside = isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from _free(statement, bound | {node.name} if inside else bound | members | {node.name})


def _free_in_annotation(node: ast.expr, bound: frozenset[str]) -> Iterator[str]:
    for inner in annotation_names(node):
        if inner not in bound:
            yield inner


def annotation_names(node: ast.expr) -> list[str]:
    """Names in an annotation; text is read as an annotation too, except inside Literal and the metadata of Annotated."""
    match node:
        case ast.Name(id=name):
            return [name]
        case ast.Constant(value=str(text)):
            try:
                return annotation_names(ast.parse(text, mode="eval").body)
            except SyntaxError:
                return []
        case ast.Subscript(value=ast.Name(id="Literal" | "Sensitive" as head), slice=inner):
            kept = inner.elts[1:] if head == "Sensitive" and isinstance(inner, ast.Tuple) else []
            return [head, *(name for item in kept for name in annotation_names(item)), *_enum_heads(inner)]
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[kind, *metadata])):
            return [
                "Annotated",
                *annotation_names(kind),
                *(name for item in metadata for name in free_names(item)),
            ]
        case _:
            return [
                name
                for child in ast.iter_child_nodes(node)
                if isinstance(child, ast.expr)
                for name in annotation_names(child)
            ]


def _enum_heads(node: ast.expr) -> list[str]:
    return [
        inner.value.id
        for inner in ast.walk(node)
        if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name)
    ]
