"""Auditors: the part of the client that signs what the journal holds, while runs go on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from backstay.engine.desk import Desk
from backstay.engine.runner import Runner
from backstay.governance.checkpoints import Signed, load_signer, make_checkpoint, stage_checkpoint
from backstay.store.database import Reader
from backstay.store.journal import Write


class Auditors(Desk):
    """What only an auditor may ask for."""

    def __init__(self, runner: Runner, owners: Mapping[str, str]) -> None:
        super().__init__(runner, owners)
        self._signing = asyncio.Lock()
        """One checkpoint after the other: each continues those before it."""

    async def checkpoint(self, *, by: str | None = None) -> Signed:
        """Sign the tree over all records as it stands now, and record that; what is committed meanwhile comes after it.

        Nothing is given out before it is recorded. Raises NotAllowed; OperatorError when the journal no longer holds what
        an earlier checkpoint covers, or the key is gone.
        """
        who = self._allow(by, "audit")
        async with self._signing:
            made = await asyncio.to_thread(_sign, self._reader.path)
            write = Write()
            event = stage_checkpoint(write, made, at=self._stamp(), by=who)
            await self._runner.system.commit(write, [event])
        return made


def _sign(store: Path) -> Signed:
    """Off the loop and with a reader of its own, as it reads the whole journal."""
    with closing(Reader(store)) as reader:
        return make_checkpoint(reader, load_signer(store.parent, reader))
