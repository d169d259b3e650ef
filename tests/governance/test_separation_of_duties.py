"""Separation of duties: whom a workflow excludes does not decide, neither themselves nor through or for others."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from backstay import App, Decision, Queue, Sensitive, approval, workflow
from backstay.errors import NotAllowed
from backstay.testing import Harness, harness


class Paper(BaseModel):
    author: Sensitive["pii"]
    text: str


@workflow
async def four_eyes() -> str:
    first = await approval("board")
    second = await approval("board", exclude=[first.by])
    return f"{first.by}, {second.by}"


@workflow
async def by_new_ones() -> str:
    first = await approval("board", quorum=2, reject="quorum")
    second = await approval("board", exclude=first.voters)
    return f"{first.verdict} by {first.voters}, {second.voters}"


@workflow
async def by_others(excluded: list[str]) -> str:
    return (await approval("board", exclude=excluded, quorum=2)).verdict


@workflow
async def reviews(paper: Paper) -> str:
    return (await approval("board", show=paper, exclude=[paper.author])).by


@workflow
async def excludes_wrongly(one: str) -> str:
    return (await approval("board", exclude=one)).verdict  # type: ignore[arg-type]


@workflow
async def named(secret: str, paper: Paper) -> str:
    return (await approval("board", title=f"the paper of {paper.author}: {secret}")).verdict


app = App(
    "apart",
    workflows=[four_eyes, by_new_ones, by_others, reviews, excludes_wrongly, named],
    queues=[
        Queue(name="board", owner="chair", members=("group:board",)),
        Queue(name="open", owner="chair"),
    ],
)  # fmt: skip


async def people(it: Harness) -> None:
    client = it.client
    await client.register("root", roles=["administrator"], by="root")
    await client.register("ann", roles=["operator"], by="root")
    for name in ("bea", "bob", "col"):
        await client.register(name, roles=["approver"], groups=["board"], by="root")
    await client.register("cid", roles=["approver"], by="root")
    await client.register("bot", kind="agent", roles=["operator"], acts_for="bea", by="root")


async def asks(it: Harness, process: Any, **input: Any) -> str:
    return await it.start(process, by="ann", **input)


def refusals(it: Harness) -> int:
    return len(it.client._reader.all("system_events", ("denied",)))


async def test_whoever_decided_first_does_not_decide_second() -> None:
    async with harness(app) as it:
        await people(it)
        run = await asks(it, four_eyes)
        await it.approve(run, by="bea")
        for verdict in ("approved", "rejected"):
            with pytest.raises(NotAllowed, match="its workflow excludes"):
                await it.client.decide(run, verdict, by="Bea")
        await it.approve(run, by="bob")
        await it.restart()
        assert refusals(it) == 2
        assert await it.result(run) == "bea, bob"


async def test_everybody_who_voted_for_the_first_does_not_decide_the_second() -> None:
    async with harness(app) as it:
        await people(it)
        await it.client.register("dan", roles=["approver"], groups=["board"], by="root")
        run = await asks(it, by_new_ones)
        await it.client.decide(run, "rejected", by="col", reason="no")
        await it.approve(run, by="bea")
        await it.approve(run, by="bob")
        for name in ("bea", "bob"):
            with pytest.raises(NotAllowed, match="its workflow excludes"):
                await it.approve(run, by=name)
        await it.restart()
        await it.approve(run, by="col")  # voted against the first
        assert await it.result(run) == "approved by ['bea', 'bob'], ['col']"


def test_a_decision_keeps_its_voters_as_json_and_one_person_reads_as_before() -> None:
    said = {"approved": True, "verdict": "approved", "by": "bob", "at": "2026-01-05T09:00:00Z"}
    alone = Decision.model_validate(said)
    assert alone.voters == ["bob"]
    assert "voters" not in alone.model_dump()
    both = Decision.model_validate({**said, "voters": ["bea", "bob"]})
    assert Decision.model_validate_json(both.model_dump_json()) == both


async def test_names_are_recorded_with_the_request_and_survive_a_restart() -> None:
    async with harness(app) as it:
        run = await asks(it, by_others, excluded=["bea", "", "bob"])
        (requested,) = it.events(run, "approval_requested")
        assert requested.exclude == ["bea", "bob"]
        await it.restart()
        with pytest.raises(NotAllowed, match="its workflow excludes"):
            await it.client.decide(run, "approved", by="ＢＥＡ ")
        assert "not by  bea, bob" in "\n".join(f"{k}  {v}" for line in it.log(run) for k, v in line.details)


async def test_an_excluded_persons_substitute_does_not_decide_in_their_place() -> None:
    async with harness(app) as it:
        await people(it)
        run = await asks(it, by_others, excluded=["bea"])
        await it.client.delegate("bea", "cid", until="2026-02-01T00:00:00Z", by="bea")
        with pytest.raises(NotAllowed, match="not among those"):
            await it.client.decide(run, "approved", by="cid")
        await it.client.delegate("bob", "cid", until="2026-02-01T00:00:00Z", by="bob")
        await it.client.decide(run, "approved", by="cid")  # in Bob's place, not in Bea's
        (vote,) = it.events(run, "vote_cast")
        assert (vote.by, vote.behalf) == ("cid", "bob")


async def test_excluding_an_agent_or_a_substitute_excludes_the_person_behind() -> None:
    async with harness(app) as it:
        await people(it)
        run = await asks(it, by_others, excluded=["bot", "cid"])
        with pytest.raises(NotAllowed, match="its workflow excludes"):
            await it.client.decide(run, "approved", by="bea")  # the agent is hers
        await it.client.delegate("bob", "cid", until="2026-02-01T00:00:00Z", by="bob")
        with pytest.raises(NotAllowed, match="its workflow excludes"):
            await it.client.decide(run, "approved", by="cid")  # excluded also in Bob's place
        await it.client.decide(run, "approved", by="bob")
        await it.client.decide(run, "approved", by="col")
        await it.settle()
        assert await it.result(run) == "approved"


async def test_an_item_is_not_given_to_whom_it_excludes() -> None:
    async with harness(app) as it:
        await people(it)
        run = await asks(it, by_others, excluded=["bea"])
        with pytest.raises(NotAllowed, match="its workflow excludes"):
            await it.client.reassign(run, by="ann", to="bea")
        await it.client.reassign(run, by="ann", to="bob")


async def test_a_private_name_is_excluded_and_stays_private() -> None:
    async with harness(app) as it:
        await people(it)
        await it.client.register("beatrice.fischer", roles=["approver"], groups=["board"], by="root")
        run = await asks(it, reviews, paper={"author": "beatrice.fischer", "text": "on desks"})
        await it.restart()
        with pytest.raises(NotAllowed, match="its workflow excludes"):
            await it.client.decide(run, "approved", by="beatrice.fischer")
        (requested,) = it.events(run, "approval_requested")
        assert len(requested.exclude) == 1
        assert "beatrice" not in requested.exclude[0]
        await it.approve(run, by="bob")
        assert await it.result(run) == "bob"


async def test_one_name_instead_of_a_list_is_refused() -> None:
    async with harness(app) as it:
        run = await asks(it, excludes_wrongly, one="bea")
        assert it.status(run) == "failed"
        assert "exclude must be a list of names" in (it.run(run).summary or "")


async def test_a_title_says_what_is_asked_without_private_values() -> None:
    async with harness(app) as it:
        run = await asks(it, named, secret="yes", paper={"author": "Ada Lovelace", "text": "x"})
        (wait,) = it.waits(run)
        assert wait.title.startswith("the paper of ")
        assert "Ada" not in wait.title
        (requested,) = it.events(run, "approval_requested")
        assert requested.title == wait.title
        assert wait.title in it.log(run)[-1].text
