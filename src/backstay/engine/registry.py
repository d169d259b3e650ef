"""The registry: the part of the client that manages people, roles, keys and delegations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager

from backstay.engine.desk import Desk
from backstay.engine.runner import Runner
from backstay.governance import registration
from backstay.governance.keys import id_of, new_key
from backstay.governance.principals import Capability, Directory, Entry, Kind


class Registry(Desk):
    """Every change is checked against the directory as it is, one at a time, and in force when it is committed."""

    def __init__(self, runner: Runner, owners: Mapping[str, str]) -> None:
        super().__init__(runner, owners)
        self._registering = asyncio.Lock()
        """Two changes that are right one by one may not be right together: who is the last administrator?"""

    @property
    def directory(self) -> Directory:
        """Who is registered, and what they may do."""
        self._see()
        return self._runner.directory

    async def register(
        self,
        name: str,
        *,
        kind: Kind = "person",
        roles: Collection[str] = (),
        groups: Collection[str] = (),
        acts_for: str | None = None,
        by: str | None = None,
    ) -> None:
        """Register somebody, or give somebody known other roles and groups. The first one must be an administrator.

        Raises InvalidInput naming the field, NotAllowed, Conflict (nobody would be left to manage people).
        """
        by = self._by(by)
        async with self._changing(by, "manage-people") as directory:
            entry = registration.registered(
                directory, name, kind=kind, roles=roles, groups=groups, acts_for=acts_for, by=by
            )
            await self._enter([entry], by)

    async def revoke(self, name: str, *, by: str | None = None) -> None:
        """Somebody may do nothing any more, and who acts for them neither; keys and delegations end with it."""
        by = self._by(by)
        async with self._changing(by, "manage-people") as directory:
            await self._enter(registration.revoked(directory, name, by=by), by)

    async def make_key(self, name: str, *, by: str | None = None, expires: str | None = None) -> str:
        """A new key for somebody. It is in no journal and cannot be had again; without `expires` it is good until revoked."""
        by = self._by(by)
        async with self._changing(by, "manage-people") as directory:
            key, hash = new_key(self._runner.clock.entropy)
            entry = registration.key_made(
                directory, name, id=id_of(key), hash=hash, expires=expires, at=self._stamp(), by=by
            )
            await self._enter([entry], by)
        return key

    async def revoke_key(self, key_id: str, *, by: str | None = None) -> None:
        """End a key, named by its id: the part between the underscores."""
        by = self._by(by)
        async with self._changing(by, "manage-people") as directory:
            await self._enter([registration.key_revoked(directory, key_id, by=by)], by)

    async def delegate(
        self, from_: str, to: str, *, until: str, start: str | None = None, queue: str | None = None,
        by: str | None = None,
    ) -> None:  # fmt: skip
        """Make `to` the substitute of `from_`, from `start` (default: now) until just before `until`."""
        by = self._by(by)
        async with self._changing(by, "delegate") as directory:
            entry = registration.delegated(
                directory, from_, to, until=until, start=start, queue=queue, at=self._stamp(), by=by
            )
            await self._enter([entry], by)

    async def undelegate(self, from_: str, to: str, *, queue: str | None = None, by: str | None = None) -> None:
        """End a delegation before its time."""
        by = self._by(by)
        async with self._changing(by, "delegate") as directory:
            await self._enter([registration.delegation_ended(directory, from_, to, queue=queue, by=by)], by)

    @asynccontextmanager
    async def _changing(self, by: str, what: Capability) -> AsyncGenerator[Directory]:
        """The directory, for one change at a time by somebody who may act; what is not allowed is recorded."""
        async with self._registering:
            with self._recorded(by, what):
                self._check_active(by)
                yield self._runner.directory

    async def _enter(self, entries: list[Entry], by: str) -> None:
        """Record entries in one turn of the loop, so that they are in one commit."""
        record = self._runner.system.record
        await asyncio.gather(*[record(each.what, each.subject, each.detail, by=by) for each in entries])
