"""The offline demonstration: the mails in `mails/` arrive, a script plays the model, people are asked.

`python -m examples.support_triage.demo [HOME]`; run it again after people have decided, and it goes on.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

from backstay import Client, Models
from backstay.ai.scripted import ScriptedModel
from backstay.errors import OperatorError
from examples.support_triage.app import arrive, assisted, set_up
from examples.support_triage.arrivals import received
from examples.support_triage.script import honest

MAILS: Final = Path(__file__).parent / "mails"
HOME: Final = ".backstay/support"
SAYS_SO: Final = (
    "No model is used here: a script plays its part (script.py). It follows fixed rules and understands nothing."
)

app = assisted(Models(careful=ScriptedModel(honest)))


async def demonstrate(home: Path) -> list[str]:
    """Hand in every mail, let everything happen that needs no person, and say where each stands."""
    desk = set_up(home)
    lines: list[str] = [SAYS_SO, ""]
    async with app.open(home) as client:
        for file in sorted(MAILS.glob("*.eml")):
            run = await arrive(client, received(file))
            await client.idle()
            lines.append(f"{file.name:24} {await _stands(client, run)}")
    sent = sum(mail["status"] == "sent" for mail in desk.listed("outgoing"))
    lines += [
        "",
        f"{len(desk.listed('refunds'))} refunds made, {sent} mails left the house (folder {home / 'outgoing'})",
    ]
    return [*lines, "", *told_next(home)]


def told_next(home: Path) -> list[str]:
    """What to type now; this program has ended, and works on the cases only while it runs."""
    named = "" if home == Path(HOME) else f" {home}"
    return [
        f"What waits:    uv run backstay inbox --home {home}",
        f"Decide:        uv run backstay approve ITEM --as maria --home {home}",
        f"Then go on:    uv run python -m examples.support_triage.demo{named}",
        f"All anew:      delete {home}, and run it again",
    ]


async def _stands(client: Client, run: str) -> str:
    if client.run(run).status == "finished":
        result = await client.result(run)
        return f"{result['status']} {result['ticket']}".strip()
    family = [run, *(row.id for row in client.runs() if row.parent == run)]
    family += [row.id for row in client.runs() if row.parent in family[1:]]
    return "waits: " + (
        ", ".join(sorted({w.queue for each in family for w in client.waits_of(each) if w.queue})) or "for the customer"
    )


def main(home: str = HOME) -> None:
    try:
        print("\n".join(asyncio.run(demonstrate(Path(home)))))
    except OperatorError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
