"""Bound approvals: what a decision is tied to, and who may not make it."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, cast

from backstay.canonical import digest
from backstay.errors import NotAllowed
from backstay.types import Json


def call_digest(*, version: str, action: str, interface: str, args: Json) -> str:
    """Digest of exactly this call by exactly this version: a changed argument, action or definition is another call."""
    return digest({"version": version, "action": action, "interface": interface, "arguments": args})


def proposal_digest(
    call: str | None, policy: str, show: Json, evidence: Json, refs: Mapping[str, str] | None = None
) -> str:
    """Digest of what a decision is about: the call, the rules in force, and what was shown as reason and as evidence.

    refs: where the event keeps its large values; those of what was shown count by their own digests.
    """
    parts = {"call": call, "policy": policy, "show": show, "evidence": evidence}
    large = {at: ref for at, ref in (refs or {}).items() if at.startswith(SHOWN) and ref.startswith("blob:")}
    return digest({**parts, "large": large} if large else parts)


SHOWN: Final = ("/show", "/evidence")
"""Where in an approval's event stands what a person is shown."""


def check_decider(*, by: str, requester: str, claimed_by: str | None) -> None:
    """Raise NotAllowed unless `by` may decide: a named person, not the requester, not past somebody else's claim."""
    check_person(by)
    if folded(by) == folded(requester):
        raise NotAllowed(f"{by!r} asked for this and cannot also approve it; somebody else must decide")
    if claimed_by is not None and folded(claimed_by) != folded(by):
        raise NotAllowed(f"{claimed_by!r} has claimed this item; it must be released before {by!r} can decide")


def check_person(by: str) -> None:
    """Raise NotAllowed unless somebody is named: every act of a person is attributable."""
    if not isinstance(cast("Any", by), str) or not folded(by):
        raise NotAllowed("every change needs the name of who asks for it, and a decision a person's name")


@lru_cache(maxsize=1024)
def folded(name: str) -> str:
    """The same person, however typed: width, case, spaces and characters that do not show make no other one."""
    visible = "".join(sign for sign in unicodedata.normalize("NFKC", name) if unicodedata.category(sign) != "Cf")
    return " ".join(visible.casefold().split())
