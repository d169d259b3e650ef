"""The command line's entrance: the table of commands, and how what goes wrong is told."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import typer
from typer.core import TyperGroup

from backstay.cli import (
    agency,
    auditing,
    demonstration,
    directory,
    evals,
    items,
    knowledge,
    mcp,
    memory,
    metrics,
    people,
    policies,
    privacy,
    projects,
    replaying,
    runs,
    steps,
    switching,
    tools,
    waits,
    working,
)
from backstay.cli.exits import BY_ERROR, EXITS, FAULT, STOPPED, USAGE
from backstay.errors import BackstayError, InvalidInput, WorkflowRefused

COMMANDS: Final[tuple[tuple[str, str, Callable[..., Any]], ...]] = (
    ("Write", "init", projects.init),
    ("Write", "check", projects.check),
    ("Write", "graph", projects.graph),
    ("Run", "dev", working.dev),
    ("Run", "start", working.start),
    ("Run", "signal", working.signal),
    ("Run", "demo", demonstration.demo),
    ("Evaluate", "eval", evals.evaluate),
    ("Evaluate", "prompts", evals.prompts),
    ("Look", "runs", runs.runs),
    ("Look", "show", runs.show),
    ("Look", "log", runs.log),
    ("Look", "files", items.files),
    ("Look", "replay", replaying.replay),
    ("Look", "trace", metrics.trace),
    ("Look", "metrics", metrics.metrics),
    ("Decide and work", "inbox", people.inbox),
    ("Decide and work", "approve", items.approve),
    ("Decide and work", "reject", items.reject),
    ("Decide and work", "done", people.done),
    ("Decide and work", "claim", items.claim),
    ("Decide and work", "release", items.release),
    ("Decide and work", "reassign", items.reassign),
    ("Decide and work", "ask", items.ask),
    ("Decide and work", "answer", items.answer),
    ("Decide and work", "comment", items.comment),
    ("Operate", "queues", people.queues),
    ("Operate", "waits", waits.waits),
    ("Operate", "cancel", runs.cancel),
    ("Operate", "retry", runs.retry),
    ("Operate", "settle", people.settle),
    ("Operate", "erase", privacy.erase),
    ("Operate", "budgets", agency.budgets),
)
"""(heading in the help, name, function) of every command that is not in a group, in the order of the help."""

GROUPS: Final[tuple[tuple[str, str, typer.Typer], ...]] = (
    ("Operate", "mcp", mcp.app),
    ("Operate", "switch", switching.app),
    ("Operate", "memory", memory.app),
    ("Operate", "knowledge", knowledge.app),
    ("Operate", "steps", steps.app),
    ("Say who may", "people", directory.app),
    ("Say who may", "policy", policies.app),
    ("Say who may", "autonomy", agency.app),
    ("Say who may", "tools", tools.app),
    ("Prove", "audit", auditing.app),
)
"""(heading in the help, name, commands) of every group of commands."""


MISSING_FILE = re.compile("Missing argument '(FILE|APP)")
"""What is told of a command line that names no application."""


class Grouped(TyperGroup):
    """Lists the commands under the headings of the table."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        named = [(heading, name) for heading, name, _ in (*COMMANDS, *GROUPS)]
        for heading in dict.fromkeys(heading for heading, _ in named):
            listed = [name for under, name in named if under == heading]
            lines = [(name, _short(self.commands[name].help or "")) for name in listed]
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(8), text) for name, text in lines])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXITS.items()])


def _short(text: str) -> str:
    """The first clause of a command's help."""
    return re.split(r"[:;.]", text, maxsplit=1)[0]


app = typer.Typer(
    cls=Grouped,
    name="backstay",
    help="Durable business processes: rules as the backbone, people where it matters, one journal for all.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _, _name, _group in GROUPS:
    app.add_typer(_group, name=_name)
for _, _name, _function in COMMANDS:
    app.command(_name)(_function)


def version(wanted: bool) -> None:
    if wanted:
        import backstay

        print(f"backstay {backstay.__version__}")
        raise typer.Exit


@app.callback()
def root(
    shown: bool = typer.Option(False, "--version", callback=version, is_eager=True, help="Print the version."),
) -> None:
    """Durable business processes: rules as the backbone, people where it matters, one journal for all."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line and end the process with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code; nothing ends in a traceback."""
    as_json = "--json" in arguments
    try:
        code: Any = app(list(arguments), prog_name="backstay", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except BackstayError as error:
        return tell(error.code, str(error), getattr(error, "fields", {}), as_json, error)
    except (KeyboardInterrupt, typer.Abort):
        return STOPPED
    except BrokenPipeError:  # the reader of our output went away; that is no fault
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if hasattr(error, "format_message"):  # typer's own errors, whose class has moved between its versions
            return usage(error, as_json)
        if "BACKSTAY_TRACEBACK" in os.environ:
            raise
        words = f"{type(error).__name__}: {error}. This is a fault in Backstay; BACKSTAY_TRACEBACK=1 shows where"
        return tell("FAULT", words, {}, as_json, None)


def usage(error: Any, as_json: bool) -> int:
    """The command line was wrong: say so, and where its help is."""
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":
        print(message)
        return USAGE
    if MISSING_FILE.match(message) and context is not None:
        message += f" For example `{context.command_path} app.py`; `backstay init NAME` makes a project with one."
    if context is not None and not as_json:
        message = f"{message}\n{context.command_path} --help shows how it is used"
    return tell("USAGE", message, {}, as_json, None)


def tell(code: str, message: str, fields: dict[str, str], as_json: bool, error: BackstayError | None) -> int:
    """Print an error, as JSON or in words, and return the exit code."""
    exit_code = BY_ERROR.get(code, FAULT)
    if as_json:
        body: dict[str, Any] = {"code": code, "message": message, "fields": fields}
        if isinstance(error, WorkflowRefused):
            body["diagnostics"] = [diagnostic.as_json() for diagnostic in error.diagnostics]
        print(json.dumps({"error": body}, ensure_ascii=False, indent=2))
        return exit_code
    from rich.text import Text

    from backstay.cli.screen import commands, err

    if isinstance(error, WorkflowRefused):
        projects.print_diagnostics(error.diagnostics)
        return exit_code
    err().print(Text.assemble(("error: ", "bold red"), commands(message)), soft_wrap=True)
    if isinstance(error, InvalidInput) or fields:
        for name, wrong in fields.items() if not all(name in message for name in fields) else ():
            err().print(Text.assemble("  ", (name, "bold"), f": {wrong}"))
    return exit_code
