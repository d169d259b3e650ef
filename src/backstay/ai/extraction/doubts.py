"""Why what was chosen is not sure, whatever its weights say: a label as good says otherwise, a date has two orders. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from backstay.ai.extraction.evidence import Candidate, Evidence
from backstay.ai.extraction.fields import Wanted
from backstay.ai.extraction.figures import key

DOUBTFUL: Final = 0.5
"""How likely a value is at most that there is a doubt about."""
WORTHY: Final = 0.05
"""A rival's score from which on its label need not be the same to count."""
DECIDES: Final = ("known", "habit", "holds", "holds_twice", "together")
"""What settles which of two labelled values is meant."""
OTHERWISE: Final = ("beaten", "line", "zero", "negative", "date", "amount", "reach", "figures", "address")
"""What says that a labelled value is something else."""


def doubt(wanted: Wanted, best: Candidate, rivals: Sequence[Candidate], evidence: Evidence) -> str:
    """What speaks against being sure, in words without values; empty for nothing. rivals: candidates with other values."""
    if best.features.get("known"):
        return ""
    if any(_as_good(wanted, best, rival) for rival in rivals):
        return "another value stands beside a label that is as good"
    if best.features.get("ambiguous") and evidence.undecided:
        return "day and month can be read in two orders, and nothing says which"
    return ""


def _as_good(wanted: Wanted, best: Candidate, rival: Candidate) -> bool:
    """Whether a value elsewhere has a label that says the field as well, and nothing else decides."""
    if best.run is None or rival.run is None:
        return False
    side_by_side = wanted.kind == "company" and best.run.cell != rival.run.cell
    if (best.run.page, best.run.row) == (rival.run.page, rival.run.row) and not side_by_side:
        return False
    one, other = key(str(best.value)), key(str(rival.value))
    if wanted.kind in ("company", "address", "text") and (one in other or other in one):
        return False
    if any(rival.features.get(name, 0.0) > best.features.get(name, 0.0) for name in OTHERWISE):
        return False
    if any(best.features.get(name, 0.0) > rival.features.get(name, 0.0) for name in DECIDES):
        return False
    alike = (best.label, best.relation) == (rival.label, rival.relation)
    near = rival.features.get("own", 0.0) >= max(0.5, best.features.get("own", 0.0) - 0.05)
    passed_over = rival.features.get("plain", 0.0) >= 0.75
    return near and (alike or passed_over or rival.score >= WORTHY)
