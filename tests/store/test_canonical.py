"""Canonical JSON as RFC 8785 prescribes it, digests, durations, and times as text."""

from __future__ import annotations

import json
import struct
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.canonical import canonical, digest
from backstay.types import iso, seconds

APPENDIX_B = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]
"""Number samples of RFC 8785, appendix B."""


@pytest.mark.parametrize(("bits", "text"), APPENDIX_B)
def test_numbers_are_written_as_the_rfc_lists_them(bits: str, text: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical(number) == text


def test_numbers_between_the_notations() -> None:
    numbers = [1.0, 100.0, 1e20, 1e21, 1.5, 0.1, 0.001, 1e-6, 1e-7, 123456789.125, -1.25e-9]
    assert canonical(numbers) == (
        "[1,100,100000000000000000000,1e+21,1.5,0.1,0.001,0.000001,1e-7,123456789.125,-1.25e-9]"
    )


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match=r"NaN|JSON"):
        canonical({"a": number})


def test_keys_are_ordered_by_utf_16_units() -> None:
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": 6, "\xf6": 7}
    assert list(json.loads(canonical(value)).values()) == [2, 4, 6, 7, 1, 5, 3]


def test_the_example_of_the_rfc() -> None:
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    assert canonical(value) == (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_short_escapes_are_used_and_nothing_else_is_escaped() -> None:
    assert canonical('\b\t\n\f\r\x00\x1f"\\/\x7f\u2028é') == '"\\b\\t\\n\\f\\r\\u0000\\u001f\\"\\\\/\x7f\u2028é"'


def test_true_is_not_one() -> None:
    assert canonical([True, 1, 1.0, False, 0]) == "[true,1,1,false,0]"


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
NESTED = st.one_of(st.lists(LEAVES, max_size=4), st.dictionaries(st.text(), LEAVES, max_size=4))
JSON = st.one_of(LEAVES, NESTED, st.lists(NESTED, max_size=3), st.dictionaries(st.text(), NESTED, max_size=3))


@given(JSON)
def test_canonical_text_reads_back_as_the_same_value(value: Any) -> None:
    assert json.loads(canonical(value), parse_int=float) == json.loads(json.dumps(value), parse_int=float)


@given(JSON)
def test_canonical_text_does_not_depend_on_the_order_of_keys(value: Any) -> None:
    def turned(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: turned(node[key]) for key in reversed(list(node))}
        return [turned(item) for item in node] if isinstance(node, list) else node

    assert canonical(turned(value)) == canonical(value)


def test_a_digest_is_this_one_for_ever() -> None:
    assert digest({"b": [1, 2.5], "a": "é"}) == "123b424b7606d08d0756074e1f76051117423e1a66a03e02f56fd334de63705b"
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", 90),
        ("15m", 900),
        ("48h", 172800),
        ("30d", 2592000),
        ("1w", 604800),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("250ms", 0.25),
        ("1.5h", 5400),
        (7, 7),
        (0.5, 0.5),
        (timedelta(minutes=2), 120),
    ],
)
def test_durations_are_read(text: Any, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "10", "5 minutes", "-1h", "1h-5m", "h", "1y", "1:30"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write for example '90s'"):
        seconds(text)


def test_moments_are_written_in_utc_with_microseconds() -> None:
    moment = datetime(2026, 1, 5, 9, 0, tzinfo=timezone(timedelta(hours=2)))
    assert iso(moment) == "2026-01-05T07:00:00.000000Z"
    assert iso(datetime(2026, 1, 5, 9, 0, 0, 7, tzinfo=UTC)) == "2026-01-05T09:00:00.000007Z"
