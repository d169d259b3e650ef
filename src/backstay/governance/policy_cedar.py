"""A policy as text of the Cedar policy language (https://docs.cedarpolicy.com/policies/syntax-grammar.html).

Cedar knows permit and forbid. A rule that holds or drafts forbids, and its annotation `@verdict` says which; the comment on
top of the text says how to ask. What Cedar cannot say at all is an error that names the rule.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from backstay.errors import AuthorError
from backstay.governance.policy import AGENTS, BASELINE, SEVERITY, Policy, Rule, end_of

HEAD: Final = """\
// Policy of {name}, version {digest}.
//
// Ask for each call, once for everybody in whose name it is made; the strictest answer counts:
//   principal: who calls, with the attributes workflow, agent ("" for none) and autonomy ("" without an agent)
//   action:    Action::"NAME"        resource: any
//   context:   action (its name again), effect (read, write, irreversible), now (datetime), args (the call's arguments,
//              as its schema has them)
// As Cedar decimals, whether they are numbers or texts that stand for one: {numbers}.
// Allow is allow. With Deny, Cedar names the policies that decided: the most severe @verdict of them counts, in the order
// deny, draft, hold. Where it names none, the list at the end of this file counts.
// Cedar passes over a policy that meets a value of another type: check the arguments against the schema first, and deny
// where one of these is no decimal.
// Where arguments are missing this text is as strict as the rules, or stricter: "ID, unanswered" then denies.
"""
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
RESERVED: Final = {"true", "false", "if", "then", "else", "in", "is", "like", "has", "__cedar"}
ORDER: Final[dict[type[ast.cmpop], str]] = {
    ast.Lt: "lessThan", ast.LtE: "lessThanOrEqual", ast.Gt: "greaterThan", ast.GtE: "greaterThanOrEqual",
}  # fmt: skip
LARGEST: Final = Decimal("922337203685477.5807")
"""Cedar's decimals have four digits after the point, in 64 bits."""


def cedar(policy: Policy, name: str) -> str:
    """The text; raises AuthorError for a rule that Cedar cannot say."""
    rules = sorted(policy.rules, key=lambda rule: SEVERITY.index(rule.verdict))
    numbers = ", ".join(sorted(_numbers(rules))) or "none"
    parts = [HEAD.format(name=" ".join(name.split()), digest=policy.digest[:12], numbers=numbers)]
    for rule in rules:
        parts += _policies(rule)
    unless = [f"principal.autonomy == {_text(level.autonomy)}" for level in AGENTS if level.effect == "write"]
    for rule in (each for each in BASELINE if each.verdict == "allow"):
        spared = [f'principal.agent != "" && ({" || ".join(unless)})'] if rule.effect == "write" else []
        parts.append(_policy(rule, rule.id, "permit", rule.verdict, list(_asked(rule)), spared))
    silent = [each for each in (*AGENTS, *BASELINE) if each.verdict != "allow"]
    parts.append("\n".join([
        "// Where Cedar denies and names no policy, the first line that fits counts; else: deny.",
        *(f"//   {each.verdict} ({each.id}): effect {each.effect}{f', autonomy {each.autonomy}' if each.agent != '*' else ''}"
          for each in silent),
    ]) + "\n")  # fmt: skip
    return "\n".join(parts)


def _policies(rule: Rule) -> Iterator[str]:
    asked = list(_asked(rule))
    effect = "permit" if rule.verdict == "allow" else "forbid"
    if not rule.when:
        yield _policy(rule, rule.id, effect, rule.verdict, asked, [])
        return
    tree = ast.parse(rule.when.strip(), mode="eval").body
    yield _policy(rule, rule.id, effect, rule.verdict, [*asked, _Condition(rule).said(tree)], [])
    yield _policy(rule, f"{rule.id}, unanswered", "forbid", "deny", asked, [" && ".join(_there(tree))])


def _policy(rule: Rule, id: str, effect: str, verdict: str, when: list[str], unless: list[str]) -> str:
    told = {"id": id, "verdict": verdict, "owner": rule.owner, "reason": rule.reason, "approvers": rule.approvers,
            "expires": rule.expires}  # fmt: skip
    notes = [f"@{name}({_text(value)})" for name, value in told.items() if value]
    exact = _literal(rule.action)
    action = f"action == Action::{_text(exact)}" if exact is not None else "action"
    clauses = [f"when {{ {each} }}" for each in when] + [f"unless {{ {each} }}" for each in unless]
    return "\n".join([*notes, f"{effect} (principal, {action}, resource)", *clauses]) + ";\n"


def _asked(rule: Rule) -> Iterator[str]:
    """What a rule asks besides its condition."""
    if rule.effect != "*":
        yield f"context.effect == {_text(rule.effect)}"
    patterns = {"principal.workflow": rule.workflow, "principal.agent": rule.agent}
    if _literal(rule.action) is None:
        patterns = {"context.action": rule.action, **patterns}
    for asked, pattern in patterns.items():
        if pattern != "*":
            yield _fits(asked, pattern, rule)
    if rule.autonomy != "*":
        yield f"principal.autonomy == {_text(rule.autonomy)}"
    if rule.expires is not None:
        yield f"context.now < datetime({_text(end_of(rule)[:23] + 'Z')})"


def _fits(asked: str, pattern: str, rule: Rule) -> str:
    """A shell-style pattern; of its signs Cedar's `like` has the star alone."""
    exact = _literal(pattern)
    if exact is not None:
        return f"{asked} == {_text(exact)}"
    if pattern == "?*":
        return f'{asked} != ""'
    if "?" in pattern or "[" in pattern:
        raise _cannot(rule, f"the pattern {pattern!r}: of the signs of patterns Cedar knows * alone")
    return f"{asked} like {_text(pattern)}"


def _literal(pattern: str) -> str | None:
    """The one text that fits a pattern, or None where several do."""
    single = re.sub(r"\[([*?\[])\]", lambda found: chr(0xE000 + "*?[".index(found[1])), pattern)
    if set(single) & set("*?["):
        return None
    return "".join("*?["[ord(each) - 0xE000] if "\ue000" <= each <= "\ue002" else each for each in single)


def _text(text: str) -> str:
    """A text in Cedar's quotes."""
    return '"' + "".join(_letter(each) for each in text) + '"'


def _letter(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    return letter if letter.isprintable() else f"\\u{{{ord(letter):x}}}"


def _cannot(rule: Rule, what: str) -> AuthorError:
    return AuthorError(f"policy rule {rule.id!r} cannot be said in Cedar: {what}")


# --- conditions -------------------------------------------------------------------------------------------------------


def _numbers(rules: Sequence[Rule]) -> set[str]:
    """The arguments that conditions compare with numbers; raises AuthorError where one is compared with a text of digits too."""
    numbers, digits = set[str](), dict[str, tuple[Rule, str]]()
    for rule in (each for each in rules if each.when):
        for node in ast.walk(ast.parse(rule.when.strip(), mode="eval")):
            if not isinstance(node, ast.Compare):
                continue
            sides = [node.left, *node.comparators]
            names = [ast.unparse(side) for side in sides if isinstance(side, ast.Name | ast.Attribute)]
            if any(map(_is_number, sides)):
                numbers.update(names)
                continue
            texts = (part.value for side in sides for part in ast.walk(side) if isinstance(part, ast.Constant))
            for text in (each for each in texts if isinstance(each, str) and _stands_for_number(each)):
                digits.update((name, (rule, text)) for name in names)
    for name in sorted(numbers & digits.keys()):
        rule, text = digits[name]
        raise _cannot(
            rule, f"it compares {name} with the text {text!r}, and another condition compares it with a number"
        )
    return numbers


def _stands_for_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


def _path(node: ast.expr) -> list[str]:
    return ast.unparse(node).split(".")


def _field(of: str, name: str) -> str:
    return f"{of}.{name}" if _is_name(name) else f"{of}[{_text(name)}]"


def _is_name(name: str) -> bool:
    return bool(NAME.fullmatch(name)) and name not in RESERVED


def _there(tree: ast.expr) -> list[str]:
    """That every argument is there that a condition asks about."""
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    found: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and id(node) not in inner:
            of = "context.args"
            for name in _path(node):
                found[f"{of} has {name if _is_name(name) else _text(name)}"] = None
                of = _field(of, name)
    return list(found)


class _Condition:
    """Says the condition of a rule."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def said(self, node: ast.expr) -> str:
        match node:
            case ast.BoolOp(op=op, values=values):
                return f"({(' && ' if isinstance(op, ast.And) else ' || ').join(map(self.said, values))})"
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return f"!({self.said(operand)})"
            case ast.Compare(left=left, ops=ops, comparators=others):
                sides = [left, *others]
                number = any(_is_number(side) for side in sides)
                steps = [
                    self._step(one, op, other, number=number)
                    for one, op, other in zip(sides, ops, others, strict=False)
                ]
                return steps[0] if len(steps) == 1 else f"({' && '.join(steps)})"
            case _:
                return self._value(node, number=False)

    def _step(self, one: ast.expr, op: ast.cmpop, other: ast.expr, *, number: bool) -> str:
        left, right = self._value(one, number=number), self._value(other, number=number)
        match op:
            case ast.In():
                return f"{right}.contains({left})"
            case ast.NotIn():
                return f"!({right}.contains({left}))"
            case ast.Eq() | ast.NotEq():
                return f"{left} {'==' if isinstance(op, ast.Eq) else '!='} {right}"
            case _:
                return f"{left}.{ORDER[type(op)]}({right})"

    def _value(self, node: ast.expr, *, number: bool) -> str:
        match node:
            case ast.Name() | ast.Attribute():
                of = "context.args"
                for name in _path(node):
                    of = _field(of, name)
                return of
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return f"[{', '.join(self._value(item, number=number) for item in items)}]"
            case ast.UnaryOp(operand=ast.Constant(value=value)):
                return self._constant(value, number=number, sign=-1)
            case _:
                return self._constant(ast.literal_eval(node), number=number)

    def _constant(self, value: Any, *, number: bool, sign: int = 1) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            return _text(value)
        if value is None or not number:
            raise _cannot(self._rule, "it compares with nothing, or with numbers and texts at once")
        exact = Decimal(str(value)).copy_sign(Decimal(sign))
        if abs(exact) > LARGEST or exact != round(exact, 4):
            raise _cannot(self._rule, f"{value} has more digits than Cedar's decimals")
        return f'decimal("{round(exact, 4).normalize() + 0:f}")'.replace(
            '")', '.0")' if exact == exact.to_integral() else '")'
        )


def _is_number(node: ast.expr) -> bool:
    match node:
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return bool(items) and all(map(_is_number, items))
        case ast.UnaryOp(operand=operand):
            return _is_number(operand)
        case _:
            return (
                isinstance(node, ast.Constant)
                and isinstance(node.value, int | float)
                and not isinstance(node.value, bool)
            )
