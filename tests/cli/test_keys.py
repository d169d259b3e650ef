"""Reading and changing with a key in BACKSTAY_KEY: nothing is shown before the key was checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typed import Cli, Start, Worker, wait_until

from backstay.cli.entry import app
from backstay.errors import StoreLocked
from backstay.store.database import Reader
from backstay.store.views import system_events

GROUP: Any = typer.main.get_command(app)

READING: dict[str, tuple[str, ...]] = {
    "audit export": ("RUN",), "audit show": ("RUN",), "audit verify": (), "files": ("RUN",), "graph": ("--run", "RUN"), "inbox": (),
    "log": ("RUN",), "metrics": (), "people list": (), "people show": ("root",), "queues": (), "replay": ("RUN",),
    "runs": (), "show": ("RUN",), "switch": (), "trace": ("RUN",), "waits": (),
    "autonomy list": (), "budgets": (), "switch drills": (), "memory list": (), "memory show": ("m-1",), "steps list": (), "steps report": (),
    "policy check": ("app.py",), "policy matrix": ("app.py",), "policy try": ("app.py", "add_to_payroll"),
}  # fmt: skip
"""Every command that shows something of a store, with what it needs to."""

NOT_READING = {
    "init",
    "check",
    "dev",
    "demo",
    "policy diff",
    "policy export",
    "eval",
    "knowledge index",
    "prompts",
    "tools list",
    "tools pull",
}
"""Commands without `--as` that show nothing of somebody's store: they look at files, or are the store's own process."""


def commands() -> Iterator[tuple[str, Any]]:
    for name, command in GROUP.commands.items():
        if hasattr(command, "commands"):
            yield from ((f"{name} {inner}", each) for inner, each in command.commands.items())
        else:
            yield name, command


def test_every_reading_command_is_listed() -> None:
    changing = {name for name, each in commands() if any("--as" in option.opts for option in each.params)}
    assert {name for name, _ in commands()} - changing - NOT_READING == set(READING) - {"switch"}


@pytest.fixture
def office(cli: Cli, claim: Start) -> Cli:
    """A store in which ann has no role, vic sees, audra audits, and the portal is a service."""
    claim("40")
    claim("250")
    assert cli("people", "add", "root", "--role", "administrator", "--as", "root").code == 0
    for name, *roles in (("ann",), ("vic", "viewer"), ("audra", "auditor"), ("bea", "approver")):
        given = [f"--role={role}" for role in roles]
        assert cli("people", "add", name, *given, "--as", "root").code == 0
    assert cli("people", "add", "portal", "--kind", "service", "--as", "root").code == 0
    return cli


@pytest.fixture
def run(office: Cli) -> str:
    """The run that waits."""
    return office("runs", "--status", "waiting", "--json").json[0]["id"]


@pytest.fixture
def acts(office: Cli, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Put a key of somebody into the environment; programs get theirs from root."""

    def use(name: str) -> str:
        by = "root" if name == "portal" else name
        made = office("people", "key", name, "--as", by, "--json").json["key"]
        monkeypatch.delenv("BACKSTAY_USER", raising=False)
        monkeypatch.setenv("BACKSTAY_KEY", made)
        return made

    return use


def denials(project: Path) -> list[tuple[str, str]]:
    reader = Reader(project / ".backstay" / "backstay.db")
    found: list[Any] = list(system_events(reader, "denied"))
    reader.close()
    return [(event.by, event.subject) for event in found]


@pytest.mark.parametrize("command", sorted(READING))
def test_a_key_without_the_role_shows_nothing_and_is_recorded(
    office: Cli, run: str, acts: Callable[[str], str], project: Path, command: str
) -> None:
    arguments = [part.replace("RUN", run) for part in READING[command]]
    acts("ann")
    answer = office(*command.split(), *arguments)
    assert (answer.code, answer.out) == (4, "")
    needed = "audit" if command.startswith("audit") else "see"
    assert f"may not {needed!r}" in answer.err
    assert denials(project) == [("ann", needed)]


@pytest.mark.parametrize("command", sorted(READING))
def test_a_key_with_the_role_shows_it(office: Cli, run: str, acts: Callable[[str], str], command: str) -> None:
    arguments = [part.replace("RUN", run) for part in READING[command]]
    acts("audra")
    answer = office(*command.split(), *arguments)
    if command == "memory show":  # it may look, and there is nothing
        assert "nothing is remembered here" in answer.err
        return
    assert answer.code == 0, answer
    assert answer.out


def test_a_key_that_does_not_count_shows_nothing_and_is_recorded(
    office: Cli, acts: Callable[[str], str], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = acts("vic")
    assert office("runs").code == 0
    assert office("people", "revoke-key", key.split("_")[1]).code == 0
    for text in (key, "bsk_nonsense"):
        monkeypatch.setenv("BACKSTAY_KEY", text)
        answer = office("runs", "--json")
        assert (answer.code, answer.json["error"]["code"]) == (4, "NOT_ALLOWED")
    assert denials(project) == [("", "sign-in")] * 2
    monkeypatch.delenv("BACKSTAY_KEY")
    assert office("runs").code == 0  # whoever may read the file


def test_a_refusal_that_cannot_be_recorded_is_one_all_the_same(
    office: Cli, acts: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: Any) -> None:
        raise StoreLocked("another process has it")

    acts("ann")
    monkeypatch.setattr("backstay.cli.stores.change", locked)
    answer = office("inbox")
    assert (answer.code, answer.out) == (4, "")


def test_a_worker_records_what_was_refused(
    cli: Cli, worker: Worker, claim: Start, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim("250")
    assert cli("people", "add", "root", "--role", "administrator", "--as", "root").code == 0
    assert cli("people", "add", "ann", "--as", "root").code == 0
    monkeypatch.setenv("BACKSTAY_KEY", cli("people", "key", "ann", "--as", "ann", "--json").json["key"])
    assert cli("inbox").code == 4
    assert cli("inbox", "--mine", "ann", "--json").json["error"]["code"] == "NOT_ALLOWED"
    wait_until(lambda: denials(project) == [("ann", "see")] * 2)  # nobody waits for the record of a refusal


def test_a_key_that_names_somebody_else_is_refused_and_recorded(
    office: Cli, run: str, acts: Callable[[str], str], project: Path
) -> None:
    acts("bea")
    answer = office("approve", run, "--as", "root")
    assert answer.code == 4
    assert "BACKSTAY_KEY belongs to 'bea'" in answer.err
    assert denials(project) == [("bea", "by")]
    assert office("approve", run).code == 0


def test_a_service_feeds_a_request_in_for_a_person_who_answers_about_it(
    office: Cli, acts: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    acts("portal")
    inputs = [f"--input=claim.{name}={value}" for name, value in {"employee": "ann", "amount": "300"}.items()]
    begun = office("start", "app.py:reimburse", *inputs, "--for", "ann", "--json")
    assert begun.code == 0, begun
    assert begun.json["result"] is None
    fed = begun.json["run"]
    assert office("show", fed).code == 4
    assert office("start", "app.py:reimburse", *inputs, "--for", "stranger", "--json").json["error"]["fields"] == {
        "requester": "must be a person who may act"
    }
    told = office("start", "app.py:reimburse", *inputs, "--for", "ann")
    assert told.out.startswith("run ")
    assert "300" not in told.out
    monkeypatch.delenv("BACKSTAY_KEY")
    assert office("show", fed, "--json").json["requester"] == "ann"
    assert "for ann" in " ".join(office("log", fed).out.split())
    assert office("ask", fed, "What for?", "--as", "bea").code == 0
    acts("ann")
    assert office("answer", fed, "A chair.").code == 0
    assert office("comment", fed, "See the offer.").code == 0
    assert office("show", fed).code == 4
    assert office("claim", fed, "--json").json["error"]["code"] == "NOT_ALLOWED"
    monkeypatch.delenv("BACKSTAY_KEY")
    assert fed[-4:] not in office("inbox", "--mine", "portal").out
    assert office("approve", fed, "--as", "bea").code == 0
