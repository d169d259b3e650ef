"""Commands on items of human work: decide one or many, take on, give back, give on, ask, answer, comment."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, TypedDict

import typer

from backstay.cli.exits import BY_ERROR, FAULT, OK
from backstay.cli.options import DEFAULT_HOME, AsJson, By, Home, ItemName, Reason, person
from backstay.cli.people import (
    check_queue,
    open_items,
    print_inbox,
    shown,
    tally_of,
    told,
)
from backstay.cli.stores import change, find_item, goes_on, reading, run_named
from backstay.cli.titles import title_of, titles_of

if TYPE_CHECKING:
    from backstay.engine.client import Client
    from backstay.engine.control import RemoteClient
    from backstay.operations.items import Tally
    from backstay.store.database import Reader
    from backstay.store.views import Wait

Verdict: TypeAlias = Literal["approved", "rejected"]

WORK: Final = frozenset({"approval", "task"})
DECIDE: Final = frozenset({"approval"})

Items = Annotated[
    list[str] | None, typer.Argument(metavar="[ITEM]...", help="RUN/COMMAND as the inbox lists it, or RUN; or several.")
]
FromQueue = Annotated[str, typer.Option("--queue", "-q", metavar="NAME", help="With --all: what lies in this queue.")]
Every = Annotated[bool, typer.Option("--all", help="All approvals of the --queue.")]
Without = Annotated[list[str] | None, typer.Option("--except", metavar="ITEM", help="Not this one; several times.")]
Shown = Annotated[
    str,
    typer.Option("--shown", metavar="DIGEST", help="Count only if the proposal is still this one; 8 characters do."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before a batch is decided.")]


def approve(
    items: Items = None, queue: FromQueue = "", every: Every = False, without: Without = None, reason: Reason = "",
    looked_at: Shown = "", yes: Yes = False, by: By = "", home: Home = DEFAULT_HOME, as_json: AsJson = False,
) -> int:  # fmt: skip
    """Approve exactly what was asked, one item or several; each counts once."""
    asked = Asked(verdict="approved", by=person(by), reason=reason, code="")
    return decide(asked, items or [], queue, every, without or [], looked_at, yes, home, as_json)


def reject(
    items: Items = None,
    queue: FromQueue = "",
    every: Every = False,
    without: Without = None,
    reason: Annotated[str, typer.Option("--reason", "-r", metavar="TEXT", help="Why; the case sees it.")] = "",
    code: Annotated[str, typer.Option("--code", metavar="WORD", help="One of the queue's words for why.")] = "",
    looked_at: Shown = "",
    yes: Yes = False,
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> int:
    """Reject what was asked, one item or several, and say why."""
    if not reason and not code:
        raise typer.BadParameter("say why: --reason TEXT, or --code WORD where the queue has words for it")
    asked = Asked(verdict="rejected", by=person(by), reason=reason, code=code)
    return decide(asked, items or [], queue, every, without or [], looked_at, yes, home, as_json)


class Asked(TypedDict):
    """What somebody decides, as the client takes it."""

    verdict: Verdict
    by: str
    reason: str
    code: str


def decide(
    asked: Asked, items: Sequence[str], queue: str, every: bool, without: Sequence[str], looked_at: str, yes: bool,
    home: Path, as_json: bool,
) -> int:  # fmt: skip
    if bool(items) == bool(queue) or every != bool(queue):
        raise typer.BadParameter("name one or more items, or --queue NAME with --all, and not both")
    if len(items) == 1 and not without:
        decide_one(asked, items[0], looked_at, home, as_json)
        return OK
    if looked_at:
        raise typer.BadParameter("--shown is about one item; a batch is bound to what its preview shows")
    chosen = chosen_items(items, queue, without, home)
    if not as_json and not yes and sys.stdin.isatty() and chosen:
        preview(chosen, home)
        typer.confirm(f"{len(chosen)} item(s) are to be {asked['verdict']} by {asked['by']}. Go on?", abort=True)
    return decide_all(asked, chosen, home, as_json)


def decide_one(asked: Asked, item: str, looked_at: str, home: Path, as_json: bool) -> None:
    wait = shown(home, item, DECIDE)
    digest = whole_digest(home, wait, looked_at)
    _, working = change(home, lambda client: client.decide(item, **asked, shown=digest or None))
    stands = standing(home, wait)
    body: dict[str, Any] = {**asked, "votes": stands.words if stands else None}
    more = f", {stands.words}" if stands else ""
    told(as_json, working, wait, f"{asked['by']} {asked['verdict']}{more}", body, home, stands.still if stands else "")


def whole_digest(home: Path, wait: Wait | None, looked_at: str) -> str:
    """The proposal's digest if what was given is its beginning, else what was given, which is then refused."""
    if not looked_at or wait is None:
        return looked_at
    with reading(home) as reader:
        digest = tally_of(reader, wait).shown
    return digest if len(looked_at) >= 8 and digest.startswith(looked_at) else looked_at


def standing(home: Path, wait: Wait | None) -> Tally | None:
    """How a decision by several people stands, as long as it still waits for more votes."""
    if wait is None:
        return None
    with reading(home) as reader:
        found = tally_of(reader, wait)
        waits = found.quorum > 1 and reader.one("wait", (wait.run, wait.command)) is not None
    return found if waits else None


# --- many at once -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """One item of a batch, and the proposal that is decided."""

    item: str
    wait: Wait | None
    digest: str = ""

    @property
    def words(self) -> tuple[str, str]:
        """Its short name, and what is asked."""
        from backstay.cli import screen

        if self.wait is None:
            return self.item, ""
        return f"{screen.short(self.wait.run)}/{self.wait.command}", title_of(self.wait)


def chosen_items(items: Sequence[str], queue: str, without: Sequence[str], home: Path) -> list[Chosen]:
    """The items of a batch as they are now; raises NotFound for a name that fits nothing, also of one to leave out."""
    left_out = {named(item, home).item for item in without}
    if queue:
        with reading(home) as reader:
            check_queue(reader, home, queue)
            waits = open_items(reader, queue, -1, "approval")
            chosen = [Chosen(item=wait.id, wait=wait, digest=tally_of(reader, wait).shown) for wait in waits]
    else:
        chosen = [named(item, home) for item in dict.fromkeys(items)]
    return [one for one in chosen if one.item not in left_out]


def named(item: str, home: Path) -> Chosen:
    wait = shown(home, item, DECIDE)
    with reading(home) as reader:
        return Chosen(item=wait.id if wait else item, wait=wait, digest=tally_of(reader, wait).shown if wait else "")


def preview(chosen: Sequence[Chosen], home: Path) -> None:
    """What is about to be decided."""
    waits = [one.wait for one in chosen if one.wait is not None]
    with reading(home) as reader:
        tallies = {wait.id: tally_of(reader, wait) for wait in waits}
        print_inbox(waits, titles_of(reader, waits, tallies), tallies)


def decide_all(asked: Asked, chosen: Sequence[Chosen], home: Path, as_json: bool) -> int:
    """Decide all in one request, each on its own; say of each what became of it. The first that did not count gives the
    exit code."""
    looked_at = {one.item: one.digest for one in chosen if one.digest}

    async def carry_out(client: Client | RemoteClient) -> dict[str, str]:
        return await client.decide_many([one.item for one in chosen], **asked, shown=looked_at)

    outcomes, working = change(home, carry_out) if chosen else (dict[str, str](), False)
    tell_outcomes(asked, chosen, outcomes, working, home, as_json)
    failed = next(filter(None, outcomes.values()), None)
    return OK if failed is None else BY_ERROR.get(failed.partition(": ")[0], FAULT)


def tell_outcomes(
    asked: Asked, chosen: Sequence[Chosen], outcomes: Mapping[str, str], working: bool, home: Path, as_json: bool
) -> None:
    from backstay.cli import screen

    errors = [outcomes[one.item].partition(": ") for one in chosen]
    stands = [None if code else standing(home, one.wait) for one, (code, *_) in zip(chosen, errors, strict=True)]
    votes = [each.words if each else None for each in stands]
    if as_json:
        listed = [
            {"item": one.item, "counted": not code, "votes": vote,
             "error": {"code": code, "message": message} if code else None}
            for one, (code, _, message), vote in zip(chosen, errors, votes, strict=True)
        ]  # fmt: skip
        screen.show_json({**asked, "worker": working, "outcomes": listed})
        return
    counted = sum(not code for code, *_ in errors)
    screen.say(f"{asked['by']} {asked['verdict']} {counted} of {len(chosen)} item(s).", "bold")
    if chosen:
        made = screen.table("item", "what", "outcome", flexible="outcome")
        rows = zip(chosen, errors, votes, strict=True)
        screen.rows(made, [(*one.words, message or vote or asked["verdict"]) for one, (*_, message), vote in rows])
    if counted:
        goes_on(working)


# --- one item -----------------------------------------------------------------------------------------------


def claim(item: ItemName, by: By = "", home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Take an approval or task for oneself, for as long as its queue allows."""
    from backstay.operations.wording import moment

    who, wait = person(by), shown(home, item, WORK)
    _, working = change(home, lambda client: client.claim(item, by=who))
    with reading(home) as reader:
        now = find_item(reader, wait.id if wait else item, WORK)
    until = now.claimed_until if now else None
    until_words = f" until {moment(until)}" if until else ""
    body = {"claimed_by": who, "until": until, "worker": working}
    told(as_json, True, wait, f"{who} took on{until_words}", body)


def release(item: ItemName, by: By = "", home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Give a claimed item back to its queue."""
    who, wait = person(by), shown(home, item, WORK)
    _, working = change(home, lambda client: client.release(item, by=who))
    told(as_json, True, wait, f"{who} gave back", {"released_by": who, "worker": working})


def reassign(
    item: ItemName,
    queue: Annotated[str, typer.Option("--queue", "-q", metavar="NAME", help="The queue that gets it.")] = "",
    to: Annotated[str, typer.Option("--to", metavar="PERSON", help="The one person who is to do it.")] = "",
    reason: Reason = "",
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Give an item to another queue, to one person of it, or both; its times stay as they are."""
    if not queue and not to:
        raise typer.BadParameter("say who gets it: --queue NAME, --to PERSON, or both")
    who, wait = person(by), shown(home, item, WORK)
    _, working = change(home, lambda client: client.reassign(item, by=who, queue=queue or None, to=to, reason=reason))
    whom = " in ".join(filter(None, (to, queue)))
    body = {"reassigned_by": who, "queue": queue or None, "to": to or None, "reason": reason, "worker": working}
    told(as_json, True, wait, f"{who} gave to {whom}", body)


def ask(
    item: ItemName,
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What the requester is to say.")],
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Ask the requester something; until it is answered the item's clock stands still."""
    who, wait = person(by), shown(home, item, WORK)
    _, working = change(home, lambda client: client.ask(item, question, by=who))
    whom = wait.requester if wait else "the requester"
    body = {"asked_by": who, "of": wait.requester if wait else None, "question": question, "worker": working}
    told(as_json, True, wait, f"{who} asked {whom}", body)


def answer(
    item: ItemName,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The answer.")],
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Answer what was asked about one's own request; the clock goes on with the working time that was left."""
    who, wait = person(by), shown(home, item, WORK)
    _, working = change(home, lambda client: client.answer(item, text, by=who))
    told(as_json, True, wait, f"{who} answered", {"answered_by": who, "answer": text, "worker": working})


def comment(
    item: ItemName,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The remark.")],
    file: Annotated[
        list[Path] | None, typer.Option("--file", metavar="PATH", help="Kept with it; may be given several times.")
    ] = None,
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Write a remark on an item, with files; the clock goes on."""
    who, wait, files = person(by), shown(home, item, WORK), read_files(file or [])
    _, working = change(home, lambda client: client.comment(item, text, by=who, files=files))
    body = {"commented_by": who, "text": text, "files": list(files), "worker": working}
    kept = f" (with {', '.join(files)})" if files else ""
    told(as_json, True, wait, f"{who} commented{kept}", body)


def read_files(paths: Sequence[Path]) -> dict[str, bytes]:
    """The files by their bare names, which must differ."""
    from backstay.errors import InvalidInput, NotFound

    found: dict[str, bytes] = {}
    for path in paths:
        if path.name in found:
            raise InvalidInput(f"two files are called {path.name!r}; rename one", {"--file": "named twice"})
        try:
            found[path.name] = path.read_bytes()
        except OSError as error:
            raise NotFound(f"--file: cannot read {str(path)!r}: {error.strerror}") from None
    return found


def files(
    item: ItemName,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Write them there, named DIGEST-NAME.")
    ] = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """List the files that came with comments, of an item or of a whole run; with --out write them."""
    from backstay.cli import screen
    from backstay.operations.wording import moment

    with reading(home) as reader:
        found = list(kept_files(reader, item))
        written = [write_file(out, kept, reader) for kept in found] if out else [None for _ in found]
    if as_json:
        screen.show_json([{**kept, "path": path} for kept, path in zip(found, written, strict=True)])
    elif not found:
        screen.say("No files came with it.")
    else:
        made = screen.table("file", "bytes", "digest", "by", "at", flexible="file")
        screen.rows(made, [(k["name"], k["bytes"], k["digest"][:12], k["by"], moment(k["at"])) for k in found])
        if out:
            screen.hint(f"Written to {out}, named DIGEST-NAME.")


def kept_files(reader: Reader, item: str) -> Iterator[dict[str, Any]]:
    """What was kept with the comments on one item, or on all of a run, oldest first."""
    from backstay.events import ItemCommented
    from backstay.store.views import read_events

    command = item.partition("/")[2]
    for stored in read_events(reader, run_named(reader, item).id):
        event = stored.event
        if isinstance(event, ItemCommented) and command in ("", event.command):
            yield from (
                {**kept, "command": event.command, "by": event.by, "at": event.at} for kept in event.files or ()
            )


def write_file(out: Path, kept: dict[str, Any], reader: Reader) -> str:
    """Write one file; its name is its sender's, so nothing of it may lead elsewhere."""
    from backstay.cli.screen import one_line
    from backstay.errors import JournalCorrupted
    from backstay.store.blobs import fetch

    data = fetch(reader, kept["digest"])
    if data is None:
        raise JournalCorrupted(
            f"the file {kept['name']!r} is missing or was changed; `backstay audit verify` says more"
        )
    path = out / f"{kept['digest'][:8]}-{Path(one_line(kept['name']).replace(chr(92), '/')).name}"
    out.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path)
