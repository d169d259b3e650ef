"""An item that was given to one person goes back to its queue once they have voted: the votes it still needs are others'."""

from __future__ import annotations

from backstay import App, approval, workflow
from backstay.testing import harness


@workflow
async def agree() -> str:
    return (await approval("board", quorum=2)).verdict


app = App("assigned", workflows=[agree])


async def test_after_the_vote_of_whom_it_was_meant_for_somebody_else_can_vote() -> None:
    async with harness(app) as it:
        run = await it.start(agree)
        (item,) = it.waits(run)
        await it.client.reassign(item.id, to="ada", by="bela")
        await it.client.decide(item.id, "approved", by="ada")
        await it.client.decide(item.id, "approved", by="bela")
        assert await it.result(run) == "approved"
