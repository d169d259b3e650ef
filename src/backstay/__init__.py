"""Backstay: durable business processes that are mostly rules and partly judgment.

Names are loaded when first used, so that `import backstay` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backstay.actions import Action, Breaker, Rate, Retry, action
    from backstay.ai.agents import Agent, AgentLimits
    from backstay.ai.models import Model, Models, Price
    from backstay.commands import (
        approval,
        gather,
        new_id,
        note,
        now,
        race,
        random,
        setting,
        sleep,
        start,
        task,
        wait_for,
    )
    from backstay.engine.application import App
    from backstay.engine.client import Client
    from backstay.engine.gateway import Alert
    from backstay.engine.items import Notice
    from backstay.errors import (
        ActionDenied,
        ActionDrafted,
        ActionFailed,
        BackstayError,
        Cancelled,
        ChildFailed,
        NotRetryable,
        OutcomeUnknown,
        ProcessError,
        TimedOut,
    )
    from backstay.governance.budgets import AgentDay, Limits
    from backstay.governance.calendars import Calendar
    from backstay.governance.policy import Rule
    from backstay.governance.policy_files import read_policy
    from backstay.governance.queues import Escalation, Queue
    from backstay.language import DecisionTable, Workflow, rule, workflow
    from backstay.types import Decision, Done, Happened, IdempotencyKey, Received, Sensitive, Winner

_HOMES = {
    "Action": "actions",
    "ActionDenied": "errors",
    "ActionDrafted": "errors",
    "ActionFailed": "errors",
    "Agent": "ai.agents",
    "AgentDay": "governance.budgets",
    "AgentLimits": "ai.agents",
    "Alert": "engine.gateway",
    "App": "engine.application",
    "BackstayError": "errors",
    "Breaker": "actions",
    "Calendar": "governance.calendars",
    "Cancelled": "errors",
    "ChildFailed": "errors",
    "Client": "engine.client",
    "Decision": "types",
    "DecisionTable": "language",
    "Done": "types",
    "Escalation": "governance.queues",
    "Happened": "types",
    "IdempotencyKey": "types",
    "Limits": "governance.budgets",
    "Model": "ai.models",
    "Models": "ai.models",
    "NotRetryable": "errors",
    "Notice": "engine.items",
    "OutcomeUnknown": "errors",
    "Price": "ai.models",
    "ProcessError": "errors",
    "Queue": "governance.queues",
    "Rate": "actions",
    "Received": "types",
    "Retry": "actions",
    "Rule": "governance.policy",
    "Sensitive": "types",
    "TimedOut": "errors",
    "Winner": "types",
    "Workflow": "language",
    "action": "actions",
    "approval": "commands",
    "gather": "commands",
    "new_id": "commands",
    "note": "commands",
    "now": "commands",
    "race": "commands",
    "random": "commands",
    "read_policy": "governance.policy_files",
    "rule": "language",
    "setting": "commands",
    "sleep": "commands",
    "start": "commands",
    "task": "commands",
    "wait_for": "commands",
    "workflow": "language",
}
"""Every public name and the room it lives in."""

__all__ = [
    "Action",
    "ActionDenied",
    "ActionDrafted",
    "ActionFailed",
    "Agent",
    "AgentDay",
    "AgentLimits",
    "Alert",
    "App",
    "BackstayError",
    "Breaker",
    "Calendar",
    "Cancelled",
    "ChildFailed",
    "Client",
    "Decision",
    "DecisionTable",
    "Done",
    "Escalation",
    "Happened",
    "IdempotencyKey",
    "Limits",
    "Model",
    "Models",
    "NotRetryable",
    "Notice",
    "OutcomeUnknown",
    "Price",
    "ProcessError",
    "Queue",
    "Rate",
    "Received",
    "Retry",
    "Rule",
    "Sensitive",
    "TimedOut",
    "Winner",
    "Workflow",
    "action",
    "approval",
    "gather",
    "new_id",
    "note",
    "now",
    "race",
    "random",
    "read_policy",
    "rule",
    "setting",
    "sleep",
    "start",
    "task",
    "wait_for",
    "workflow",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'backstay' has no attribute {name!r}")
    value = getattr(import_module(f"backstay.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
