"""How a golden journal is recorded: once. One that is there already is left alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

from backstay import App
from backstay.store.journal import SYSTEM
from backstay.store.views import Stored, read_events
from backstay.testing import Harness, harness
from backstay.types import Json

FOLDER = Path(__file__).parent / "golden"

Story: TypeAlias = Callable[[Harness], Awaitable[str]]
"""What happens to a run; gives its id."""


async def record(app: App, story: Story) -> dict[str, Any]:
    """Tell a story and write down what a worker would need to go on with its run: definition, events, private values."""
    async with harness(app) as it:
        run = await story(it)
        stored = read_events(it.client._reader, run)
        events = [{"kind": item.kind, "body": item.body, "hash": item.hash.hex()} for item in stored]
        if run == SYSTEM:
            return {"run": run, "events": events}
        row = it.run(run)
        definition = it.client._reader.one("definition", (row.version,))
        assert definition is not None
        return {
            "run": run,
            "version": row.version,
            "definition": definition["text"],
            "status": row.status,
            "summary": row.summary,
            "open": sorted(wait.command for wait in it.waits(run)),
            "private": _private(it, stored),
            "events": events,
        }


def _private(it: Harness, stored: list[Stored]) -> dict[str, Json]:
    """Pseudonym -> the value that it stands for."""
    found: dict[str, Json] = {}
    for item in stored:
        whole = it.client._runner.payloads.restore(item.event, {})
        for pointer, ref in (getattr(item.event, "refs", None) or {}).items():
            _, field, *path = pointer.split("/")
            value = getattr(whole, field)
            for step in path:
                value = value[int(step) if isinstance(value, list) else step]
            found[ref.removeprefix("seal:")] = value
    return found


def record_missing(app: App, stories: dict[str, Story]) -> None:
    """Tell the stories that nobody has told yet."""
    for name, story in stories.items():
        path = FOLDER / f"{name}.json"
        if not path.exists():
            golden = asyncio.run(record(app, story))
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n", "utf-8")
