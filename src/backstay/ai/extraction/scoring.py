"""What candidates are worth, how likely the chosen one is right, and which of them is sure enough. Pure.

Weights come from fits.json, which `python -m benchmarks.steps.fit_extraction` makes from generated papers: a logistic regression
for candidates, one for what was chosen, and how often those were right on papers that had no part in it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from backstay.ai.calibration import wilson
from backstay.ai.extraction.evidence import Candidate
from backstay.ai.extraction.fields import Wanted

FITS: Final = Path(__file__).with_name("fits.json")
UNNAMED: Final = 0.5
"""How likely a name is at most that no label gives to another party: a legal form does not say whose name it is."""
Weights = Mapping[str, float]
Curve = Sequence[tuple[float, int, int]]
"""Confidence at least, how many, how many of them right; from the surest down, in steps."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Everything that was fitted."""

    candidates: Mapping[str, Weights]
    """Group of fields -> weights of features."""
    chosen: Mapping[str, Weights]
    """Group -> weights of what is known of the chosen candidate."""
    curves: Mapping[str, Curve] = field(default_factory=dict[str, Curve])
    """Group, or "document" -> how often what was chosen was right."""
    version: str = "unfitted"

    def score(self, wanted: Wanted, candidate: Candidate) -> float:
        """How good a candidate looks by itself, from 0 to 1."""
        name, features = group(wanted), candidate.features
        fitted = sigmoid(weighed(self.candidates.get(name, {}), features))
        if name != "company":
            return fitted
        if not has_label(wanted, features):
            return min(fitted, UNNAMED)
        return max(fitted, self._beside(features))

    def judged_as(self, wanted: Wanted, candidate: Candidate) -> str:
        """The group that tells how likely a chosen candidate is right: a name that only its label makes is a text."""
        name, features = group(wanted), candidate.features
        plain = name == "company" and sigmoid(weighed(self.candidates.get(name, {}), features)) < candidate.score
        return "text" if plain else name

    def _beside(self, features: Mapping[str, float]) -> float:
        """What a name is worth as any text beside its label is."""
        if not features.get("plain"):
            return 0.0
        return sigmoid(weighed(self.candidates.get("text", {}), {**features, "own": features["plain"], "words": 0.0}))

    def confidence(self, wanted: Wanted, told: Mapping[str, float]) -> float:
        """How likely the chosen candidate is right."""
        weights = self.chosen.get(group(wanted))
        return sigmoid(weighed(weights, told)) if weights else told["score"]

    def whole(self, confidences: Sequence[float]) -> float:
        """How likely all of them are right."""
        logs = sum(math.log(max(each, 1e-4)) for each in confidences)
        told = {"logs": logs, "least": math.log(max(min(confidences, default=1.0), 1e-4))}
        weights = self.chosen.get("document")
        return sigmoid(weighed(weights, told)) if weights else math.exp(logs)

    def threshold(self, name: str, target: float) -> float:
        """The confidence from which on so many are right, with care for how few were counted; more than 1 where none is.

        Never less than the target: a value that is less likely right is not sure, however right the others are.
        """
        curve = self.curves.get(name)
        if not curve:
            return target
        counted, right, lowest = 0, 0, 1.01
        for least, number, correct in curve:
            counted, right = counted + number, right + correct
            if wilson(right, counted)[0] >= target:
                lowest = least
        return max(lowest, target)


def group(wanted: Wanted) -> str:
    """Fields whose candidates are weighed alike."""
    match wanted.kind:
        case "money":
            return "total" if wanted.concept == "total" else "money"
        case "date":
            return "issued" if wanted.concept == "issued" else "date"
        case "company":
            return "vendor" if wanted.concept == "vendor" else "company"
        case "iban" | "bic" | "vat" | "email" | "phone" | "url":
            return "formed"
        case "identifier" | "address" | "currency":
            return wanted.kind
        case _:
            return "text"


def has_label(wanted: Wanted, features: Mapping[str, float]) -> bool:
    """Whether a label, what is known or what was corrected says that a name is this field's, not only its form and place."""
    block = features.get("buyer", 0.0) if wanted.concept == "buyer" else 0.0
    return max(features.get("own", 0.0), block) >= 0.5 or bool(features.get("habit") or features.get("known"))


def told_of(best: Candidate, rivals: Sequence[Candidate]) -> dict[str, float]:
    """What is known of a chosen candidate besides its features: how good it looks, and how far ahead it is."""
    other = max((rival.score for rival in rivals), default=0.0)
    features = best.features
    return {
        "score": best.score, "logit": _logit(best.score), "gap": best.score - other, "rival": _logit(other),
        "again": features.get("again", 0.0), "recognised": features.get("recognised", 0.0), "holds": features.get("holds", 0.0),
        "fails": features.get("fails", 0.0), "own": features.get("own", 0.0), "habit": features.get("habit", 0.0),
        "known": features.get("known", 0.0), "form": features.get("form", 0.0), "only": features.get("only", 0.0),
        "ambiguous": features.get("ambiguous", 0.0), "unsettled": features.get("unsettled", 0.0) * features.get("ambiguous", 0.0),
    }  # fmt: skip


def weighed(weights: Weights, features: Mapping[str, float]) -> float:
    return weights.get("bias", 0.0) + sum(
        weights[name] * value for name, value in features.items() if value and name in weights
    )


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-max(min(value, 30.0), -30.0)))


def _logit(share: float) -> float:
    share = min(max(share, 1e-4), 1 - 1e-4)
    return math.log(share / (1 - share))


@lru_cache(maxsize=1)
def shipped() -> Fit:
    """The fit that comes with the package."""
    return from_json(json.loads(FITS.read_text("utf-8")))


def from_json(told: Mapping[str, Any]) -> Fit:
    """A fit as its script wrote it."""
    body = {name: told[name] for name in ("candidates", "chosen", "curves")}
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:8]
    curves = {name: [(float(a), int(b), int(c)) for a, b, c in curve] for name, curve in told["curves"].items()}
    return Fit(candidates=told["candidates"], chosen=told["chosen"], curves=curves, version=digest)
