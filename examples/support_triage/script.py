"""A script in the place of a model, for the offline demonstration and the tests. It is not a model and understands nothing:
it looks for words in the mail, reads what an agent would read, and follows the clauses of the refund policy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from backstay.ai.providers import Asked
from backstay.ai.scripted import Turn, call, finish
from backstay.types import Json

READS = ("search_orders", "subscription_of", "mail_thread", "refund_policy")
IN_FULL = "Within 30 days of the order the price is refunded in full"
CONTRACT = "Where a contract promises more than this policy, the head of support decides"
PROMISE = "Nothing is promised in a reply that was not done or approved before."


@dataclass
class Seen:
    """What a model knows of its case: the case itself, what it has tried, and what its tools answered."""

    case: Json
    tried: list[str] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)
    """Tool -> its latest answer, as `[o1] ...`; failures are not among them."""

    def value(self, tool: str) -> Any:
        return json.loads(self.told[tool].partition("] ")[2])

    def claim(self, text: str, tool: str, quote: str) -> tuple[str, str, str]:
        """A statement that quotes what a tool answered."""
        return text, self.told[tool][1:].partition("]")[0], quote

    def note(self, tool: str, text: str) -> None:
        self.tried.append(tool)
        if text.startswith("["):
            self.told[tool] = text


def honest(asked: Asked) -> Turn:
    """The script as a `ScriptedModel` takes it."""
    seen = Seen(json.loads(asked.messages[0].text))
    for message in asked.messages:
        if message.role == "tool":
            seen.note(message.tool, message.text)
    return next_turn(seen)


def honest_over_http(body: Mapping[str, Json]) -> Turn:
    """The same script, as a `FakeProvider` takes it: from the JSON of the request."""
    messages = body["messages"]
    seen = Seen(json.loads(next(each["content"] for each in messages if each["role"] == "user")))
    tools = {used["id"]: used["function"]["name"] for each in messages for used in each.get("tool_calls") or ()}
    for message in messages:
        if message["role"] == "tool":
            seen.note(tools[message["tool_call_id"]], message["content"])
    return next_turn(seen)


def next_turn(seen: Seen) -> Turn:
    """Plan, read, refund what the policy refunds, draft a reply, finish."""
    ticket, text = seen.case["ticket"], " ".join([seen.case["mail"]["subject"], *seen.case["mail"]["lines"]])
    if "plan" not in seen.tried:
        return call("plan", steps=["read orders, contract and policy", "refund or escalate", "draft a reply"])
    if missing := [tool for tool in READS if tool not in seen.told]:
        return [call(tool, **({} if tool == "refund_policy" else {"ticket": ticket})) for tool in missing]
    order = next((each for each in seen.value("search_orders") if each["number"] in text.upper()), None)
    wanted = "refund" in text.casefold() or "money back" in text.casefold()
    regular = order is not None and _regular(order, seen.case["today"])
    if wanted and regular and "refund_order" not in seen.tried:
        return call("refund_order", ticket=ticket, order=order["number"], amount=order["total"])
    if "draft_reply" not in seen.tried:
        return call("draft_reply", ticket=ticket, text=_reply(seen, wanted=wanted))
    return _end(seen, order, text, wanted=wanted)


def _regular(order: Json, today: str) -> bool:
    return date.fromisoformat(today) <= date.fromisoformat(order["ordered"]) + timedelta(days=30)


def _refunded(seen: Seen) -> bool:
    return "refund_order" in seen.told and seen.value("refund_order")["status"] == "refunded"


def _reply(seen: Seen, *, wanted: bool) -> str:
    if _refunded(seen):
        amount = seen.value("refund_order")["amount"]
        return f"We are sorry for the trouble. {amount} EUR are on their way back to where they came from."
    if wanted:
        return "We are sorry for the trouble. A colleague is looking into your refund and will answer you."
    return "Thank you for your mail. We have noted what you wrote and will come back to you."


def _end(seen: Seen, order: Json, text: str, *, wanted: bool) -> Turn:
    said: dict[str, Json] = {
        "sentiment": "angry" if "!!" in text else "unhappy" if wanted else "calm",
        "intent": "refund" if wanted else "bug" if "broken" in text.casefold() else "other",
        "order": order["number"] if order else "",
    }
    if _refunded(seen):
        quote = f'"number":"{order["number"]}"'
        claims = (
            seen.claim("The policy refunds it.", "refund_policy", IN_FULL),
            seen.claim("It is theirs.", "search_orders", quote),
        )
        return finish({**said, "decision": "refunded"}, *claims, summary="Refunded within the policy.")
    if wanted:
        conflict = "The policy says no after 30 days, and there is more to consider."
        if seen.value("subscription_of"):
            conflict = f"The policy says no after 30 days; the contract says: {seen.value('subscription_of')['terms']}"
        if "refund_order" in seen.told:
            conflict = f"The refund was not made: {seen.value('refund_order')['reason']}"
        claim = seen.claim("A person decides.", "refund_policy", CONTRACT)
        return finish({**said, "decision": "escalate", "conflict": conflict}, claim, summary="A person must decide.")
    claim = seen.claim("The reply promises nothing.", "refund_policy", PROMISE)
    return finish({**said, "decision": "answered"}, claim, summary="A reply is drafted.")
