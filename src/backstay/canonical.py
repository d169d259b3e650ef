"""Canonical JSON (RFC 8785): one text for one value, wherever it is written, so that digests agree."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final, TypeAlias

from pydantic_core import to_jsonable_python

Json: TypeAlias = Any
"""A value that `json` can write: None, bool, int, float, str, list of Json, dict of str to Json."""


def canonical(value: Json) -> str:
    """Write JSON in the canonical form of RFC 8785: sorted keys, no spaces, shortest numbers."""
    if not _has_float(value):
        text = _encode(value)
        if text.isascii():
            return text
    return _canonical_slow(value)


_encode: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def _has_float(value: Json) -> bool:
    if isinstance(value, dict):
        return any(_has_float(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(_has_float(item) for item in value)
    return isinstance(value, float)


def _canonical_slow(value: Json) -> str:
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        pairs = (f"{json.dumps(key, ensure_ascii=False)}:{_canonical_slow(value[key])}" for key in keys)
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(_canonical_slow(item) for item in value) + "]"
    if isinstance(value, float):
        return _ecmascript_number(value)
    return json.dumps(value, ensure_ascii=False)


def _ecmascript_number(value: float) -> str:
    """ECMA-262 Number::toString, which RFC 8785 section 3.2.2.3 prescribes."""
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124
        raise ValueError("JSON has no NaN or infinity")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) if whole != "0" else int(exponent or 0) - (len(fraction) - len(digits))
    digits = digits.rstrip("0") or "0"
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return sign + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    power = f"e{point - 1:+d}"
    return sign + digits[0] + ("." + digits[1:] if count > 1 else "") + power


def json_text(value: Any) -> str:
    """A value as canonical JSON text, whatever types it is made of."""
    return canonical(to_jsonable_python(value))


def digest(value: Json) -> str:
    """SHA-256 over the canonical form, as 64 hexadecimal characters."""
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()
