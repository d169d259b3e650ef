"""A run finishes on the version it began on, whatever is deployed meanwhile and whatever became of its file."""

from __future__ import annotations

import importlib.util
import linecache
import sys
from pathlib import Path
from types import ModuleType

import pytest

from backstay import App, Workflow
from backstay.testing import harness

FIRST = """
from backstay import action, approval, rule, workflow

LIMIT = 100

@action(effect="read")
async def price(article: str) -> int:
    return 120

@rule
def dear(amount: int) -> bool:
    return amount > LIMIT

@workflow
async def buy(article: str) -> str:
    amount = await price(article)
    decision = await approval("bosses")
    return f"first: {amount} {dear(amount)} {decision.approved}"
"""

SECOND = """
from backstay import action, approval, rule, workflow

LIMIT = 1000

@action(effect="read")
async def price(article: str) -> int:
    return 120

@action(effect="read")
async def discount(article: str) -> int:
    return 20

@rule
def dear(amount: int) -> bool:
    return amount > LIMIT

@workflow
async def buy(article: str) -> str:
    less = await discount(article)
    amount = await price(article) - less
    decision = await approval("chiefs")
    return f"second: {amount} {dear(amount)} {decision.approved}"
"""


def deploy(path: Path, text: str) -> App:
    """Write the application's file and import it, as a new worker would."""
    path.write_text(text, "utf-8")
    linecache.checkcache()
    spec = importlib.util.spec_from_file_location("deployed_app", path)
    assert spec is not None
    assert spec.loader is not None
    module = ModuleType("deployed_app")
    module.__file__ = str(path)
    sys.modules["deployed_app"] = module
    exec(compile(text, str(path), "exec"), module.__dict__)
    workflows = [value for value in vars(module).values() if isinstance(value, Workflow)]
    return App("shop", workflows=workflows)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deployed_app.py"


async def test_a_run_started_on_the_first_version_finishes_on_it(file: Path) -> None:
    async with harness(deploy(file, FIRST)) as it:
        old = await it.start("buy", article="a", by="ann")
        await it.close()
        it.app = deploy(file, SECOND)
        await it.open()
        new = await it.start("buy", article="a", by="ann")
        assert [it.waits_in(run) for run in (old, new)] == [["bosses"], ["chiefs"]]
        for run in (old, new):
            await it.approve(run, by="bob")
        assert await it.result(old) == "first: 120 True True"
        assert await it.result(new) == "second: 100 False True"
        assert it.run(old).version != it.run(new).version


async def test_a_run_finishes_when_its_file_is_gone(file: Path) -> None:
    async with harness(deploy(file, FIRST)) as it:
        run = await it.start("buy", article="a", by="ann")
        await it.close()
        file.unlink()
        await it.open()
        await it.approve(run, by="bob")
        assert await it.result(run) == "first: 120 True True"


async def test_a_run_finishes_when_its_workflow_is_no_longer_deployed(file: Path) -> None:
    async with harness(deploy(file, FIRST)) as it:
        run = await it.start("buy", article="a", by="ann")
        await it.close()
        it.app = deploy(file, SECOND.replace("async def buy", "async def purchase"))
        await it.open()
        await it.approve(run, by="bob")
        assert await it.result(run) == "first: 120 True True"
        with pytest.raises(Exception, match="no workflow 'buy'; it has purchase"):
            await it.start("buy", article="a")


async def test_layout_and_comments_make_no_new_version(file: Path) -> None:
    first = deploy(file, FIRST).workflows["buy"].definition.version
    commented = FIRST.replace("    decision = ", "    # ask a boss\n\n    decision = ")
    assert deploy(file, commented).workflows["buy"].definition.version == first
    assert deploy(file, FIRST.replace("LIMIT = 100", "LIMIT = 101")).workflows["buy"].definition.version != first


async def test_going_back_to_the_first_version_starts_on_it_again(file: Path) -> None:
    async with harness(deploy(file, FIRST)) as it:
        first = it.run(await it.start("buy", article="a")).version
        for text in (SECOND, FIRST):
            await it.close()
            it.app = deploy(file, text)
            await it.open()
        assert it.run(await it.start("buy", article="a")).version == first
        stored = [row["version"] for row in it.client._reader.all("definitions")]
        assert stored == [first]


FAMILY = """
from backstay import ChildFailed, approval, sleep, start, workflow

@workflow
async def letter(name: str) -> str:
    await sleep("1d")
    return f"dear {name}"

@workflow
async def write(name: str) -> str:
    await approval("bosses")
    try:
        return await letter(name)
    except ChildFailed as error:
        return error.message
"""


async def test_a_child_takes_the_version_that_is_deployed_when_it_is_started(file: Path) -> None:
    async with harness(deploy(file, FAMILY)) as it:
        early, late = [await it.start("write", name="Ann", by="ann") for _ in range(2)]
        await it.approve(early, by="bo")
        await it.close()
        it.app = deploy(file, FAMILY.replace('f"dear {name}"', 'f"hello {name}"'))
        await it.open()
        await it.approve(late, by="bo")
        await it.advance("1d")
        assert [await it.result(run) for run in (early, late)] == ["dear Ann", "hello Ann"]
        assert it.run(early).version == it.run(late).version
        assert len({run.version for run in it.client.runs(workflow="letter")}) == 2


async def test_a_child_that_does_not_take_what_its_parent_gives_any_more_has_failed(file: Path) -> None:
    async with harness(deploy(file, FAMILY)) as it:
        run = await it.start("write", name="Ann", by="ann")
        await it.close()
        it.app = deploy(file, FAMILY.replace("letter(name: str)", "letter(name: int)"))
        await it.open()
        await it.approve(run, by="bo")
        assert "name" in await it.result(run)
