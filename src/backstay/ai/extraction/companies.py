"""Who sent a paper, and from where: names of companies and addresses, by how and where they are printed. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Final

from backstay.ai.extraction.figures import amounts, dates, emails, key, phones, websites
from backstay.ai.extraction.layout import Label, Piece, Run, Sheet, Token
from backstay.ai.extraction.vocabulary import concepts

LEGAL_FORM: Final = re.compile(
    r"(?<![\w.])(?:GmbH(?: ?& ?Co\.? ?KG(?:aA)?)?|mbH|AG|KG|OHG|UG(?: \(haftungsbeschränkt\))?|e\.? ?K\.?|e\.V\.|SE|Ltd\.?|Limited|LLP|plc|Inc\.?"
    r"|LLC|Corp\.?|Corporation|Co\.?,? ?Ltd\.?|S\.?A\.?R\.?L\.?|SAS|S\.A\.S\.?|SASU|S\.?A\.?|EURL|S\.?L\.?U?\.?|S\.?r\.?l\.?s?|S\.?p\.?A\.?|S\.n\.c\.|S\.a\.s\.|B\.?V\.?"
    r"|N\.?V\.?|V\.?O\.?F\.?|AB|A/S|ApS|AS|Oyj?|Sp\. ?[zj]\.?(?: ?o\.? ?o\.?)?|spółka z o\.o\.|S\.A\.|K\.K\.|Pty\.?(?: Ltd\.?)?|SDN\.? ?\.?BHD\.?|S/B|BERHAD|BHD\.?|PTE\.?(?: LTD\.?)?"
    r"|ENTERPRISES?|TRADING|Lda\.?|Ltda\.?|s\.r\.o\.|a\.s\.|Kft\.?|d\.o\.o\.|HOLDINGS?|PLT|CO\.)(?![\w])",
    re.IGNORECASE,
)
_CUT: Final = re.compile(
    r"\s*(?:[(\[]\s*(?:co(?:mpany)?\.?|reg\.?|roc|no\.?)?[\s.:]*(?:no\.?)?[\s:.]*[\dA-Z]*\d{3,}[\w\s-]*[)\]]?"
    r"|\s+(?:co\.? ?)?reg(?:istration)?\.? ?no.*|\s+\d{5,}-?[A-Z]?$)\s*$", re.IGNORECASE,
)  # fmt: skip
_BENT_FORMS: Final = (
    (re.compile(r"(?<=[Ss][Pp]\. )[zZ] ?[oO0]\. ?[oO0]\.?"), "z o.o."), (re.compile(r"\bS\.r\.[I1|](?=\.|$)"), "S.r.l"),
    (re.compile(r"\b5DN(?=\.? ?BHD\b)"), "SDN"), (re.compile(r"\bGmb[HN]\b"), "GmbH"),
)  # fmt: skip
"""How recognisers bend legal forms, and what is meant."""
_STREET: Final = re.compile(
    r"(?<![^\W\d_])(?:street|st\.|road|rd\.?|avenue|ave\.?|lane|drive|blvd|boulevard|suite|floor|level|lot|unit|block|jalan|jln|lorong|taman|tmn|bandar|kampung|persiaran|no\.|no:"
    r"|strasse|straße|str\.|platz|weg|allee|gasse|ring|rue|place|quai|chemin|via|viale|piazza|corso|calle|avda|avenida|plaza|paseo|straat|laan|plein|kade|ulica|ul\.|al\.|os\.|plac|gatan|vägen"
    r"|rua|p\.?o\.? ?box|postfach|industrial|centre|building|tower|wisma|plaza|mall)(?![^\W\d_])|\w+(?:straße|strasse|str\.|weg|platz|allee|gasse|straat|laan|plein|gatan|vägen)\b",
    re.IGNORECASE,
)
_POSTCODE: Final = re.compile(
    r"(?<![\d.,-])(?:[A-Z]{1,2}-?)?\d{4,6}(?![\d.,])(?:\s[A-Z]{2}\b)?\s+[^\W\d_]{2,}|\b\d{2}-\d{3}\s|\b[A-Z]{1,2}\d{1,2}[A-Z]?\s\d[A-Z]{2}\b|,\s*[A-Z]{2}\s+\d{5}"
)
ROWS: Final = 14
"""Rows at the top in which a name without a legal form is looked for."""


@dataclass(frozen=True)
class Named:
    """A text that may be a company's name, or an address."""

    text: str
    run: Run
    features: dict[str, float]
    within: Label | None = None
    """A label that the text holds too, where no colon says that it is one."""


def looks_like_address(text: str) -> bool:
    """Whether a text names a street or a postal code with its place."""
    return bool(_STREET.search(text) or _POSTCODE.search(text))


def companies(sheet: Sheet) -> Iterator[Named]:
    """Every text that may be the name of whoever is concerned, with what speaks for the sender."""
    tallest = max((cell.height for row in sheet.rows[:ROWS] for cell in row.cells), default=1.0)
    everything = [key(row.text) for row in sheet.rows]
    domains = {
        key(part) for row in sheet.rows for found in (*emails(row.text), *websites(row.text))
        for part in re.split(r"[@./]", found.value) if len(part) > 3
    }  # fmt: skip
    forms = (
        [(cell.text, LEGAL_FORM.search(cell.text)) for row in sheet.rows for cell in row.cells]
        if sheet.recognised
        else []
    )
    names = {key(name_of(text[: form.end()])) for text, form in forms if form is not None}
    last = len(sheet.rows) - 1
    for index, row in enumerate(sheet.rows):
        far = index >= ROWS
        for cell in row.cells:
            form = LEGAL_FORM.search(cell.text)
            linked = any(isinstance(item, Label) and item.cell == cell.cell for item in row.items)
            if far and not form and not linked and not _by_label(sheet, cell):
                continue
            for run, joined, within in _spellings(sheet, cell, linked):
                text = name_of(run.text)
                if _is_name(text) and not _is_label(sheet, run):
                    features = _features(sheet, run, text, joined, tallest, linked)
                    spelled = key(text)
                    features["named_again"] = float(
                        len(spelled) > 3 and sum(spelled in each for each in everything) > 1 + joined
                    )
                    features["domain"] = float(
                        any(part in spelled or spelled[:8] == part[:8] for part in domains if len(spelled) > 3)
                    )
                    features["twin"] = float(sheet.recognised and any(_bent(spelled, each) for each in names))
                    features["foot"] = float(index > 0.85 * last and index > ROWS)
                    features["colon"] = float(
                        within is None and (rest := _after_label(sheet, cell)) is not None and rest[2]
                    )
                    yield Named(text, run, features, within)


def _bent(one: str, other: str) -> bool:
    """Whether two names are one that was recognised in two ways: then nobody knows which is right."""
    near = one != other and abs(len(one) - len(other)) < 3 and one[:1] and other[:1]
    return bool(near) and SequenceMatcher(None, one, other).ratio() > 0.85


def _by_label(sheet: Sheet, cell: Run) -> bool:
    """Whether a cell stands under a label, or beside one that names somebody."""
    return any(
        relation == "below" or any(_names_somebody(name) for name, _ in label.meanings)
        for item in sheet.rows[cell.row].items
        if isinstance(item, Piece) and item.cell == cell.cell
        for label, relation, _ in item.links
    )


def _names_somebody(concept: str) -> bool:
    return (known := concepts().get(concept)) is None or known.kind == "company"


def _spellings(sheet: Sheet, cell: Run, labelled: bool) -> Iterator[tuple[Run, int, Label | None]]:
    """A cell without its label, and with the line under it where a name goes on there; with a label that may be a name too."""
    row, within = sheet.rows[cell.row], None
    if (rest := _after_label(sheet, cell)) is not None:
        label, behind, told = rest
        yield behind, 0, None
        if any(name == "vendor" for name, _ in label.meanings):
            return
        cell, within = (behind, None) if told else (cell, label)
    elif not labelled and (at := _colon(cell.text)) is not None:
        cell = cell.part((at, len(cell.text)))
    yield cell, 0, within
    if (
        cell.cell == 0
        and 1 < len(row.cells) <= 3
        and all(isinstance(item, Piece) for item in row.items)
        and _close(row.cells)
    ):
        yield Run(tuple(token for each in row.cells for token in each.tokens), cell.page, cell.row, 0), 0, None
    for below in sheet.rows[cell.row + 1 : cell.row + 2]:
        for other in below.cells:
            goes_on = (
                LEGAL_FORM.search(other.text)
                or cell.text.rstrip().endswith(("&", ",", "-", " and", "Sp.", "SP."))
                or min(cell.height, other.height) > 1.25 * sheet.letter
            )
            if below.page == cell.page and goes_on and not LEGAL_FORM.search(cell.text) and _together(cell, other):
                yield Run((*cell.tokens, *other.tokens), cell.page, cell.row, cell.cell), 1, within


def _after_label(sheet: Sheet, cell: Run) -> tuple[Label, Run, bool] | None:
    """The label that a cell begins with, what follows up to the next that has a colon, and whether it has one itself."""
    own = [item for item in sheet.rows[cell.row].items if item.cell == cell.cell]
    if len(own) < 2 or not isinstance(own[0], Label):
        return None
    label, edge = own[0], own[0].box[2]
    end = next((item.box[0] for item in own[1:] if isinstance(item, Label) and item.text.endswith(":")), float("inf"))
    kept = [token for token in cell.tokens if edge - 1 <= token.box[0] < end]
    if (glued := own[1].tokens[0]).box[0] < end and not any(token.box[0] <= glued.box[0] + 0.1 for token in kept):
        kept.insert(0, glued)
    while kept and not any(sign.isalnum() for sign in kept[0].text):
        kept.pop(0)
    told = re.match(r"\W*" + re.escape(label.text.rstrip(" .:")) + r"[\s.]*:", cell.text) is not None
    return (label, Run(tuple(kept), cell.page, cell.row, cell.cell), told) if kept else None


def _colon(text: str) -> int | None:
    """Where a text goes on after a few words and a colon, which name it: `Ordered by: Blue Door Ltd`."""
    found = re.match(r"[^:]{1,30}:\s+(?=\S)", text)
    return found.end() if found and len(found[0].split()) <= 4 and not LEGAL_FORM.search(found[0]) else None


def _close(cells: Sequence[Run]) -> bool:
    """Whether cells stand so near each other that they may be one wide text."""
    return all(after.box[0] - before.box[2] < 2.2 * before.height for before, after in pairwise(cells))


def _together(one: Run, other: Run) -> bool:
    near = other.box[1] - one.box[3] < 0.9 * one.height and 0.7 < one.height / max(other.height, 1) < 1.4
    middle = abs((one.box[0] + one.box[2]) / 2 - (other.box[0] + other.box[2]) / 2)
    return near and (abs(one.box[0] - other.box[0]) < one.height or middle < 2 * one.height)


def name_of(text: str) -> str:
    """A name without the number of its registration, and without what stands behind it in a sender's line."""
    text = _CUT.sub("", text)
    for bent, form in _BENT_FORMS:
        text = bent.sub(form, text)
    text = text.strip(" -–·|,:;*_=~")
    form = LEGAL_FORM.search(text)
    if form and (rest := text[form.end() :]).lstrip()[:1] in (",", "·", "|", "–", "-", "•") and rest.strip():
        text = text[: form.end()]
    elif not form and " · " in text:
        text = text.split(" · ")[0]
    return text.strip()


def _is_name(text: str) -> bool:
    signs = sum(sign.isalpha() for sign in text)
    return signs >= 3 and len(text) <= 80 and signs * 2 >= len(text.replace(" ", ""))


def _is_label(sheet: Sheet, run: Run) -> bool:
    """Whether a text is nothing but the name of something else: a title such as `Invoice`."""
    inside = [item for item in sheet.rows[run.row].items if item.cell == run.cell]
    return all(isinstance(item, Label) for item in inside) and not any(
        name == "vendor" for item in inside if isinstance(item, Label) for name, _ in item.meanings
    )


def _features(sheet: Sheet, run: Run, text: str, joined: int, tallest: float, linked: bool) -> dict[str, float]:
    row = sheet.rows[run.row]
    first = next(
        (
            index
            for index, each in enumerate(sheet.rows)
            if any(_is_name(name_of(cell.text)) and not _is_label(sheet, cell) for cell in each.cells)
        ),
        0,
    )
    labels = [item for item in row.items if isinstance(item, Label) and item.cell == run.cell]
    covered = sum(len(key(label.text)) for label in labels) / max(len(key(run.text)), 1)
    before = max(0, min(run.row - first, 10))
    form = LEGAL_FORM.search(text)
    return {
        "form": float(form is not None and form.start() > 0 and not _POSTCODE.search(text)), "joined": float(joined), "first": float(run.row == first),
        "order": before / 10, "page1": float(row.page <= 1), "depth": sheet.depth(run),
        "tall": min(run.height / max(tallest, 1), 1.0), "larger": min(run.height / max(sheet.letter, 1), 3.0) - 1,
        "capitals": float(text.isupper()), "digits": sum(sign.isdigit() for sign in text) / max(len(text), 1),
        "address": float(looks_like_address(text) and not form), "figures": float(bool(dates(text) or any(f.sure >= 1 for f in amounts(text, sheet.mark)))),
        "reach": float(any(phones(text)) or any(emails(text)) or any(websites(text))),
        "label": min(covered, 1.0), "behind": float(linked and not labels), "words": min(len(text.split()), 8) / 8,
        "short": float(len(key(text)) < 5), "sentence": float(len(text.split()) > 6),
        "open": float(text.endswith(("&", ",", "-", " and", " und", " et", " e", "Sp.", "SP."))), "alone": float(len(row.cells) == 1), "left": run.box[0] / 600,
        "above_address": float(any(looks_like_address(each.text) for each in sheet.rows[run.row + 1 + joined : run.row + 4 + joined])),
    }  # fmt: skip


def addresses(sheet: Sheet) -> Iterator[Named]:
    """Lines that follow each other and hold a street or a postal code, without what is a number to call or a label."""
    done = -1
    for index in range(len(sheet.rows)):
        if index <= done:
            continue
        for cell in sheet.rows[index].cells:
            if not looks_like_address(cell.text) or _is_other(sheet, cell):
                continue
            tokens, last = _block(sheet, cell)
            done = max(done, last)
            run = Run(tokens, cell.page, cell.row, cell.cell)
            yield Named(run.text.strip(" ,"), run, {
                "order": min(index, 20) / 20, "depth": sheet.depth(cell), "lines": (last - index + 1) / 4,
                "postcode": float(bool(_POSTCODE.search(run.text))), "street": float(bool(_STREET.search(run.text))),
                "first": float(done == last and index < ROWS),
            })  # fmt: skip


def _block(sheet: Sheet, cell: Run) -> tuple[tuple[Token, ...], int]:
    tokens, last, at = list(cell.tokens), cell.row, cell
    for index in range(cell.row + 1, min(cell.row + 5, len(sheet.rows))):
        row = sheet.rows[index]
        follows = [
            other for other in row.cells
            if row.page == cell.page and other.box[1] - at.box[3] < 1.2 * at.height and not _is_other(sheet, other)
            and (abs(other.box[0] - at.box[0]) < 2 * at.height or abs(sum(other.box[::2]) - sum(at.box[::2])) < 6 * at.height)
        ]  # fmt: skip
        if not follows or (not looks_like_address(follows[0].text) and not at.text.rstrip().endswith(",")):
            break
        tokens += follows[0].tokens
        last, at = index, follows[0]
    return tuple(tokens), last


def _is_other(sheet: Sheet, cell: Run) -> bool:
    items = sheet.rows[cell.row].items
    named = {
        name
        for item in items
        if isinstance(item, Label) and item.cell == cell.cell
        for name, worth in item.meanings[:1]
        if worth > 0.4
    }
    return (
        bool(named - {"address"})
        or any(True for _ in emails(cell.text))
        or (LEGAL_FORM.search(cell.text) is not None and not looks_like_address(cell.text))
    )
