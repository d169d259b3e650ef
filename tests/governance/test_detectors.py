"""What nobody tagged is found by checksum and shape, in every spelling; ordinary numbers and words are left alone."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import re._parser as parser  # type: ignore[import-not-found] - how patterns are made of
import uuid
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.governance import detectors
from backstay.governance.detectors import IBAN_LENGTHS, ISSUERS, Detector, is_card, is_iban, luhn

EVERYTHING = Detector(detectors.FINDERS)
JWT = ".".join(
    base64.urlsafe_b64encode(part).rstrip(b"=").decode()
    for part in (b'{"alg":"HS256","typ":"JWT"}', b'{"sub":"1234567890","admin":true}', bytes(range(32)))
)


def found(text: str) -> list[tuple[str, str]]:
    return [(one.name, text[one.start : one.end]) for one in EVERYTHING.find(text)]


def suspected(value: Any) -> bool:
    return EVERYTHING.suspects(json.dumps(value, ensure_ascii=False))


@pytest.mark.parametrize(
    "number",
    [
        "4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "5555555555554444", "2223003122003222",
        "378282246310005", "3782 822463 10005", "30569309025904", "3056 930902 5904", "6011111111111117",
        "3566002020360505", "6200000000000005", "2200123456789019",
    ],
)  # fmt: skip
@pytest.mark.parametrize("around", ["{}", "pay with {}.", "({})", "card:{}, exp 12/27", "{} 12/27", "a={}&b", '"{}"'])
def test_a_card_is_found_in_every_grouping(number: str, around: str) -> None:
    text = around.format(number)
    assert found(text) == [("card", number)]
    assert suspected(text)


@pytest.mark.parametrize(
    "hidden",
    [
        "４１１１１１１１１１１１１１１１",  # full width
        "4111\u200b1111\u200b1111\u200b1111",  # zero-width space
        "4111\u00a01111\u00a01111\u00a01111",  # no-break space
        "4111\u20111111\u20111111\u20111111",  # no-break hyphen
        "4\u00ad111111111111111",  # soft hyphen
        "٤١١١١١١١١١١١١١١١",  # Arabic-Indic
        "𝟒𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏",  # mathematical bold
        "4\ufeff1\u20601\u200d1111111111111",
    ],
)  # fmt: skip
def test_a_card_is_found_behind_other_characters_and_marked_where_it_stands(hidden: str) -> None:
    assert found(f"Käthe zahlt mit {hidden}, bitte") == [("card", hidden)]
    assert suspected(f"x {hidden}")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("iban", "DE89370400440532013000"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("iban", "de89370400440532013000"),
        ("iban", "FR76-3000-6000-0112-3456-7890-189"),
        ("iban", "NO9386011117947"),
        ("iban", "GB82 WEST 1234 5698 7654 32"),
        ("iban", "MT84MALT011000012345MTLCAST001S"),
        ("email", "ann.meier+bank@mail.example.co.uk"),
        ("email", "käthe@bücher.example"),
        ("national-id", "86095742719"),
        ("national-id", "86 095 742 719"),
        ("national-id", "12345678Z"),
        ("national-id", "X1234567L"),
        ("national-id", "2 55 08 14 168 025 38"),
        ("national-id", "44051401359"),
        ("secret", "AKIAIOSFODNN7EXAMPLE"),
        ("secret", "ghp_" + "a1B2" * 9),
        ("secret", "github_pat_" + "A" * 22 + "_" + "b3" * 29 + "c"),
        ("secret", "xox" + "b-123456789012-abcdefghijkl"),
        ("secret", "sk" + "_live_4eC39HqLyjWDarjtT1zdp7dc"),
        ("secret", "rk" + "_test_4eC39HqLyjWDarjtT1zdp7dc"),
        ("secret", "sk-proj-abcDEF0123456789_abcdef"),
        ("secret", "sk-abcdefghijklmnopqrstuvwx12345678"),
        ("secret", "AIza" + "Sy0" * 11 + "ab"),
        ("secret", "glpat-a1B2c3D4e5F6g7H8i9J0"),
        ("secret", "npm_" + "a1B2" * 9),
        ("secret", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"),
        ("secret", "-----BEGIN PRIVATE KEY-----"),
        ("secret", JWT),
    ],
)
def test_each_class_is_found_in_the_middle_of_text(name: str, text: str) -> None:
    assert found(text) == [(name, text)]
    assert suspected({"a": [text]})
    if not text.endswith("PRIVATE KEY-----") or "END" in text:
        assert found(f"see: {text} (thanks)") == [(name, text)]


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",  # Luhn says no
        "0000000000000000",
        "4444444444444444444444",  # too long
        "9111111111111111",  # nobody's number
        "order 1000000000000008",
        "2026-01-05T09:00:00.000000Z",
        "20260105090000",
        "20260105090000123",
        "1767603600000",
        "1767603600000000",
        "1767603600000000000",
        "550e8400-e29b-41d4-a716-446655440000",
        "12345678-4111-1111-1111-111111111111",
        "01942f8e-4111-7111-8111-411111111111",
        hashlib.sha256(b"x").hexdigest(),
        hashlib.sha1(b"x").hexdigest(),
        "a4111111111111111",
        "4111111111111111f",
        "0.4111111111111111",
        "4111111111111111.50",
        "+4111111111111111",
        "RE-2026-00017, PO 4500012345, GTIN 4006381333931",
        "2019 2020 2021 2022",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18",
        "356938035643809",  # an IMEI has Luhn's digit too
        "DE00370400440532013000",
        "DE8937040044053201300",
        "XX89370400440532013000",
        "INV12 345 678 901 234 567",
        "ann at mail",
        "@decorator",
        "git@host",
        "v1.2@3",
        "task-force-without-a-digit-anywhere-in-it",
        "desk-4111 and risk-9999",
        "sk-short1",
        "eyJhbGciOi.eyJzdWIiOi.notajsonwebtokenatall",
        "AKIAshort",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----",
        "12345678A",
        "123-45-6789",  # a US social security number has no checksum: not guessed
        "pii:3f9c0a7d5e1b2c4d6f80",
        "pii:3f9c0a7d5e1b2c4d6f80@0123456789abcdef",
    ],
)
def test_ordinary_numbers_names_and_hashes_are_left_alone(text: str) -> None:
    assert found(text) == []
    assert found(f"say {text}, or not") == []


@given(st.uuids(), st.binary(min_size=1, max_size=40), st.datetimes(datetime(1000, 1, 1), datetime(2999, 1, 1)))
def test_ids_hashes_and_times_never_look_like_anything(id_: uuid.UUID, data: bytes, moment: Any) -> None:
    for text in (str(id_), hashlib.sha256(data).hexdigest(), moment.isoformat(), moment.strftime("%Y%m%d%H%M%S")):
        assert Detector().find(text) == []


def with_check_digit(digits: str) -> str:
    return next(digits + last for last in "0123456789" if luhn(digits + last))


@given(st.sampled_from(ISSUERS), st.data())
def test_every_number_that_an_issuer_may_give_out_is_a_card_and_no_neighbour_is(issuer: Any, data: Any) -> None:
    _, begin, lengths = issuer
    first, length = str(data.draw(st.sampled_from(begin))), data.draw(st.sampled_from(lengths))
    body = data.draw(st.text("0123456789", min_size=length - len(first) - 1, max_size=length - len(first) - 1))
    number = with_check_digit(first + body)
    assert is_card(number)
    place = data.draw(st.integers(0, length - 1))
    changed = number[:place] + str((int(number[place]) + data.draw(st.integers(1, 9))) % 10) + number[place + 1 :]
    assert not is_card(changed), "Luhn's digit finds every single wrong digit"
    assert found(f"x {number} y") == [("card", number)]


@given(st.sampled_from(sorted(IBAN_LENGTHS.items())), st.data())
def test_every_account_with_right_check_digits_is_found_and_no_swap_is(country: tuple[str, int], data: Any) -> None:
    name, length = country
    body = data.draw(st.text("0123456789ABCDEFGHJKLMNPQRSTUVWXYZ", min_size=length - 4, max_size=length - 4))
    check = 98 - int("".join(str(int(letter, 36)) for letter in f"{body}{name}00")) % 97
    account = f"{name}{check:02d}{body}"
    assert is_iban(account)
    assert Detector(["iban"]).find(f"to {account}.") == [detectors.Found("iban", 3, 3 + length)]
    wrong = f"{name}{(check + 1) % 100:02d}{body}"
    assert Detector(["iban"]).find(f"to {wrong}.") == []


@given(st.text(max_size=300))
def test_any_text_can_be_looked_at_and_what_is_found_lies_in_it(text: str) -> None:
    spans = [(one.start, one.end) for one in EVERYTHING.find(text)]
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


@given(st.text(max_size=80), st.sampled_from(["4111111111111111", "DE89370400440532013000", "AKIAIOSFODNN7EXAMPLE"]))
def test_what_would_be_found_is_always_suspected(text: str, value: str) -> None:
    for whole in (f"{text} {value}", f"{value} {text}"):
        assert suspected({"k": whole}) or not found(whole)


def longest_repeats(node: Any) -> list[int]:
    """How often each part of a pattern may repeat, nested repetitions multiplied."""
    found = [1]
    for name, argument in node:
        most = argument[1] if str(name) in ("MAX_REPEAT", "MIN_REPEAT") else 1
        for part in argument if isinstance(argument, tuple | list) else (argument,):
            for inner in part if isinstance(part, list) else (part,):
                if hasattr(inner, "data"):
                    found += [int(most) * times for times in longest_repeats(inner)]
    return found


def test_no_pattern_repeats_without_end_so_that_every_text_takes_linear_time() -> None:
    """A match that is tried at one place looks at a bounded number of characters, however long the text is."""
    patterns = [value for value in vars(detectors).values() if isinstance(value, re.Pattern)]
    patterns += [pattern for pattern, _ in detectors._NATIONAL_IDS]
    assert len(patterns) >= 9
    for pattern in patterns:
        assert max(longest_repeats(parser.parse(pattern.pattern))) <= 16_000, pattern.pattern


@pytest.mark.parametrize(
    "evil",
    ["4" * 50_000, "4111 " * 10_000, "a" * 50_000 + "@", "a.a" * 20_000 + "@", "sk-" * 20_000, "sk-" + "a" * 50_000,
     "eyJ" + "a" * 50_000, "eyJa." * 10_000, "eyJaaaaaaaaaa.eyJ" * 3_000, "DE89 " * 10_000, "DE89" + "3 " * 25_000,
     "-----BEGIN " * 5_000, "@a." * 20_000, "1 23 " * 10_000, "-----BEGIN " + "A " * 20_000, "\u200b9" * 20_000],
    ids=range(16),
)  # fmt: skip
def test_long_hostile_text_holds_nothing(evil: str) -> None:
    assert found(evil) == []


@pytest.mark.parametrize("before", ["\n", "\t", "\r", "\b", "\f", "\x1f", '"', "\\", "/", "a\n", "9 "])
@pytest.mark.parametrize("value", ["4111111111111111", "AKIAIOSFODNN7EXAMPLE", "sk-abcdefghijklmnopqrstuvwx12345678"])
def test_what_json_escapes_before_it_hides_nothing(before: str, value: str) -> None:
    assert [found(before + value)[0][1], Detector().suspects(json.dumps(before + value, ensure_ascii=False))] == [
        value,
        True,
    ]


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(ValueError, match="no detector for 'cards'|no detector for cards"):
        Detector(["cards"])  # type: ignore[list-item] - the point


def test_without_classes_nothing_is_detected() -> None:
    assert Detector([]).find("4111111111111111") == []
    assert not Detector([]).suspects('"4111111111111111"')


def test_by_default_cards_and_secrets_and_no_business_data() -> None:
    text = "4111111111111111 DE89370400440532013000 ann@example.org AKIAIOSFODNN7EXAMPLE"
    assert [one.name for one in Detector().find(text)] == ["card", "secret"]
