"""Why a rule could not be answered is told without the argument: it may be private, and nobody has sealed a reason."""

from __future__ import annotations

from dataclasses import asdict

from backstay import App, IdempotencyKey, Sensitive, action, workflow
from backstay.governance.policy import Rule
from backstay.testing import harness


@action(effect="write")
async def write_to(person: Sensitive["pii"], key: IdempotencyKey) -> str:
    return "written"


@workflow
async def writes(name: str) -> str:
    return await write_to("Wilhelmina " + name)


async def test_what_is_no_number_is_named_by_its_argument_alone() -> None:
    rule = Rule(id="odd", verdict="hold", action="write_to", when="person > 5")
    async with harness(App("letters", workflows=[writes], policy=[rule])) as it:
        run = await it.start(writes, name="Querfeldein")
        (denied,) = it.events(run, "call_denied")
        told = [*map(asdict, it.events(run)[1:]), it.run(run)]
    assert "person is no number that can be compared" in denied.reason  # type: ignore[attr-defined]
    assert "Wilhelmina" not in str(told)
