"""`backstay people`: registering, roles, keys and substitutes as they are typed, with and without a worker."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typed import Cli, Start, Worker

from backstay.cli.directory import app, moment_of
from backstay.cli.entry import GROUPS

CHANGING = {"add", "revoke", "key", "revoke-key", "delegate", "undelegate"}
GROUP: Any = typer.main.get_command(app)
EVERY: dict[str, Any] = dict(GROUP.commands)
AHEAD = (datetime.now() + timedelta(days=30)).date().isoformat()


@pytest.fixture
def office(cli: Cli, claim: Start) -> Cli:
    """A store in which root manages people, and ann and bob approve."""
    claim("40")
    assert cli("people", "add", "root", "--role", "administrator", "--as", "root").code == 0
    for name in ("ann", "bob"):
        assert cli("people", "add", name, "--role", "approver", "--group", "treasury", "--as", "root").code == 0
    return cli


@pytest.mark.parametrize("name", sorted(EVERY))
def test_every_command_takes_home_and_json(name: str) -> None:
    names = {option for parameter in EVERY[name].params for option in parameter.opts}
    assert {"--home", "--json"} <= names
    assert ("--as" in names) == (name in CHANGING)
    assert EVERY[name].help
    assert ("Say who may", "people", app) in GROUPS


def test_the_first_one_must_be_an_administrator(cli: Cli, claim: Start) -> None:
    claim("40")
    assert "Nobody is registered" in cli("people", "list").out
    refused = cli("people", "add", "ann", "--role", "approver", "--json")
    assert refused.code == 6
    assert refused.json["error"]["fields"] == {"roles": "must hold administrator"}
    assert cli("people", "list", "--json").json == []
    assert cli("people", "add", "ann", "--role", "administrator").out == "ann registered person ann: administrator.\n"


def test_people_are_listed_and_shown(office: Cli) -> None:
    assert office("people", "add", "crm", "--kind", "service", "--acts-for", "ANN", "--as", "root").code == 0
    assert [each["id"] for each in office("people", "list", "--json").json] == ["root", "ann", "bob", "crm"]
    shown = office("people", "show", "crm", "--json").json
    assert (shown["kind"], shown["acts_for"], shown["capabilities"]) == ("service", "ann", ["signal", "start"])
    told = office("people", "show", "Ann").out
    assert "person ann" in told
    assert "decide, delegate, see, work" in told
    assert "crm" in office("people", "list").out
    assert office("people", "show", "nobody").code == 3


def test_roles_are_replaced_and_nobody_gives_themselves_any(office: Cli) -> None:
    changed = office("people", "add", "ann", "--role", "auditor", "--as", "root", "--json").json
    assert (changed["roles"], changed["groups"]) == (["auditor"], [])
    refused = office("people", "add", "root", "--role", "administrator", "--role", "approver", "--as", "root", "--json")
    assert refused.json["error"]["code"] == "NOT_ALLOWED"
    assert office("people", "add", "eve", "--as", "ann").code == 4
    assert "king" in office("people", "add", "eve", "--role", "king", "--as", "root").err


def test_a_revoked_one_is_listed_and_may_nothing(office: Cli) -> None:
    assert office("people", "revoke", "bob", "--as", "root").out == "root revoked bob.\n"
    assert office("people", "show", "bob", "--json").json["capabilities"] == []
    assert "'bob' is revoked" in office("people", "show", "bob").out
    assert "revoked" in office("people", "list").out
    assert office("people", "revoke", "root", "--as", "root", "--json").json["error"]["code"] == "CONFLICT"


def test_a_substitute_for_a_while(office: Cli) -> None:
    made = office("people", "delegate", "ann", "bob", "--until", AHEAD, "--queue", "payments", "--as", "ann", "--json")
    assert made.code == 0, made
    (shown,) = office("people", "show", "bob", "--json").json["delegations"]
    assert (shown["giver"], shown["to"], shown["queue"], shown["now"]) == ("ann", "bob", "payments", True)
    assert "bob for ann" in office("people", "show", "ann").out
    assert office("people", "delegate", "ann", "bob", "--until", AHEAD, "--as", "bob").code == 4
    assert office("people", "undelegate", "ann", "bob", "--as", "ann").code == 3
    assert office("people", "undelegate", "ann", "bob", "--queue", "payments", "--as", "ann").code == 0
    assert office("people", "show", "bob", "--json").json["delegations"] == []
    assert office("people", "delegate", "ann", "bob", "--until", "soon").code == 2
    assert office("people", "delegate", "ann", "bob", "--until", "2020-01-01", "--as", "ann").code == 6


def test_a_day_as_an_end_counts_whole() -> None:
    whole = datetime.fromisoformat(moment_of("2026-12-31", "--until", end=True))
    assert whole == datetime(2027, 1, 1).astimezone()
    assert datetime.fromisoformat(moment_of("20261231", "--until", end=True)) == whole
    assert datetime.fromisoformat(moment_of("2026-12-31", "--from")) == datetime(2026, 12, 31).astimezone()
    assert moment_of("2026-12-31T18:00:00+00:00", "--until", end=True) == "2026-12-31T18:00:00+00:00"
    assert datetime.fromisoformat(moment_of("2026-12-31 18:00", "--until", end=True)).hour == 18


def test_a_key_says_who_acts(office: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    key = office("people", "key", "ann", "--expires", AHEAD, "--as", "ann", "--json").json["key"]
    monkeypatch.delenv("BACKSTAY_USER")
    monkeypatch.setenv("BACKSTAY_KEY", f"{key}\n")
    made = office("people", "delegate", "ann", "bob", "--until", AHEAD, "--json")
    assert made.json["by"] == "ann"
    assert office("people", "undelegate", "ann", "bob", "--as", " ANN", "--json").json["by"] == "ann"
    refused = office("people", "revoke", "bob", "--as", "root")
    assert refused.code == 4
    assert "BACKSTAY_KEY belongs to 'ann'" in refused.err
    assert office("people", "add", "eve", "--json").json["error"]["code"] == "NOT_ALLOWED"


def test_a_key_that_does_not_count_opens_nothing(office: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = office("people", "key", "ann", "--as", "ann")
    key = answer.out.strip()
    assert "shown once" in answer.err
    assert office("people", "key", "ann", "--as", "root").code == 4
    number = key.split("_")[1]
    assert number in office("people", "show", "ann").out
    assert key not in office("people", "show", "ann", "--json").out
    assert office("people", "revoke-key", number, "--as", "ann").code == 0
    for text in (key, "bsk_nonsense"):
        monkeypatch.setenv("BACKSTAY_KEY", text)
        refused = office("people", "delegate", "ann", "bob", "--until", AHEAD)
        assert refused.code == 4
        assert "this key is not valid" in refused.err
        assert office("people", "list").code == 4


def test_the_key_is_nowhere_in_the_store(office: Cli, project: Path) -> None:
    key = office("people", "key", "ann", "--as", "ann", "--json").json["key"]
    secret = key.rpartition("_")[2].encode()
    files = [path for path in (project / ".backstay").rglob("*") if path.is_file()]
    assert any(key.split("_")[1].encode() in path.read_bytes() for path in files)
    assert not any(secret in path.read_bytes() for path in files)


def test_a_running_worker_takes_the_changes(cli: Cli, worker: Worker) -> None:
    assert cli("people", "add", "root", "--role", "administrator", "--as", "root").code == 0
    assert cli("people", "add", "crm", "--kind", "service", "--as", "root").code == 0
    assert cli("people", "add", "eve", "--as", "crm", "--json").json["error"]["code"] == "NOT_ALLOWED"
    key = cli("people", "key", "crm", "--as", "root", "--json").json["key"]
    assert cli("people", "revoke-key", key.split("_")[1], "--as", "root").code == 0
    for name in ("ann", "bob"):
        assert cli("people", "add", name, "--role", "approver", "--as", "root").code == 0
    assert cli("people", "delegate", "ann", "bob", "--until", AHEAD, "--as", "ann").code == 0
    assert cli("people", "undelegate", "ann", "bob", "--as", "bob").code == 0
    assert cli("people", "revoke", "crm", "--as", "root").code == 0
    assert cli("people", "show", "crm", "--json").json["active"] is False


def test_the_audit_holds_with_people_in_the_chain(office: Cli) -> None:
    office("people", "key", "ann", "--as", "ann")
    office("people", "revoke", "ann", "--as", "root")
    assert office("audit", "verify", "--json").json["ok"] is True


def test_an_installation_can_be_closed_before_its_first_run(cli: Cli, project: Path) -> None:
    nobody = cli("people", "add", "ann", "--role", "approver", "--as", "root", "--json")
    assert nobody.code == 3
    assert "`backstay people add NAME --role administrator` makes one" in nobody.json["error"]["message"]
    assert not (project / ".backstay").exists()
    assert cli("people", "add", "root", "--role", "administrator", "--as", "root").code == 0
    assert cli("start", "app.py:reimburse", "-i", "claim.employee=eve", "-i", "claim.amount=4", "--as", "eve").code == 4
