"""The one action by which a model is asked. An application puts its configured models behind it."""

from __future__ import annotations

from backstay.actions import Retry, action
from backstay.ai.transcripts import Allowance, Message, Reply
from backstay.errors import NotRetryable
from backstay.types import IdempotencyKey, Mask, Progress


@action(
    effect="read", name="ask_model", on_failure="raise", timeout="1h", untrusted=True,
    retry=Retry(attempts=4, first="2s"), derived=True,
)  # fmt: skip
async def ask_model(
    role: str, system: str, messages: list[Message], tools: str, left: Allowance, mask: Mask, key: IdempotencyKey,
    progress: Progress,
) -> Reply:  # fmt: skip
    """Ask the model that plays a role what to do next.

    left: what the request and its answer may use up at most; they are not sent when they might use more.
    key: the same for every attempt at this question; attempts whose answers were lost count against what is left.
    progress: told what it says while it says it; the whole reply alone is kept.
    tools: what it may use, as JSON text: a list of objects with name, description and a JSON Schema of the arguments.
    Raises BudgetCrossed, and NotRetryable when no model is configured or the provider refuses the request itself.
    """
    raise NotRetryable(
        f"no model plays the role {role!r}: configure one with App(models=Models(...)), or a scripted one in tests"
    )
