"""The house rules that can be measured: sizes, directions, one door, public names."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

import backstay

SOURCE = Path(backstay.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in FILES:
        yield path, ast.parse(path.read_text("utf-8"))


def functions() -> Iterator[tuple[str, int]]:
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(SOURCE)}:{node.name}", (node.end_lineno or 0) - node.lineno + 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_has_at_most_500_lines(path: Path) -> None:
    assert path.read_text("utf-8").count("\n") <= 500


def test_a_function_has_at_most_60_lines() -> None:
    assert [name for name, lines in functions() if lines > 60] == []


def test_the_median_function_is_short() -> None:
    assert statistics.median(lines for _, lines in functions()) <= 8


def test_every_module_says_why_it_exists_in_at_most_six_lines() -> None:
    central = {"replay.py", "gateway.py"}
    for path, tree in trees():
        text = ast.get_docstring(tree)
        if path.stat().st_size:
            assert text, path
            assert text.count("\n") < 6 or path.name in central | {"testing.py", "journal.py"}, path


def test_only_the_gateway_calls_an_actions_function() -> None:
    """`Action.fn` is invoked nowhere else; tests of users may, the product may not."""
    callers = set[str]()
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in {"fn", "probe"} and isinstance(node.ctx, ast.Load):
                callers.add(str(path.relative_to(SOURCE)))
    declare = {"actions.py", *(f"language/{name}.py" for name in ("workflows", "rules", "files", "collect", "program"))}
    assert callers <= declare | {"engine/gateway.py", "engine/application.py", "ai/agents.py", "ai/shipped.py"}, (
        "who else looks at a function may call it"
    )


def test_only_the_store_talks_sql() -> None:
    for path, tree in trees():
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        assert "sqlite3" not in names or path.parent.name == "store", path


def test_the_public_names_are_these() -> None:
    assert backstay.__all__ == sorted(
        """
        Action ActionDenied ActionDrafted ActionFailed Agent AgentDay AgentLimits Alert App BackstayError Breaker
        Calendar Cancelled ChildFailed Client Decision DecisionTable Done Escalation Happened IdempotencyKey
        Limits Model Models NotRetryable Notice OutcomeUnknown Price ProcessError Queue Rate Received Retry Rule
        Sensitive TimedOut Winner Workflow action approval gather new_id note now race random read_policy rule setting sleep
        start task wait_for workflow
        """.split()
    )
    for name in backstay.__all__:
        assert getattr(backstay, name) is not None
