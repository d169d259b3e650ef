"""`backstay people`: who is registered, with which roles, keys and substitutes."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backstay.cli.options import DEFAULT_HOME, AsJson, By, Home, person
from backstay.cli.stores import change, directory_of, reading

if TYPE_CHECKING:
    from backstay.governance.principals import Directory, Principal

app = typer.Typer(
    help="Register people, services and agents; give them roles, keys and substitutes.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Named = Annotated[str, typer.Argument(metavar="NAME", help="A registered name.")]
Giver = Annotated[str, typer.Argument(metavar="FROM", help="Who is away.")]
Substitute = Annotated[str, typer.Argument(metavar="TO", help="Who acts in their place.")]
Queue = Annotated[str, typer.Option("--queue", "-q", metavar="NAME", help="Only work of this queue.")]


@app.callback()
def people() -> None:
    """Register people, services and agents; give them roles, keys and substitutes."""


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Somebody new, or somebody known to be changed.")],
    role: Annotated[
        list[str] | None, typer.Option("--role", metavar="ROLE", help="May be given several times.")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", metavar="GROUP", help="May be given several times.")
    ] = None,
    kind: Annotated[str, typer.Option("--kind", metavar="KIND", help="person, service or agent.")] = "person",
    acts_for: Annotated[
        str, typer.Option("--acts-for", metavar="NAME", help="Who answers for a service or agent.")
    ] = "",
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Register somebody, or change somebody: the roles and groups given take the place of what was. The first one must be an administrator; that makes the store if there is none."""
    from backstay.cli import screen

    who, chosen = person(by), dict[str, Any](kind=kind, acts_for=acts_for or None)
    roles, groups = role or [], group or []
    first = "administrator" in roles  # nobody else can be, so a mistyped --home makes no store for them
    change(home, lambda client: client.register(name, roles=roles, groups=groups, by=who, **chosen), new=first)
    known = one(read_directory(home), name)
    if as_json:
        screen.show_json(plain(known))
        return
    screen.say(f"{who} registered {known.kind} {known.id}: {listed(known.roles) or 'no role'}.")


@app.command("list")
def everybody(home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """List everybody who is registered."""
    from backstay.cli import screen

    found = read_directory(home).principals
    if as_json:
        screen.show_json([plain(each) for each in found])
    elif not found:
        screen.say(
            "Nobody is registered: every name is trusted. `backstay people add NAME --role administrator` ends that."
        )
    else:
        made = screen.table("name", "kind", "roles", "groups", "acts for", "", flexible="roles")
        screen.rows(made, [_row(each) for each in found])


@app.command()
def show(name: Named, home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Show what somebody may do now, their keys and their substitutes."""
    from backstay.cli import screen
    from backstay.operations.wording import moment
    from backstay.store.clock import Clock

    directory, now = read_directory(home), Clock().stamp()
    known = one(directory, name)
    may = sorted(directory.capabilities(known.id))
    given = [each for each in directory.delegations_of(known.id) if now < each.until]
    keys = [each for each in directory.keys_of(known.id) if each.counts(now)]
    if as_json:
        shown = [{**screen.as_json(each), "now": each.start <= now} for each in given]
        named = [{"id": each.id, "expires": each.expires} for each in keys]
        screen.show_json({**plain(known), "capabilities": may, "delegations": shown, "keys": named})
        return
    screen.say(f"{known.kind} {known.id}{'' if known.active else ' (revoked)'}", "bold")
    made = screen.table("", "", flexible="")
    facts = [("roles", listed(known.roles)), ("groups", listed(known.groups)), ("acts for", known.acts_for or "")]
    facts += [("may", ", ".join(may) or f"nothing: {directory.fault(known.id) or 'no role'}")]
    facts += [
        ("substitute", f"{each.to} for {each.giver}, {moment(each.start)} to {moment(each.until)}"
         + (f", queue {each.queue}" if each.queue else ""))
        for each in given
    ]  # fmt: skip
    facts += [("key", each.id + (f", until {moment(each.expires)}" if each.expires else "")) for each in keys]
    screen.rows(made, [fact for fact in facts if fact[1]])


@app.command()
def revoke(name: Named, by: By = "", home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Somebody may do nothing any more: keys and delegations end, and who acts for them stops too."""
    who = person(by)
    change(home, lambda client: client.revoke(name, by=who))
    told(as_json, f"{who} revoked {name}.", {"revoked": name, "by": who})


@app.command()
def key(
    name: Named,
    expires: Annotated[
        str, typer.Option("--expires", metavar="DATE", help="Good to the end of this day, or until a moment.")
    ] = "",
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Make a key for oneself, or for a service or agent. It is printed once and kept nowhere; give it to programs as BACKSTAY_KEY."""
    from backstay.cli import screen

    who, until = person(by), moment_of(expires, "--expires", end=True) if expires else None
    made, _ = change(home, lambda client: client.make_key(name, by=who, expires=until))
    if as_json:
        screen.show_json({"key": made, "principal": name, "expires": until, "by": who})
        return
    typer.echo(made)
    screen.err().print(
        "This is shown once. Whoever has it acts under that name; `people revoke-key` ends it.", style="dim"
    )


@app.command("revoke-key")
def revoke_key(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The part of a key between the underscores.")],
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """End a key."""
    who = person(by)
    change(home, lambda client: client.revoke_key(key_id, by=who))
    told(as_json, f"{who} revoked key {key_id}.", {"revoked": key_id, "by": who})


@app.command()
def delegate(
    giver: Giver,
    to: Substitute,
    until: Annotated[
        str, typer.Option("--until", metavar="DATE", help="The last day, or the moment at which it ends.")
    ],
    start: Annotated[
        str, typer.Option("--from", metavar="DATE", help="The first day, or the moment; default: now.")
    ] = "",
    queue: Queue = "",
    by: By = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Name a substitute for a while, at most a year."""
    who, end = person(by), moment_of(until, "--until", end=True)
    begin = moment_of(start, "--from") if start else None
    change(home, lambda client: client.delegate(giver, to, until=end, start=begin, queue=queue or None, by=who))
    body = {"from": giver, "to": to, "start": begin, "until": end, "queue": queue or None, "by": who}
    told(as_json, f"{to} stands in for {giver} until {end}{f', queue {queue}' if queue else ''}.", body)


@app.command()
def undelegate(
    giver: Giver, to: Substitute, queue: Queue = "", by: By = "", home: Home = DEFAULT_HOME, as_json: AsJson = False
) -> None:
    """End a delegation before its time."""
    who = person(by)
    change(home, lambda client: client.undelegate(giver, to, queue=queue or None, by=who))
    body = {"from": giver, "to": to, "queue": queue or None, "by": who, "ended": True}
    told(as_json, f"{to} does not stand in for {giver} any more.", body)


def read_directory(home: Path) -> Directory:
    """Who is registered, to be shown."""
    with reading(home):
        return directory_of(home)


def one(directory: Directory, name: str) -> Principal:
    """Somebody who is registered."""
    from backstay.errors import NotFound

    known = directory.find(name)
    if known is None:
        raise NotFound(f"nobody called {name!r} is registered; `backstay people list` lists them")
    return known


def moment_of(text: str, option: str, *, end: bool = False) -> str:
    """A day or moment as somebody types it, here: a day begins at midnight, and as an end it counts to its last moment."""
    try:
        parsed = datetime.fromisoformat(text)
        whole_day = not {"T", ":"} & set(text)
        parsed = parsed + timedelta(days=1) if end and whole_day else parsed
        return (parsed if parsed.tzinfo else parsed.astimezone()).isoformat()
    except (ValueError, OverflowError, OSError):
        raise typer.BadParameter(f"{option} takes a day as 2026-12-31, or a moment as 2026-12-31T18:00") from None


def plain(known: Principal) -> dict[str, Any]:
    """A principal as JSON, its sets in order."""
    return {
        "id": known.id,
        "kind": known.kind,
        "roles": sorted(known.roles),
        "groups": sorted(known.groups),
        "acts_for": known.acts_for,
        "active": known.active,
    }


def listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))


def told(as_json: bool, words: str, body: dict[str, Any]) -> None:
    from backstay.cli import screen

    if as_json:
        screen.show_json(body)
    else:
        screen.say(words)


def _row(each: Principal) -> tuple[str, ...]:
    gone = "" if each.active else "revoked"
    return each.id, each.kind, listed(each.roles), listed(each.groups), each.acts_for or "", gone
