"""Commands for authors: begin a project, check a file, draw a workflow."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from backstay.cli.exits import OK, REFUSED
from backstay.cli.loading import find_workflow, load, make_importable, split
from backstay.cli.options import DEFAULT_HOME, AsJson, Home

if TYPE_CHECKING:
    from rich.console import Console

    from backstay.language import Program
    from backstay.language.diagnostics import Diagnostic


PASSED_OVER: Final = frozenset({"__pycache__", "site-packages", "node_modules", "venv"})
"""Directories that `check DIR` does not look into."""

NEXT: Final = (
    "backstay check app.py",
    "backstay dev app.py        # runs it; then, in another terminal:",
    "backstay start app.py:reimburse --input claim.employee=ann --input claim.amount=250",
    "backstay inbox",
    "uv run pytest              # its tests",
)
"""What to try in a new project."""


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where; it may exist, files in it are kept.")],
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Make a project to start from: a workflow with an approval, its test, a README."""
    from importlib import resources

    from backstay.cli import screen
    from backstay.errors import Conflict

    template = resources.files("backstay.cli") / "template"
    files = {item.name.removesuffix(".txt"): item.read_text("utf-8") for item in template.iterdir()}
    files = {("." + name if name == "gitignore" else name): text for name, text in sorted(files.items())}
    standing = [name for name in files if (folder / name).exists()]
    if len(standing) == len(files):
        raise Conflict(f"{', '.join(standing)} already stand in {str(folder)!r}; nothing was changed")
    files = {name: text for name, text in files.items() if name not in standing}
    folder.mkdir(parents=True, exist_ok=True)
    name = folder.resolve().name
    for file, text in files.items():
        (folder / file).write_text(text.replace("PROJECT_NAME", _package_name(name)), "utf-8")
    if "pyproject.toml" in files:
        depend(folder / "pyproject.toml")
    if as_json:
        screen.show_json({"directory": str(folder), "files": list(files), "kept": standing})
        return
    screen.say(f"Made {', '.join(files)} in {folder}.")
    if standing:
        screen.say(f"Kept as they were: {', '.join(standing)}.")
    for line in (f"cd {folder}", *NEXT):
        screen.hint(f"  {line}")


def depend(file: Path) -> None:
    """Let a new project use the Backstay that made it: its source checkout, or else its version."""
    import json

    import backstay

    text, root = file.read_text("utf-8"), Path(backstay.__file__).resolve().parents[2]
    if (root / "pyproject.toml").is_file() and (root / "src" / "backstay").is_dir():
        source = json.dumps(root.as_posix(), ensure_ascii=False)
        text += f"\n[tool.uv.sources]\nbackstay = {{ path = {source}, editable = true }}\n"
    else:
        text = text.replace('"backstay[watch]"', f'"backstay[watch]=={backstay.__version__}"')
    file.write_text(text, "utf-8")


def _package_name(name: str) -> str:
    kept = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in name.lower()).strip("-")
    return kept or "process"


def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Python files, or directories of them.")],
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> int:
    """Check workflows and rules: say what cannot be replayed, where, why, and what to write instead."""
    from backstay.cli import screen
    from backstay.language import check_file

    found = [file for path in files for file in python_files(path)]
    for file in found:
        make_importable(file)
    checked = {str(file): check_file(file) for file in found}
    diagnostics = [diagnostic for found in checked.values() for diagnostic in found.diagnostics]
    workflows = [(file, flow) for file, found in checked.items() for flow in found.workflows]
    agents = [(file, agent) for file, found in checked.items() for agent in found.agents]
    rules = [(file, rule) for file, found in checked.items() for rule in found.rules]
    if as_json:
        listed, acting = (
            [{"file": file, "name": flow.name, "version": flow.definition.version} for file, flow in flows]
            for flows in (workflows, agents)
        )
        named = [{"file": file, "name": rule.name} for file, rule in rules]
        refusals = [diagnostic.as_json() for diagnostic in diagnostics]
        screen.show_json({"ok": not refusals, "diagnostics": refusals, "workflows": listed,
                          "agents": acting, "rules": named})  # fmt: skip
        return REFUSED if diagnostics else OK
    print_diagnostics(diagnostics, screen.out())
    if diagnostics:
        screen.say(f"{_count(len(diagnostics), 'refusal')}", "bold red")
        return REFUSED
    for file, flow in workflows:
        screen.say(f"ok  {file}:{flow.name}  version {flow.definition.version[:12]}", "green")
    for file, agent in agents:
        screen.say(f"ok  {file}:{agent.name} (agent)  version {agent.definition.version[:12]}", "green")
    if not workflows and not agents and not rules:
        screen.say("No workflow, agent or rule in it; a workflow is an `async def` under `@workflow`.")
    return OK


def python_files(path: Path) -> list[Path]:
    """The file itself, or those of a directory besides hidden ones and those of installed packages."""
    from backstay.errors import NotFound

    if path.is_file():
        return [path]
    if not path.is_dir():
        raise NotFound(f"there is no file {str(path)!r}")
    found = [
        file
        for file in sorted(path.rglob("*.py"))
        if not any(part.startswith(".") or part in PASSED_OVER for part in file.relative_to(path).parts)
    ]
    if not found:
        raise NotFound(f"there is no Python file in {str(path)!r}")
    return found


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def print_diagnostics(diagnostics: Sequence[Diagnostic], console: Console | None = None) -> None:
    """Refusals with their caret, the place and the remedy in colour."""
    from rich.text import Text

    from backstay.cli.screen import err

    console = console or err()
    for diagnostic in diagnostics:
        told = Text()
        for number, line in enumerate(str(diagnostic).splitlines()):
            caret = set(line.partition("|")[2].strip()) == {"^"}
            style = "bold" if number == 0 else "bold red" if caret else "green" if line.startswith("help:") else ""
            told.append(line + "\n", style)
        console.print(told, soft_wrap=True)


def graph(
    target: Annotated[str, typer.Argument(metavar="[FILE:NAME]", help="A workflow of a file.")] = "",
    form: Annotated[
        Literal["svg", "mermaid"], typer.Option("--format", metavar="svg|mermaid", help="What to write.")
    ] = "svg",
    run: Annotated[
        str, typer.Option("--run", metavar="RUN", help="Draw this run's own version, and mark its way.")
    ] = "",
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it.")] = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Draw a workflow as a flowchart, from the same source that runs."""
    from backstay.cli import screen
    from backstay.cli.pictures import draw, save
    from backstay.errors import NotFound

    if not target and not run:
        raise typer.BadParameter("name FILE:NAME, or --run RUN")
    if run:
        program, text = _of_run(run, home, form)
    else:
        path, name = split(target)
        program = find_workflow(load(path), name).program
        text = draw(program, form)
    if output is None and form == "svg" and sys.stdout.isatty() and not as_json:
        output = Path(f"{program.name}.svg")
    if output is not None:
        try:
            save(output, text)
        except OSError as error:
            raise NotFound(f"cannot write {str(output)!r}: {error.strerror}") from None
    if as_json:
        body: dict[str, Any] = {"workflow": program.name, "version": program.version, "format": form}
        screen.show_json({**body, "file": str(output) if output else None, "text": None if output else text})
    elif output is not None:
        screen.say(f"{program.name}@{program.version[:7]} is drawn in {output}.")
    else:
        print(text)


def _of_run(run: str, home: Path, form: Literal["svg", "mermaid"]) -> tuple[Program, str]:
    from backstay.cli.pictures import draw
    from backstay.cli.runs import program_of
    from backstay.cli.stores import reading, run_named
    from backstay.errors import DefinitionMissing
    from backstay.store.views import read_events

    with reading(home) as reader:
        row = run_named(reader, run)
        program = program_of(reader, row)
        if program is None:
            raise DefinitionMissing(f"the definition {row.version[:12]} of run {row.id} is missing or damaged")
        return program, draw(program, form, read_events(reader, row.id), row.status == "finished")
