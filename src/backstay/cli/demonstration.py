"""`backstay demo`: the accounts-payable example on real invoices, told on screen, or once as one JSON object."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from backstay.cli.options import AsJson, Home

DEMO_HOME: Final = Path(".backstay/demo")


def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop when nothing moves, and print the numbers.")] = False,
    home: Home = DEMO_HOME,
    as_json: AsJson = False,
) -> int:
    """Run accounts payable on real invoices: read, matched, posted, queued, or waiting for a person."""
    import asyncio

    from backstay.cli.invoices import find_example, run_on, run_once

    example = find_example()
    return asyncio.run((run_once if once else run_on)(example, home, as_json))
