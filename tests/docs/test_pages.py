"""The docs are true: every Python block runs, every shown output is what it prints, every link leads somewhere."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from backstay.engine.stages import STAGES
from backstay.language import check_file

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks" / "README.md"])
ALONE = frozenset({"language.md"})
"""Pages whose blocks are files of their own."""
FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<info>[^`]*)$")
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)(?:\s+\"[^\"]*\")?\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its info string, its text and the line its text begins on."""

    info: str
    text: str
    line: int
    before: str
    """The last line of prose above it."""


def blocks(page: Path) -> list[Block]:
    found: list[Block] = []
    ticks, info, first, before, lines = "", "", 0, "", list[str]()
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        fence = FENCE.match(line)
        if not ticks and fence:
            ticks, info, first, lines = fence["ticks"], fence["info"].strip(), number + 1, []
        elif ticks and line.strip() == ticks:
            found.append(Block(info, "\n".join(lines), first, before))
            ticks = ""
        elif ticks:
            lines.append(line)
        elif line.strip():
            before = line.strip()
    assert not ticks, f"{page.name}: the block that begins on line {first - 1} is not closed"
    return found


def with_python() -> list[Path]:
    return [page for page in PAGES if any(block.info == "python" for block in blocks(page))]


def expected_output(found: list[Block], number: int) -> str | None:
    """An `output` block that follows a Python block says what it prints."""
    following = found[number + 1] if number + 1 < len(found) else None
    return following.text if following is not None and following.info == "output" else None


def lines_match(expected: str, printed: str) -> bool:
    """Equal line by line; a line `...` stands for any number of lines."""
    parts = [re.escape(part.strip("\n")) for part in re.split(r"(?m)^ *\.\.\.$", expected)]
    return re.fullmatch(r"(?:.*\n)*?.*".join(parts), printed.strip("\n")) is not None


def laid_out(page: Path, listed: list[Block], folder: Path, name: str) -> ModuleType:
    """A module whose file has the blocks at the page's own line numbers, so that sources and errors are found."""
    lines = [""] * (page.read_text("utf-8").count("\n") + 1)
    for block in listed:
        body = block.text.splitlines()
        lines[block.line - 1 : block.line - 1 + len(body)] = body
    file = folder / f"{name}.py"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    module = ModuleType(name)
    module.__file__ = str(file)
    return module


@pytest.mark.parametrize("page", with_python(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_python_block_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a page share one module; those of a page that says so each stand alone."""
    found = blocks(page)
    monkeypatch.chdir(tmp_path)
    module: ModuleType | None = None
    for number, block in enumerate(found):
        if block.info != "python":
            continue
        if module is None or page.name in ALONE:
            together = [block] if page.name in ALONE else [each for each in found if each.info == "python"]
            module = laid_out(page, together, tmp_path, f"page_{page.stem.lower().replace('-', '_')}_{number}")
            monkeypatch.setitem(sys.modules, module.__name__, module)
        code = compile("\n" * (block.line - 1) + block.text, str(module.__file__), "exec", dont_inherit=True)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, module.__dict__)
        expected = expected_output(found, number)
        if expected is not None:
            where = f"{page.name}:{block.line} prints\n{printed.getvalue()}"
            assert lines_match(expected, printed.getvalue()), where


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_block_that_does_not_run_says_why(page: Path) -> None:
    for block in blocks(page):
        if block.info.startswith("python") and block.info != "python":
            kinds = ("python no-run", "python refused")
            assert block.info in kinds, f"{page.name}:{block.line}: {block.info!r} is no kind of block"
            assert block.info == "python refused" or block.before.startswith("<!-- no-run:"), (
                f"{page.name}:{block.line}: say why above it"
            )


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings get."""
    found = set[str]()
    fenced = False
    for line in page.read_text("utf-8").splitlines():
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced and line.startswith("#"):
            words = re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower())
            found.add(words.replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    wrong: list[str] = []
    for target in LINK.findall(page.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        goal = page if not path else Path(os.path.normpath(page.parent / path))
        if not goal.exists() or (anchor and goal.suffix == ".md" and anchor not in anchors(goal)):
            wrong.append(target)
    assert wrong == []


def test_every_page_of_the_docs_is_listed_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    decisions = (ROOT / "docs" / "decisions" / "README.md").read_text("utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index, page.name
    for page in (ROOT / "docs" / "decisions").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in decisions, page.name


def test_decisions_have_their_four_parts() -> None:
    for page in (ROOT / "docs" / "decisions").glob("[0-9]*.md"):
        headings = re.findall(r"(?m)^## (.*)$", page.read_text("utf-8"))
        assert headings == ["Context", "Decision", "Consequences", "Alternatives"], page.name


def refused() -> list[tuple[Path, Block, str]]:
    found: list[tuple[Path, Block, str]] = []
    for page in PAGES:
        listed = blocks(page)
        for number, block in enumerate(listed):
            if block.info == "python refused":
                found.append((page, block, expected_output(listed, number) or ""))
    return found


@pytest.mark.parametrize(("page", "block", "expected"), refused(), ids=lambda value: getattr(value, "name", ""))
def test_a_refused_program_is_refused_in_these_words(page: Path, block: Block, expected: str, tmp_path: Path) -> None:
    file = tmp_path / expected.partition(":")[0]
    file.write_text(block.text + "\n", "utf-8")
    told = "\n\n".join(str(diagnostic) for diagnostic in check_file(file).diagnostics)
    assert told.replace(str(file), file.name) == expected


def test_the_readme_tells_the_two_commands_on_one_line_each() -> None:
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    assert "pip install uv && uv run backstay demo" in lines
    assert "pip install uv && uv run pytest" in lines
    assert "pip install uv && uv run pytest" in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()


def test_the_gate_is_told_in_its_order() -> None:
    page = (ROOT / "docs" / "effects-and-guarantees.md").read_text("utf-8")
    told = re.findall(r"(?m)^\d\. .*$", page.partition("## The gate")[2].partition("\n## ")[0])
    words = ("pinned", "schema", "switch", "breaker", "limits", "agent", "planned", "policy", "sink")
    assert len(STAGES) == len(told) == len(words)
    assert all(word in line for word, line in zip(words, told, strict=True))


def test_the_readme_shows_the_demo_as_its_outcome_table_has_it() -> None:
    example = ROOT / "examples" / "accounts_payable"
    with (example / "outcomes.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    stands = Counter(row["outcome"] for row in rows)
    queues = Counter(row["queue"] for row in rows if row["outcome"] == "queued")
    shown = (ROOT / "README.md").read_text("utf-8")
    assert f"on {len(list((example / 'invoices').iterdir()))} real files" in shown
    assert f"\n{len(rows) - stands['same']} invoices\n" in shown
    for name in ("posted", "waiting", "lost", "queued"):
        assert re.search(rf"(?m)^{stands[name]} +{name}\b", shown), name
    told = re.findall(r"([a-z-]+) (\d+)(?=, )", shown.partition(" queued ")[2].partition("\n")[0])
    assert len(told) > 3
    assert all(queues[queue] == int(number) for queue, number in told)


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "CONTRIBUTING.md", "AGENTS.md"])
def test_every_file_that_a_page_names_exists(name: str) -> None:
    roots = (ROOT, ROOT / "src" / "backstay", ROOT / "examples" / "accounts_payable", ROOT / "docs" / "decisions")
    named = re.findall(r"`([a-z0-9_./]+(?:\.py|\.sql|\.md|/))`", (ROOT / name).read_text("utf-8"))
    assert len(named) > 5
    assert [file for file in named if not any((root / file).exists() for root in roots)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_names_a_machine(page: Path) -> None:
    assert re.findall(r"(?:^|[\s`(\"'])(/(?:work|root|home|tmp|Users|mnt)/\S*)", page.read_text("utf-8")) == []
