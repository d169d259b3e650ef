"""The process from which workers and people are forked, so that each life begins without importing everything anew."""

from __future__ import annotations

import os
import sys
from functools import cache
from multiprocessing import forkserver, get_context

processes = get_context("forkserver")


@cache
def start_forking(*modules: str) -> None:
    """Start it with these modules imported; it is told the path, which not every Python hands on."""
    processes.set_forkserver_preload(list(modules))
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before
