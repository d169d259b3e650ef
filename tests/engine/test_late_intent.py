"""An intent that was on its way when its race was lost: the effect may happen, so it must not be forgotten."""

from __future__ import annotations

from typing import Any

from backstay import IdempotencyKey, action, race, wait_for, workflow
from backstay import events as ev
from backstay.engine.replay import Machine

AT = "2026-01-05T09:00:00.000000Z"


@action(effect="write")
async def book(what: str, key: IdempotencyKey) -> str:
    return what


@workflow
async def hurry() -> int:
    first = await race(book("seat"), wait_for("stop"))
    return first.index


def raced() -> Machine:
    started = ev.RunStarted(at=AT, workflow="hurry", version=hurry.definition.version, input={})
    machine = Machine("r", hurry.program, started)
    place: dict[str, Any] = {command: leaf.site for command, leaf in machine.open.items()}
    machine.apply(ev.WaitOpened(at=AT, command="1.1", site=place["1.1"], name="stop"))
    machine.apply(ev.SignalReceived(at=AT, name="stop"))
    machine.apply(
        ev.CallIntended(
            at=AT, command="1.0", site=place["1.0"], action="book", effect="write", args={"what": "seat"}, key="k"
        )
    )
    return machine


def test_a_race_that_is_lost_while_the_intent_is_on_its_way_keeps_the_run_open() -> None:
    machine = raced()
    assert machine.outcome is not None
    assert list(machine.orphans) == ["1.0"]
    assert not machine.over


def test_the_run_ends_once_the_outcome_of_the_late_effect_is_known() -> None:
    machine = raced()
    machine.apply(ev.CallReturned(at=AT, command="1.0", site=machine.orphans["1.0"].site, action="book", result="seat"))
    assert machine.over
    assert machine.outcome is not None
    assert machine.outcome.result == 1


def test_an_answer_to_what_was_dropped_and_never_begun_changes_nothing() -> None:
    started = ev.RunStarted(at=AT, workflow="hurry", version=hurry.definition.version, input={})
    machine = Machine("r", hurry.program, started)
    site = {command: leaf.site for command, leaf in machine.open.items()}
    machine.apply(ev.WaitOpened(at=AT, command="1.1", site=site["1.1"], name="stop"))
    machine.apply(ev.SignalReceived(at=AT, name="stop"))
    machine.apply(ev.CallReturned(at=AT, command="1.0", site=site["1.0"], action="book", result="seat"))
    assert (machine.over, machine.orphans) == (True, {})
