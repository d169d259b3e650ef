"""Where commands about policies find their rules: an application's file, a policy file, and the grants of a store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from backstay.engine.application import App
    from backstay.governance.policy import Policy, Rule

AppName = Annotated[str, typer.Argument(metavar="APP", help="FILE of the application, or FILE:NAME.")]
NoGrants = Annotated[bool, typer.Option("--no-grants", help="Leave out what was granted to agents in the store.")]


def application(target: str) -> App:
    from backstay.cli.loading import find_app, load, split

    path, name = split(target)
    return find_app(load(path), name)


def table_of(target: str) -> tuple[Policy, App | None]:
    """The rules of a policy file, or those of an application with it; raises NotFound, AuthorError."""
    from backstay.errors import NotFound
    from backstay.governance.policy import Policy
    from backstay.governance.policy_files import SUFFIXES, read_policy

    path = Path(target)
    if path.suffix not in SUFFIXES:
        app = application(target)
        return app.policy, app
    if not path.is_file():
        raise NotFound(f"there is no file {target!r}")
    return Policy(read_policy(path)), None


def grants_of(home: Path, app: App, moment: str, *, left_out: bool) -> Sequence[Rule]:
    """What a store's people granted to agents or took from them, as rules; nothing where there is no store."""
    from backstay.cli.stores import reading, store_exists
    from backstay.operations.permissions import grants_in_force

    if left_out or not store_exists(home):
        return ()
    with reading(home) as reader:
        return grants_in_force(app, reader, moment)


def now() -> str:
    from backstay.store.clock import Clock

    return Clock().stamp()
