"""The application with a model that is scripted and honest, to try the dataset without any model:

backstay eval examples/accounts_payable/evals/offline.py examples/accounts_payable/evals/exceptions.jsonl

The script plays somebody who does what the prompt says and no more. How good a real model is, only a real model shows: name
a file in its place whose `app` is `assisted(Models(careful=Model(...)))`.
"""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from backstay import Models
from backstay.ai.providers import Asked
from backstay.ai.scripted import ScriptedModel, Turn, call, finish
from backstay.ai.transcripts import ToolCall
from examples.accounts_payable.app import assisted, set_up

HOME = Path(tempfile.mkdtemp(prefix="backstay-evals-"))
"""An ERP of its own, with the master data of the example."""
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
set_up(HOME)

BY_RULES = "Before you finish, observe something with each of: house_rules."
"""What the prompt says to an agent that must have read the rules of the house."""


def honest(asked: Asked) -> Turn:
    """Read what the prompt asks for and the books, then recommend, with a quote from what was read."""
    case = json.loads(asked.messages[0].text)
    seen = [message.text for message in asked.messages if message.role == "tool" and not message.failed]
    by_rules = BY_RULES in asked.system and "house_rules" in asked.offered
    if not seen:
        return [*([call("house_rules")] if by_rules else ()), books(case)]
    if not by_rules:
        return finish({"recommendation": "go on", "why": "The books say nothing against it."}, confidence=0.5)
    recommendation, rule = judgement(case)
    return finish(
        {"recommendation": recommendation, "why": f"House rule: {rule}."}, ("The rule of the house.", "o1", rule)
    )


def books(case: dict[str, Any]) -> ToolCall:
    """Where to look a case up in the books."""
    vendor = (case.get("record") or {}).get("id") or (case.get("order") or {}).get("vendor")
    if vendor is None:
        return call("vendors_like", name=case["vendor"])
    return call("past_invoices" if "seen" in case else "orders_of_vendor", vendor_id=vendor)


def judgement(case: dict[str, Any]) -> tuple[str, str]:
    """What to recommend, and the rule of the house that says so."""
    if "off" in case:
        short = any("received" in line for line in case["off"])
        return (
            ("ask the vendor", "only what was received is paid") if short else ("ask the buyer", "more needs the buyer")
        )
    if "seen" in case:
        return "send back", "the same total means a copy"
    if "lines" in case:
        return "ask the buyer", "paid only where the order names them"
    if case["record"] is None:
        return "set up the vendor", "purchasing sets it up"
    if "telephone" in case["problem"]:
        return "ask the vendor", "confirmed by telephone under a number that we knew before"
    return "send back", "everything else is sent back to be ordered"


app = assisted(Models(careful=ScriptedModel(honest)))
