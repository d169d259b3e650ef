"""Values that lie beside the journal, in `blobs`, under the digest of their content.

A row is the value or, where that is shorter, the value deflated. The digest is always that of the value, and whoever reads
one checks it. A value of at most OFFLOAD_BYTES is put back for readers where its event keeps the reference, so that nobody
who looks at a case has to know where it lies; what computes hashes goes on using the body as it was written.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, Final, TypeVar, cast

from backstay.events import Event
from backstay.store.database import Reader
from backstay.store.journal import Write

OFFLOAD_BYTES: Final = 64 * 1024
"""No value that is larger stands in an event, as it is recorded or as it is read."""

LARGEST_DEFLATED: Final = 1024 * 1024
"""A larger value is kept as it is: deflating it would hold the event loop up. So nothing inflates to more than this."""

LEVEL: Final = 1
"""Of zlib: level 6 leaves a twentieth less of a mail, and takes several times as long over large values."""

SCHEME: Final = "blob:"
NAMED: Final = re.compile(r'"blob:([0-9a-f]{64})"')

E = TypeVar("E", bound=Event)


def keep(write: Write, data: bytes) -> str:
    """Have a value kept, and return the digest that it lies under."""
    digest = hashlib.sha256(data).hexdigest()
    deflated = zlib.compress(data, LEVEL) if len(data) <= LARGEST_DEFLATED else data
    write.put("blobs", digest, (digest, min(data, deflated, key=len)))
    return digest


def fetch(reader: Reader, digest: str) -> bytes | None:
    """The value under a digest; None when it is missing or damaged."""
    row: bytes | None = reader.value("blob", (digest,))
    return None if row is None else opened(row, digest)


def opened(row: bytes, digest: str, most: int = LARGEST_DEFLATED) -> bytes | None:
    """The value in a row; None when it is damaged, or would inflate to more than `most` bytes."""
    if hashlib.sha256(row).hexdigest() == digest:
        return row
    try:
        data = zlib.decompressobj().decompress(row, most)
    except zlib.error:
        return None
    return data if hashlib.sha256(data).hexdigest() == digest else None


def inlined(reader: Reader, bodies: Iterable[str]) -> dict[str, bytes]:
    """Digest and content of the values that events name and that are small enough to be read with them.

    One that is missing or damaged is left out: its reference stays, and whoever needs the value is told.
    """
    names = {name for body in bodies if SCHEME in body for name in NAMED.findall(body)}
    rows = reader.all("blobs_named", (json.dumps(sorted(names)), OFFLOAD_BYTES)) if names else []
    found = {row["digest"]: opened(row["data"], row["digest"], OFFLOAD_BYTES) for row in rows}
    return {digest: data for digest, data in found.items() if data is not None}


def with_values(event: E, values: Mapping[str, bytes]) -> E:
    """An event with those of its values in place that are given."""
    refs: Mapping[str, str] | None = getattr(event, "refs", None)
    if not values or not refs or not any(_name(ref) in values for ref in refs.values()):
        return event
    told = {field.name: getattr(event, field.name) for field in fields(cast("Any", event))}
    return replace(cast("Any", event), **{"refs": None, **put_back(told, values)})


def put_back(told: dict[str, Any], values: Mapping[str, bytes]) -> dict[str, Any]:
    """The fields of an event with those of its values in place that are given, and without the references to them."""
    refs: dict[str, str] = told.get("refs") or {}
    here = {place: _name(ref) for place, ref in refs.items() if _name(ref) in values}
    for place in sorted(here, key=lambda place: place.count("/")):
        put_at(told, place, json.loads(values[here[place]]))
    left = {place: ref for place, ref in refs.items() if place not in here}
    rest = {name: value for name, value in told.items() if name != "refs"}
    return {**rest, "refs": left} if left else rest


def put_at(root: dict[str, Any], pointer: str, value: Any) -> None:
    """Put a value where a JSON Pointer says (RFC 6901)."""
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    node: Any = root
    for part in parents:
        node = node[int(part)] if isinstance(node, list) else node[part]
    if isinstance(node, list):
        node[int(last)] = value
    else:
        node[last] = value


def _name(ref: str) -> str:
    return ref.removeprefix(SCHEME)
