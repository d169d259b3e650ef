"""Secrets that nobody tagged, in the arguments of a call: sealed in its intent, and not to be guessed from its key."""

from __future__ import annotations

from pathlib import Path

from backstay import App, IdempotencyKey, action, workflow
from backstay.canonical import digest
from backstay.testing import harness

CARD = "4111 1111 1111 1111"
seen: list[tuple[str, str]] = []


@action(effect="write")
async def book(note: str, key: IdempotencyKey) -> int:
    seen.append((note, key))
    return 1


@workflow
async def books(note: str) -> int:
    return await book(note)


async def test_a_card_number_stands_nowhere_and_no_key_tells_it(tmp_path: Path) -> None:
    note = f"card {CARD}"
    async with harness(App("cards", workflows=[books]), tmp_path) as it:
        run = await it.start(books, note=note)
        assert await it.result(run) == 1
        (intended,) = it.events(run, "call_intended")
        assert seen == [(note, intended.key)]  # the action gets the real value
        assert CARD not in str(intended.args)
        told = {"run": run, "site": intended.site, "occurrence": 0, "action": "book", "arguments": {"note": note}}
        assert intended.key != digest(told)[:40]
    for file in tmp_path.iterdir():
        assert CARD.encode() not in file.read_bytes(), file
