"""The one clock: it never runs backwards within a store, and ids are unique and grow with time."""

from __future__ import annotations

from backstay import App, new_id, sleep, workflow
from backstay.store.clock import ALPHABET, Clock
from backstay.testing import START, ManualClock, harness


def test_ids_have_26_characters_and_grow() -> None:
    clock = Clock()
    ids = [clock.new_id() for _ in range(5000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 5000
    assert {len(id) for id in ids} == {26}
    assert set("".join(ids)) <= set(ALPHABET)


def test_ids_grow_within_one_millisecond_and_when_the_clock_goes_back() -> None:
    clock = ManualClock()
    ids = [clock.new_id() for _ in range(100)]
    clock.move(-3600)
    ids += [clock.new_id() for _ in range(100)]
    clock.move(7200)
    ids.append(clock.new_id())
    assert ids == sorted(set(ids))


def test_two_workers_do_not_make_the_same_ids() -> None:
    one, other = Clock(), Clock()
    assert {one.new_id() for _ in range(1000)}.isdisjoint({other.new_id() for _ in range(1000)})


def test_time_does_not_go_back_and_says_how_far_behind_the_machine_is() -> None:
    clock = ManualClock()
    before = clock.now()
    clock.move(-60)
    assert clock.now() == before == START
    assert clock.behind == 60
    clock.move(61)
    assert clock.behind == 60
    assert clock.stamp() == "2026-01-05T09:00:01.000000Z"
    assert clock.behind == 0


def test_stamps_sort_as_text_and_carry_microseconds() -> None:
    clock = ManualClock()
    stamps = [clock.stamp()]
    for step in (0.000001, 0.4999995, 0.9999999, 1.0, 59.3):
        clock.move(step)
        stamps.append(clock.stamp())
    assert stamps == sorted(stamps)
    assert {len(stamp) for stamp in stamps} == {27}
    assert clock.stamp_after(0.5) > stamps[-1]


@workflow
async def marks() -> str:
    first = await new_id()
    await sleep("1h")
    second = await new_id()
    return f"{first} {second}"


app = App("clock", workflows=[marks])


async def test_a_store_opened_with_a_clock_that_went_back_goes_on_from_what_it_has_seen() -> None:
    async with harness(app) as it:
        run = await it.start(marks)
        await it.close()
        it.clock = ManualClock(seed=2)
        it.clock.move(-30 * 86400)
        await it.open()
        later = await it.start(marks)
        assert later > run
        assert it.events(later)[0].at >= it.events(run)[-1].at
        await it.advance("31d")
        assert [it.status(run), it.status(later)] == ["finished", "finished"]
        first, second = (await it.result(later)).split()
        assert first < second


async def test_a_clock_that_jumps_ahead_fires_what_is_due_in_its_order() -> None:
    async with harness(app) as it:
        runs = [await it.start(marks) for _ in range(3)]
        it.clock.move("365d")
        await it.advance(0)
        assert [it.status(run) for run in runs] == ["finished"] * 3
