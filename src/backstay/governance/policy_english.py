"""A policy as a page that somebody reads who does not code: one sentence a rule, what counts most first."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from backstay.governance.policy import AGENTS, BASELINE, SEVERITY, Policy, Rule, Verdict

HEADINGS: Final[Mapping[Verdict, tuple[str, str]]] = {
    "deny": ("Never", "is denied"),
    "draft": ("Only written down", "is written down and not done"),
    "hold": ("After a person", "waits for a person, who decides about exactly this call"),
    "allow": ("At once", "is done, and nobody is asked"),
}
"""Each verdict's heading and what becomes of a call."""

EFFECTS: Final = {"read": "reads something", "write": "changes something that can be undone",
                  "irreversible": "cannot be taken back"}  # fmt: skip
LEVELS: Final = {"recommend": "recommends", "propose": "proposes", "execute": "executes"}
COMPARED: Final[Mapping[type[ast.cmpop], str]] = {
    ast.Eq: "is", ast.NotEq: "is not", ast.Lt: "is less than", ast.LtE: "is at most", ast.Gt: "is more than",
    ast.GtE: "is at least", ast.In: "is one of", ast.NotIn: "is none of",
}  # fmt: skip
TURNED: Final[Mapping[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE,
}  # fmt: skip
"""What an order is when its sides change places."""


def english(policy: Policy, name: str, now: str) -> str:
    """The page, as Markdown. now: the moment for which rules count as expired, as RFC 3339 text."""
    lines = [
        f"# What {name} may do", "",
        f"Version `{policy.digest[:12]}`, as on {now[:10]}. What stands higher on this page counts first; among rules under "
        "one heading, the first that fits. Where a rule asks about an argument that is missing, the call is denied.",
    ]  # fmt: skip
    for verdict in SEVERITY:
        found = [rule for rule in policy.rules if rule.verdict == verdict]
        lines += _section(HEADINGS[verdict][0], found, lambda rule: policy.over(rule, now)) if found else []
    silent = [*sorted(AGENTS, key=_severity), *sorted(BASELINE, key=_severity)]
    lines += _section("Where no rule above fits", silent, lambda _: False)
    lines += ["- Anything else is denied.", ""]
    return "\n".join(lines)


def _severity(rule: Rule) -> int:
    return SEVERITY.index(rule.verdict)


def _section(heading: str, rules: Sequence[Rule], over: Callable[[Rule], bool]) -> list[str]:
    return ["", f"## {heading}", "", *(f"- {_line(rule, is_over=over(rule))}" for rule in rules)]


def _line(rule: Rule, *, is_over: bool) -> str:
    return " ".join(["**" + _plain(rule.id) + "**" + (" (has ended, does not count)" if is_over else "") + ":", sentence(rule),
                     *_details(rule)])  # fmt: skip


def _details(rule: Rule) -> Iterator[str]:
    if rule.approvers:
        yield f"Decided in the queue {_plain(rule.approvers)}."
    if rule.owner and rule.owner != "backstay":
        yield f"Owner: {_plain(rule.owner)}."
    if rule.expires is not None:
        yield f"Ends: {rule.expires}{', which counts in full' if len(rule.expires) <= len('2027-03-31') else ''}."


def sentence(rule: Rule) -> str:
    """What a rule says."""
    what = "any action" if rule.action == "*" else f"`{rule.action}`"
    which = f" that {EFFECTS[rule.effect]}" if rule.effect != "*" else ""
    if which and rule.action != "*":
        which = f", where it {EFFECTS[rule.effect]},"
    condition = f", if {in_words(rule.when)}," if rule.when else ""
    because = f": {_plain(rule.reason)}" if rule.reason else ""
    told = f"A call of {what}{which} {_caller(rule)}{condition} {HEADINGS[rule.verdict][1]}{because}"
    return f"{told.replace(',,', ',')}."


def _caller(rule: Rule) -> str:
    match rule.agent:
        case "*":
            who = "by anybody"
        case "?*":
            who = "by any agent"
        case "":
            who = "by a workflow"
        case name:
            who = f"by agent `{name}`"
    level = f" that {LEVELS[rule.autonomy]}" if rule.autonomy != "*" else ""
    if rule.workflow == "*":
        return f"{who}{level}"
    return f"by workflow `{rule.workflow}`" if rule.agent == "" else f"{who}{level} in `{rule.workflow}`"


def _plain(text: str) -> str:
    """A text in one line that Markdown takes as it is."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>#" else letter for letter in " ".join(text.split()))


# --- conditions -------------------------------------------------------------------------------------------------------


def in_words(when: str) -> str:
    """A checked condition in words."""
    return _words(ast.parse(when.strip(), mode="eval").body)


def _words(node: ast.expr, *, inner: bool = False) -> str:
    match node:
        case ast.BoolOp(op=op, values=values):
            told = (" and " if isinstance(op, ast.And) else " or ").join(_words(each, inner=True) for each in values)
            return f"({told})" if inner else told
        case ast.UnaryOp(op=ast.Not(), operand=ast.Name() | ast.Attribute() as flag):
            return f"{_name(flag)} is false"
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return f"not ({_words(operand)})"
        case ast.Compare(left=left, ops=ops, comparators=others):
            steps = zip([left, *others], ops, others, strict=False)
            return " and ".join(_step(one, op, other) for one, op, other in steps)
        case _:
            return f"{_name(node)} is true"


def _step(one: ast.expr, op: ast.cmpop, other: ast.expr) -> str:
    if isinstance(one, ast.Name | ast.Attribute):
        return f"{_name(one)} {COMPARED[type(op)]} {_constant(other)}"
    return f"{_name(other)} {COMPARED[TURNED.get(type(op), type(op))]} {_constant(one)}"


def _name(node: ast.expr) -> str:
    return f"`{ast.unparse(node)}`"


def _constant(node: ast.expr) -> str:
    match node:
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return ", ".join(map(_constant, items)) or "nothing at all"
        case ast.Constant(value=str() as text):
            return _plain(json.dumps(text, ensure_ascii=False))
        case ast.Constant(value=None):
            return "nothing"
        case _:
            return ast.unparse(node).lower()
