"""Programs that must be refused, each with the exact diagnostic next to it."""

from pathlib import Path

import pytest

from backstay.language import check_file
from backstay.language.codes import CODES

REJECTED = sorted((Path(__file__).parent / "golden" / "rejected").glob("*.py"))


def diagnostics_of(program: Path) -> str:
    checked = check_file(program)
    return "\n\n".join(str(one).replace(f"{program.parent}/", "") for one in checked.diagnostics) + "\n"


@pytest.mark.parametrize("program", REJECTED, ids=lambda path: path.stem)
def test_a_program_outside_the_language_is_refused_with_exactly_these_words(program: Path, update_golden: bool) -> None:
    expected = program.with_suffix(".txt")
    said = diagnostics_of(program)
    if update_golden:
        expected.write_text(said)
    assert said.strip()
    assert said == expected.read_text()
    if program.stem[0] == "B":
        assert f": {program.stem[:4]} " in said


def test_every_code_has_a_golden_program() -> None:
    said = "".join(program.with_suffix(".txt").read_text() for program in REJECTED)
    assert [code for code in CODES if f": {code} " not in said] == []
