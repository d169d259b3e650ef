"""Proposals: each state that an approval can be in, and nothing else."""

from __future__ import annotations

from backstay import ActionDenied, App, action, approval, workflow
from backstay.operations.proposals import State, proposals
from backstay.testing import Harness, harness


@action(effect="irreversible")
async def pay(payee: str) -> str:
    return "paid"


@workflow
async def pays(payee: str) -> str:
    try:
        return await pay(payee)
    except ActionDenied as refusal:
        return refusal.reason


@workflow
async def asks() -> str:
    return (await approval("board", quorum=2, within="4h")).verdict


app = App("proposals", workflows=[pays, asks])


def states(it: Harness, run: str) -> list[State]:
    return [proposal.state for proposal in proposals(it.client.events(run))]


async def test_from_proposed_over_claimed_to_consumed() -> None:
    async with harness(app) as it:
        run = await it.start(pays, payee="x", by="ann")
        assert states(it, run) == ["proposed"]
        await it.client.claim(run, by="bob")
        assert states(it, run) == ["claimed"]
        await it.client.release(run, by="bob")
        assert states(it, run) == ["proposed"]
        await it.approve(run, by="bob")
        assert states(it, run) == ["consumed"]
        (proposal,) = proposals(it.client.events(run))
        (intended,) = it.events(run, "call_intended")
        assert (proposal.by, proposal.action, intended.approval) == ("bob", "pay", proposal.command)


async def test_rejected_expired_withdrawn_and_granted() -> None:
    async with harness(app) as it:
        rejected = await it.start(pays, payee="x", by="ann")
        await it.reject(rejected, by="bob", reason="no")
        assert states(it, rejected) == ["rejected"]
        expired, cancelled, granted = [await it.start(asks, by="ann") for _ in range(3)]
        await it.client.cancel(cancelled, by="ann")
        await it.settle()
        assert states(it, cancelled) == ["withdrawn"]
        for name in ("bob", "cid"):
            assert states(it, granted) == ["proposed"]
            await it.client.decide(granted, "approved", by=name)
        assert states(it, granted) == ["granted"]
        assert [vote["by"] for vote in proposals(it.client.events(granted))[0].votes] == ["bob", "cid"]
        await it.advance("5h")
        assert states(it, expired) == ["expired"]
