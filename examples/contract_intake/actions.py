"""The actions of contract intake: everything by which the process reads a text or changes the registry."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Literal

from backstay import IdempotencyKey, Retry, action
from examples.contract_intake.models import Offer, Reading
from examples.contract_intake.registry import Registry

HOME_VARIABLE = "CONTRACT_INTAKE_HOME"
DEFAULT_HOME = ".backstay"
QUICK = Retry(attempts=4, first="100ms", longest="2s")


class _Home:
    folder: Path | None = None


def use(home: Path) -> None:
    """Say where the registry and the kept texts are."""
    _Home.folder = home


def registry() -> Registry:
    return Registry(_Home.folder or Path(os.environ.get(HOME_VARIABLE, DEFAULT_HOME)))


@action(effect="read", retry=QUICK, untrusted=True)
def read_text(text: str) -> Reading:
    """The clauses of a contract's text that a lawyer should see."""
    return registry().read(text)


@action(effect="write", retry=QUICK)
def withdraw_contract(offer: Offer, key: IdempotencyKey) -> None:
    """Undo `register_contract`: the offer is not pursued."""
    del key  # the same when it is repeated
    registry().close(offer.reference, "withdrawn")


@action(effect="write", retry=QUICK, compensate=withdraw_contract)
def register_contract(offer: Offer, key: IdempotencyKey) -> None:
    """Enter the offer, open."""
    del key  # the reference is the key
    registry().enter(offer)


@action(effect="write", retry=QUICK)
def close_contract(
    reference: str, state: Literal["stopped", "rejected", "expired", "dropped"], key: IdempotencyKey
) -> None:
    """Say how it ended without a signature."""
    del key  # the same when it is repeated
    registry().close(reference, state)


def signature_under(key: str) -> str | None:
    """Probe: whether something was signed under a key."""
    return registry().signature_under(key)


@action(effect="irreversible", approvers="signatories", probe=signature_under)
def sign_contract(reference: str, counterparty: str, value: Decimal, text: str, key: IdempotencyKey) -> str:
    """Sign exactly this text: the gateway holds it for the signatories, whoever asks."""
    return registry().sign(reference, counterparty, value, text, key)
