"""Values on their way into and out of the journal: private ones sealed, large ones offloaded.

An event keeps a pseudonym where a private value stood, or null where a large one stood, and its `refs` say where the
value really lies. The pseudonym is keyed: the same value gives the same token, and nobody without the key can guess it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic_core import to_json

from backstay.errors import OperatorError
from backstay.events import Event, Refs
from backstay.store.database import Reader
from backstay.store.journal import Write
from backstay.types import DATA_CLASS, Json, canonical

OFFLOAD_BYTES: Final = 64 * 1024
"""A value larger than this lies beside the journal, under the digest of its content."""

REMEMBERED_SCHEMAS: Final = 1000

MIN_SECRET: Final = 4
"""Shorter private values are sealed in their own field but not searched for in other text."""

EARLY: Final = "early-signal"
"""Class under which a signal is sealed whole that came before anybody knew its type; not all of it is private."""

E = TypeVar("E", bound=Event)


class Payloads:
    """Seals, offloads and restores values; `secrets` maps each private text that was met to its pseudonym."""

    def __init__(self, home: Path, reader: Reader) -> None:
        self._path = home / "seal.key"
        self._reader = reader
        self._key: bytes | None = None
        self._tagged: dict[int, tuple[Json, bool]] = {}

    # --- writing ---

    def pack(
        self, write: Write, value: Json, pointer: str, refs: Refs, schema: Json = None,
        secrets: Mapping[str, str] | None = None,
    ) -> Json:  # fmt: skip
        """Seal what the schema tags in `value` and what the run knows to be private, then offload it when large.

        pointer: where the value stands in the event. secrets: private texts that the run has met.
        """
        value = self.seal_tagged(write, value, pointer, refs, schema)
        if secrets:
            value = self._seal_known(write, value, pointer, refs, secrets)
        if isinstance(value, str | list | dict) and value:
            data = to_json(value)
            if len(data) > OFFLOAD_BYTES:
                digest = hashlib.sha256(data).hexdigest()
                write.put("blobs", digest, (digest, data))
                refs[pointer] = f"blob:{digest}"
                return None
        return value

    def seal_tagged(self, write: Write, value: Json, pointer: str, refs: Refs, schema: Json) -> Json:
        """Seal what a schema tags in `value`."""
        if schema is not None and self._is_tagged(schema):
            return self._seal_tagged(write, value, schema, schema.get("$defs", {}), pointer, refs)
        return value

    def mac(self, text: str) -> str:
        """Like a digest, but nobody without the installation's key can find the text by trying."""
        return hmac.new(self.key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    def _seal_known(self, write: Write, value: Json, pointer: str, refs: Refs, secrets: Mapping[str, str]) -> Json:
        """Seal each text that is, or contains, a private text; an object that has one among its keys is sealed whole."""
        if pointer in refs:
            return value
        if isinstance(value, dict) and not any(_secret_in(key, secrets) for key in value):
            return {k: self._seal_known(write, v, f"{pointer}/{escape(k)}", refs, secrets) for k, v in value.items()}
        if isinstance(value, list):
            return [self._seal_known(write, v, f"{pointer}/{n}", refs, secrets) for n, v in enumerate(value)]
        text = _secret_in(value, secrets)
        return value if text is None else self.seal(write, value, secrets[text].partition(":")[0], pointer, refs)

    def _is_tagged(self, schema: dict[str, Json]) -> bool:
        """Whether anything in a schema is private; remembered, as most schemas live as long as what declares them."""
        known = self._tagged.get(id(schema))
        if known is None or known[0] is not schema:
            if len(self._tagged) >= REMEMBERED_SCHEMAS:
                self._tagged.clear()
            known = self._tagged[id(schema)] = (schema, DATA_CLASS in json.dumps(schema))
        return known[1]

    def _seal_tagged(self, write: Write, value: Json, node: Json, defs: Json, pointer: str, refs: Refs) -> Json:
        if "$ref" in node:
            node = {
                **defs.get(node["$ref"].rpartition("/")[2], {}),
                **{k: v for k, v in node.items() if k == DATA_CLASS},
            }
        if DATA_CLASS in node and value is not None:
            return self.seal(write, value, node[DATA_CLASS], pointer, refs)
        for branch in (*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())):
            value = self._seal_tagged(write, value, branch, defs, pointer, refs)
        if isinstance(value, dict):
            properties, rest = node.get("properties", {}), node.get("additionalProperties", {})
            rest = rest if isinstance(rest, dict) else {}
            return {
                k: self._seal_tagged(write, v, properties.get(k, rest), defs, f"{pointer}/{escape(k)}", refs)
                for k, v in value.items()
            }
        if isinstance(value, list):
            prefix, items = node.get("prefixItems", ()), node.get("items", {})
            items = items if isinstance(items, dict) else {}
            return [
                self._seal_tagged(write, v, prefix[n] if n < len(prefix) else items, defs, f"{pointer}/{n}", refs)
                for n, v in enumerate(value)
            ]
        return value

    def seal(self, write: Write, value: Json, data_class: str, pointer: str, refs: Refs) -> str:
        """Store a private value encrypted and return its pseudonym."""
        if pointer in refs:  # a second branch of a union describes the same place
            return str(value)
        text = canonical(value)
        mac = hmac.new(self.key, f"{data_class}\0{text}".encode("utf-8", "surrogatepass"), hashlib.sha256)
        token = f"{data_class}:{mac.hexdigest()[:20]}"
        nonce = os.urandom(12)
        cipher = nonce + AESGCM(self.key).encrypt(nonce, text.encode("utf-8", "surrogatepass"), token.encode())
        write.put("sealed", token, (token, cipher))
        refs[pointer] = f"seal:{token}"
        return token

    # --- reading ---

    def restore(self, event: E, secrets: dict[str, str]) -> E:
        """The event with its real values; private texts among them are added to `secrets`."""
        refs: Refs | None = getattr(event, "refs", None)
        if not refs:
            return event
        changed = {field.name: getattr(event, field.name) for field in fields(cast("Any", event))}
        # A sealed value may lie inside an offloaded or a sealed one: the outer one first.
        for pointer, ref in sorted(
            refs.items(), key=lambda item: (not item[1].startswith("blob:"), item[0].count("/"))
        ):
            _put_at(changed, pointer, self._fetch(ref, secrets))
        return replace(cast("Any", event), **{name: changed[name] for name in {p.split("/")[1] for p in refs}})

    def _fetch(self, ref: str, secrets: dict[str, str]) -> Json:
        scheme, _, name = ref.partition(":")
        if scheme == "blob":
            data = self._reader.value("blob", (name,))
            if data is None or hashlib.sha256(data).hexdigest() != name:
                raise OperatorError(
                    f"the offloaded value {name[:12]} is missing or damaged; restore the store from a backup"
                )
            return json.loads(data)
        value = self.open_sealed(name)
        for text in () if name.startswith(f"{EARLY}:") else _texts(value):
            if len(text) >= MIN_SECRET:
                secrets[text] = name
        return value

    def open_sealed(self, token: str) -> Json:
        """The private value behind a pseudonym."""
        cipher = self._reader.value("sealed", (token,))
        if cipher is None:
            raise OperatorError(f"the sealed value {token!r} is missing; restore the store from a backup")
        try:
            return json.loads(AESGCM(self.key).decrypt(cipher[:12], cipher[12:], token.encode()))
        except InvalidTag:
            raise OperatorError(
                f"the sealed value {token!r} is damaged, or {self._path.name!r} is not its key"
            ) from None

    @property
    def key(self) -> bytes:
        """The installation's key, made when the first private value is met; readable by the owner only."""
        if self._key is None:
            if not self._path.exists():
                if self._reader.one("sealed_any") is not None:
                    raise OperatorError(f"{self._path.name!r} is missing: private values cannot be read; restore it")
                self._make_key()
            self._key = self._path.read_bytes()
        return self._key

    def _make_key(self) -> None:
        """Whole or not at all: a key file that a crash left half written would lock every private value away."""
        fresh = self._path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(AESGCM.generate_key(256))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)


def redact(value: Json, secrets: Mapping[str, str]) -> Json:
    """Replace every private text that stands anywhere in `value` by its pseudonym."""
    if not secrets:
        return value
    if isinstance(value, str):
        for text in sorted((text for text in secrets if text in value), key=len, reverse=True):
            value = value.replace(text, secrets[text])
        return value
    if isinstance(value, dict):
        return {redact(key, secrets): redact(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [redact(item, secrets) for item in value]
    return value


def _secret_in(value: Json, secrets: Mapping[str, str]) -> str | None:
    """A private text that a scalar is or contains (of an object: its keys)."""
    if isinstance(value, dict):
        return next((text for key in value if (text := _secret_in(key, secrets)) is not None), None)
    if isinstance(value, str):
        return value if value in secrets else next((text for text in secrets if text in value), None)
    if isinstance(value, int | float) and not isinstance(value, bool) and str(value) in secrets:
        return str(value)
    return None


def private_texts(value: Json, schema: Json) -> list[str]:
    """The texts in `value` that a schema tags as private and that are long enough to be searched for."""
    found: list[str] = []

    def walk(value: Json, node: Json) -> None:
        if "$ref" in node:
            walk(value, schema.get("$defs", {}).get(node["$ref"].rpartition("/")[2], {}))
        if DATA_CLASS in node:
            found.extend(text for text in _texts(value) if len(text) >= MIN_SECRET)
        for branch in (*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())):
            walk(value, branch)
        rest = node.get("additionalProperties", {}) if isinstance(value, dict) else node.get("items", {})
        rest = rest if isinstance(rest, dict) else {}
        if isinstance(value, dict):
            for key, item in value.items():
                walk(item, node.get("properties", {}).get(key, rest))
        elif isinstance(value, list):
            prefix = node.get("prefixItems", ())
            for place, item in enumerate(value):
                walk(item, prefix[place] if place < len(prefix) else rest)

    walk(value, schema)
    return found


def _texts(value: Json) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [str(value)] if isinstance(value, int | float) and not isinstance(value, bool) else []


def escape(key: str) -> str:
    """JSON Pointer escaping (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def _put_at(root: dict[str, Any], pointer: str, value: Json) -> None:
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    node: Any = root
    for part in parents:
        node = node[int(part)] if isinstance(node, list) else node[part]
    if isinstance(node, list):
        node[int(last)] = value
    else:
        node[last] = value
