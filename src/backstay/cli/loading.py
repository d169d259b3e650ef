"""Finds applications and workflows in the author's files, named as FILE or FILE:NAME."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from backstay.errors import AuthorError, BackstayError, NotFound

if TYPE_CHECKING:
    from backstay.engine.application import App
    from backstay.language import Workflow


NO_FILE = "there is no file '{}'; name the one with your `App`, or make a project with `backstay init NAME`"


def split(target: str) -> tuple[Path, str]:
    """FILE and NAME of FILE:NAME; the name may be missing. A drive letter is part of the file."""
    file, colon, name = target.rpartition(":")
    if not colon or not file or "/" in name or "\\" in name:
        return Path(target), ""
    return Path(file), name


def load(path: Path) -> ModuleType:
    """Import an author's file, as part of its package if it has one; what goes wrong is an error for its author."""
    if not path.is_file():
        raise NotFound(NO_FILE.format(path))
    path = path.resolve()
    parts = make_importable(path)
    try:
        return importlib.import_module(".".join(parts)) if len(parts) > 1 else _alone(path)
    except (BackstayError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise AuthorError(
            f"{path.name} cannot be imported: {_where(error, path)}{type(error).__name__}: {error}"
        ) from error


def make_importable(path: Path) -> list[str]:
    """Let a file's package, or its neighbours, be imported; gives the file's dotted name in parts."""
    path = path.resolve()
    root, parts = path.parent, [path.stem]
    while (root / "__init__.py").exists():
        parts.insert(0, root.name)
        root = root.parent
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return parts


def _alone(path: Path) -> ModuleType:
    taken = sys.modules.get(path.stem)
    name = path.stem if taken is None or getattr(taken, "__file__", None) == str(path) else f"{path.stem}_of_backstay"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise NotFound(f"{path.name!r} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _where(error: Exception, path: Path) -> str:
    trace, line = error.__traceback__, getattr(error, "lineno", None)
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"line {line}: " if line else ""


def workflows_in(module: ModuleType) -> dict[str, Workflow[..., Any]]:
    from backstay.language import Workflow

    found = [value for value in vars(module).values() if isinstance(value, Workflow)]
    return {workflow.name: workflow for workflow in found}


def find_workflow(module: ModuleType, name: str) -> Workflow[..., Any]:
    """A workflow of a file by its name, or its only one."""
    found = workflows_in(module)
    if name in found:
        return found[name]
    listed = ", ".join(sorted(found)) or "none"
    if not name and len(found) == 1:
        return next(iter(found.values()))
    wanted = f"has no workflow {name!r}" if name else "has more than one workflow, or none; name it as FILE:NAME"
    raise NotFound(f"{module.__name__} {wanted}; it has {listed}")


def find_app(module: ModuleType, name: str = "", workflow: str = "") -> App:
    """The application of a file: the named one, the only one, the one with that workflow; else one is made."""
    from backstay.engine.application import App

    apps = {key: value for key, value in vars(module).items() if isinstance(value, App)}
    if name:
        if name not in apps:
            raise NotFound(f"{module.__name__} has no app {name!r}; it has {', '.join(apps) or 'none'}")
        return apps[name]
    fitting = [app for app in dict.fromkeys(apps.values()) if not workflow or workflow in app.workflows]
    if len(fitting) == 1 or (fitting and "app" not in apps):
        return fitting[0]
    if apps.get("app") in fitting and "app" in apps:
        return apps["app"]
    found = workflows_in(module)
    if not found:
        raise NotFound(f"{module.__name__} has neither an `App` nor a workflow; write `app = App(...)` in it")
    return App(module.__name__.rpartition(".")[2], workflows=list(found.values()))
