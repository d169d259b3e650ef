"""A short chaos: both examples in one worker that is killed at random, while other processes decide."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.chaos import Chaos
from benchmarks.chaos_checks import CHECKS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")

KILLS = 12


def test_twelve_kills_while_people_decide_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    story = Chaos(tmp_path, seed=12, rate=4.0, people=2, say=lambda _: None).run(KILLS)
    assert story.wrong == {name: [] for name in CHECKS} | {"not worked off": []}
    assert (story.kills, dict(story.refused_to_start)) == (KILLS, {})
    assert story.while_starting + story.while_working == KILLS
    assert sum(sum(counts.values()) for name, counts in story.cases.items() if name != "in the journal") > 0
    assert story.asked["decide"]["ack"] > 0
