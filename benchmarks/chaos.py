"""Kill the worker of both examples at random, a thousand times, while people decide: `python -m benchmarks.chaos`.

Accounts payable and leave requests run in one application on one store. A supervisor starts its worker, ends it with
SIGKILL at a random moment (while it starts and recovers, while it works, in the midst of a commit), and starts the next.
Other processes are the people. At the end all is worked off, and files are compared with files. `--kills N`, `--seed`.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

from benchmarks import chaos_people
from benchmarks.chaos_checks import CHECKS, check, read_diaries
from benchmarks.chaos_office import Life, Worker
from benchmarks.chaos_people import FINISH, STOP, WORK
from benchmarks.forking import processes, start_forking

RESULT: Final = Path(__file__).parent / "results" / "chaos.json"
OFTEN: Final = 100
"""Kills between two looks at the dead store."""
PATIENCE: Final = 300.0
"""Seconds in which, once nobody kills any more, everything must be worked off."""
YEARS: Final = 3 * 366 * 86_400.0
"""After so long every leave that was booked has begun."""
DOWNTIME: Final = 5_400.0
"""Seconds of office time between two lives, at most: so reminders, escalations, leases and leave come due."""


@dataclass(kw_only=True)
class Story:
    """What happened, and what was found wrong."""

    seed: int
    kills: int = 0
    while_starting: int = 0
    """Killed before the application was open: importing is over, locks, migration and recovery are not."""
    while_working: int = 0
    before_a_commit: int = 0
    """Killed after the decision to commit, before SQLite said that it had."""
    after_a_commit: int = 0
    refused_to_start: Counter[str] = field(default_factory=Counter[str])
    """What a life said that ended by itself, and how often."""
    logged: Counter[str] = field(default_factory=Counter[str])
    seconds: dict[str, float] = field(default_factory=dict)
    cases: dict[str, dict[str, int]] = field(default_factory=dict)
    asked: dict[str, dict[str, int]] = field(default_factory=dict)
    looked: int = 0
    """How often the store was verified as a killed worker had left it."""
    wrong: dict[str, list[str]] = field(default_factory=dict)

    def found(self, wrong: dict[str, list[str]]) -> None:
        for name, items in wrong.items():
            self.wrong.setdefault(name, []).extend(items)


class Chaos:
    """One office, from the first kill to the last comparison."""

    def __init__(self, folder: Path, seed: int, rate: float, people: int, say: Callable[[str], None]) -> None:
        self.home, self.diaries = folder / "home", folder / "diaries"
        (self.home / "drop").mkdir(parents=True)
        self.diaries.mkdir()
        self.dice, self.story, self.say = random.Random(seed), Story(seed=seed), say
        self.rate, self.people, self.ahead = rate / people, people, 0.0
        start_forking("benchmarks.chaos_office", "benchmarks.chaos_people")
        self.mode = processes.Value("i", WORK)

    def run(self, kills: int) -> Story:
        begun = time.monotonic()
        with self._at_work():
            while self.story.kills < kills:
                self._live()
                if self.story.kills % OFTEN == 0:
                    self._look()
            self.story.seconds["killing"] = time.monotonic() - begun
            self.mode.value = FINISH
            self._drain()
        self._summary()
        self.say("comparing files with files ...")
        self.story.found(check(self.home, self.diaries))
        self.story.seconds["all"] = time.monotonic() - begun
        return self.story

    @contextmanager
    def _at_work(self) -> Any:
        """The people, in processes of their own, until the block ends."""
        at_work = []
        for number in range(self.people):
            diary = self.diaries / f"people{number}.jsonl"
            seed = f"{self.story.seed} {number}"
            given = (seed, self.home, diary, self.mode, self.rate)
            at_work.append(processes.Process(target=chaos_people.live, args=given, daemon=True))
            at_work[-1].start()
        try:
            yield
        finally:
            self.mode.value = STOP
            for process in at_work:
                process.join(60)
                if process.exitcode != 0:
                    self.story.found({"people who broke down": [f"{process.name} ended with {process.exitcode}"]})
                    process.kill()

    def _live(self) -> None:
        """One life, to its violent end."""
        self.ahead += self.dice.uniform(0, DOWNTIME)
        life, kind = Life(home=self.home, ahead=self.ahead), self.dice.random()
        if kind < 0.4:
            life = Life(
                home=self.home, ahead=self.ahead, commit=int(self.dice.expovariate(1 / 15)) + 1,
                delay=self.dice.choice((0.0, self.dice.uniform(0, 0.0005), self.dice.uniform(0, 0.005))),
            )  # fmt: skip
        worker = Worker(life)
        if kind < 0.4:
            worker.hear("", 3.0)  # it ends itself
        elif kind < 0.65:
            worker.hear("", self.dice.uniform(0, 0.15))
        elif worker.hear("open", 20.0):
            worker.hear("", self.dice.uniform(0, 1.0))
        self._bury(worker, worker.kill())

    def _bury(self, worker: Worker, code: int | None) -> None:
        """Count how it ended."""
        story, words = self.story, worker.words
        story.logged.update(said for word, said in worker.said if word == "log")
        if code != -signal.SIGKILL:
            trouble = [said for word, said in worker.said if word == "trouble"] or [f"exit code {code}"]
            story.refused_to_start.update(trouble)
            return
        story.kills += 1
        story.before_a_commit += "committing" in words and "committed" not in words
        story.after_a_commit += "committed" in words
        story.while_starting += "open" not in words
        story.while_working += "open" in words
        if story.kills % 10 == 0:
            self.say(f"{story.kills} kills, {sum(len(items) for items in story.wrong.values())} wrong")

    def _look(self) -> None:
        """Verify the store as the killed worker left it."""
        begun = time.monotonic()
        self.story.looked += 1
        self.story.found(check(self.home, self.diaries, ("broken chains", "orphans")))
        self.story.seconds["looking"] = self.story.seconds.get("looking", 0.0) + time.monotonic() - begun

    # --- the end ----------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Let the people bring everything to its end; then let the years pass that booked leave still needs."""
        begun = time.monotonic()
        self._work_off(0.0, "the people's items", self._items)
        self._look()
        self._work_off(YEARS, "the cases that wait for their day", self._open_cases)
        self.story.seconds["draining"] = time.monotonic() - begun

    def _work_off(self, more: float, what: str, left: Callable[[], int]) -> None:
        self.ahead += DOWNTIME + more
        worker = Worker(Life(home=self.home, ahead=self.ahead))
        end, quiet, number = time.monotonic() + PATIENCE, 0, -1
        while time.monotonic() < end and quiet < 5:
            worker.hear("", 0.3)
            before, number = number, left()
            quiet = quiet + 1 if number == 0 else 0
            if number != before:
                self.say(f"{number} left of {what}")
        self.story.found({"not worked off": [f"{left()} of {what}"] if left() else []})
        code = worker.stop()
        if code != 0 or "trouble" in worker.words:
            self.story.found({"not worked off": [f"the worker ended with {code}: {worker.said}"]})

    def _items(self) -> int:
        """What waits for people or moves, and files that nobody has taken yet."""
        waits = self._count("SELECT count(*) FROM waits WHERE queue <> ''")
        return (
            waits + self._count("SELECT count(*) FROM runs WHERE status IN ('running', 'attention')") + self._untaken()
        )

    def _open_cases(self) -> int:
        return self._count("SELECT count(*) FROM runs WHERE status IN ('running', 'attention', 'waiting')")

    def _untaken(self) -> int:
        dropped = read_diaries(self.diaries).dropped
        with closing(self._open()) as db:
            known = {row[0] for row in db.execute("SELECT key FROM runs WHERE workflow = 'process_invoice'")}
        return len(set(dropped) - known)

    def _count(self, query: str) -> int:
        with closing(self._open()) as db:
            return int(db.execute(query).fetchone()[0])

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{(self.home / 'backstay.db').absolute().as_uri()}?mode=ro", uri=True, timeout=30)

    def _summary(self) -> None:
        story = self.story
        with closing(self._open()) as db:
            for workflow, status, number in db.execute("SELECT workflow, status, count(*) FROM runs GROUP BY 1, 2"):
                story.cases.setdefault(workflow, {})[status] = number
            events, commits = db.execute(
                "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM commits)"
            ).fetchone()
        story.cases["in the journal"] = {"events": events, "commits": commits}
        story.asked = {method: dict(count) for method, count in sorted(read_diaries(self.diaries).outcomes.items())}


def as_json(story: Story) -> dict[str, Any]:
    told = asdict(story)
    told["wrong"] = {name: {"number": len(items), "first": items[:20]} for name, items in story.wrong.items()}
    told["seconds"] = {name: round(value, 1) for name, value in story.seconds.items()}
    about = {"date": date.today().isoformat(), "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    return {**about, "system": f"{platform.system()} {platform.machine()}", **told}


def print_summary(story: Story) -> None:
    told = as_json(story)
    for name in ("kills", "while_starting", "while_working", "before_a_commit", "after_a_commit", "looked", "seconds"):
        print(f"{name.replace('_', ' '):26} {told[name]}")
    for title in ("refused_to_start", "logged"):
        for what, number in told[title].items():
            print(f"{title.replace('_', ' '):26} {number} x {what}")
    for workflow, counts in told["cases"].items():
        print(f"{workflow:26} {counts}")
    for method, counts in told["asked"].items():
        print(f"asked to {method:17} {counts}")
    for name in sorted({*CHECKS, *story.wrong}):
        items = story.wrong.get(name, [])
        print(f"{name:26} {len(items)}")
        for item in items[:10]:
            print(f"    {item}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=1.2, help="cases that begin in a second")
    parser.add_argument("--people", type=int, default=2, help="processes of people")
    parser.add_argument("--keep", type=Path, help="a new folder for the files, which stay there")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", action="store_true", help=f"also write {RESULT.name} into benchmarks/results")
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="backstay-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:7.1f} s  {text}", file=sys.stderr, flush=True)

    story = Chaos(folder, options.seed, options.rate, options.people, say).run(options.kills)
    if not options.keep:
        shutil.rmtree(folder)
    if options.save:
        RESULT.write_text(json.dumps(as_json(story), indent=2) + "\n", "utf-8")
    if options.json:
        print(json.dumps(as_json(story)))
    else:
        print_summary(story)
    return 1 if any(story.wrong.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
