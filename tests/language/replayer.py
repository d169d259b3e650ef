"""A process of its own that replays: one JSON line in (definition, input, answers), one JSON line out."""

from __future__ import annotations

import json
import sys

from driver import run

from backstay.language import compile_definition


def main() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        answers = iter(job["answers"])
        program = compile_definition(job["text"], job["version"])
        said, _ = run(program, job["given"], lambda _command: next(answers, None))
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
