"""Signing a checkpoint and recording it: in the store's table and, in the same commit, on the system's own chain."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

from backstay.engine.application import LOCK_FILE, STORE_FILE, take_lock
from backstay.engine.system import SystemChain
from backstay.governance.checkpoints import Signer, load_signer, make_checkpoint, stage_checkpoint
from backstay.store.clock import Clock
from backstay.store.database import Reader
from backstay.store.journal import Journal, Write
from backstay.verify import Checkpoint


async def record_checkpoint(home: Path, *, by: str) -> tuple[Signer, Checkpoint, str]:
    """Sign everything that is committed and record that; raises StoreLocked while a worker has the store."""
    lock = take_lock(home / LOCK_FILE)
    try:
        journal, reader = Journal(home / STORE_FILE), Reader(home / STORE_FILE)
        try:
            signer = load_signer(home, reader)
            checkpoint, note = make_checkpoint(reader, signer)
            clock, write = Clock(), Write()
            clock.seen(datetime.fromisoformat(reader.value("newest_at")))
            event = stage_checkpoint(write, checkpoint, note, at=clock.stamp(), by=by)
            SystemChain(journal, reader, clock).stage(write, event)
            await journal.submit(write)
        finally:
            reader.close()
            await asyncio.to_thread(journal.close)
    finally:
        lock.close()
    return signer, checkpoint, note
