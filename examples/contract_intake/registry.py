"""The example's contract registry, with its own database, and the texts of the contracts beside it.

Only actions and the intake call it. Every call opens the file, does one transaction and closes it, so it is safe for
threads and processes.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from backstay import NotRetryable
from examples.contract_intake.models import Clause, Offer, Reading
from examples.sqlite_file import statements, transaction

HERE: Final = Path(__file__).parent

TELLING: Final = {
    "unlimited liability": re.compile(r"unlimited liability|liability [^.]*without limit", re.IGNORECASE),
    "automatic renewal": re.compile(r"renews? automatically|automatic renewal", re.IGNORECASE),
    "foreign law": re.compile(r"laws? of (?!Austria|Germany)[A-Z]\w+"),
    "no termination": re.compile(r"may not (?:be )?terminate", re.IGNORECASE),
}
"""What a lawyer wants to know of, and how to recognise it in a sentence."""


class RefusedByRegistry(NotRetryable):
    """The registry will not do this, however often it is asked."""

    code = "REFUSED_BY_REGISTRY"


def queries() -> dict[str, str]:
    """The statements by their names."""
    return statements(HERE / "registry_queries.sql")


class Registry:
    """The registry in the folder `home`, which is made if there is none."""

    def __init__(self, home: Path) -> None:
        self.path, self.texts = home / "registry.db", home / "texts"
        self.texts.mkdir(parents=True, exist_ok=True)
        with transaction(self.path) as db:
            if db.execute("PRAGMA user_version").fetchone()[0] == 0:
                for statement in (HERE / "registry_schema.sql").read_text(encoding="utf-8").split(";\n"):
                    db.execute(statement)
                db.execute("PRAGMA user_version = 1")

    # --- texts ---

    def keep(self, text: bytes) -> str:
        """Keep a contract's text under its SHA-256, and answer with that."""
        digest = hashlib.sha256(text).hexdigest()
        (self.texts / f"{digest}.txt").write_bytes(text)
        return digest

    def read(self, digest: str) -> Reading:
        """What a machine sees in a text; raises RefusedByRegistry when it is not the one that was kept."""
        kept = (self.texts / f"{digest}.txt").read_bytes()
        if hashlib.sha256(kept).hexdigest() != digest:
            raise RefusedByRegistry(f"the text {digest[:12]} was changed after it arrived")
        text = " ".join(kept.decode("utf-8").split())
        sentences = re.split(r"(?<=[.;])\s+", text)
        clauses = [
            Clause(what=what, quote=sentence)
            for what, pattern in TELLING.items()
            for sentence in sentences
            if pattern.search(sentence)
        ]
        return Reading(words=len(text.split()), clauses=clauses)

    # --- contracts ---

    def enter(self, offer: Offer) -> None:
        """Enter an offer; entering it again changes nothing."""
        fields = {"reference", "title", "counterparty", "requester", "value", "valid_until", "text"}
        with transaction(self.path) as db:
            db.execute(queries()["add_contract"], offer.model_dump(mode="json", include=fields))

    def close(self, reference: str, state: str) -> None:
        """Say how an open contract ended; a signed one stays signed."""
        with transaction(self.path) as db:
            db.execute(queries()["set_state"], {"reference": reference, "state": state})

    def sign(self, reference: str, counterparty: str, value: Decimal, text: str, key: str) -> str:
        """Sign, and answer with the signature's id; raises RefusedByRegistry for anything but what was entered."""
        with transaction(self.path) as db:
            known = _one(db, "signature_by_key", key=key)
            if known:
                return _signature_id(known["id"])
            contract = _one(db, "contract", reference=reference)
            if contract is None or contract["state"] != "open":
                raise RefusedByRegistry(f"contract {reference!r} is {contract['state'] if contract else 'not entered'}")
            if (contract["counterparty"], Decimal(contract["value"]), contract["text"]) != (counterparty, value, text):
                raise RefusedByRegistry(f"contract {reference!r} is not what was entered")
            made = _one(db, "add_signature", reference=reference, text=text, key=key)
            db.execute(queries()["set_state"], {"reference": reference, "state": "signed"})
        return _signature_id(made["id"])

    def signature_under(self, key: str) -> str | None:
        """The id of the signature that was made under this key; None when none was."""
        with transaction(self.path) as db:
            row = _one(db, "signature_by_key", key=key)
        return _signature_id(row["id"]) if row else None

    def states(self) -> dict[str, str]:
        """How every contract stands."""
        with transaction(self.path) as db:
            return {row["reference"]: row["state"] for row in db.execute(queries()["contracts"])}

    def signed(self) -> list[str]:
        """The references of what is signed."""
        with transaction(self.path) as db:
            return [row["reference"] for row in db.execute(queries()["signatures"])]


def _one(db: sqlite3.Connection, query: str, **parameters: Any) -> Any:
    """The first row, or None."""
    return db.execute(queries()[query], parameters).fetchone()


def _signature_id(number: int) -> str:
    return f"SIG-{number:05}"
