"""The agent: it perceives what a mail is about, looks up the facts, and gets as far as the rules let it.

It reads about the customer of its ticket only, drafts a reply that it cannot send, and may start a refund, which passes
the gateway in its name. What it cannot settle goes to a person with all that it found.
"""

from __future__ import annotations

from decimal import Decimal

from backstay import Agent, AgentLimits
from examples.support_triage.actions import draft_reply, mail_thread, refund_policy, search_orders, subscription_of
from examples.support_triage.models import Assessment
from examples.support_triage.refunds import refund_order

INSTRUCTIONS = """\
Say how the customer feels and what they want. Look up their orders, their subscription and the refund policy before you
decide. Refund only what the policy allows; name the order and the amount as `search_orders` shows them, and your own ticket. Where the policy and a contract
contradict each other, or anything is unclear, do not refund: escalate, and say in `conflict` what contradicts what.
Always draft a reply that is friendly, short, and promises nothing that was not done. A person reads it before it is sent."""

support_agent = Agent(
    "support-agent",
    goal="Settle what this customer asks for as far as the policy allows, or hand it to a person with all the facts.",
    instructions=INSTRUCTIONS,
    tools=[search_orders, subscription_of, mail_thread, refund_policy, refund_order, draft_reply],
    output=Assessment,
    evidence=[search_orders, refund_policy],
    confidence=0.6,
    autonomy="propose",
    limits=AgentLimits(steps=12, tool_calls=20, usd=Decimal("0.25")),
)
