"""No accepted program can tell a replay from the first run: random programs, stopped and replayed in another process."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from driver import make_up, run
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from programs import Writer

from backstay.language import Workflow, check_file
from backstay.types import Json

Replay = Callable[[Workflow[..., Any], Json, list[Json]], str]
PHASES = (Phase.explicit, Phase.generate, Phase.shrink)
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    """Replays in a fresh process with another hash seed."""
    env = {**os.environ, "PYTHONHASHSEED": "4242", "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    process = subprocess.Popen(
        [sys.executable, str(HERE / "replayer.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    source, sink = process.stdout, process.stdin

    def ask(flow: Workflow[..., Any], given: Json, answers: list[Json]) -> str:
        job = {
            "text": flow.definition.text,
            "version": flow.definition.version,
            "given": given,
            "answers": answers,
        }
        sink.write(json.dumps(job) + "\n")
        sink.flush()
        line = source.readline()
        assert line, "the replaying process ended"
        return json.loads(line)

    yield ask
    sink.close()
    process.wait(timeout=10)
    source.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("programs")


def accepted(folder: Path, source: str) -> Workflow[..., Any]:
    path = folder / f"p{abs(hash(source))}.py"
    path.write_text(source)
    checked = check_file(path)
    assert not checked.diagnostics, "\n\n".join(map(str, checked.diagnostics))
    return checked.workflows[0]


def first_run(flow: Workflow[..., Any], given: Json, dice: random.Random) -> tuple[str, list[Json]]:
    left = iter(range(40))
    return run(flow.program, given, lambda command: make_up(command, dice) if next(left, None) is not None else None)


def plain_python(flow: Workflow[..., Any], given: Json, answers: list[Json]) -> list[Json]:
    """What the author's function does when Python runs it as it stands."""
    remaining = iter(answers)
    bare = SimpleNamespace(
        begin=lambda given: flow.fn(**given),
        write_result=flow.program.write_result,
        line_of=lambda site: None,
    )
    said, _ = run(bare, given, lambda _command: next(remaining, None))  # type: ignore[arg-type]
    return comparable(said)


def comparable(said: str) -> list[Json]:
    """Events without what only instrumentation adds."""
    events = [event for event in json.loads(said) if "trail" not in event]
    return [
        {key: _without_sites(value) for key, value in event.items() if key not in ("line", "message")}
        for event in events
    ]


def _without_sites(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _without_sites(item) for key, item in value.items() if key != "site"}
    if isinstance(value, list):
        return [_without_sites(item) for item in value]
    return value


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(seed=st.integers(0, 2**32))
def test_a_replay_asks_decides_and_returns_the_same(seed: int, folder: Path, replay: Replay) -> None:
    dice = random.Random(seed)
    flow = accepted(folder, Writer(dice).program())
    start = {
        "a": dice.randint(-5, 9),
        "b": dice.randint(-5, 9),
        "s": dice.choice(["ann", "bob", "zoë"]),
        "xs": [3, 1, 2],
    }

    said, answers = first_run(flow, start, dice)
    assert replay(flow, start, answers) == said

    stop = dice.randint(0, len(answers))
    stopped = replay(flow, start, answers[:stop])
    assert json.loads(said)[: len(json.loads(stopped))] == json.loads(stopped)
    sys.modules.pop(flow.fn.__module__)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(seed=st.integers(0, 2**32))
def test_instrumented_programs_do_what_python_does(seed: int, folder: Path) -> None:
    dice = random.Random(seed)
    flow = accepted(folder, Writer(dice).program())
    start = {
        "a": dice.randint(-5, 9),
        "b": dice.randint(-5, 9),
        "s": dice.choice(["ann", "bob", "zoë"]),
        "xs": [3, 1, 2],
    }
    said, answers = first_run(flow, start, dice)
    assert plain_python(flow, start, answers) == comparable(said)
    sys.modules.pop(flow.fn.__module__)
