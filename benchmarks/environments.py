"""Peers live in environments of their own, made from pinned lists, so that they never mix with Backstay's packages."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE / ".envs"
"""Environments and scratch files; ignored by git and safe to delete."""


class EnvironmentFailed(Exception):
    """An environment could not be made; the message carries the installer's last words."""


def ensure(name: str) -> Path:
    """Return the interpreter of environment `name`, installing or renewing it if its pins changed."""
    pins = HERE / "pins" / f"{name}.txt"
    home = CACHE / name
    python, stamp = home / "bin" / "python", home / "pins.sha256"
    wanted = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    shutil.rmtree(home, ignore_errors=True)
    home.parent.mkdir(parents=True, exist_ok=True)
    uv = shutil.which("uv")
    if uv:
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(home)])
        _run([uv, "pip", "install", "--quiet", "--python", str(python), "--requirement", str(pins)])
    else:
        _run([sys.executable, "-m", "venv", str(home)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(pins)])
    stamp.write_text(wanted)
    return python


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentFailed(f"{Path(command[0]).name} {command[1]}: {error}") from error
    if done.returncode:
        raise EnvironmentFailed(f"{Path(command[0]).name} {command[1]}: {done.stderr.strip()[-600:]}")
