"""Checkpoints: their form, their key, and what shows against one that was kept elsewhere."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import sqlite3
import stat
import sys
from asyncio.subprocess import PIPE
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from backstay import App, IdempotencyKey, action, workflow
from backstay.cli import entry, screen
from backstay.engine.control import find_worker, serve
from backstay.errors import NotAllowed, OperatorError, StoreFenced
from backstay.governance.audit import verify
from backstay.governance.checkpoints import Signed, Signer, load_signer, make_checkpoint, open_note, stored_checkpoints
from backstay.store.database import Reader
from backstay.store.views import system_events
from backstay.testing import harness
from backstay.types import canonical as ours
from backstay.verify import Checkpoint, canonical, read_checkpoint, read_key, verify_ed25519
from benchmarks.tampering import ATTACKS, Memory, load, make_store, tamper

PUBLISHED_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PUBLISHED_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
"""The example of the Go project's package for signed notes."""


@action(effect="write")
async def post(amount: str, key: IdempotencyKey) -> str:
    return f"P-{amount}"


@workflow
async def paying(amount: str) -> str:
    return await post(amount)


async def fill(home: Path, *amounts: str) -> None:
    async with harness(App("payments", workflows=[paying]), home) as it:
        for amount in amounts:
            await it.start(paying, amount=amount)


async def sign(home: Path, by: str = "ann") -> Signed:
    """A checkpoint while no worker runs."""
    async with App("auditing", workflows=()).open(home, resume=False) as client:
        return await client.checkpoint(by=by)


def reader(home: Path) -> closing[Reader]:
    return closing(Reader(home / "backstay.db"))


def cli(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    screen.consoles.cache_clear()
    code = entry.run(arguments)
    return code, capsys.readouterr().out


# --- Ed25519 and notes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("public", "message", "signature"),
    [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ],
)
def test_the_signatures_of_rfc_8032_verify(public: str, message: str, signature: str) -> None:
    key, text, signed = bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature)
    assert verify_ed25519(key, text, signed)
    assert not verify_ed25519(key, text + b"!", signed)
    assert not verify_ed25519(key, text, signed[:32] + bytes([signed[32] ^ 1]) + signed[33:])
    assert not verify_ed25519(key, text, b"\xff" * 32 + signed[32:])
    assert not verify_ed25519(key, text, signed[:-1])


@given(st.binary(max_size=200), st.binary(min_size=32, max_size=32))
def test_signatures_of_another_library_verify(message: bytes, seed: bytes) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert verify_ed25519(public, message, signature)
    assert not verify_ed25519(public, message + b"\0", signature)


def test_a_published_signed_note_verifies() -> None:
    name, public = read_key(PUBLISHED_KEY)
    text, _, line = PUBLISHED_NOTE.rpartition("\n\n")
    signature = base64.b64decode(line.split(" ")[2])
    assert name == "PeterNeumann"
    assert signature[:4].hex() == "c74f20a3"
    assert verify_ed25519(public, f"{text}\n".encode(), signature[4:])


def test_a_checkpoint_has_the_form_of_c2sp() -> None:
    signer = Signer(Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
    note = signer.sign(20, b"\x02" * 32)
    assert note == (
        "backstay/34750f98bd59fcfc\n20\nAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n\n"
        f"\u2014 backstay/34750f98bd59fcfc {note.split(' ')[2]}"
    )
    assert read_checkpoint(note, signer.public) == Checkpoint(signer.name, 20, b"\x02" * 32)
    assert open_note(note, signer.public) == read_checkpoint(note, signer.public)


@pytest.mark.parametrize(
    ("old", "new"), [("\n20\n", "\n21\n"), ("AgIC", "AwIC"), ("backstay/3", "backstay/4"), ("\n\n", "\n")]
)
def test_a_changed_note_is_refused(old: str, new: str) -> None:
    signer = Signer(Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
    note = signer.sign(20, b"\x02" * 32).replace(old, new, 1)
    for check in (read_checkpoint, open_note):
        with pytest.raises(ValueError, match="no valid signature|no signed checkpoint"):
            check(note, signer.public)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda one: st.lists(one) | st.dictionaries(st.text(), one),
    )
)
def test_the_verifier_writes_canonical_json_as_backstay_does(value: object) -> None:
    assert canonical(value) == ours(value)


# --- the key ---------------------------------------------------------------------------------------------------


async def test_the_key_is_made_once_for_its_owner_alone(home: Path) -> None:
    await fill(home, "1")
    with reader(home) as store:
        first, again = load_signer(home, store), load_signer(home, store)
    assert first.public == again.public == (home / "audit.pub").read_text().strip()
    assert stat.S_IMODE((home / "audit.key").stat().st_mode) == 0o600
    assert len((home / "audit.key").read_bytes()) == 32
    assert not list(home.glob("*.new"))


async def test_a_lost_key_is_not_silently_replaced(home: Path) -> None:
    await fill(home, "1")
    await sign(home)
    (home / "audit.key").unlink()
    with (
        reader(home) as store,
        pytest.raises(OperatorError, match="'audit.key' is missing, and the store has checkpoints"),
    ):
        load_signer(home, store)


async def test_a_damaged_key_is_named(home: Path) -> None:
    await fill(home, "1")
    (home / "audit.key").write_bytes(b"short")
    with reader(home) as store, pytest.raises(OperatorError, match="'audit.key' is damaged: it must be 32 bytes"):
        load_signer(home, store)


# --- recording -----------------------------------------------------------------------------------------------


async def test_a_checkpoint_is_in_the_table_and_on_the_systems_chain(home: Path) -> None:
    await fill(home, "1", "2")
    made = await sign(home)
    with reader(home) as store:
        assert stored_checkpoints(store) == [(made["size"], made["note"])]
        (told,) = system_events(store, "checkpoint")
        assert (told.by, told.detail) == ("ann", {"size": made["size"], "root": made["root"]})  # pyright: ignore[reportAttributeAccessIssue]
        assert store.value("last_position") == made["size"] + 1
    report = verify(home / "backstay.db")
    assert (report.findings, report.checkpoints) == ([], 1)


async def test_nothing_is_signed_that_contradicts_an_earlier_checkpoint(home: Path) -> None:
    await fill(home, "1", "2")
    await sign(home)
    with reader(home) as store:
        signer = load_signer(home, store)
    with closing(sqlite3.connect(home / "backstay.db")) as db, db:
        db.execute("UPDATE events SET hash = zeroblob(32) WHERE position = 3")
    with reader(home) as store, pytest.raises(OperatorError, match="not a continuation of the checkpoint over"):
        make_checkpoint(store, signer)
    with closing(sqlite3.connect(home / "backstay.db")) as db, db:
        db.execute("DELETE FROM events WHERE position = 3")
    with reader(home) as store, pytest.raises(OperatorError, match="some are missing, and nothing was signed"):
        make_checkpoint(store, signer)


async def test_an_empty_store_has_nothing_to_sign(home: Path) -> None:
    async with App("payments", workflows=[paying]).open(home):
        pass
    with pytest.raises(OperatorError, match="nothing to sign"):
        await sign(home)


async def test_a_checkpoint_that_another_key_signed_is_named_and_nothing_is_signed(home: Path) -> None:
    await fill(home, "1")
    await sign(home)
    with closing(sqlite3.connect(home / "backstay.db")) as db, db:
        db.execute("UPDATE checkpoints SET note = replace(note, 'backstay/', 'elsewhere/')")
    with pytest.raises(OperatorError, match="in the store was changed, or 'audit.key' is not the key"):
        await sign(home)


# --- beside a worker ------------------------------------------------------------------------------------------


async def test_a_checkpoint_is_recorded_while_runs_go_on(home: Path) -> None:
    async with harness(App("payments", workflows=[paying]), home) as it:
        starts = [asyncio.create_task(it.start(paying, amount=str(number))) for number in range(40)]
        await starts[0]
        made = [await it.client.checkpoint(by="ann") for _ in range(3)]
        await asyncio.gather(*starts)
    sizes = [each["size"] for each in made]
    assert sizes == sorted(set(sizes))
    with reader(home) as store:
        assert stored_checkpoints(store) == [(each["size"], each["note"]) for each in made]
    held = {each["note"]: open_note(each["note"], each["key"]) for each in made}
    report = verify(home / "backstay.db", key=made[0]["key"], held=held)
    assert (report.findings, report.checkpoints) == ([], 3)


async def test_two_at_once_are_one_after_the_other(home: Path) -> None:
    async with harness(App("payments", workflows=[paying]), home) as it:
        await it.start(paying, amount="1")
        one, two = await asyncio.gather(it.client.checkpoint(by="ann"), it.client.checkpoint(by="bea"))
    assert two["size"] == one["size"] + 1
    assert verify(home / "backstay.db", key=one["key"]).findings == []


async def test_what_was_not_recorded_is_not_given_out(home: Path) -> None:
    """The worker dies with the very commit that records the checkpoint; nothing contradicts the next one."""
    async with harness(App("payments", workflows=[paying]), home) as it:
        await it.start(paying, amount="1")
        await it.close()
        await it.open(crash_at=1)
        with pytest.raises(StoreFenced):
            await it.client.checkpoint(by="ann")
        await it.restart()
        await it.client.checkpoint(by="ann")
    assert verify(home / "backstay.db").findings == []


async def test_a_worker_that_is_killed_while_it_signs_leaves_a_store_that_proves_itself(home: Path) -> None:
    for seconds in (0.05, 0.2, 0.4):
        worker = await asyncio.create_subprocess_exec(sys.executable, "-c", ENDLESS, str(home), stdout=PIPE)
        assert worker.stdout is not None
        assert await worker.stdout.readline() == b"signed\n"
        await asyncio.sleep(seconds)
        worker.kill()
        await worker.communicate()
        made = await sign(home)
        held = open_note(made["note"], made["key"])
        assert verify(home / "backstay.db", key=made["key"], held={"held": held}).findings == []


ENDLESS = """
import asyncio, sys
from tests.governance.test_checkpoints import App, paying

async def main():
    async with App("payments", workflows=[paying]).open(sys.argv[1]) as client:
        while True:
            await client.start(paying, {"amount": "1"})
            await client.checkpoint(by="ann")
            print("signed", flush=True)

asyncio.run(main())
"""


async def test_who_may_not_audit_signs_nothing_and_that_is_recorded(home: Path) -> None:
    async with harness(App("payments", workflows=[paying]), home) as it:
        await it.client.register("root", roles=["administrator"], by="root")
        with pytest.raises(NotAllowed, match="that takes role auditor"):
            await it.client.checkpoint(by="root")
    with reader(home) as store:
        assert [event.subject for event in system_events(store, "denied")] == ["audit"]  # pyright: ignore[reportAttributeAccessIssue]
        assert stored_checkpoints(store) == []
    assert not (home / "audit.key").exists()


async def test_keys_made_at_the_same_moment_are_one_key(home: Path) -> None:
    await fill(home, "1")

    def public() -> str:
        with reader(home) as store:
            return load_signer(home, store).public

    assert len(set(await asyncio.gather(*(asyncio.to_thread(public) for _ in range(8))))) == 1
    assert not list(home.glob("*.new"))


# --- what shows against one that was kept elsewhere -----------------------------------------------------------


async def kept(home: Path) -> tuple[Checkpoint, str]:
    await fill(home, "1", "2", "3")
    made = await sign(home)
    return open_note(made["note"], made["key"]), made["key"]


def found(home: Path, held: Checkpoint, key: str) -> list[str]:
    return [str(finding) for finding in verify(home / "backstay.db", key=key, held={"the kept one": held}).findings]


async def test_a_store_that_went_on_is_consistent(home: Path) -> None:
    held, key = await kept(home)
    await fill(home, "4")
    await sign(home)
    assert found(home, held, key) == []


async def test_an_older_copy_that_was_put_back_is_named(home: Path, tmp_path: Path) -> None:
    before, _ = await kept(home)
    shutil.copytree(home, tmp_path / "older")
    held, key = await kept(home)
    assert found(tmp_path / "older", held, key) == [
        f"the kept one: it covers {held.size} records, but the journal ends at {before.size + 1}: the tail was cut off, or an older copy "
        "of the store was put back"
    ]


async def test_another_store_in_its_place_is_named(home: Path, tmp_path: Path) -> None:
    held, key = await kept(home)
    await fill(tmp_path / "other", "1", "2", "9", "4")
    assert found(tmp_path / "other", held, key) == [
        f"the kept one: the first {held.size} records are not the ones that it covers: the journal was rewritten"
    ]


async def test_a_deleted_checkpoint_is_named(home: Path) -> None:
    held, key = await kept(home)
    with closing(sqlite3.connect(home / "backstay.db")) as db, db:
        db.execute("DELETE FROM checkpoints")
    assert found(home, held, key) == [
        f"the checkpoint over {held.size} records: the system's chain tells of it, but it is not in its table: rolled back"
    ]


async def test_a_checkpoint_of_another_key_is_named(home: Path) -> None:
    held, key = await kept(home)
    forged = Signer(Ed25519PrivateKey.generate()).sign(held.size, held.root)
    with closing(sqlite3.connect(home / "backstay.db")) as db, db:
        db.execute("UPDATE checkpoints SET note = ?", (forged,))
    assert any("it was changed, or another key signed it" in finding for finding in found(home, held, key))


async def test_each_way_of_tampering_is_seen(home: Path) -> None:
    held, key = await make_store(home, runs=12)
    with closing(load(home / "backstay.db")) as db:
        assert verify(Memory(db), key=key, held={"held": held}).ok
        counts = tamper(db, 6 * len(ATTACKS), 1, key, held)
    assert {name: count["seen"] for name, count in counts.items()} == dict.fromkeys(ATTACKS, 6)


# --- the command line ------------------------------------------------------------------------------------------


def filled(home: Path) -> None:
    asyncio.run(fill(home, "1", "2"))


def test_a_checkpoint_is_written_out_and_verified(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(home)
    note, at = tmp_path / "note", f"--home={home}"
    code, out = cli(capsys, "audit", "checkpoint", "--to", str(note), "--as", "ann", at, "--json")
    assert code == 0
    assert json.loads(out)["note"] == note.read_text("utf-8")
    code, out = cli(capsys, "audit", "verify", "--checkpoint", str(note), "--key", str(home / "audit.pub"), at)
    assert code == 0
    assert "Nothing that note covers was changed." in out
    with closing(sqlite3.connect(home / "backstay.db")) as db, db:
        db.execute("UPDATE events SET body = replace(body, 'P-1', 'P-7')")
    code, out = cli(capsys, "audit", "verify", "--checkpoint", str(note), at, "--json")
    assert (code, json.loads(out)["ok"]) == (1, False)


def test_a_note_that_its_key_did_not_sign_is_refused(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(home)
    cli(capsys, "audit", "checkpoint", f"--home={home}")
    note = tmp_path / "note"
    note.write_text(Signer(Ed25519PrivateKey.generate()).sign(3, b"\0" * 32), "utf-8")
    code, out = cli(capsys, "audit", "verify", "--checkpoint", str(note), f"--home={home}", "--json")
    assert code == 6
    assert "give the checkpoint and the key that belong together" in json.loads(out)["error"]["message"]
    code, out = cli(capsys, "audit", "verify", "--checkpoint", str(tmp_path / "none"), f"--home={home}", "--json")
    assert code == 3


async def test_beside_a_worker_a_checkpoint_is_recorded_and_written_out(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = App("payments", workflows=[paying])
    async with app.open(home) as client, serve(client, home):
        await client.result(await client.start(paying, {"amount": "1"}))
        arguments = ("audit", "checkpoint", "--to", str(tmp_path / "note"), "--as", "ann", f"--home={home}", "--json")
        code, out = await asyncio.to_thread(cli, capsys, *arguments)
        assert (code, json.loads(out)["note"]) == (0, (tmp_path / "note").read_text("utf-8"))
        worker = find_worker(home)
        assert worker is not None
        assert (await worker.checkpoint(by="ann"))["size"] == json.loads(out)["size"] + 1
        with reader(home) as store:
            assert len(stored_checkpoints(store)) == 2
    code, _ = cli(capsys, "audit", "verify", "--checkpoint", str(tmp_path / "note"), f"--home={home}")
    assert code == 0


def test_where_people_are_registered_an_auditor_signs(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def register() -> None:
        async with App("payments", workflows=[paying]).open(home) as client:
            await client.register("root", roles=["administrator"], by="root")
            await client.register("ann", roles=["auditor"], by="root")

    asyncio.run(register())
    assert cli(capsys, "audit", "checkpoint", "--as", "root", f"--home={home}", "--json")[0] == 4
    assert cli(capsys, "audit", "checkpoint", "--as", "ann", f"--home={home}", "--json")[0] == 0
