"""A process of its own that replays: one JSON line in (definition, input, answers), one JSON line out."""

from __future__ import annotations

import json
import sys

from driver import run

from backstay.language import compile_definition
from backstay.types import Json


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(replay(json.loads(line))), flush=True)


def replay(job: Json) -> str:
    """The whole behaviour of a program that is answered from a journal."""
    answers = iter(job["answers"])
    program = compile_definition(job["text"], job["version"])
    return run(program, job["given"], lambda _command: next(answers, None))[0]


if __name__ == "__main__":
    main()
