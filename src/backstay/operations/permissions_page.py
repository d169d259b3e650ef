"""The permissions matrix as one page of HTML: no scripts, nothing from elsewhere, readable on a phone and aloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from backstay.governance.policy import SEVERITY, Verdict
from backstay.language.palette import COLOURS, INK
from backstay.operations.permissions import Permission, by_level
from backstay.operations.wording import counted
from backstay.types import Effect

EFFECTS: Final[Mapping[Effect, tuple[str, str]]] = {
    "irreversible": ("Irreversible", "cannot be taken back"),
    "write": ("Write", "changes something, can be undone"),
    "read": ("Read", "changes nothing"),
}
"""Each effect with its heading and what it means, in the order of the page: what matters most comes first."""

VERDICTS: Final[Mapping[Verdict, tuple[str, str, str]]] = {
    "allow": ("at once", "nobody is asked", "end"),
    "hold": ("after a person", "a person decides about each call", "person"),
    "draft": ("only written down", "it is recorded and not done", "wait"),
    "deny": ("never", "the call is refused", "failed"),
}
"""Each verdict in words, what it means, and its colours in the palette."""


def page(app: str, permissions: Sequence[Permission], now: str) -> str:
    """The page for an application's matrix, as it was at a moment."""
    callers = list(dict.fromkeys(each.caller for each in sorted(permissions, key=lambda one: not one.is_agent)))
    agents = {each.caller for each in permissions if each.is_agent}
    cells = {(each.action, each.caller): each for each in permissions}
    groups = "".join(_group(effect, permissions, callers, cells) for effect in EFFECTS)
    heads = "".join(
        f'<th scope="col" role="columnheader">{_name(each)}<small>{"agent" if each in agents else "workflow"}</small></th>'
        for each in callers
    )
    title = f"Who may do what in {escape(app)}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p class="when">{counted(len(callers), "caller")}, {counted(len({each.action for each in permissions}), "action")}.
By the rules as they were on <time datetime="{escape(now)}">{escape(now[:16].replace("T", " "))}</time> UTC.</p>
{_alone(permissions)}
<p class="rest">A caller that is not named under an action may never do it.</p>
<div class="scroll" role="region" aria-labelledby="matrix" tabindex="0">
<table role="table">
<caption id="matrix">What becomes of a call, by action and caller</caption>
<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">action</th>{heads}</tr></thead>
{groups}</table>
</div>
<h2>What the words mean</h2>
<dl>{_legend()}</dl>
</main>
</body>
</html>
"""


def _alone(permissions: Sequence[Permission]) -> str:
    """What agents may do that nobody can take back and nobody is asked about."""
    found = [p for p in permissions if p.is_agent and p.effect == "irreversible" and "allow" in p.verdicts]
    if not found:
        return '<p class="well">No agent does anything irreversible without a person.</p>'
    lines = "".join(
        f"<li><b>{escape(each.caller)}</b> may do <b>{escape(each.action)}</b>"
        f"{', for some arguments' if len(each.verdicts) > 1 else ''}</li>"
        for each in found
    )
    return f'<div class="alone"><p>Irreversible, by an agent, without a person:</p><ul>{lines}</ul></div>'


def _group(
    effect: Effect, permissions: Sequence[Permission], callers: Sequence[str], cells: Mapping[tuple[str, str], Permission]
) -> str:  # fmt: skip
    """The rows of the actions with one effect, under its heading; nothing where there are none."""
    actions = sorted({each.action for each in permissions if each.effect == effect})
    if not actions:
        return ""
    name, meaning = EFFECTS[effect]
    rows = "".join(
        f'<tr role="row"><th scope="row" role="rowheader">{_name(action)}</th>'
        f"{''.join(_cell(caller, cells.get((action, caller))) for caller in callers)}</tr>\n"
        for action in actions
    )
    head = f'<tr class="effect {effect}" role="row"><th scope="rowgroup" role="rowheader" colspan="{len(callers) + 1}">'
    return f'<tbody role="rowgroup">{head}{name} <small>{meaning}</small></th></tr>\n{rows}</tbody>\n'


def _cell(caller: str, permission: Permission | None) -> str:
    who = f'<span class="who" aria-hidden="true">{_name(caller)}</span>'
    if permission is None:
        return f'<td class="none" role="cell">{who}<span class="word">never</span></td>'
    verdicts = sorted(permission.verdicts, key=SEVERITY.index)
    words = " or ".join(f'<span class="verdict {each}">{VERDICTS[each][0]}</span>' for each in verdicts)
    grant = (
        f" <small>by {by_level(permission.grants)}: {escape(', '.join(permission.grants))}</small>"
        if permission.grants
        else ""
    )
    return f'<td role="cell">{who}<span class="word">{words}{grant}</span></td>'


def _name(name: str) -> str:
    """A name that may be broken between its words and nowhere else."""
    return escape(name).replace("_", "_<wbr>")


def _legend() -> str:
    told = "".join(
        f'<div><dt><span class="verdict {verdict}">{word}</span></dt><dd>{meaning}</dd></div>'
        for verdict, (word, meaning, _) in VERDICTS.items()
    )
    several = "<div><dt>several words</dt><dd>it depends on the arguments</dd></div>"
    meant = "the caller has no such action: the call is refused"
    return f'{told}{several}<div class="none"><dt>never, in grey</dt><dd>{meant}</dd></div>'


STYLE: Final = f"""
:root {{ color-scheme: light; }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: #fff; color: {INK}; font: 16px/1.45 system-ui, sans-serif; }}
main {{ max-width: 75rem; margin: 0 auto; padding: 1.5rem 1.25rem 3rem; }}
h1 {{ margin: 0 0 .25rem; font-size: 1.6rem; line-height: 1.2; overflow-wrap: anywhere; }}
h2 {{ margin: 2rem 0 .5rem; font-size: 1.1rem; }}
.when {{ margin: 0 0 1rem; color: #4b5a69; }}
.well, .alone {{ margin: 0 0 1.25rem; padding: .6rem .9rem; border-left: 4px solid; border-radius: 3px; }}
.well {{ background: {COLOURS["end"][0]}; border-color: {COLOURS["end"][1]}; }}
.alone {{ background: {COLOURS["irreversible"][0]}; border-color: {COLOURS["irreversible"][1]}; }}
.alone p, .alone ul {{ margin: 0; }}
.alone ul {{ padding-left: 1.2rem; }}
.scroll {{ overflow-x: auto; }}
.scroll:focus-visible {{ outline: 3px solid #0b5fd0; outline-offset: 2px; }}
table {{ border-collapse: collapse; width: 100%; }}
caption {{ padding-bottom: .5rem; text-align: left; color: #4b5a69; }}
th, td {{ padding: .5rem .75rem; border-bottom: 1px solid #dde3e9; text-align: left; vertical-align: top; }}
th {{ font-weight: 600; overflow-wrap: break-word; }}
thead th {{ border-bottom: 2px solid {INK}; vertical-align: bottom; }}
thead small {{ display: block; }}
small {{ font-size: .85rem; font-weight: 400; color: #4b5a69; }}
tbody th[scope=row] {{ position: sticky; left: 0; background: #fff; font-weight: 500; }}
.effect th {{ padding-top: 1.1rem; border-bottom: 2px solid; }}
{"".join(f".effect.{each} th {{ border-color: {COLOURS[each][1]}; }}" for each in EFFECTS)}
.verdict {{ display: inline-block; padding: 0 .45rem; border: 1px solid; border-radius: 4px; white-space: nowrap;
  margin: .08rem 0; }}
{
    "".join(
        f".verdict.{each} {{ background: {COLOURS[colour][0]}; border-color: {COLOURS[colour][1]}; }}"
        for each, (_, _, colour) in VERDICTS.items()
    )
}
.none .word {{ color: #66727e; }}
.who, .rest {{ display: none; }}
dl {{ margin: 0; }}
dl div {{ display: flex; gap: .75rem; padding: .2rem 0; }}
dt {{ flex: 0 0 10.5rem; }}
dd {{ margin: 0; }}
@media (max-width: 44rem) {{
  main {{ padding: 1rem .9rem 2rem; }}
  h1 {{ font-size: 1.35rem; }}
  table, caption, tbody, tr, th, td {{ display: block; width: auto; }}
  thead {{ position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }}
  tr {{ padding: .5rem 0; border-bottom: 1px solid #dde3e9; }}
  th, td {{ padding: .15rem 0; border: 0; }}
  tr.effect {{ padding: 1rem 0 0; border: 0; }}
  .effect th {{ padding: 0 0 .2rem; border-bottom: 2px solid; }}
  tbody th[scope=row] {{ position: static; font-weight: 600; }}
  td {{ display: flex; gap: .75rem; align-items: baseline; }}
  .none {{ display: none; }}
  .rest {{ display: block; margin: 0 0 1rem; color: #4b5a69; }}
  .who {{ display: block; flex: 0 0 42%; overflow-wrap: anywhere; color: #4b5a69; }}
}}
@media print {{ .scroll {{ overflow: visible; }} .verdict {{ print-color-adjust: exact; }} }}
"""
"""Colours carry nothing that the words do not say."""
