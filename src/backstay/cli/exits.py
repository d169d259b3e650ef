"""Exit codes: one literal table, and which error ends in which code."""

from __future__ import annotations

from typing import Final

EXITS: Final[dict[int, str]] = {
    0: "done",
    1: "refused: a workflow is outside the language, the audit found something, a replay is not equal, a rule never decides, "
    "a policy decides otherwise (`policy diff`), an evaluation fails",
    2: "the command line itself is wrong",
    3: "no such run, item, queue, workflow or file",
    4: "not allowed, or somebody else was faster",
    5: "the store cannot be used: locked by another process, damaged, no space, or no answer",
    6: "input does not fit; `fields` names what",
    7: "a run failed, was cancelled or needs attention",
    8: "a changed workflow would have gone differently (`replay --with`)",
    9: "a fault in Backstay itself",
    130: "stopped with Ctrl-C",
}
"""Every exit code there is."""

OK, REFUSED, USAGE, NOT_FOUND, CONFLICT, STORE, INVALID, ATTENTION, DIFFERENT, FAULT, STOPPED = EXITS

BY_ERROR: Final[dict[str, int]] = {
    "REFUSED": REFUSED,
    "ACTION": REFUSED,
    "AUTHOR": REFUSED,
    "USAGE": USAGE,
    "NOT_FOUND": NOT_FOUND,
    "NOT_ALLOWED": CONFLICT,
    "CONFLICT": CONFLICT,
    "REQUEST": CONFLICT,
    "INVALID": INVALID,
    "NOT_RETRYABLE": INVALID,
    "LOCKED": STORE,
    "UNAVAILABLE": STORE,
    "FENCED": STORE,
    "STORE": STORE,
    "WRITE_REFUSED": STORE,
    "OPERATOR": STORE,
    "NO_DEFINITION": STORE,
    "CORRUPTED": STORE,
    "MISMATCH": REFUSED,
}
"""Error code -> exit code; a code that is not here is a fault of ours."""
