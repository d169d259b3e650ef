"""`backstay audit`: prove that the journal is what was committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from backstay.cli.exits import OK, REFUSED
from backstay.cli.options import DEFAULT_HOME, AsJson, Home
from backstay.cli.stores import reading

if TYPE_CHECKING:
    from backstay.governance.audit import Report
    from backstay.store.database import Reader

app = typer.Typer(
    help="Prove that the journal is what was committed.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def audit() -> None:
    """Prove that the journal is what was committed."""


@app.command()
def verify(home: Home = DEFAULT_HOME, as_json: AsJson = False) -> int:
    """Check every event, chain, commit, head, definition and stored value; list all that is wrong."""
    from backstay.cli import screen
    from backstay.errors import StoreUnavailable

    try:
        with reading(home) as reader:
            report = checked(reader, quiet=as_json)
    except StoreUnavailable as error:
        reason = str(error).partition("; `backstay audit verify`")[0]
        raise StoreUnavailable(f"{reason}: keep this file as evidence, and restore the store from a backup") from None
    if as_json:
        findings = [{"message": str(finding), **screen.as_json(finding)} for finding in report.findings]
        screen.show_json({"ok": report.ok, **screen.as_json(report), "findings": findings})
        return OK if report.ok else REFUSED
    counted = f"{report.events} events of {report.runs} runs in {report.commits} commits"
    if report.ok:
        beside = f"{report.definitions} definitions, {report.blobs} offloaded values"
        screen.say(f"ok: {counted}; {beside}. Nothing was changed, dropped, inserted or reordered.", "bold green")
        return OK
    screen.say(f"{len(report.findings)} finding(s) in {counted}", "bold red")
    for finding in report.findings:
        screen.say(f"- {finding}")
    screen.hint("Keep this file as evidence, and restore the store from a backup.")
    return REFUSED


def checked(reader: Reader, *, quiet: bool) -> Report:
    """The report, with a progress bar on a terminal when there is much to read."""
    from backstay.cli import screen
    from backstay.governance.audit import PAGE
    from backstay.governance.audit import verify as verify_store

    total = reader.value("last_position")
    if quiet or total < 5 * PAGE or not screen.err().is_terminal:
        return verify_store(reader)
    from rich.progress import Progress

    with Progress(console=screen.err(), transient=True) as bar:
        task = bar.add_task("reading the journal", total=total)
        return verify_store(reader, progress=lambda done, of: bar.update(task, completed=done, total=of))
