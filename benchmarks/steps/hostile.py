"""Reads broken and hostile PDF files and odd mails: `python -m benchmarks.steps.hostile [--pdfs N] [--mails N] [--json] [--save]`.

The files are made here, from a seed: real invoices that are cut, flipped, spliced and stuffed, and bombs that are written for
the purpose. It is not a public set. Each must be read, or refused with a typed error, within its limits; the worker lives.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from backstay.ai.documents import DocumentLimits, DocumentUnreadable, Reader
from backstay.ai.documents.found import MIB
from benchmarks.steps.made_documents import Facts, cii, invoice_pdf, mail, random_facts, scan, with_file, zipped

RESULT = Path(__file__).parents[1] / "results" / "steps_hostile.json"
MARGIN = 1.0
"""Seconds beyond the limit in which the door must answer: for starting the next process."""


# --- PDF files ---


def pdfs(count: int, seed: int = 5) -> Iterator[tuple[str, bytes]]:
    """Kind and content of each file; the bombs first."""
    bombs = list(_bombs())
    yield from bombs[:count]
    chance = random.Random(seed)
    bases = [
        invoice_pdf(), invoice_pdf(random_facts(1), pages=3), invoice_pdf(password="secret"),
        with_file(invoice_pdf(), "factur-x.xml", cii()), scan(invoice_pdf(), dots=60),
    ]  # fmt: skip
    ways = list(_MUTATIONS.items())
    for number in range(max(0, count - len(bombs))):
        name, change = ways[number % len(ways)]
        yield name, change(chance.choice(bases), chance)


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def _flip(data: bytes, chance: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(chance.choice((1, 10, 100, 1000))):
        made[chance.randrange(len(made))] = chance.randrange(256)
    return bytes(made)


def _drop(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + data[at + chance.randrange(1, 2000) :]


def _repeat(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    piece = data[at : at + chance.randrange(1, 400)]
    return data[:at] + piece * chance.choice((2, 50, 2000)) + data[at:]


def _numbers(data: bytes, chance: random.Random) -> bytes:
    """Other numbers: lengths, offsets, counts, references."""
    wild = (b"0", b"-1", b"99999999999", b"4294967295", b"2147483648", b"1e99", b"3")
    return re.sub(rb"\d+", lambda found: chance.choice(wild) if chance.random() < 0.03 else found[0], data)


def _names(data: bytes, chance: random.Random) -> bytes:
    """Other names: keys and types change places."""
    known = sorted(set(re.findall(rb"/[A-Za-z0-9]+", data)))
    return re.sub(rb"/[A-Za-z0-9]+", lambda found: chance.choice(known) if chance.random() < 0.05 else found[0], data)


def _splice(data: bytes, chance: random.Random) -> bytes:
    other = invoice_pdf(random_facts(chance.randrange(9)))
    return data[: chance.randrange(len(data))] + other[chance.randrange(len(other)) :]


def _stuff(data: bytes, chance: random.Random) -> bytes:
    return bytes(chance.randrange(256) for _ in range(chance.randrange(1000))) + data


def _nest(data: bytes, chance: random.Random) -> bytes:
    deep = chance.choice((100, 10_000, 200_000))
    return data.replace(b"/Type /Catalog", b"/Type /Catalog /X " + b"[" * deep, 1)


_MUTATIONS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "cut": _cut, "flipped": _flip, "dropped": _drop, "repeated": _repeat, "numbers": _numbers, "names": _names,
    "spliced": _splice, "stuffed": _stuff, "nested": _nest,
}  # fmt: skip


def _pdf(*objects: bytes) -> bytes:
    """A PDF of objects, with its table."""
    made, places = b"%PDF-1.7\n", list[int]()
    for number, text in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj %s endobj\n" % (number, text)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return made + b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (size, table, size, len(made))  # fmt: skip


def _stream(data: bytes, extra: bytes = b"", times: int = 1) -> bytes:
    for _ in range(times):
        data = zlib.compress(data, 9)
    filters = b"[" + b"/FlateDecode" * times + b"]"
    return b"<</Filter %s/Length %d%s>>stream\n%s\nendstream" % (filters, len(data), extra, data)


CATALOG, PAGES = b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>/XObject<</I 5 0 R>>>>>>"
FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"


def _bombs() -> Iterator[tuple[str, bytes]]:
    text = b"BT /F 9 Tf 1 0 0 1 9 9 Tm (x) Tj ET\n"
    picture = b"/Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceRGB/BitsPerComponent 8"
    draw = _stream(b"q 500 0 0 500 0 0 cm /I Do Q")
    yield "bomb: stream", _pdf(CATALOG, PAGES, PAGE, _stream(b" " * (900 * MIB // 4)), FONT)
    yield "bomb: stream in stream", _pdf(CATALOG, PAGES, PAGE, _stream(b" " * (200 * MIB), times=3), FONT)
    yield "bomb: text", _pdf(CATALOG, PAGES, PAGE, _stream(text * 2_000_000), FONT)
    yield "bomb: strokes", _pdf(CATALOG, PAGES, PAGE, _stream(b"0 0 m 9 9 l S\n" * 3_000_000), FONT)
    yield "bomb: picture", _pdf(CATALOG, PAGES, PAGE, draw, _stream(b"\0" * (50 * MIB), picture % (30000, 30000)))
    yield "bomb: huge page", _pdf(CATALOG, PAGES, PAGE.replace(b"595 842", b"14400000 14400000"), draw, _stream(b"\0" * 300, picture % (10, 10)))  # fmt: skip
    yield "bomb: states", _pdf(CATALOG, PAGES, PAGE, _stream(b"q " * 5_000_000), FONT)
    yield "bomb: pages", _pdf(CATALOG, b"<</Type/Pages/Kids[%s]/Count 1000000>>" % (b"3 0 R " * 100_000), PAGE, _stream(text), FONT)  # fmt: skip
    yield (
        "bomb: page tree",
        _pdf(CATALOG, b"<</Type/Pages/Kids[2 0 R 2 0 R 3 0 R]/Count 9>>", PAGE, _stream(text), FONT),
    )
    yield "bomb: form in itself", _pdf(CATALOG, PAGES, PAGE, _stream(b"/I Do"), _stream(b"/I Do /I Do", b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</I 5 0 R>>>>"))  # fmt: skip
    yield "bomb: length of itself", _pdf(CATALOG, PAGES, PAGE, b"<</Length 4 0 R>>stream\nx\nendstream", FONT)
    yield (
        "bomb: deep arrays",
        _pdf(b"<</Type/Catalog/Pages 2 0 R/X " + b"[" * 1_000_000 + b">>", PAGES, PAGE, _stream(text), FONT),
    )
    yield "bomb: attachments", with_file(invoice_pdf(), "all.zip", zipped({"x.txt": b"\0" * (220 * MIB)}))
    yield (
        "bomb: many attachments",
        with_file(invoice_pdf(), "all.zip", zipped({f"{n}.pdf": invoice_pdf() for n in range(300)})),
    )
    yield "bomb: words", _pdf(CATALOG, PAGES, PAGE, _stream(b"BT /F 1 Tf " + b"1 0 0 1 5 5 Tm (a b c d e f g h) Tj\n" * 200_000 + b"ET"), FONT)  # fmt: skip


# --- mails ---


def mails(count: int, seed: int = 7) -> Iterator[tuple[str, bytes]]:
    """Kind and content of each mail."""
    chance = random.Random(seed)
    ways = list(_ODD.items())
    for number in range(count):
        name, make = ways[number % len(ways)]
        yield name, make(chance)


def _base(chance: random.Random) -> bytes:
    files = [("r.pdf", invoice_pdf(Facts())[:3000])] if chance.random() < 0.2 else [("a.txt", b"hello")]
    return mail("Grüße, see attached.", *files).as_bytes()


def _noise(chance: random.Random, most: int = 400) -> bytes:
    return bytes(chance.randrange(256) for _ in range(chance.randrange(most)))


def _charset(chance: random.Random) -> bytes:
    code = chance.choice((b"x-klingon", b"utf-7", b"unicode-1-1-utf-7", b"utf-16", b"idna", b"zlib", b"\xff\xfe", b"", b"'" * 300, b"undefined", b"hz"))  # fmt: skip
    return (
        b"From: a@b\nSubject: =?"
        + code
        + b"?B?//79?=\nContent-Type: text/plain; charset="
        + code
        + b"\n\n"
        + _noise(chance)
    )


def _headers(chance: random.Random) -> bytes:
    lines = [
        b"Subject:", b"From: " + b"," * 300, b"To: " + b"(" * 300, b"Date: never", b"Content-Type: ;;;=;", b"X" * 3000 + b": y",
        b"Content-Disposition: attachment; filename*0*=utf-8''%FF; filename*9=x; filename*=bad'", b"Message-ID: <<<>>>",
        b"Content-Transfer-Encoding: " + chance.choice((b"x-uuencode", b"base65", b"8bit", b"quoted-printable", b"base64")),
        b"Subject: =?utf-8?Q?=ZZ=?= =?utf-8?B?!!!?=", b"\0\0: \0", b"MIME-Version: 9", b"From: \xff\xfe", b"Received: " + _noise(chance),
    ]  # fmt: skip
    chance.shuffle(lines)
    return b"From: a@b\nDate: x\n" + b"\n".join(lines[: chance.randrange(1, len(lines))]) + b"\n\n" + _noise(chance)


def _multipart(chance: random.Random) -> bytes:
    mark = chance.choice((b"b", b"", b'"', b"=_" * 40, b"\xff", b"b; x=y"))
    kind = chance.choice((b"mixed", b"alternative", b"related", b"digest", b"signed", b"x", b"form-data"))
    parts = b"".join(
        b"--"
        + mark
        + b"\nContent-Type: "
        + chance.choice(
            (b"text/plain", b"message/rfc822", b"multipart/mixed", b"text/html", b"image/png", b"message/partial")
        )
        + b"\n\n"
        + _noise(chance)
        + b"\n"
        for _ in range(chance.randrange(12))
    )
    end = b"--" + mark + b"--" if chance.random() < 0.5 else b""
    return b"From: a@b\nSubject: x\nContent-Type: multipart/" + kind + b"; boundary=" + mark + b"\n\n" + parts + end


def _nested(chance: random.Random) -> bytes:
    deep = chance.choice((5, 25, 31, 200, 2000))
    made = b"From: a@b\nSubject: x\n"
    for level in range(deep):
        made += b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (level, level)
    return made + b"\nend"


def _within(chance: random.Random) -> bytes:
    message = mail("innermost", ("x.bin", _noise(chance)))
    for level in range(chance.randrange(1, 7)):
        outer = mail(f"level {level}")
        outer.add_attachment(message)
        message = outer
    return message.as_bytes()


def _html(chance: random.Random) -> bytes:
    body = chance.choice((b"<table>" * 3000, b"<b>" * 20_000, b"<!--" * 5000, b"&" * 20_000, b"<a href='" * 3000, b"<![CDATA[" * 2000, b"<p style='" + b";" * 20_000, b"</p>" * 20_000))  # fmt: skip
    return b"From: a@b\nSubject: x\nContent-Type: text/html\n\n<html>" + body + _noise(chance)


def _large(chance: random.Random) -> bytes:
    return chance.choice(
        (
            b"From: a@b\nSubject: " + b"a " * 200_000 + b"\n\nx",
            b"From: a@b\n" + b"X-A: b\n" * 10_000 + b"\nx",
            b"From: a@b\nSubject: x\nX-Y:" + b"\n z" * 50_000 + b"\n\nx",
            b'From: a@b\nDate: x\nContent-Type: multipart/mixed; boundary="b"\n\n' + b"--b\n\nx\n" * 3_000,
            b'From: a@b\nDate: x\nContent-Type: multipart/mixed; boundary="b"\n\n' + b"--b\n\nx\n" * 50_000,
            b"From: a@b\nDate: x\n\n" + b"\n" * 3_000_000,
            b"From: a@b\nDate: x\nContent-Transfer-Encoding: base64\n\n" + b"A" * 3_000_000,
        )
    )


def _winmail(chance: random.Random) -> bytes:
    packed = b"\x78\x9f\x3e\x22\1\0" + b"".join(
        bytes([chance.randrange(3)])
        + chance.choice((0x00069003, 0x0002800C, 0x00069002, 0x00018010, 0x0006800F, 0x00069005)).to_bytes(4, "little")
        + (len(value) if chance.random() < 0.9 else chance.randrange(2**32)).to_bytes(4, "little")
        + value
        + b"\0\0"
        for value in (_noise(chance, 60) for _ in range(chance.randrange(8)))
    )
    return mail("see winmail", ("winmail.dat", packed)).as_bytes()


_ODD: dict[str, Callable[[random.Random], bytes]] = {
    "flipped": lambda chance: _flip(_base(chance), chance), "cut": lambda chance: _cut(_base(chance), chance),
    "charset": _charset, "headers": _headers, "multipart": _multipart, "nested": _nested, "mail in mail": _within,
    "html": _html, "large": _large, "winmail": _winmail, "numbers": lambda chance: _names(_base(chance), chance),
}  # fmt: skip


# --- what happens to them ---


class Tally:
    """What became of the files of one sort."""

    def __init__(self, sort: str) -> None:
        self.sort, self.files = sort, 0
        self.outcomes: Counter[str] = Counter()
        self.untyped: list[str] = []
        self.late: list[str] = []
        self.slowest = (0.0, "")

    def told(self) -> dict[str, Any]:
        return {
            "files": self.files, "outcomes": dict(self.outcomes.most_common()), "untyped": self.untyped[:20],
            "beyond_the_limit": self.late[:20], "slowest": [round(self.slowest[0], 2), self.slowest[1]],
        }  # fmt: skip


def run(sort: str, files: Iterator[tuple[str, bytes]], name: str, reader: Reader) -> Tally:
    """Read each; only typed errors count as refused."""
    tally = Tally(sort)
    for number, (kind, data) in enumerate(files):
        began = time.perf_counter()
        try:
            reader.read_bytes(data, name)
            outcome = "read"
        except DocumentUnreadable as error:
            outcome = error.code
        except Exception as error:
            outcome = "untyped"
            tally.untyped.append(f"{kind} {number}: {type(error).__name__}: {error}"[:200])
        spent = time.perf_counter() - began
        tally.files += 1
        tally.outcomes[outcome] += 1
        tally.slowest = max(tally.slowest, (spent, f"{kind} {number}: {outcome}"))
        if spent > reader.limits.seconds + MARGIN:
            tally.late.append(f"{kind} {number}: {spent:.1f} s")
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pdfs", type=int, default=1500)
    parser.add_argument("--mails", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    reader = Reader(limits=DocumentLimits(), ocr=False)  # what recognises text has limits of its own
    tallies = [run("PDF", pdfs(options.pdfs), "in.pdf", reader), run("mail", mails(options.mails), "in.eml", reader)]
    last = reader.read_bytes(invoice_pdf(), "last.pdf")  # and the door still stands
    limits = {"seconds": reader.limits.seconds, "mib": reader.limits.memory // MIB}
    result = {
        "limits": limits,
        "reads_afterwards": Facts().number in last.text,
        **{tally.sort: tally.told() for tally in tallies},
    }
    if options.save:
        RESULT.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    if options.json:
        print(json.dumps(result, indent=2))
        return
    for tally in tallies:
        print(
            f"{tally.sort}: {tally.files} files, {len(tally.untyped)} untyped, {len(tally.late)} beyond {limits['seconds']} s"
        )
        for outcome, count in tally.outcomes.most_common():
            print(f"  {outcome:24} {count:6}")
        print(f"  slowest {tally.slowest[0]:.2f} s ({tally.slowest[1]})")
        for line in [*tally.untyped[:10], *tally.late[:10]]:
            print(f"  ! {line}")


if __name__ == "__main__":
    main()
