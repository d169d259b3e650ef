"""How long `import backstay` and `backstay --help` take above a bare interpreter, on the wall clock.

Each is the best of N processes, alternating with the bare one, after one unmeasured round that fills the page cache.
Bytecode is written first, as an installer does. The best and not the median, because anything above it is the machine's
other work. `app_ms` adds the engine, because `import backstay` loads names only when they are used.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.sides.measures import report

PROGRAMS = {
    "bare": ("-c", "pass"),
    "import": ("-c", "import backstay"),
    "app": ("-c", "from backstay import App"),
    "help": ("-m", "backstay", "--help"),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--times", type=int, default=15)
    options = parser.parse_args()
    environment = os.environ | {"PYTHONPYCACHEPREFIX": str(options.scratch / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    programs = PROGRAMS | {"help": entry_point() or PROGRAMS["help"]}
    best = dict.fromkeys(programs, float("inf"))
    for number in range(options.times + 1):
        for name, arguments in programs.items():
            before = time.perf_counter()
            command = [sys.executable, *arguments] if arguments[0].startswith("-") else list(arguments)
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment, timeout=60)
            if number:
                best[name] = min(best[name], time.perf_counter() - before)
    report(
        import_ms=(best["import"] - best["bare"]) * 1000,
        help_ms=(best["help"] - best["bare"]) * 1000,
        app_ms=(best["app"] - best["bare"]) * 1000,
        bare_ms=best["bare"] * 1000,
        versions={},
    )


def entry_point() -> tuple[str, ...] | None:
    """The installed `backstay` command beside this interpreter: what a user types."""
    script = Path(sys.executable).with_name("backstay")
    return (str(script), "--help") if script.exists() else None


if __name__ == "__main__":
    main()
