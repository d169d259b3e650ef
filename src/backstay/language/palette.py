"""The colours of the picture: fill and stroke of each kind of node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

COLOURS: Final[Mapping[str, tuple[str, str]]] = {
    "start": ("#e8edf2", "#5b6b7b"),
    "end": ("#e3f4e8", "#2f8f4e"),
    "failed": ("#fbe4e4", "#b83232"),
    "read": ("#e6f0fb", "#3f77b5"),
    "write": ("#fdf0dc", "#c07f1c"),
    "irreversible": ("#fbe1d6", "#c2481f"),
    "child": ("#ece8fa", "#6a54b8"),
    "agent": ("#f3e3f7", "#9440a8"),
    "person": ("#e0f3f2", "#1f8a84"),
    "wait": ("#f1f1f3", "#77777f"),
    "decision": ("#fffbe3", "#a99324"),
    "loop": ("#f2f4f6", "#5b6b7b"),
    "rule": ("#fffbe3", "#a99324"),
    "error": ("#fbe4e4", "#b83232"),
    "draw": ("#f7f7f8", "#8d949c"),
    "group": ("#ffffff", "#4b5a69"),
}
INK: Final = "#1b2733"
LINE: Final = "#8493a3"
TAKEN: Final = "#0b5fd0"
LEGEND: Final[Mapping[str, str]] = {
    "read": "reads",
    "write": "writes",
    "irreversible": "irreversible",
    "person": "person",
    "agent": "agent",
    "child": "child workflow",
    "group": "several at once",
    "decision": "decides",
    "loop": "repeats",
    "wait": "waits",
    "error": "on error",
}
