"""A setting that a workflow draws is kept as any other value is: private ones sealed, large ones beside the journal."""

from __future__ import annotations

from pathlib import Path

from backstay import App, IdempotencyKey, action, approval, setting, workflow
from backstay.governance.audit import verify
from backstay.operations.proof import prove
from backstay.store.database import Reader
from backstay.store.payloads import OFFLOAD_BYTES, Payloads
from backstay.testing import harness

TOKEN = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"
LONG = ["row " * 10] * (OFFLOAD_BYTES // 40)


@action(effect="write")
def send(text: str, key: IdempotencyKey) -> str:
    return text[:4]


@workflow
async def use() -> str:
    token = await setting("token")
    rows = await setting("rows")
    await approval("desk", show={"rows": len(rows)})
    return await send(token)


app = App("drawing", workflows=[use], settings={"token": TOKEN, "rows": LONG})


async def test_a_private_setting_is_in_no_file_and_a_large_one_lies_beside_the_journal(tmp_path: Path) -> None:
    async with harness(app, tmp_path) as it:
        run = await it.start(use)
        token, rows = it.events(run, "drawn")
        assert token.value.startswith("secret:")  # type: ignore[attr-defined] - of that kind
        assert rows.value is None  # type: ignore[attr-defined] - of that kind
        assert rows.refs["/value"].startswith("blob:")  # type: ignore[attr-defined] - of that kind
        await it.restart()
        await it.approve(run, by="ann")
        assert await it.result(run) == "sk_l"
        reader = Reader(tmp_path / "backstay.db")
        assert prove(reader, Payloads(tmp_path, reader), run).equal
        reader.close()
        await it.close()
        assert verify(tmp_path / "backstay.db").findings == []
        assert [path.name for path in tmp_path.iterdir() if TOKEN.encode() in path.read_bytes()] == []
        await it.open()
