"""Whatever happens to the worker or to the definition, each request ends as it should and is booked once."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay import App
from backstay.language import to_svg
from backstay.testing import Harness, crash_everywhere
from examples.leave_request.app import QUEUES, app, ask_for_leave, set_up
from examples.leave_request.process import request_leave
from examples.leave_request.tests.office import MARCH, Office, office, wish

EXAMPLE = Path(__file__).parent.parent


async def decided(it: Harness, run: str, queue: str, by: str) -> None:
    """A decision, unless it was made before the worker died."""
    for wait in it.waits(run):
        if wait.queue == queue:
            await it.approve(wait.id, by=by)


async def month_in_march(it: Harness) -> str:
    """Twenty days, agreed by both."""
    set_up(it.home)
    run = await ask_for_leave(it.client, wish(**MARCH), form="F-1")
    await it.settle()
    await decided(it, run, "lead-support", "marek")
    await decided(it, run, "hr", "hanna")
    return run


@pytest.mark.parametrize("mind", ["stays", "changes"])
async def test_killed_after_any_commit_it_is_booked_once_and_cancelled_once(mind: str) -> None:
    async def story(it: Harness) -> None:
        run = await month_in_march(it)
        if mind == "changes" and not it.run(run).ended:
            await it.signal(run, "withdraw", {"reason": "snow"}, by="nina", id="W-1")
        await it.advance("90d")

    async def check(it: Harness) -> None:
        (run,) = it.client.runs()
        hr = set_up(it.home)
        left, rows, told = hr.left("nina"), hr.rows(), len(hr.messages())
        ending = (await it.result(run.id))["status"]
        assert (ending, left, rows, told) == (("taken", 6, 1, 2) if mind == "stays" else ("cancelled", 26, 1, 3))
        assert len(it.events(run.id, "approval_decided")) == 2

    assert await crash_everywhere(app, story, check) > 10


async def every_ending(it: Office) -> dict[str, str]:
    """One case of each kind: how it stands, by its run."""
    weeks = [{"first_day": f"2026-{month:02}-09", "last_day": f"2026-{month:02}-13"} for month in range(2, 11)]
    runs = [await it.asks(**week, substitute="zofia") for week in weeks[:6]]
    for run in runs[:3]:
        await it.approves(run, by="marek")
    await it.it.client.cancel(runs[0], by="hr-service")
    await it.withdraws(runs[1])
    await it.withdraws(runs[3])
    await it.rejects(runs[4], by="marek", code="other")
    await it.it.client.ask(it.item(runs[5]), "Must it be then?", by="marek")
    refused = await it.asks(substitute="nina")
    await it.it.advance("300d")
    waiting = await it.asks("jonas", substitute="lena", first_day="2026-12-14", last_day="2026-12-15")
    return {run: it.it.status(run) for run in [*runs, refused, waiting]}


async def test_every_case_replays_to_what_happened(home: Path) -> None:
    async with office(home) as it:
        stand = await every_ending(it)
        assert sorted(stand.values()) == ["cancelled", *["finished"] * 6, "waiting"]
        assert it.it.prove() == 8


@pytest.fixture
def stricter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """The application as it is deployed next: HR decides about everything above three days."""
    for name in ("rules", "process"):
        text = (EXAMPLE / f"{name}.py").read_text(encoding="utf-8")
        text = text.replace('"days": "> 15"', '"days": "> 3"').replace("examples.leave_request.rules", "stricter_rules")
        (tmp_path / f"stricter_{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    process = importlib.import_module("stricter_process")
    yield App("leave-request", workflows=[process.request_leave], queues=QUEUES)
    for name in ("stricter_rules", "stricter_process"):
        del sys.modules[name]


async def test_a_case_that_waits_ends_by_the_rules_with_which_it_began(home: Path, stricter: App) -> None:
    async with office(home) as it:
        old = await it.asks()
    async with office(home, stricter, it.it.clock) as it:
        new = await it.asks(first_day="2026-04-13", last_day="2026-04-17", substitute="zofia")
        for run in (old, new):
            await it.approves(run, by="marek")
        assert (it.it.waits_in(old), it.it.waits_in(new)) == ([], ["hr"])
        assert it.it.run(old).version != it.it.run(new).version
        assert [row[2] for row in it.hr.bookings()] == ["2026-02-09"]


def test_the_picture_in_the_readme_is_the_workflow() -> None:
    assert to_svg(request_leave.program) == (EXAMPLE / "process.svg").read_text("utf-8")
