"""What an agent's case of a hundred turns keeps, compared with what there was to keep."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final

from backstay import Agent, AgentLimits, App, Models
from backstay.ai.providers import Asked
from backstay.ai.scripted import ScriptedModel, call, finish
from backstay.ai.transcripts import ToolCall
from backstay.canonical import canonical
from backstay.engine.application import STORE_FILE
from backstay.store.database import Reader
from backstay.store.views import read_events
from benchmarks.agents_case import CASE, Answer, find_order, read_mail

TURNS: Final = 100


def sizes() -> dict[str, float]:
    """Bytes that a case adds to the store over those of its distinct content: definition, input, replies, results.

    `bytes_ratio`: by how much the file grows, for mails of 2 to 5 kB; `bytes_short_ratio`: for records of half a kB.
    `bytes_rows_ratio`, `bytes_short_rows_ratio`: all values in all rows, without the room that is left free in pages.
    """
    long, short = asyncio.run(_sized(every=4)), asyncio.run(_sized(every=1))
    return {
        "bytes_ratio": long["file"] / long["content"], "bytes_rows_ratio": long["rows"] / long["content"],
        "bytes_short_ratio": short["file"] / short["content"], "bytes_short_rows_ratio": short["rows"] / short["content"],
        "bytes_content": long["content"], "bytes_short_content": short["content"],
    }  # fmt: skip


async def _sized(every: int) -> dict[str, int]:
    """One case; of its turns one in `every` looks at a record, the others at a mail."""
    limits = AgentLimits(steps=TURNS, tool_calls=TURNS, usd="100")
    clerk = Agent("reader", goal="Read everything.", tools=[read_mail, find_order], output=Answer, limits=limits)
    app = App("size", workflows=[clerk], models=Models(careful=ScriptedModel(partial(turn, every), usd="0.001")))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / STORE_FILE
        async with app.open(folder, synchronous="OFF"):
            pass
        rows, file = held(path), path.stat().st_size
        async with app.open(folder, synchronous="OFF") as client:
            run = await client.start(clerk, {"input": CASE}, by="ann")
            await client.quiet()
            finding: Any = await client.result(run)
        if finding["reason"] != "goal-met" or finding["steps"] != TURNS:
            raise RuntimeError(f"the case should take {TURNS} turns, and ended with {finding}")
        return {"rows": held(path) - rows, "file": path.stat().st_size - file, "content": content(path, run)}


def turn(every: int, asked: Asked) -> ToolCall:
    """It looks at one thing after the other, and quotes the first."""
    number = sum(message.role == "model" for message in asked.messages)
    if number == TURNS - 1:
        return finish({"text": "done"}, ("There is one.", "o1", "brandt.example" if every > 1 else "Graz"))
    is_record = number % every == every - 1
    return call("find_order", number=f"PO-{number}") if is_record else call("read_mail", number=number)


def held(path: Path) -> int:
    """The bytes of every value in every row of a store."""
    with closing(sqlite3.connect(path)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return sum(_held_in(db, table) for table in tables)


def _held_in(db: sqlite3.Connection, table: str) -> int:
    columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    lengths = " + ".join(f"coalesce(sum(length(cast({name} AS BLOB))), 0)" for name in columns)
    return db.execute(f"SELECT {lengths} FROM {table}").fetchone()[0]


def content(path: Path, run: str) -> int:
    """The bytes of what is distinct, as JSON: definition, input, each call's arguments, each reply and result."""
    with closing(sqlite3.connect(path)) as db:
        texts = {text for (text,) in db.execute("SELECT text FROM definitions")}
    with closing(Reader(path)) as reader:
        for stored in read_events(reader, run):
            kept = [getattr(stored.event, name, None) for name in ("input", "args", "result")]
            texts |= {canonical(value) for value in kept if value is not None and not is_stand_in(value)}
    return sum(len(text.encode()) for text in texts)


def is_stand_in(value: Any) -> bool:
    """Whether it is what the journal keeps of arguments that a replay computes again."""
    return isinstance(value, dict) and value.keys() in ({"digest"}, {"keyed"})
