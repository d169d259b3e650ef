"""An AI step that is awaited as a method is refused with the line that mends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.language import check_file

PROGRAM = """
from backstay import workflow
from backstay.ai.classifying import Classifier

kind = Classifier("kind", labels=["bug", "billing"], embeddings=None)


@workflow
async def triage(mail: str) -> str:
    return (await kind.{used}(mail)).why
"""


@pytest.mark.parametrize(
    ("used", "told"), [("classify", "`classify_kind = kind.classify`"), ("judge", "spell it out: literals")]
)
def test_an_action_of_an_object_is_told_to_be_named(tmp_path: Path, used: str, told: str) -> None:
    file = tmp_path / f"desk_{used}.py"
    file.write_text(PROGRAM.format(used=used), "utf-8")
    found = {each.code: each.help for each in check_file(file).diagnostics}
    assert told in found["B402"]
