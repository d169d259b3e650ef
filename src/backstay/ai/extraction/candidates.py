"""What each field may be: every value of the right form, with what speaks for it and against it as numbers. Pure.

Features are named and lie mostly between 0 and 1; `scoring` weighs them. Nothing here decides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from backstay.ai.extraction import figures
from backstay.ai.extraction.companies import Named, addresses, companies
from backstay.ai.extraction.evidence import CLOCK, Candidate, Evidence, in_buyers_block, linked, strengths_of
from backstay.ai.extraction.fields import Wanted
from backstay.ai.extraction.figures import Figure, amounts, currencies, dates, key
from backstay.ai.extraction.layout import Label, Piece, Run, Sheet
from backstay.ai.extraction.scoring import has_label
from backstay.ai.extraction.vocabulary import letters

IDENTIFIER: Final = re.compile(
    r"[A-Z]{1,5} ?[/-]? ?\d[\w/.-]{2,20}|(?=\S*\d)[A-Za-z0-9][A-Za-z0-9/\-_.#]{0,34}(?: \d{2,8}(?![.,:/\d]))?"
)
YES: Final = frozenset("yes y ja oui si true x ☒ ☑ ✓ ✔ tak j wahr vrai".split())
NO: Final = frozenset("no n nein non false ☐ nee nie falsch faux".split())
FORMS: Final[Mapping[str, Callable[[str], Iterator[Figure[str]]]]] = {
    "iban": figures.ibans, "vat": figures.vat_numbers, "bic": figures.bics, "email": figures.emails, "phone": figures.phones,
    "url": figures.websites,
}  # fmt: skip


def candidates(wanted: Wanted, evidence: Evidence) -> list[Candidate]:
    """All candidates of one field; two that stand apart with one value are two."""
    made = list(_made(wanted, evidence))
    fitting: list[Candidate] = []
    for candidate in made:
        printed = (
            candidate.text if wanted.textual and wanted.kind in ("money", "number", "date", "time") else candidate.value
        )
        value = wanted.fits(printed)
        if value is not None and value != "":
            candidate.value = value
            fitting.append(candidate)
    counted = Counter(key(str(candidate.value)) for candidate in fitting)
    for candidate in fitting:
        candidate.features["again"] = min(counted[key(str(candidate.value))] - 1, 3) / 3
        if candidate.run is not None:
            candidate.features["recognised"] = 1 - candidate.run.sure
        _remembered(wanted, evidence, candidate)
        known = evidence.known.get(wanted.name)
        candidate.features["known"] = float(known is not None and key(str(known)) == key(str(candidate.value)))
    return fitting


def _made(wanted: Wanted, evidence: Evidence) -> Iterator[Candidate]:
    match wanted.kind:
        case "money":
            return _money(wanted, evidence)
        case "date":
            return _dates(wanted, evidence)
        case "identifier":
            return _identifiers(wanted, evidence)
        case "company":
            return _named(wanted, evidence, companies(evidence.sheet))
        case "address":
            return _named(wanted, evidence, addresses(evidence.sheet))
        case "currency":
            return _currencies(wanted, evidence)
        case "iban" | "bic" | "vat" | "email" | "phone" | "url":
            return _formed(wanted, evidence)
        case "number" | "time" | "bool":
            return _small(wanted, evidence)
        case "choice":
            return _choices(wanted, evidence)
        case _:
            return _texts(wanted, evidence)


def _remembered(wanted: Wanted, evidence: Evidence, candidate: Candidate) -> None:
    """Whether it stands where the right value stood on this vendor's earlier papers."""
    habits, run = evidence.habits.get(wanted.name, ()), candidate.run
    candidate.features["habit"] = candidate.features["unlike"] = 0.0
    if not habits or run is None:
        return
    worth = 0.0
    for habit in habits:
        near = abs(run.box[0] - habit.left) < 30 and abs(evidence.sheet.depth(run) - habit.depth) < 0.12
        if habit.label and habit.label == candidate.label and habit.relation == candidate.relation:
            worth = max(worth, 1.0)
        elif near and (not habit.label or not candidate.label or habit.relation == "below"):
            worth = max(worth, 0.7)
    candidate.features["habit"], candidate.features["unlike"] = worth, float(worth == 0)
    if worth:
        candidate.why.append("where it stood on this vendor's earlier papers")


# --- figures --------------------------------------------------------------------------------------------


def _money(wanted: Wanted, evidence: Evidence) -> Iterator[Candidate]:
    cents = [
        figure.value
        for piece, figure, _, _ in evidence.money
        if figure.sure >= 1 and _main(piece) not in ("cash", "change", "other_money")
    ]
    largest = max(cents, default=None)
    item_rows = {row for item in evidence.items.rows for row in item.rows}
    labelled = [piece.row for piece, _, _, _ in evidence.money if strengths_of(piece).get(wanted.concept, 0) > 0.3]
    for piece, figure, at, count in evidence.money:
        candidate = linked(wanted, evidence, piece, piece.part(figure.span))
        if figure.sure < 0.6 and candidate.features["own"] < 0.3:
            continue
        holds = evidence.ledger.holds(wanted.concept, figure.value)
        fails = evidence.ledger.fails(wanted.concept, figure.value)
        candidate.value, candidate.why = figure.value, [*candidate.why, *holds]
        candidate.features |= {
            "cents": float(figure.sure >= 1), "sign": float(bool(figure.note)), "not_last": float(at < count - 1),
            "largest": float(figure.value == largest), "above": float(largest is not None and figure.value > largest),
            "holds": float(bool(holds)), "holds_twice": float(len(holds) > 1), "fails": float(bool(fails)),
            "line": float(piece.row in item_rows), "zero": float(figure.value == 0), "negative": float(figure.value < 0),
            "last_labelled": float(bool(labelled) and piece.row == labelled[-1]), "right_edge": float(_is_rightmost(evidence.sheet, piece)),
            "share": float(figure.value / largest) if largest and 0 < figure.value <= largest else 0.0,
        }  # fmt: skip
        yield candidate
    if wanted.concept == "tax":
        yield from _rates_together(wanted, evidence)


def _rates_together(wanted: Wanted, evidence: Evidence) -> Iterator[Candidate]:
    """Several rows of tax are each a rate of one invoice: their sum is a candidate, where it makes the total."""
    stated = [
        (piece, figure)
        for piece, figure, _, _ in evidence.money
        if figure.sure >= 1 and strengths_of(piece).get("tax", 0) > 0.5
    ]
    together = sum({figure.value for _, figure in stated}, Decimal(0))
    if 1 < len({figure.value for _, figure in stated}) <= 4 and evidence.ledger.holds("tax", together):
        piece, figure = stated[-1]
        candidate = linked(wanted, evidence, piece, piece.part(figure.span))
        candidate.value, candidate.why = together, ["sum of the rates", *evidence.ledger.holds("tax", together)]
        candidate.features |= {"cents": 1.0, "holds": 1.0, "right_edge": 1.0, "last_labelled": 1.0, "together": 2.0}
        yield candidate


def _main(piece: Piece) -> str:
    found = strengths_of(piece)
    return max(found, key=lambda concept: found[concept]) if found else ""


def _is_rightmost(sheet: Sheet, piece: Piece) -> bool:
    return sheet.rows[piece.row].items[-1] is piece


def _dates(wanted: Wanted, evidence: Evidence) -> Iterator[Candidate]:
    found: list[tuple[Run, Figure[Any]]] = []
    for row in evidence.sheet.rows:
        for item in row.items:
            found += [(item, figure) for figure in dates(item.text, month_first=evidence.month_first)]
    days = [figure.value for _, figure in found if figure.sure >= 0.8]
    for piece, figure in found:
        candidate = linked(wanted, evidence, piece, piece.part(figure.span))
        candidate.value = figure.value
        row = evidence.sheet.rows[piece.row]
        candidate.features |= {
            "ambiguous": float(any(other is piece and each.span == figure.span and each.value != figure.value and each.note != "ymd" for other, each in found)),
            "unsettled": float(evidence.unsettled),
            "form": figure.sure, "clock": float(bool(CLOCK.search(row.text))), "only": float(len(set(days)) == 1),
            "first": float(bool(days) and figure.value == days[0]), "earliest": float(bool(days) and figure.value == min(days)),
            "latest": float(bool(days) and figure.value == max(days)), "in_line": float(row.header or len(row.cells) > 4),
            "bare": float(len(key(row.text)) <= 12),
        }  # fmt: skip
        if candidate.features["only"]:
            candidate.why.append("the only date")
        yield candidate


def _identifiers(wanted: Wanted, evidence: Evidence) -> Iterator[Candidate]:
    for piece in evidence.sheet.pieces:
        known = strengths_of(piece).get(wanted.concept, 0.0) > 0
        shaped = re.match(r"(?:[A-Z]{1,5}[-/ ]?\d{3,}|\d{2,}[-/]\d{2,}|#\s?\d+)", piece.text)
        last_resort = shaped and wanted.required  # a number that no label names
        if not known and not last_resort and not evidence.habits.get(wanted.name):
            continue
        found = IDENTIFIER.search(piece.text.lstrip("#")) if known else IDENTIFIER.match(piece.text.lstrip("#"))
        if found is None or (
            known
            and found.start() > 0
            and not piece.text[: found.start()].strip(" :.-#").isalpha()
            and found.start() > 1
        ):
            continue
        text = found[0].rstrip(".-/")
        if " " in text and not text.replace(" ", "").isdigit() and not re.match(r"[A-Z]{1,5} ?[/-]? ?\d", text):
            text = text.split()[0]
        worthless = dates(text) or re.fullmatch(r"(?:[A-Z]{3} )?[\d.,' ]*[.,]\d{2}", text)
        if worthless and not known and not evidence.habits.get(wanted.name):
            continue
        at = piece.text.find(text)
        candidate = linked(wanted, evidence, piece, piece.part((at, at + len(text))))
        candidate.value = text
        digits = sum(sign.isdigit() for sign in text)
        candidate.features |= {
            "whole": min(len(text) / max(len(piece.text.rstrip(" .")), 1), 1.0), "digits": digits / len(text), "short": float(len(text) < 3),
            "date": float(bool(dates(text))), "amount": float(bool(re.fullmatch(r"\d{1,3}(?:[.,]\d{3})*[.,]\d{2}", text))),
            "phone": float(digits >= 9 and piece.text.startswith(("+", "0"))), "start": float(at == 0), "mixed": float(text.isalnum() and not text.isdigit()),
            "vat": float(any(figures.vat_numbers(text)) or any(figures.ibans(text))), "long": float(len(text) > 22),
            "line": float(any(piece.row in item.rows for item in evidence.items.rows)),
        }  # fmt: skip
        yield candidate


def _formed(wanted: Wanted, evidence: Evidence) -> Iterator[Candidate]:
    """Numbers with a form of their own, wherever they stand; a tax number without its country only behind its label."""
    find, count = FORMS[wanted.kind], 0
    for row in evidence.sheet.rows:
        for cell in row.cells:
            pieces = [item for item in row.items if isinstance(item, Piece) and item.cell == cell.cell]
            found = list(find(cell.text))
            for figure in found:
                run = cell.part(figure.span)
                own = next(
                    (piece for piece in pieces if piece.box[0] - 1 <= run.box[0] <= piece.box[2]),
                    pieces[0] if pieces else cell,
                )
                yield _of_form(wanted, evidence, own, run, figure, count)
                count += 1
            if wanted.kind == "vat" and not found:
                for piece in pieces:
                    bare = re.match(r"[A-Z]{0,2}[\d][\d .-]{6,14}\d", piece.text)
                    if bare and strengths_of(piece).get("vat_id", 0) > 0.5:
                        spelled = Figure(re.sub(r"[ .-]", "", bare[0]), bare.span(), 0.4)
                        yield _of_form(wanted, evidence, piece, piece.part(bare.span()), spelled, count)
                        count += 1


def _of_form(wanted: Wanted, evidence: Evidence, piece: Run, run: Run, figure: Figure[str], count: int) -> Candidate:
    candidate = linked(wanted, evidence, piece, run)
    candidate.value = figure.value
    candidate.why.append("by its form and check digits" if figure.sure >= 1 else "by its form")
    candidate.features |= {
        "form": figure.sure, "first": float(count == 0), "ours": float(key(figure.value) in evidence.ours),
        "buyer": float(in_buyers_block(evidence.sheet, run)),
    }  # fmt: skip
    return candidate


def _currencies(wanted: Wanted, evidence: Evidence) -> Iterator[Candidate]:
    seen: Counter[str] = Counter()
    first: dict[str, Run] = {}
    beside: Counter[str] = Counter()
    labelled: dict[str, float] = {}
    for row in evidence.sheet.rows:
        total = any(isinstance(item, Label) and any(name == "total" for name, _ in item.meanings) for item in row.items)
        for cell in row.cells:
            for figure in currencies(cell.text):
                seen[figure.value] += 1
                first.setdefault(figure.value, cell.part(figure.span))
                beside[figure.value] += total
        for piece in row.items:
            if isinstance(piece, Piece) and (strength := strengths_of(piece).get(wanted.concept, 0.0)):
                for figure in currencies(piece.text):
                    labelled[figure.value] = max(strength, labelled.get(figure.value, 0.0))
    for code, times in seen.items():
        yield Candidate(code, first[code], {
            "share": times / seen.total(), "only": float(len(seen) == 1), "beside": min(beside[code], 2) / 2, "own": labelled.get(code, 0.0),
            "times": min(times, 5) / 5,
        }, why=["beside the total" if beside[code] else "named on the document"])  # fmt: skip


# --- names and texts ------------------------------------------------------------------------------------


def _named(wanted: Wanted, evidence: Evidence, found: Iterator[Named]) -> Iterator[Candidate]:
    for named in found:
        row = evidence.sheet.rows[named.run.row]
        own = next((item for item in row.items if isinstance(item, Piece) and item.cell == named.run.cell), named.run)
        if named.within is not None and any(name == wanted.concept for name, _ in named.within.meanings):
            continue
        candidate = linked(wanted, evidence, own, named.run)
        candidate.value = named.text
        strengths = strengths_of(own) if isinstance(own, Piece) else {}
        spelled = key(named.text)
        candidate.features |= named.features | {
            "buyer": max(strengths.get("buyer", 0.0), float(in_buyers_block(evidence.sheet, named.run))),
            "seller": strengths.get("vendor", 0.0), "ours": float(any(len(each) > 3 and each in spelled for each in evidence.ours)),
        }  # fmt: skip
        candidate.features["plain"] = _plain(candidate)
        if wanted.concept == "buyer" and named.features.get("first") and not has_label(wanted, candidate.features):
            continue  # who stands first sent it
        if named.features.get("form"):
            candidate.why.append("has a legal form")
        if named.features.get("first"):
            candidate.why.append("stands first")
        if named.features.get("named_again"):
            candidate.why.append("named again")
        yield candidate


def _plain(candidate: Candidate) -> float:
    """How well a label directly beside a name says whose it is, also of a name without a legal form."""
    features = candidate.features
    if any(features.get(name) for name in ("address", "figures", "reach", "sentence", "joined", "beaten")):
        return 0.0
    sure = candidate.relation != "inline" or features.get("colon")
    return features["own"] * (1.0 if sure else 0.65)


def _texts(wanted: Wanted, evidence: Evidence) -> Iterator[Candidate]:
    for piece in evidence.sheet.pieces:
        candidate = linked(wanted, evidence, piece)
        if candidate.features["own"] > 0 or evidence.habits.get(wanted.name):
            candidate.value = piece.text.strip(" :")
            candidate.features |= {"whole": 1.0, "words": min(len(piece.text.split()), 12) / 12}
            yield candidate


def _small(wanted: Wanted, evidence: Evidence) -> Iterator[Candidate]:
    """Plain numbers, times of day, and yes or no: only beside their label, times anywhere."""
    for piece in evidence.sheet.pieces:
        candidate = linked(wanted, evidence, piece)
        if candidate.features["own"] <= 0 and wanted.kind != "time":
            continue
        found: Any = None
        if wanted.kind == "time":
            clock = CLOCK.search(piece.text)
            found = clock[0] if clock and not dates(clock[0]) else None
        elif wanted.kind == "bool":
            word = piece.text.split()[0].strip(".,;[]()").casefold()
            found = True if word in YES else False if word in NO else None
        else:
            figure = next(amounts(piece.text.replace("%", " "), evidence.sheet.mark), None)
            found = figure.value if figure else None
        if found is not None:
            candidate.value = found
            candidate.features |= {"whole": 1.0, "words": min(len(piece.text.split()), 12) / 12}
            yield candidate


def _choices(wanted: Wanted, evidence: Evidence) -> Iterator[Candidate]:
    """Where one of the choices is printed; beside its label it counts most."""
    named = {letters(str(each.value if isinstance(each, Enum) else each)): each for each in wanted.choices}
    named |= {letters(each.name): each for each in wanted.choices if isinstance(each, Enum)}
    for row in evidence.sheet.rows:
        for cell in row.cells:
            words = [letters(token.text) for token in cell.tokens]
            for at in range(len(words)):
                for count in range(min(5, len(words) - at), 0, -1):
                    choice = named.get("".join(words[at : at + count]))
                    if choice is None:
                        continue
                    run = Run(cell.tokens[at : at + count], cell.page, cell.row, cell.cell)
                    own = next((item for item in row.items if isinstance(item, Piece) and item.cell == cell.cell), cell)
                    candidate = linked(wanted, evidence, own, run)
                    candidate.value = choice
                    candidate.features |= {"whole": count / len(words), "words": count / 12}
                    yield candidate
                    break
