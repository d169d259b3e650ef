"""How often a false alarm may come: `"1/1000"` is one in a thousand records."""

from __future__ import annotations

import re

from backstay.errors import AuthorError


def rate_of(alarms: str, name: str) -> float:
    """The share of false alarms; raises AuthorError naming what asked for it."""
    found = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", str(alarms))
    if not found or not 0 < int(found[1]) < int(found[2]):
        raise AuthorError(
            f"{name}: alarms={alarms!r} is no rate; write how many false alarms in how many, such as '1/1000'"
        )
    return int(found[1]) / int(found[2])
