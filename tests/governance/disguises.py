"""The forms in which a private text may turn up where it should not."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

SHORTEST = 8
"""A form shorter than this could stand somewhere by chance."""


def disguises(text: str) -> dict[str, bytes]:
    """The text plain and in every usual encoding, by what each is called."""
    raw = text.encode()
    forms = {
        "plain": raw,
        "lower": text.lower().encode(),
        "upper": text.upper().encode(),
        "reversed": text[::-1].encode(),
        "without spaces": text.replace(" ", "").encode(),
        "spaced": " ".join(text).encode(),
        "in fours": " ".join(text[at : at + 4] for at in range(0, len(text), 4)).encode(),
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "URL": quote(text, safe="").encode(),
        "form": quote_plus(text).encode(),
        "every byte as %": "".join(f"%{byte:02X}" for byte in raw).encode(),
        "JSON": json.dumps(text)[1:-1].encode(),
        "every letter as \\u": "".join(f"\\u{ord(letter):04x}" for letter in text).encode(),
        "UTF-16 little": text.encode("utf-16-le"),
        "UTF-16 big": text.encode("utf-16-be"),
        "Latin-1": text.encode("latin-1", "replace"),
        "repr": ascii(text)[1:-1].encode(),
    }
    for shift in range(3):
        for name, encode in (("base64", base64.b64encode), ("base64url", base64.urlsafe_b64encode)):
            forms[f"{name}, {shift} before"] = encode(b"x" * shift + raw)[(shift and 4) : len(raw) * 4 // 3 - 2]
    return {name: form for name, form in forms.items() if len(form) >= SHORTEST}


def sightings(data: bytes, texts: list[str]) -> list[tuple[str, str]]:
    """Which texts stand in the data, and in which form."""
    return [(text, name) for text in texts for name, form in disguises(text).items() if form in data]
