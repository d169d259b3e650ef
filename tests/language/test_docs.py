"""The documents say what the code does: the codes are generated, the examples run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backstay.language import check_file
from backstay.language.codes import CODES

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = re.findall(r"```python\n(.*?)```", (DOCS / "language.md").read_text(), re.DOTALL)
GROUPS = {
    "1": "Syntax",
    "2": "Names and calls",
    "3": "Fields and methods",
    "4": "What a definition holds",
    "5": "Decision tables",
    "6": "Files",
}


def diagnostics_page() -> str:
    lines = [
        "# Diagnostics",
        "",
        "Every refusal has a code. This page is generated from `src/backstay/language/codes.py`; `{name}` stands for the",
        "thing in your program that the caret points at. `backstay check FILE` prints them.",
    ]
    for group, title in GROUPS.items():
        lines += ["", f"## {title}"]
        for code, entry in CODES.items():
            if code[1] == group:
                texts = (entry.title, entry.reason, entry.help, entry.in_rule)
                what, why, instead, in_rule = (text.replace("{{", "{").replace("}}", "}") for text in texts)
                lines += ["", f"### {code}: {what}", "", f"**Why:** {why}.", "", f"**Instead:** {instead}."]
                if in_rule:
                    lines += ["", f"**In a rule:** {in_rule}."]
    return "\n".join(lines) + "\n"


def test_the_page_of_diagnostics_is_the_table_in_the_code(update_golden: bool) -> None:
    page = DOCS / "diagnostics.md"
    if update_golden:
        page.write_text(diagnostics_page())
    assert page.read_text() == diagnostics_page()


def test_every_code_says_what_why_and_what_instead() -> None:
    for code, entry in CODES.items():
        assert re.fullmatch(r"B[1-6]\d\d", code)
        assert entry.title
        assert entry.reason
        assert entry.help
        assert not entry.help.endswith(".")
        assert not entry.in_rule.endswith(".")


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_every_example_of_the_language_page_is_accepted(number: int, tmp_path: Path) -> None:
    program = tmp_path / "example.py"
    program.write_text(BLOCKS[number])
    checked = check_file(program)
    assert [str(one) for one in checked.diagnostics] == []
    assert checked.workflows or checked.rules or "DecisionTable" in BLOCKS[number]
