"""The benchmark of attacks runs, and says what the documentation reads from it."""

from __future__ import annotations

from benchmarks.attacks import lines, measure


async def test_a_channel_is_measured() -> None:
    report = await measure(["file_names"])
    attacks, honest = report["attacks"], report["honest"]
    assert report["catalogue"]["attacks"] == 16
    assert attacks["baseline"]["nobody"]["succeed"] == 0
    assert attacks["baseline"]["honest"]["succeed"] == 0
    assert attacks["labels alone"]["yes"]["stopped_by"]["denied by labels"] > 0
    assert honest["baseline"]["cases"] >= 40
    assert honest["labels alone"]["alone"] > honest["baseline"]["alone"]
    assert len(lines(report)) == 4 + 9 + 3
