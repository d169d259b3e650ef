"""Checks a case file with the Python standard library alone: copy this one file anywhere and run it.

It recomputes hash chains, definitions, decision digests, inclusion proofs and the checkpoint's signature, says in plain
words what that proves and what it does not. It imports nothing of Backstay on purpose.
"""

from __future__ import annotations

import argparse
import ast
import base64
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = "backstay.case/1"
Fields = dict[str, Any]


def genesis(run: str) -> bytes:
    """Where a run's chain begins."""
    return hashlib.sha256(b"backstay run\0" + run.encode()).digest()


def link(previous: bytes, run: str, seq: int, kind: str, body: str) -> bytes:
    """An event's chain hash: SHA-256 over the hash before it, run, seq, kind and body."""
    return hashlib.sha256(previous + f"{run}\0{seq}\0{kind}\0{body}".encode("utf-8", "surrogatepass")).digest()


def record_leaf(position: int, seq: int, chained: bytes, run: str) -> bytes:
    """The leaf of one record: position and seq as 8 bytes each, big-endian; its 32-byte chain hash; its run in UTF-8."""
    return position.to_bytes(8, "big") + seq.to_bytes(8, "big") + chained + run.encode()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def _climb(at: int, last: int, node: bytes, proof: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Roots of the tree that ends at a node and of the whole one, by a proof; None when its length does not fit."""
    old = new = node
    for other in proof:
        if last == 0:
            return None
        if at & 1 or at == last:
            old, new = _node(other, old), _node(other, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = _node(new, other)
        at, last = at >> 1, last >> 1
    return None if last else (old, new)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `leaf` is number `index` (from 0) of the `size` leaves under `root` (RFC 9162, section 2.1.3.2)."""
    found = _climb(index, size - 1, hashlib.sha256(b"\0" + leaf).digest(), proof) if 0 <= index < size else None
    return found is not None and found[1] == root


def verify_consistency(old: int, size: int, proof: Sequence[bytes], old_root: bytes, root: bytes) -> bool:
    """Whether the tree of `size` leaves under `root` begins with that of `old` leaves (RFC 9162, section 2.1.4.2)."""
    if old == size:
        return not proof and old_root == root
    if not 0 < old < size or not proof:
        return False
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    return _climb(at, last, path[0], path[1:]) == (old_root, root)


P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int, int, int]  # extended homogeneous coordinates


def _add(a: Point, b: Point) -> Point:
    e, f = (a[1] - a[0]) * (b[1] - b[0]), (a[1] + a[0]) * (b[1] + b[0])
    g, h = 2 * a[3] * b[3] * D, 2 * a[2] * b[2]
    w, x, y, z = f - e, h - g, h + g, f + e
    return w * x % P, y * z % P, x * y % P, w * z % P


def _times(number: int, point: Point) -> Point:
    total: Point = (0, 1, 1, 0)
    while number:
        if number & 1:
            total = _add(total, point)
        point, number = _add(point, point), number >> 1
    return total


def _point(data: bytes) -> Point:
    number = int.from_bytes(data, "little")
    y, sign = number & (1 << 255) - 1, number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * pow(2, (P - 1) // 4, P) % P
    if len(data) != 32 or y >= P or (x * x - square) % P or (x == 0 and sign):
        raise ValueError("this is no point of the curve")
    x = x if x & 1 == sign else P - x
    return x, y, 1, x * y % P


BASE = _point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def verify_ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) over `message` was made with the private key of `public` (RFC 8032, 5.1.7)."""
    try:
        key, r, s = _point(public), _point(signature[:32]), int.from_bytes(signature[32:], "little")
    except ValueError:
        return False
    if len(signature) != 64 or s >= ORDER:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    one, two = _times(s, BASE), _add(r, _times(h, key))
    return (one[0] * two[2] - two[0] * one[2]) % P == 0 and (one[1] * two[2] - two[1] * one[2]) % P == 0


@dataclass(frozen=True)
class Checkpoint:
    """A log's name, how many records it holds, and the root of the tree over them."""

    origin: str
    size: int
    root: bytes

    @property
    def body(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def key_id(name: str, public: bytes) -> bytes:
    """The four bytes by which a signature line names its key."""
    return hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]


def read_key(text: str) -> tuple[str, bytes]:
    """Name and 32 bytes of a public key as NAME+ID+BASE64; raises ValueError."""
    name, number, encoded = text.strip().split("+", 2)
    data = base64.b64decode(encoded, validate=True)
    if not name or len(data) != 33 or data[0] != 1 or key_id(name, data[1:]).hex() != number:
        raise ValueError("this is no Ed25519 verifier key of the form NAME+ID+BASE64")
    return name, data[1:]


def read_checkpoint(note: str, key: str, check: Callable[[bytes, bytes, bytes], bool] = verify_ed25519) -> Checkpoint:
    """The checkpoint of a signed note; raises ValueError unless `key` has signed it."""
    name, public = read_key(key)
    text, gap, signatures = note.rpartition("\n\n")
    lines = text.split("\n")
    if not gap or len(lines) < 3 or not lines[0] or not lines[1].isascii() or not lines[1].isdigit():
        raise ValueError("this is no signed checkpoint")
    found = Checkpoint(lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True))
    if lines[1] != str(found.size) or len(found.root) != 32:
        raise ValueError("this is no signed checkpoint")
    for line in signatures.splitlines():
        dash, signer, encoded = [*line.split(" "), "", ""][:3]
        signed = base64.b64decode(encoded) if dash == "\u2014" and signer == name else b""
        if signed[:4] == key_id(name, public) and check(public, f"{text}\n".encode(), signed[4:]):
            return found
    raise ValueError(f"the checkpoint bears no valid signature of the key {name!r}")


def canonical(value: Any) -> str:
    """JSON in canonical form."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: str(key).encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{canonical(key)}:{canonical(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    return _number(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    """As ECMAScript writes it: section 3.2.2.3 of the RFC."""
    if value == 0:
        return "0"
    sign, (mantissa, _, exponent) = "-" * (value < 0), repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).strip("0") or "0"
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len((whole + fraction).lstrip("0")))
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    return f"{sign}{digits[0]}{'.' * (len(digits) > 1)}{digits[1:]}e{point - 1:+d}"


def digest(value: Any) -> str:
    """SHA-256 over the canonical form."""
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()


UNHASHED = frozenset({"type_comment", "type_ignores", "kind", "ctx", "type_params"})
DOCUMENTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def tree_digest(source: str) -> str:
    """Digest of what a piece of source means: comments, layout and docstrings do not count."""
    return hashlib.sha256(json.dumps(_plain(ast.parse(source).body[0]), separators=(",", ":")).encode()).hexdigest()


def _plain(node: Any) -> Any:
    if isinstance(node, ast.AST):
        fields = [(name, value) for name, value in ast.iter_fields(node) if name not in UNHASHED]
        kept = [_code(value) if name == "body" and isinstance(node, DOCUMENTED) else value for name, value in fields]
        return [type(node).__name__, *(_plain(value) for value in kept)]
    if isinstance(node, list):
        return [_plain(item) for item in node]
    return {type(node).__name__: str(node) if isinstance(node, str | bool | int) or node is None else repr(node)}


def _code(body: list[ast.stmt]) -> list[ast.stmt]:
    return [s for s in body if not (isinstance(s, ast.Expr) and isinstance(getattr(s.value, "value", None), str))]


ANSWERED = {"approval_decided": "approval", "vote_cast": "vote", "task_completed": "task",
            "call_settled": "settlement", "call_retried": "retry"}  # fmt: skip
OUTCOMES = {
    "call_returned": "returned", "attempt_failed": "attempt failed", "call_failed": "failed", "call_denied": "denied",
    "call_queued": "queued", "call_unknown": "unknown", "call_settled": "settled: ",
}  # fmt: skip
ENDS = ("run_finished", "run_failed", "run_cancelled")
KEYS = frozenset("format case runs definitions decisions effects rules checkpoint key consistency values".split())
EVENT_KEYS = frozenset(("position", "seq", "kind", "body", "hash", "proof"))
"""All that a case file and its events may hold: what this verifier does not check has no place in them."""


def read_events(run: Fields) -> Iterator[tuple[int, str, Fields]]:
    """Number, kind and fields of each event of a run in a case file."""
    for event in run["events"]:
        yield event["seq"], event["kind"], json.loads(event["body"])


def decisions(run: Fields) -> list[Fields]:
    """Who decided what and when, and what it was bound to; one row per answer."""
    asked: dict[str, tuple[int, Fields]] = {}
    found: list[Fields] = []
    for seq, kind, event in read_events(run):
        if kind in ("approval_requested", "task_opened", "call_unknown", "call_queued"):
            asked[event["command"]] = seq, event
        if kind in ANSWERED:
            number, question = asked.get(event["command"], (None, {}))
            verdict = event.get("verdict") or event.get("outcome") or {"task_completed": "done"}.get(kind, "retried")
            found.append({
                "run": run["run"], "command": event["command"], "kind": ANSWERED[kind], "asked": number, "decided": seq,
                "verdict": verdict, "at": event["at"], "asked_at": question.get("at"), "digest": question.get("digest"),
                "queue": question.get("queue", ""), "action": question.get("action"),
                **{name: event.get(name, "") for name in ("by", "behalf", "reason")},
            })  # fmt: skip
    return found


def effects(run: Fields) -> list[Fields]:
    """What was done outside under which key, rule and approval, and what came back; one row per intent."""
    open_: dict[str, Fields] = {}
    found: list[Fields] = []
    for seq, kind, event in read_events(run):
        command = event.get("command", "")
        if kind == "call_intended":
            open_[command] = row = {
                "run": run["run"], "command": command, "intended": seq, "ended": None, "at": event["at"],
                "action": event["action"], "effect": event["effect"], "key": event["key"],
                "attempt": event.get("attempt", 1), "rule": event.get("rule", ""), "approval": event.get("approval"),
                "outcome": "not recorded", "result": None,
            }  # fmt: skip
            found.append(row)
        elif command in open_ and kind in OUTCOMES:
            open_[command] |= {"ended": seq, "outcome": OUTCOMES[kind] + event.get("outcome", ""),
                               "result": event.get("result")}  # fmt: skip
    return found


def rules(run: Fields) -> list[Fields]:
    """Which rules and rows of tables decided what, on which values."""
    rows = [(seq, told) for seq, _, event in read_events(run) for told in event.get("path") or ()]
    return [{"run": run["run"], "event": seq, **told} for seq, told in rows if told.get("kind") in ("rule", "table")]


@dataclass
class Verdict:
    """What a case file proves, what it leaves open, and what is wrong with it, each in plain words."""

    proved: list[str] = field(default_factory=list[str])
    unproved: list[str] = field(default_factory=list[str])
    wrong: list[str] = field(default_factory=list[str])

    @property
    def ok(self) -> bool:
        return not self.wrong


def verify(case: Any, *, key: str | None = None, held: str | None = None) -> Verdict:
    """Check a case file, given as JSON. key: the public key, from elsewhere. held: an older checkpoint that was kept."""
    verdict = Verdict()
    try:
        _Case(case, verdict).check(key, held)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, SyntaxError, TypeError, ValueError) as error:
        verdict.wrong.append(f"the case file cannot be read: {type(error).__name__}: {error}")
    return verdict


class _Case:
    def __init__(self, case: Any, verdict: Verdict) -> None:
        self.case, self.runs, self.documents = case, list[Fields](case["runs"]), dict[str, Fields]()
        self.proved, self.unproved, self.wrong = verdict.proved.append, verdict.unproved.append, verdict.wrong.append
        self.verdict, self.values = verdict, Fields(case.get("values", {}))

    def check(self, key: str | None, held: str | None) -> None:
        odd = (self.case.keys() ^ KEYS) - ({"values"} - self.case.keys())  # earlier versions wrote no values
        if odd or self.case["format"] != FORMAT:
            self.wrong(f"it is not of the form {FORMAT}, or has unchecked: {', '.join(sorted(odd))}")
        known = (key or self.case["key"]).strip()
        checkpoint = self.signed(known, pinned=key is not None)
        for run in self.runs:
            self.chain(run, checkpoint)
            self.shown(run)
        if checkpoint is not None:
            self.extends(checkpoint, known, held)
        self.complete()
        self.definitions()
        self.large()
        for name, derive in (("decisions", decisions), ("effects", effects), ("rules", rules)):
            if self.case[name] != [row for run in self.runs for row in derive(run)]:
                self.wrong(f"the list of {name} is not what the events say")
        keyed = [self.bound(run, effect) for run in self.runs for effect in effects(run) if effect["approval"]]
        self.tell(keyed.count(False), keyed.count(True))

    def signed(self, key: str, *, pinned: bool) -> Checkpoint | None:
        try:
            checkpoint, (_, public) = read_checkpoint(self.case["checkpoint"], key), read_key(key)
        except ValueError as error:
            return self.wrong(str(error))
        self.proved(f"{checkpoint.size} records are signed for by the key {hashlib.sha256(public).hexdigest()}.")
        if not pinned:
            self.unproved("Whose key that is: the file brought it along. Give --key with one from elsewhere.")
        return checkpoint

    def chain(self, run: Fields, checkpoint: Checkpoint | None) -> None:
        """Each event from the first, without a gap, hashed over the one before and in the signed log."""
        name, before = run["run"], genesis(run["run"])
        for number, event in enumerate(run["events"], 1):
            before = link(before, name, number, event["kind"], event["body"])
            if event.keys() != EVENT_KEYS or event["seq"] != number:
                return self.wrong(f"run {name}: event {number} is missing, or not as it must be")
            if before.hex() != event["hash"]:
                return self.wrong(f"run {name}: event {number} ({event['kind']}) is not what was hashed")
            at, proof = event["position"], [base64.b64decode(text) for text in event["proof"]]
            leaf = record_leaf(at, number, before, name)
            if checkpoint and not verify_inclusion(leaf, at - 1, checkpoint.size, proof, checkpoint.root):
                self.wrong(f"run {name}: event {number} is not in the log at position {at}")
        started = json.loads(run["events"][0]["body"])
        if any(run[name] != started.get(name) for name in run.keys() - {"run", "events"}):
            self.wrong(f"run {name}: its heading is not what its first event says")
        return None

    def shown(self, run: Fields) -> None:
        """What was decided on is what was shown, with the rules then in force."""
        asked: dict[str, Fields] = {}
        for seq, kind, event in read_events(run):
            if kind == "approval_requested":
                asked[event["command"]] = event
            elif kind == "approval_decided" and (about := asked.get(event["command"], {})).get("shown"):
                refs = (about.get("refs") or {}).items()
                large = {at: to for at, to in refs if to.startswith("blob:") and at.startswith(("/show", "/evidence"))}
                parts = {name: about.get(name) for name in ("show", "evidence")} | ({"large": large} if large else {})
                parts |= {"call": about.get("digest"), "policy": about.get("policy", "")}
                if not digest(parts) == about["shown"] == event.get("shown"):
                    self.wrong(f"run {run['run']}: the decision of event {seq} is not about what was shown")

    def complete(self) -> None:
        """Runs that the events name are there; a run that has not ended may go on after this file."""
        there = {run["run"] for run in self.runs}
        started = [event["run"] for run in self.runs for _, kind, event in read_events(run) if kind == "child_started"]
        for name in [name for name in (self.case["case"], *started) if name not in there]:
            self.wrong(f"run {name}, the case itself or started by it, is not in the file")
        for run in [run for run in self.runs if run["events"][-1]["kind"] not in ENDS]:
            self.unproved(f"That run {run['run']} has no later events: by these it has not ended.")

    def extends(self, checkpoint: Checkpoint, key: str, held: str | None) -> None:
        """The log begins with the one of a checkpoint that somebody kept."""
        if held is None:
            return self.unproved("That the log was not rewritten before: give --checkpoint with one that you kept.")
        try:
            old = read_checkpoint(held, key)
        except ValueError as error:
            return self.wrong(f"the checkpoint you kept: {error}")
        given = [text for entry in self.case["consistency"] if entry["size"] == old.size for text in entry["proof"]]
        if old.size > checkpoint.size:
            self.wrong(f"the checkpoint you kept covers {old.size} records, the file's {checkpoint.size}: rolled back")
        elif not given and old.size != checkpoint.size:
            self.unproved("That the log begins with the one you kept: export with --checkpoint for that.")
        elif not verify_consistency(
            old.size, checkpoint.size, [*map(base64.b64decode, given)], old.root, checkpoint.root
        ):
            self.wrong("the log does not begin with the one of the checkpoint you kept: it was rewritten")
        else:
            self.proved(f"The log begins with the {old.size} records of the checkpoint you kept, unchanged.")
        return None

    def definitions(self) -> None:
        """Each text is the one whose digest the first event of a run names."""
        texts = self.case["definitions"]
        if texts.keys() != {run["version"] for run in self.runs}:
            self.wrong("the definitions in the file are not those that its runs were started with")
        for version, text in texts.items():
            document = self.documents[version] = json.loads(text)
            trees = {name: tree_digest(source["text"]) for name, source in document.pop("sources").items()}
            if trees != {item["name"]: item["tree"] for item in document["items"]} or digest(document) != version:
                self.wrong(f"the text of definition {version[:12]} is not the one its version names")

    def large(self) -> None:
        """Values that lie beside the log are those that the events name by their digest."""
        named = {ref[5:] for run in self.runs for _, _, event in read_events(run)
                 for ref in (event.get("refs") or {}).values() if ref.startswith("blob:")}  # fmt: skip
        for name, text in self.values.items():
            if name not in named or (text is not None and hashlib.sha256(text.encode()).hexdigest() != name):
                self.wrong(f"the large value {name[:12]} is not one that an event names")
        left = sum(self.values.get(name) is None for name in named)
        if left < len(named):
            self.proved(f"{len(named) - left} large value(s) are the ones that the events name by their digest.")
        if left:
            self.unproved(f"What stands in {left} large value(s): the file leaves them out.")

    def bound(self, run: Fields, effect: Fields) -> bool | None:
        """Check an effect against its approval; True where the digest is keyed, so that only the installation can."""
        approved = (effect["approval"], "approval", "approved")
        answers = [row for row in decisions(run) if row["decided"] < effect["intended"]]
        granted = [row for row in answers if (row["command"], row["kind"], row["verdict"]) == approved]
        where = f"run {run['run']}: the effect of event {effect['intended']}"
        if not granted:
            return self.wrong(f"{where} names an approval that nobody gave before it")
        interfaces = self.documents.get(run["version"], {"interfaces": {}})["interfaces"].values()
        interface = next((one for one in interfaces if one["name"] == effect["action"]), None)
        intent = json.loads(run["events"][effect["intended"] - 1]["body"])
        ref = (intent.get("refs") or {}).get("/args", "")
        if interface is None or (ref and self.values.get(ref[5:]) is None) or not granted[-1]["digest"]:
            return True
        parts = {"version": run["version"], "action": effect["action"], "interface": interface["digest"]}
        arguments = json.loads(self.values[ref[5:]]) if ref else intent["args"]
        if digest({**parts, "arguments": arguments}) == granted[-1]["digest"]:
            return False
        private = any('"seal:' in event["body"] for event in run["events"][: effect["intended"]])
        if private or "x-data-class" in json.dumps(interface["arguments"]):
            return True
        return self.wrong(f"{where} is not the call that was approved: its digest differs")

    def tell(self, recomputed: int, keyed: int) -> None:
        if not self.verdict.wrong:
            events, listed = sum(len(run["events"]) for run in self.runs), ("decisions", "effects", "rules")
            counts = ", ".join(f"{len(self.case[name])} {name}" for name in listed)
            self.proved(f"{events} events of {len(self.runs)} run(s) are unbroken as hashed, each in the signed log.")
            self.proved(f"{len(self.documents)} definition(s) are the ones that the runs were started with.")
            self.proved(f"The lists say what the events say: {counts}.")
        if recomputed:
            self.proved(f"{recomputed} approved call(s) are exactly the ones that were approved, by their digest.")
        if keyed:
            self.unproved(f"{keyed} approved call(s) by their digest: it is keyed or absent; the approval is there.")
        self.unproved("Values behind pseudonyms, files that stand by their digest, comments in definitions.")
        self.unproved("That the world is as the actions reported it, and a person who the journal names.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Check one case file and print the verdict; 0 when nothing is wrong, 1 otherwise, 2 when a file cannot be read."""
    parser = argparse.ArgumentParser(prog="backstay-verify", description="Check a case file; needs nothing but Python.")
    parser.add_argument("file", type=Path, help="what `backstay audit export` wrote")
    parser.add_argument("--key", type=Path, metavar="FILE", help="the public key, obtained from elsewhere")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="an older checkpoint that you kept")
    parser.add_argument("--json", action="store_true", help="print one JSON value and nothing else")
    given = parser.parse_args(arguments)
    texts: dict[Path, str] = {}
    for path in filter(None, (given.file, given.key, given.checkpoint)):
        try:
            texts[path] = path.read_text("utf-8")
        except (OSError, ValueError) as error:
            parser.error(f"{str(path)!r} cannot be read: {error}")
    try:
        verdict = verify(json.loads(texts[given.file]), key=texts.get(given.key), held=texts.get(given.checkpoint))
    except (ValueError, RecursionError) as error:
        verdict = Verdict(wrong=[f"{str(given.file)!r} is no case file: {error}"])
    told = ["VERIFIED" if verdict.ok else "NOT VERIFIED: do not rely on this file"]
    for heading, lines in (("Wrong", verdict.wrong), ("Proved", verdict.proved), ("Not proved", verdict.unproved)):
        told += ["", f"{heading}:", *(f"- {line}" for line in lines)] if lines else []
    print(json.dumps({"ok": verdict.ok, **asdict(verdict)}, indent=2) if given.json else "\n".join(told))
    return 0 if verdict.ok else 1


if __name__ == "__main__":
    sys.exit(main())
