"""The story behind the golden journal of a session: a loop outside uses the tools of an agent."""

from __future__ import annotations

from golden_records import Story, record_missing
from pydantic import BaseModel

from backstay import Agent, App, IdempotencyKey, action
from backstay.testing import Harness


class Answer(BaseModel):
    due: int


@action(effect="read")
async def balance(account: str) -> int:
    """What is owed on an account."""
    return 40


@action(effect="irreversible", sinks=["account"])
async def pay(account: str, amount: int, key: IdempotencyKey) -> str:
    """Pay an amount."""
    return f"paid {amount}"


clerk = Agent("clerk", goal="Pay what is owed.", tools=[balance, pay], output=Answer, autonomy="execute")
app = App("sessions", workflows=[clerk])


async def attended(it: Harness) -> str:
    """Two calls, one of them held and approved, one of a tool that is not there, and a finding."""
    async with it.client.session(clerk, goal="Pay account A-7.", acting_for="ann") as session:
        await session.call("balance", account="A-7")
        held = await session.call("pay", account="A-7", amount=40)
        await session.call("borrow", account="A-7")
        await it.client.decide(f"{session.run}/{held.id}", "approved", by="bea")
        await session.settled(held.id)
        claim = {"text": "Forty are owed.", "source": "o2", "quote": "paid 40"}
        await session.finish({"due": 0}, summary="It is paid.", claims=[claim])
    return session.run


STORIES: dict[str, Story] = {"attended": attended}

if __name__ == "__main__":
    record_missing(app, STORIES)
