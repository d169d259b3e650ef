"""The language: what a workflow may say, why it was refused, and what it becomes.

`@workflow` and `@rule` check at import; `Workflow.definition` is the stored form; `compile_definition` makes it run.
"""

from backstay.language.definitions import Definition
from backstay.language.diagnostics import Diagnostic
from backstay.language.drawing import to_svg
from backstay.language.files import Checked, check_file
from backstay.language.mermaid import to_mermaid
from backstay.language.program import Program, compile_definition
from backstay.language.rules import Rule, rule
from backstay.language.signatures import adapter
from backstay.language.steps import Step
from backstay.language.tables import DecisionTable
from backstay.language.tracker import Tracker, current_tracker, new_context
from backstay.language.workflows import Workflow, workflow

__all__ = [
    "Checked",
    "DecisionTable",
    "Definition",
    "Diagnostic",
    "Program",
    "Rule",
    "Step",
    "Tracker",
    "Workflow",
    "adapter",
    "check_file",
    "compile_definition",
    "current_tracker",
    "new_context",
    "rule",
    "to_mermaid",
    "to_svg",
    "workflow",
]
