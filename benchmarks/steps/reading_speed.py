"""How long reading takes: `python -m benchmarks.steps.reading_speed [--repeat N] [--json] [--save]`.

One caller, warm processes with one thread each: an invoice with a text layer, one with embedded XML, a mail with an invoice,
and the same invoice as a scan of 200 dots an inch. The invoices are drawn here; they are not a public set.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from backstay.ai.documents import Document, Reader
from benchmarks.steps.made_documents import cii, invoice_pdf, mail, random_facts, scan, with_file

RESULT = Path(__file__).parents[1] / "results" / "steps_reading_speed.json"
LIMITS = {"text invoice": 0.150, "scanned page": 2.5}
"""Seconds that are promised."""


def measure(read: Callable[[bytes, str], Document], files: list[tuple[str, bytes]], repeat: int) -> list[float]:
    """Seconds for each reading, after one that does not count."""
    read(files[0][1], files[0][0])
    spent = list[float]()
    for number in range(repeat):
        name, data = files[number % len(files)]
        began = time.perf_counter()
        read(data, name)
        spent.append(time.perf_counter() - began)
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    reader = Reader()
    texts = [(f"{seed}.pdf", invoice_pdf(random_facts(seed))) for seed in range(8)]
    sorts = {
        "text invoice": texts,
        "invoice with XML": [("x.pdf", with_file(invoice_pdf(random_facts(3)), "factur-x.xml", cii(random_facts(3))))],
        "mail with invoice": [("m.eml", mail("attached", ("a.pdf", texts[0][1])).as_bytes())],
        "scanned page": [(f"{seed}.pdf", scan(invoice_pdf(random_facts(seed)))) for seed in range(4)],
    }
    result = dict[str, dict[str, float]]()
    for sort, files in sorts.items():
        repeat = options.repeat if sort != "scanned page" else max(4, options.repeat // 5)
        spent = sorted(measure(reader.read_bytes, files, repeat))
        result[sort] = {
            "median_ms": round(1000 * statistics.median(spent), 1),
            "p95_ms": round(1000 * spent[int(0.95 * (len(spent) - 1))], 1),
            "files": repeat,
        }
    if options.save:
        RESULT.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    if options.json:
        print(json.dumps(result, indent=2))
        return
    for sort, row in result.items():
        limit = f"  (limit {1000 * LIMITS[sort]:.0f})" if sort in LIMITS else ""
        print(f"{sort:20} median {row['median_ms']:8.1f} ms   95 % below {row['p95_ms']:8.1f} ms{limit}")


if __name__ == "__main__":
    main()
