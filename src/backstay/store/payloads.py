"""Values on their way into and out of the journal: private ones sealed, large ones offloaded.

An event keeps a pseudonym where a private value stood, or null where a large one stood, and its `refs` say where the
value really lies. The pseudonym is keyed, by the installation's key or by that of the person whose value it is: the same
value gives the same token, nobody without the key can guess it, and with the person's key both value and guess are gone.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, TypeVar, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic_core import to_json

from backstay.canonical import canonical
from backstay.errors import OperatorError
from backstay.events import Event, Refs
from backstay.store import blobs
from backstay.store.blobs import OFFLOAD_BYTES, SCHEME, put_at
from backstay.store.database import Reader
from backstay.store.journal import Write
from backstay.store.keyring import MARK, Keyring, People, ValueErased, keyed, people_of, plain_name
from backstay.types import DATA_CLASS, MIN_SECRET, ORIGIN, SUBJECT, Json, Mask

ASIDE_BYTES: Final = 1024
"""What was read, and is larger than this, lies beside the journal. What was shown, decided and done can be read in it."""

REMEMBERED_SCHEMAS: Final = 1000

SHORTEST_NUMBER: Final = 10**8
"""A smaller whole number is nothing that a detector finds."""

EARLY: Final = "early-signal"
"""Class under which a signal is sealed whole that came before anybody knew its type; not all of it is private."""

TOKEN: Final = re.compile(r"[\w-]{1,64}:[0-9a-f]{20}@[0-9a-f]{16}(?:\+[0-9a-f]{16})*")
"""The pseudonym of a value that lies under the keys of people."""

PEOPLE: Final = re.compile(rb":[0-9a-f]{20}@([0-9a-f]{16}(?:\+[0-9a-f]{16})*)")
"""Whom such a pseudonym names, in JSON."""

ERASED: Final = "(erased)"

E = TypeVar("E", bound=Event)


class Found(Protocol):
    """What a detector found in a text: its data class and its place."""

    @property
    def name(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


class Detects(Protocol):
    """Finds private values that nobody tagged; `suspects` is the cheap question about a value written as JSON."""

    def suspects(self, written: str) -> bool: ...
    def find(self, text: str) -> Sequence[Found]: ...


class Secrets(dict[str, str]):
    """The private texts that a run has met, each with its pseudonym."""

    def __init__(self) -> None:
        super().__init__()
        self.short: dict[str, str] = {}
        """Those too short to be searched for. They make no run a private one, so they change no key that it has used."""


class Payloads:
    """Seals, offloads and restores values; `secrets` maps each private text that was met to its pseudonym."""

    def __init__(self, home: Path, reader: Reader, detector: Detects | None = None) -> None:
        self.keyring = Keyring(home, reader)
        self._reader = reader
        self._detector = detector
        self._tagged: dict[int, tuple[Json, bool]] = {}

    # --- writing ---

    def pack(
        self, write: Write, value: Json, pointer: str, refs: Refs, schema: Json = None,
        secrets: Mapping[str, str] | None = None, most: int = OFFLOAD_BYTES,
    ) -> Json:  # fmt: skip
        """Seal what is tagged in `value`, known to the run as private, or detected; then offload it when large.

        pointer: where the value stands in the event. secrets: private texts that the run has met. most: bytes of JSON that
        the event keeps itself; all of OFFLOAD_BYTES where a person would be named whom its other references do not name.
        """
        value = self.seal_tagged(write, value, pointer, refs, schema, secrets)
        if secrets:
            value = self._seal_where(write, value, pointer, refs, lambda part: _known(part, secrets))
        if not value or not isinstance(value, str | list | dict | int):
            return value
        if isinstance(value, int) and abs(value) < SHORTEST_NUMBER:
            return value
        data = to_json(value)
        if self._detector is not None and self._detector.suspects(data.decode()):
            people = only_person(secrets or {})
            value = self._seal_where(write, value, pointer, refs, lambda part: self._detected(part, people))
            data = to_json(value)
        if len(data) > most and (len(data) > OFFLOAD_BYTES or _people_in(data) <= _people_in(to_json(refs))):
            refs[pointer] = SCHEME + blobs.keep(write, data)
            return None
        return value

    def seal_tagged(
        self, write: Write, value: Json, pointer: str, refs: Refs, schema: Json,
        secrets: Mapping[str, str] | None = None,
    ) -> Json:  # fmt: skip
        """Seal what a schema tags in `value`, each under its person's key.

        That is the subject that the nearest model around it names; else the only one that the value, or the run, has.
        """
        if schema is None or not self._is_tagged(schema):
            return value
        subjects = {
            plain_name(part): part for name, part in tagged(value, schema) if name == SUBJECT and part is not None
        }
        person = partial(self.keyring.person, write, secrets=secrets)
        people = person(*subjects.values()) if len(subjects) == 1 else only_person(secrets or {})
        return self._seal_tagged(write, value, schema, schema.get("$defs", {}), pointer, refs, people, person)

    def mac(self, text: str) -> str:
        """Like a digest, but nobody without the installation's key can find the text by trying."""
        return keyed(self.keyring.installation, text)

    def clean(self, text: str, secrets: Mapping[str, str]) -> str:
        """A text for people, with pseudonyms for what the run knows to be private and for what is detected."""
        text = str(redact(text, secrets))
        for found in reversed(self._detector.find(text) if self._detector is not None else ()):
            people, part = only_person(secrets), text[found.start : found.end]
            text = text[: found.start] + self._token(part, found.name, people) + text[found.end :]
        return text

    def mask(self, secrets: Mapping[str, str]) -> Mask:
        """What hides the private texts of a case, and those that are detected, from whoever must not see them."""
        short = secrets.short if isinstance(secrets, Secrets) else {}
        return Mask({**secrets, **short}, partial(self._tokens_in, only_person(secrets)))

    def _tokens_in(self, people: People, text: str) -> dict[str, str]:
        found = self._detector.find(text) if self._detector is not None else ()
        return {text[f.start : f.end]: self._token(text[f.start : f.end], f.name, people) for f in found}

    def _seal_where(self, write: Write, value: Json, pointer: str, refs: Refs, judge: Judge) -> Json:
        """Seal each text that is judged private; an object that has one among its keys is sealed whole."""
        if pointer in refs:
            return value
        if isinstance(value, dict) and not any(judge(key) for key in value):
            return {k: self._seal_where(write, v, f"{pointer}/{escape(k)}", refs, judge) for k, v in value.items()}
        if isinstance(value, list):
            return [self._seal_where(write, v, f"{pointer}/{n}", refs, judge) for n, v in enumerate(value)]
        verdict = judge(canonical(value) if isinstance(value, dict) else value)
        return value if verdict is None else self.seal(write, value, verdict[0], pointer, refs, verdict[1])

    def suspects(self, text: bytes) -> bool:
        """Whether JSON may hold something that a detector finds: a quick look that may say yes for nothing."""
        return self._detector is not None and self._detector.suspects(text.decode())

    def _detected(self, value: Json, people: People) -> Verdict | None:
        """Of which class the first thing is that the detector finds in a scalar."""
        if self._detector is None or not isinstance(value, str | int) or isinstance(value, bool):
            return None
        found = self._detector.find(str(value))
        return (found[0].name, people) if found else None

    def _is_tagged(self, schema: dict[str, Json]) -> bool:
        """Whether anything in a schema is private; remembered, as most schemas live as long as what declares them."""
        known = self._tagged.get(id(schema))
        if known is None or known[0] is not schema:
            if len(self._tagged) >= REMEMBERED_SCHEMAS:
                self._tagged.clear()
            known = self._tagged[id(schema)] = (schema, DATA_CLASS in json.dumps(schema))
        return known[1]

    def _seal_tagged(
        self, write: Write, value: Json, node: Json, defs: Json, pointer: str, refs: Refs, people: People,
        person: Callable[[Json], People],
    ) -> Json:  # fmt: skip
        node = resolved(node, defs)
        if DATA_CLASS in node and value is not None:
            return self.seal(write, value, node[DATA_CLASS], pointer, refs, people)
        if isinstance(value, dict):
            own = [value[k] for k, part in node.get("properties", {}).items() if _names_subject(part, value.get(k))]
            people = person(own[0]) if len(own) == 1 else people
        for branch in branches(node):
            value = self._seal_tagged(write, value, branch, defs, pointer, refs, people, person)
        if isinstance(value, dict):
            return {
                k: self._seal_tagged(write, v, child(node, k), defs, f"{pointer}/{escape(k)}", refs, people, person)
                for k, v in value.items()
            }
        if isinstance(value, list):
            return [
                self._seal_tagged(write, v, child(node, n), defs, f"{pointer}/{n}", refs, people, person)
                for n, v in enumerate(value)
            ]
        return value

    def seal(self, write: Write, value: Json, data_class: str, pointer: str, refs: Refs, people: People = ()) -> str:
        """Store a private value encrypted and return its pseudonym."""
        if pointer in refs:  # a second branch of a union describes the same place
            return str(value)
        text = canonical(value)
        token = self._token(text, data_class, people)
        nonce = os.urandom(12)
        cipher = AESGCM(self.keyring.of(people)).encrypt(nonce, text.encode("utf-8", "surrogatepass"), token.encode())
        write.put("sealed", token, (token, nonce + cipher))
        refs[pointer] = f"seal:{token}"
        return token

    def _token(self, text: str, data_class: str, people: People) -> str:
        whose = MARK + "+".join(people) if people else ""
        mac = keyed(self.keyring.of(people), f"{data_class}\0{text}")
        return f"{data_class}:{mac[:20]}{whose}"

    # --- reading ---

    def restore(self, event: E, secrets: dict[str, str], erased: list[str] | None = None) -> E:
        """The event with its real values; private texts among them are added to `secrets`.

        erased: takes the pseudonyms of values that are gone, which then stand for them. Without it, ValueErased is raised.
        """
        refs: Refs | None = getattr(event, "refs", None)
        if not refs:
            return event
        changed = {field.name: getattr(event, field.name) for field in fields(cast("Any", event))}
        # A sealed value may lie inside an offloaded or a sealed one: the outer one first.
        for pointer, ref in sorted(
            refs.items(), key=lambda item: (not item[1].startswith("blob:"), item[0].count("/"))
        ):
            try:
                put_at(changed, pointer, self._fetch(ref, secrets))
            except ValueErased:
                if erased is None:
                    raise
                erased.append(ref.removeprefix("seal:"))
        return replace(cast("Any", event), **{name: changed[name] for name in {p.split("/")[1] for p in refs}})

    def mark_erased(self, event: E) -> E:
        """The event for people to read: "(erased)" where a pseudonym stands whose value is gone."""
        return marked(event, self.keyring.erased())

    def _fetch(self, ref: str, secrets: dict[str, str]) -> Json:
        scheme, _, name = ref.partition(":")
        if scheme == "blob":
            data = blobs.fetch(self._reader, name)
            if data is None:
                raise OperatorError(
                    f"the offloaded value {name[:12]} is missing or damaged; restore the store from a backup"
                )
            return json.loads(data)
        value = self.open_sealed(name)
        if name.startswith(f"{SUBJECT}:"):
            secrets[name] = name  # so that the run knows its person, however short their name is
        for text in () if name.startswith(f"{EARLY}:") else _texts(value):
            if len(text) >= MIN_SECRET:
                secrets[text] = name
                for found in self._detector.find(text) if self._detector is not None else ():
                    secrets[text[found.start : found.end]] = name
            elif isinstance(secrets, Secrets):
                secrets.short[text] = name
        return value

    def open_sealed(self, token: str) -> Json:
        """The private value behind a pseudonym."""
        cipher = self._reader.value("sealed", (token,))
        if cipher is None:
            raise OperatorError(f"the sealed value {token!r} is missing; restore the store from a backup")
        try:
            key = self.keyring.of(people_of(token))
            return json.loads(AESGCM(key).decrypt(cipher[:12], cipher[12:], token.encode()))
        except InvalidTag:
            raise OperatorError(
                f"the sealed value {token!r} is damaged, or {self.keyring.path.name!r} is not its key"
            ) from None


def _people_in(data: bytes) -> set[bytes]:
    return {person for found in PEOPLE.findall(data) for person in found.split(b"+")}


def marked(value: Any, gone: Collection[str]) -> Any:
    """A value or event for people to read: "(erased)" where a pseudonym stands of somebody who is gone."""
    if not gone:
        return value
    if isinstance(value, str):
        return TOKEN.sub(lambda found: found[0] if set(gone).isdisjoint(people_of(found[0])) else ERASED, value)
    if isinstance(value, list | tuple):
        return type(value)(marked(item, gone) for item in cast("Sequence[Any]", value))
    if isinstance(value, dict):
        return {marked(key, gone): marked(item, gone) for key, item in cast("dict[str, Any]", value).items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: marked(getattr(value, field.name), gone) for field in fields(value)})
    return value


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


Verdict: TypeAlias = tuple[str, People]
"""Under which data class and whose keys something is sealed."""

Judge: TypeAlias = Callable[[Json], Verdict | None]


def _known(value: Json, secrets: Mapping[str, str]) -> Verdict | None:
    """Whose private texts a scalar is or contains; it is gone with any of them."""
    if isinstance(value, str):
        found = [token for text, token in secrets.items() if text in value]
        first = secrets.get(value, found[0] if found else "")
    else:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        first = secrets.get(str(value), "") if is_number else ""
        found = [first] if first else []
    if not first:
        return None
    people = {person for token in found for person in people_of(token)}
    return first.partition(":")[0], tuple(sorted(people)) or only_person(secrets)


def only_person(secrets: Mapping[str, str]) -> People:
    """The person whom a run is about, if it has met exactly one."""
    met = {token for token in secrets.values() if token.startswith(f"{SUBJECT}:")}
    people = {people_of(token) for token in met}
    return people.pop() if len(people) == 1 else ()


# --- schemas ------------------------------------------------------------------------------------------


def resolved(node: Json, defs: Json) -> Json:
    """A node of a schema, or what it refers to; a tag at the reference counts."""
    if "$ref" not in node:
        return node
    own = {k: v for k, v in node.items() if k in (DATA_CLASS, ORIGIN)}
    return {**defs.get(node["$ref"].rpartition("/")[2], {}), **own}


def branches(node: Json) -> tuple[Json, ...]:
    return (*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ()))


def child(node: Json, key: str | int) -> Json:
    """What a schema says about a member of an object, or an element of a list."""
    if isinstance(key, str):
        found = node.get("properties", {}).get(key, node.get("additionalProperties"))
    else:
        prefix = node.get("prefixItems", ())
        found = prefix[key] if key < len(prefix) else node.get("items")
    return found if isinstance(found, dict) else {}


def _names_subject(node: Json, value: Json) -> bool:
    return value is not None and SUBJECT in [part.get(DATA_CLASS) for part in (node, *branches(node))]


def tagged(value: Json, schema: Json) -> Iterator[tuple[str, Json]]:
    """The data class and value of everything in `value` that a schema tags."""

    def walk(value: Json, node: Json) -> Iterator[tuple[str, Json]]:
        node = resolved(node, schema.get("$defs", {}))
        if DATA_CLASS in node:
            yield node[DATA_CLASS], value
        for branch in branches(node):
            yield from walk(value, branch)
        members: Iterable[tuple[str | int, Json]] = ()
        if isinstance(value, dict):
            members = value.items()
        elif isinstance(value, list):
            members = enumerate(value)
        for key, item in members:
            yield from walk(item, child(node, key))

    return walk(value, schema)


def from_outside(value: Json, schema: Json) -> list[str]:
    """JSON pointers of everything in `value` that a schema says outsiders write."""
    if schema is None or ORIGIN not in str(schema):
        return []
    found: list[str] = []

    def walk(value: Json, node: Json, pointer: str) -> None:
        node = resolved(node, schema.get("$defs", {}))
        if ORIGIN in node:
            found.append(pointer)
            return
        for branch in branches(node):
            walk(value, branch, pointer)
        members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in cast("Iterable[tuple[str | int, Json]]", members):
            walk(item, child(node, key), f"{pointer}/{escape(str(key))}")

    walk(value, schema, "")
    return found


def free_keys(value: Json, schema: Json, name: str) -> list[str]:
    """The keys in an argument that its schema does not name: these are data."""
    if not isinstance(value, dict | list):
        return []
    defs, found = schema.get("$defs", {}), list[str]()

    def walk(value: Json, nodes: list[Json]) -> None:
        nodes = [resolved(node, defs) for node in nodes]
        nodes += [resolved(branch, defs) for node in nodes for branch in branches(node)]
        if isinstance(value, list):
            for place, item in enumerate(cast("list[Json]", value)):
                walk(item, [child(node, place) for node in nodes])
        elif isinstance(value, dict):
            named = {key for node in nodes for key in node.get("properties", ())}
            found.extend(key for key in cast("dict[str, Json]", value) if key not in named)
            for key, item in cast("dict[str, Json]", value).items():
                walk(item, [child(node, key) for node in nodes])

    walk(value, [child(schema, name)])
    return found


def private_texts(value: Json, schema: Json) -> list[str]:
    """The texts in `value` that a schema tags as private and that are long enough to be searched for."""
    return [text for _, part in tagged(value, schema) for text in _texts(part) if len(text) >= MIN_SECRET]


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
