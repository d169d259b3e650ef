"""`backstay audit`: prove that the journal is what was committed, and hand the proof to somebody else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from backstay.cli.exits import OK, REFUSED
from backstay.cli.options import DEFAULT_HOME, AsJson, By, Home, RunName, person
from backstay.cli.stores import change, reading, run_named

if TYPE_CHECKING:
    from backstay.governance.audit import Report
    from backstay.operations.acts import Act
    from backstay.store.database import Reader
    from backstay.verify import Checkpoint

Form: TypeAlias = Literal["case", "jsonl", "ocsf", "ocel", "xes", "csv"]
"""What a case can be written as."""

app = typer.Typer(
    help="Prove that the journal is what was committed.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def audit() -> None:
    """Prove that the journal is what was committed."""


Held: TypeAlias = Annotated[
    Path | None, typer.Option("--checkpoint", metavar="FILE", help="A checkpoint that you kept elsewhere.")
]


@app.command()
def verify(
    held: Held = None,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="The public key that you kept with it.")
    ] = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> int:
    """Check every event, chain, commit, head, definition, stored value and checkpoint; list all that is wrong."""
    from backstay.cli import screen
    from backstay.errors import StoreUnavailable

    try:
        with reading(home, "audit") as reader:
            report = checked(reader, *trusted(home, held, key), quiet=as_json)
    except StoreUnavailable as error:
        reason = str(error).partition("; `backstay audit verify`")[0]
        raise StoreUnavailable(f"{reason}: keep this file as evidence, and restore the store from a backup") from None
    if as_json:
        findings = [{"message": str(finding), **screen.as_json(finding)} for finding in report.findings]
        screen.show_json({"ok": report.ok, **screen.as_json(report), "findings": findings})
        return OK if report.ok else REFUSED
    tell_report(report, held)
    return OK if report.ok else REFUSED


def tell_report(report: Report, held: Path | None) -> None:
    """The verdict in words."""
    from backstay.cli import screen
    from backstay.operations.wording import counted

    events, runs, commits = (
        counted(report.events, "event"),
        counted(report.runs, "run"),
        counted(report.commits, "commit"),
    )
    within = f"{events} of {runs} in {commits}"
    if not report.ok:
        screen.say(f"{len(report.findings)} finding(s) in {within}", "bold red")
        for finding in report.findings:
            screen.say(f"- {finding}")
        screen.hint("Keep this file as evidence, and restore the store from a backup.")
        return
    numbers = {"definition": report.definitions, "offloaded value": report.blobs, "checkpoint": report.checkpoints}
    beside = ", ".join(counted(number, noun) for noun, number in numbers.items())
    if held is not None:
        screen.say(f"ok: {within}; {beside}. Nothing that {held.name} covers was changed.", "bold green")
    else:  # whoever rewrites the whole file can make all that fit
        screen.say(f"ok: {within}; {beside}. All hashes, chains and rows fit together.", "bold green")


def trusted(home: Path, held: Path | None, key: Path | None) -> tuple[str | None, dict[str, Checkpoint]]:
    """The public key to check with, and the checkpoint held elsewhere; raises InvalidInput for one it did not sign."""
    from backstay.errors import InvalidInput
    from backstay.governance.checkpoints import PUBLIC_FILE
    from backstay.verify import read_checkpoint, read_key

    path = key or home / PUBLIC_FILE
    if key is None and not path.exists():
        if held is not None:
            raise InvalidInput(f"there is no {PUBLIC_FILE!r} in {str(home)!r}: give the public key with --key FILE")
        return None, {}
    text = read_text(path)
    try:
        read_key(text)
        return text, {f"the checkpoint in {held.name}": read_checkpoint(read_text(held), text)} if held else {}
    except ValueError as error:
        raise InvalidInput(f"{error}; give the checkpoint and the key that belong together") from None


def read_text(path: Path) -> str:
    """What stands in a file that somebody named; raises NotFound or InvalidInput."""
    from backstay.errors import InvalidInput, NotFound

    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        wrong = InvalidInput if isinstance(error, UnicodeDecodeError) else NotFound
        raise wrong(f"{str(path)!r} cannot be read: {error}") from None


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all; raises NotFound when its directory does not take it."""
    from backstay.errors import NotFound

    fresh = path.with_name(f"{path.name}.new")
    try:
        fresh.write_text(text, "utf-8", newline="")
        fresh.replace(path)
    except OSError as error:
        raise NotFound(f"{str(path)!r} cannot be written: {error}") from None


@app.command()
def checkpoint(
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Also write the signed note here.")] = None,
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> int:
    """Sign the tree over all records as it stands; keep a copy where whoever writes the store cannot reach it."""
    from backstay.cli import screen
    from backstay.errors import NotFound
    from backstay.governance.checkpoints import KEY_FILE, PUBLIC_FILE

    who = person(by)
    if to is not None and not to.absolute().parent.is_dir():
        raise NotFound(
            f"there is no directory {str(to.parent)!r} for the checkpoint; make it first, nothing was signed"
        )
    made, _ = change(home, lambda client: client.checkpoint(by=who))
    if to is not None:
        write_text(to, made["note"])
    if as_json:
        screen.show_json({**made, "to": None if to is None else str(to)})
        return OK
    for line in made["note"].rstrip("\n").split("\n"):
        screen.out().print(line, markup=False, soft_wrap=True)
    counted = f"{made['size']} records, signed with {KEY_FILE} and recorded"
    screen.hint(f"{counted}; {PUBLIC_FILE} verifies it. Keep both copies elsewhere.")
    return OK


@app.command()
def show(case: RunName, home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """List the acts of a case, with the runs that it started: what was done, who authorised it, under which rule."""
    from backstay.cli import screen
    from backstay.operations.acts import acts
    from backstay.operations.casefile import read_case
    from backstay.operations.wording import moment

    with reading(home, "audit") as reader:
        found = acts(read_case(reader, run_named(reader, case).id, tenant=tenant(home)))
    if as_json:
        screen.show_json([screen.as_json(act) for act in found])
        return
    made = screen.table("time", "who", "act", "authorised by", "outcome", flexible="authorised by")
    screen.rows(made, [row_of(act, moment(act.at)) for act in found])
    screen.hint(f"{len(found)} act(s); --json has arguments, digests, evidence and hashes of each.")


def row_of(act: Act, at: str) -> tuple[str, ...]:
    """An act on one line."""
    who = " for ".join(act.chain) or act.workflow
    done = act.action or act.kind.replace("_", " ")
    tries = f" (attempt {act.attempt})" if act.attempt and act.attempt > 1 else ""
    approvers = ", ".join(act.approvers) if act.approved == "approved" else ""
    authorised = ", ".join(part for part in (act.rule, approvers) if part) if not act.by else ""
    outcome = act.verdict if act.by and act.verdict else act.outcome if act.action else ""
    why = f": {act.reason}" if act.reason and act.action and not act.by else ""
    return at, who, done + tries, authorised, outcome + why


def tenant(home: Path) -> str:
    """The name under which the installation signs; empty before its first checkpoint."""
    from backstay.governance.checkpoints import PUBLIC_FILE
    from backstay.verify import read_key

    path = home / PUBLIC_FILE
    try:
        return read_key(path.read_text("utf-8"))[0] if path.exists() else ""
    except (OSError, ValueError):  # whoever verifies hears of it; here it only has no name
        return ""


@app.command()
def export(
    case: RunName,
    form: Annotated[
        Form, typer.Option("--format", help="case: the file that `backstay-verify` checks. The others are readings.")
    ] = "case",
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Where to write it; default: print it.")
    ] = None,
    held: Held = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> int:
    """Write a case, with the runs that it started, for somebody outside; private values stay pseudonyms."""
    import json
    import sys

    from backstay.cli import screen
    from backstay.operations.casefile import read_case, write_case
    from backstay.operations.exports import FORMATS

    left = 0
    with reading(home, "audit") as reader:
        found = read_case(reader, run_named(reader, case).id, tenant=tenant(home))
        if form == "case":
            from backstay.governance.checkpoints import load_signer

            signer = load_signer(home, reader)
            kept = trusted(home, held, None)[1] if held is not None else {}
            written = write_case(reader, signer, found, next(iter(kept.values()), None))
            left = sum(value is None for value in written["values"].values())
            text = json.dumps(written, indent=1) + "\n"
        else:
            text = FORMATS[form](found)
    if to is None and (form == "case" or not as_json):
        sys.stdout.write(text)
        return OK
    events, told = sum(len(run.records) for run in found.runs), {"text": text} if to is None else {"to": str(to)}
    if to is not None:
        write_text(to, text)
    if as_json:
        screen.show_json(
            {"case": found.run, "format": form, "runs": len(found.runs), "events": events, "left_out": left, **told}
        )
        return OK
    screen.say(f"{events} events of {len(found.runs)} run(s) in {to}.")
    if left:
        screen.hint(f"{left} large value(s) are left out, as there are too many; their digests are in the file.")
    if form == "case":
        screen.hint(f"Anybody with Python can check it: backstay-verify {to} --key {home / 'audit.pub'}")
    return OK


def checked(reader: Reader, key: str | None, held: dict[str, Checkpoint], *, quiet: bool) -> Report:
    """The report, with a progress bar on a terminal when there is much to read."""
    from backstay.cli import screen
    from backstay.governance.audit import PAGE
    from backstay.governance.audit import verify as verify_store

    total = reader.value("last_position")
    if quiet or total < 5 * PAGE or not screen.err().is_terminal:
        return verify_store(reader, key=key, held=held)
    from rich.progress import Progress

    with Progress(console=screen.err(), transient=True) as bar:
        task = bar.add_task("reading the journal", total=total)
        moved = lambda done, of: bar.update(task, completed=done, total=of)  # noqa: E731
        return verify_store(reader, key=key, held=held, progress=moved)
