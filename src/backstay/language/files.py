"""Checks a whole file: imports it once and reports everything that was refused, not only the first."""

from __future__ import annotations

import importlib.util
import linecache
import sys
import traceback
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from backstay.errors import WorkflowRefused
from backstay.language.diagnostics import Diagnostic, refuse_at
from backstay.language.refusals import gathering
from backstay.language.rules import Rule
from backstay.language.sources import assignments, function_source, module_tree
from backstay.language.workflows import Workflow


@dataclass(frozen=True)
class Checked:
    """What a file holds: diagnostics in the order of the source, and what was accepted."""

    diagnostics: tuple[Diagnostic, ...]
    workflows: tuple[Workflow[..., Any], ...]
    rules: tuple[Rule[..., Any], ...]
    agents: tuple[Workflow[..., Any], ...] = ()


def check_file(path: str | Path) -> Checked:
    """Import a file and check every workflow and rule in it; an error of the file itself is a diagnostic too."""
    path = Path(path).resolve()
    with gathering() as found:
        module = _import(path, found)
        values = list(vars(module).values()) if module is not None else []
        workflows = tuple(
            value for value in values if isinstance(value, Workflow) and value.fn.__module__ == _name(path)
        )
        agents = tuple(_agents(module)) if module is not None else ()
        rules = tuple(value for value in values if isinstance(value, Rule) and value.fn.__module__ == _name(path))
        for rule in rules:
            found.extend(rule.refusals())
        accepted = tuple(flow for flow in workflows if _defined(flow, found))
        defined = tuple(agent for agent in agents if _defined(agent, found))
    diagnostics = sorted(dict.fromkeys(found), key=lambda one: (one.file, one.line, one.col, one.code))
    refused = {(one.file, one.line) for one in diagnostics}
    return Checked(tuple(diagnostics), accepted, tuple(rule for rule in rules if not _touches(rule, refused)), defined)


def _agents(module: ModuleType) -> Iterator[Workflow[..., Any]]:
    """The agents that a file makes itself; the function of an agent is the loop of all of them, so the name must tell."""
    for name, value in vars(module).items():
        if isinstance(value, Workflow) and value.language_kind == "agent":
            tree, _ = module_tree(str(module.__file__))
            if assignments(tree, name):
                yield value


def _touches(rule: Rule[..., Any], refused: set[tuple[str, int]]) -> bool:
    """Whether a refusal points into a rule."""
    source = function_source(rule.fn)
    lines = range(source.line, source.line + source.text.count("\n"))
    return any((source.file, line) in refused for line in lines)


def _defined(flow: Workflow[..., Any], found: list[Diagnostic]) -> bool:
    before = len(found)
    try:
        _ = flow.program
    except WorkflowRefused as error:
        found.extend(error.diagnostics)
        return False
    return len(found) == before


def _name(path: Path) -> str:
    return f"checked_{path.stem}_{abs(hash(path)):x}"


def _import(path: Path, found: list[Diagnostic]) -> ModuleType | None:
    name = _name(path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        found.append(refuse_at("B601", str(path), 1, "", f"there is no Python file {path.name!r}"))
        return None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    linecache.checkcache(str(path))
    with _beside(path.parent):
        try:
            spec.loader.exec_module(module)
        except WorkflowRefused as error:
            found.extend(error.diagnostics)
        except Exception as error:
            found.append(_failure(error, str(path)))
    return module


@contextmanager
def _beside(folder: Path) -> Generator[None]:
    """Let the file import its neighbours, as it does when it is run."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _failure(error: Exception, file: str) -> Diagnostic:
    """Point at the line of the file that failed."""
    if isinstance(error, SyntaxError) and error.filename == file:
        text = error.text or linecache.getline(file, error.lineno or 1)
        return refuse_at("B132", file, error.lineno or 1, text, error.msg)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    line = (frames[-1].lineno if frames else 1) or 1
    return refuse_at("B601", file, line, linecache.getline(file, line), f"{type(error).__name__}: {error}")
