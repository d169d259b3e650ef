"""Retrieval over short technical texts: words, vectors and both, and whether "not in this base" is said at the right time.

The documents are the docstrings of the installed numpy and scikit-learn, without their first line and their "See Also"; the
questions are those first lines. Right for a question is the docstring that it was taken from (2) and those that its "See
Also" names (1). For "not in this base" every sixth docstring is kept out: its first line is a question that is not answered
(near); so are the first lines of the standard library's functions (far). This is no public set.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import inspect
import io
import json
import math
import pkgutil
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from backstay.ai.embeddings import local_embedder
from backstay.ai.knowledge import KnowledgeBase, Table
from backstay.ai.knowledge.asking import EVERYONE
from backstay.ai.knowledge.ranking import Settings

ME = [frozenset({EVERYONE})]
LIBRARIES = ("numpy", "sklearn")
STANDARD = (
    "os",
    "shutil",
    "tarfile",
    "smtplib",
    "imaplib",
    "ssl",
    "tkinter",
    "turtle",
    "asyncio",
    "logging",
    "calendar",
    "http.client",
)


@dataclass(frozen=True)
class Text:
    """One docstring."""

    name: str
    question: str
    body: str
    related: tuple[str, ...]


def docstrings(library: str) -> Iterator[Text]:
    """The docstrings of a library's public functions and classes, each once."""
    seen = set[int]()
    for module in modules(library):
        for name, each in sorted(vars(module).items()):
            if name.startswith("_") or not callable(each) or id(each) in seen:
                continue
            if not (getattr(each, "__module__", "") or "").startswith(library):
                continue
            seen.add(id(each))
            text = inspect.getdoc(each) or ""
            first, _, rest = text.partition("\n\n")
            if re.match(r"\w+\(.*\)", first):  # a signature comes before the first line
                first, _, rest = rest.partition("\n\n")
            also = re.search(r"See Also\n-+\n(.*?)(?=\n\n\S|\n\n?\w[\w ]+\n-+\n|\Z)", rest, re.DOTALL)
            named = re.findall(r"^([\w., ]+?)(?= : |$)", also[1], re.MULTILINE) if also else []
            related = tuple(
                part.strip().rpartition(".")[2] for line in named for part in line.split(",") if part.strip()
            )
            body = rest.replace(also[0], "") if also else rest
            body = body.partition("\nExamples\n---")[0].strip()
            if len(body.split()) > 30 and 3 < len(first.split()) < 40:
                yield Text(name, " ".join(first.split()), body, related)


def modules(library: str) -> Iterator[Any]:
    root = import_module(library)
    yield root
    for found in pkgutil.iter_modules(root.__path__, f"{library}."):
        if not re.search(r"\._|tests|conftest|distutils|f2py|experimental|typing|compat|externals|testing", found.name):
            with contextlib.suppress(Exception):
                yield import_module(found.name)


def first_lines(names: Sequence[str]) -> list[str]:
    """First lines of docstrings of the standard library."""
    found = dict[str, None]()
    for name in names:
        with contextlib.suppress(ImportError):
            module = import_module(name)
            for each in vars(module).values():
                line = (inspect.getdoc(each) or "").partition("\n")[0] if callable(each) else ""
                if 5 < len(line.split()) < 40 and "(" not in line:
                    found[line] = None
    return list(found)


def ndcg(ranked: Sequence[str], right: Mapping[str, int], depth: int = 10) -> float:
    """nDCG with exponential gains."""
    gained = sum((2 ** right.get(name, 0) - 1) / math.log2(at + 2) for at, name in enumerate(ranked[:depth]))
    best = sorted(right.values(), reverse=True)[:depth]
    return gained / sum((2**gain - 1) / math.log2(at + 2) for at, gain in enumerate(best))


def auroc(yes: Sequence[float], no: Sequence[float]) -> float:
    """The chance that one that is in the base is held likelier than one that is not."""
    return sum((a > b) + (a == b) / 2 for a in yes for b in no) / (len(yes) * len(no))


def measure() -> dict[str, Any]:
    """Index, ask, count."""
    with contextlib.redirect_stderr(io.StringIO()):
        texts = {each.name: each for library in LIBRARIES for each in docstrings(library)}
    listed = sorted(texts.values(), key=lambda each: each.name)
    out, kept = listed[::6], [each for number, each in enumerate(listed) if number % 6]
    with tempfile.TemporaryDirectory() as folder:
        return _measured(Path(folder), kept, out)


def _measured(home: Path, kept: Sequence[Text], out: Sequence[Text]) -> dict[str, Any]:
    table = home / "texts.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("name", "text"), *((each.name, each.body) for each in kept)])
    embedder = local_embedder()
    base = KnowledgeBase("texts", sources=[Table(table, key="name", title="name", text=["text"])], embeddings=embedder)
    began = time.perf_counter()
    base.index(home, "2026-01-05T09:00:00Z")
    indexed = time.perf_counter() - began
    began = time.perf_counter()
    view, fit = base._view(home, ME)  # pyright: ignore[reportPrivateUsage] - to rank in other ways than it would
    fitted = time.perf_counter() - began
    names = {each.name for each in kept}
    asked = {
        each: {each.name: 2} | {name: 1 for name in each.related if name in names and name != each.name}
        for each in kept[::2]
    }
    ways = {"bm25": Settings(), "feedback": Settings(feedback=True), "chosen": fit.settings}
    if view.embedded:
        ways |= {
            "vectors": Settings(vectors=1.0),
            "half": Settings(vectors=0.5),
            "half+feedback": Settings(feedback=True, vectors=0.5),
        }
    gains = {
        way: [ndcg(_ranked(view, each.question, settings), right) for each, right in asked.items()]
        for way, settings in ways.items()
    }
    began = time.perf_counter()
    yes = [base.look_up(home, each.question, ME, 10).in_base for each in asked]
    took = (time.perf_counter() - began) / len(yes)
    near = [base.look_up(home, each.question, ME, 10).in_base for each in out]
    far = [base.look_up(home, line, ME, 10).in_base for line in first_lines(STANDARD)[:300]]
    needed = fit.needed(base.target)
    return {
        "documents": len(kept), "passages": len(view), "questions": len(yes), "near": len(near), "far": len(far),
        "ndcg@10": {way: round(sum(each) / len(each), 3) for way, each in gains.items()},
        "its own questions": fit.found, "settings": asdict(fit.settings),
        "auroc": {"near": round(auroc(yes, near), 3), "far": round(auroc(yes, far), 3)},
        "sure": {name: round(sum(each >= needed for each in said) / len(said), 3) for name, said in (("in", yes), ("near", near), ("far", far))},
        "mean": {name: round(sum(said) / len(said), 3) for name, said in (("in", yes), ("near", near), ("far", far))},
        "seconds": {"index": round(indexed, 2), "fit": round(fitted, 2), "question": round(took, 4)},
    }  # fmt: skip


def _ranked(view: Any, question: str, settings: Settings) -> list[str]:
    import numpy as np

    (asked,) = view.ask([question])
    scores = view.scores(asked, settings)
    order = np.argsort(-scores, kind="stable")[:40].tolist()
    return list(dict.fromkeys(each.document for each in view.read(order)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    found = measure()
    if options.save:
        path = Path(__file__).parent.parent / "results" / "steps_retrieval.json"
        path.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    print(json.dumps(found, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
