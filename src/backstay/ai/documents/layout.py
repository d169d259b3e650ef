"""Words with places into rows, cells, reading order and tables. Pure; knows nothing of what the words say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

from backstay.ai.documents.model import Box, Line, Table, Word

Row: TypeAlias = list[Line]
"""What stands at one height of a page, as cells: groups of words with wide gaps between them."""

WIDE: Final = 0.85
"""A gap between cells, in heights of a word."""
RUNNING: Final = 4.0
"""Words that a cell of running text has on average; columns of less are a table or labels, read row by row."""


def rows(words: Iterable[Word], *, wide: float = WIDE) -> list[Row]:
    """The rows of a page from top to bottom, each with its cells from left to right."""
    groups: list[list[Word]] = []
    for word in sorted(words, key=lambda word: (_middle(word), word.box[0])):
        if groups and _middle(word) - _level(groups[-1]) <= 0.4 * min(_height(word), _height(groups[-1][0])):
            groups[-1].append(word)
        else:
            groups.append([word])
    return [_cells(group, wide) for group in groups]


def ordered(words: Iterable[Word]) -> list[Word]:
    """The words in reading order: row by row, except where running text stands in two columns."""
    found = rows(words)
    taken: list[Word] = []
    index = 0
    while index < len(found):
        end, gutter = _columns(found, index)
        if gutter is not None:
            cells = [cell for row in found[index:end] for cell in row]
            left = [word for cell in cells for word in cell.words if (word.box[0] + word.box[2]) / 2 < gutter]
            right = [word for cell in cells for word in cell.words if (word.box[0] + word.box[2]) / 2 >= gutter]
            taken += [*ordered(left), *ordered(right)]
        else:
            end = index + 1
            taken += [word for cell in found[index] for word in cell.words]
        index = end
    return taken


def joined(words: Iterable[Word]) -> list[Word]:
    """The words, with those put together that are printed with wide gaps between their letters: "I N V O I C E"."""
    made = list[Word]()
    for row in rows(words):
        for cell in row:
            run = list[Word]()
            for word in cell.words:
                if run and not _goes_on(run, word):
                    made += _one_word(run)
                    run = []
                run.append(word)
            made += _one_word(run)
    return made


def tables(words: Iterable[Word]) -> list[Table]:
    """What stands in columns below each other: at least three rows of two columns, or two of three."""
    found, made = rows(words), list[Table]()
    index = 0
    while index < len(found):
        end = _table_end(found, index)
        table = _table(found[index:end]) if end - index >= 2 else None
        if table is not None:
            made.append(table)
            index = end
        else:
            index += 1
    return made


# --- rows ---


def _cells(group: list[Word], wide: float) -> Row:
    cells: list[list[Word]] = []
    for word in sorted(group, key=lambda word: word.box[0]):
        if cells and word.box[0] - cells[-1][-1].box[2] <= wide * max(_height(word), 1.0):
            cells[-1].append(word)
        else:
            cells.append([word])
    return [Line(tuple(cell)) for cell in cells]


def _middle(word: Word) -> float:
    return (word.box[1] + word.box[3]) / 2


def _height(word: Word) -> float:
    return word.box[3] - word.box[1]


def _level(group: Sequence[Word]) -> float:
    last = group[-8:]
    return sum(map(_middle, last)) / len(last)


def _goes_on(run: Sequence[Word], word: Word) -> bool:
    """Whether a letter follows others at the distance that they have from each other."""
    if len(run[-1].text) != 1 or len(word.text) != 1 or not (run[-1].text + word.text).isalpha():
        return False
    gap = word.box[0] - run[-1].box[2]
    first = run[1].box[0] - run[0].box[2] if len(run) > 1 else gap
    return abs(gap - first) <= max(1.0, 0.3 * abs(first))


def _one_word(run: Sequence[Word]) -> list[Word]:
    if len(run) < 4:
        return list(run)
    sure = sum(word.confidence for word in run) / len(run)
    return [
        Word(
            text="".join(word.text for word in run), box=_around([word.box for word in run]), confidence=round(sure, 4)
        )
    ]


# --- columns of running text ---


def _columns(found: Sequence[Row], start: int) -> tuple[int, float | None]:
    """Where the rows that share a gutter with this one end, and the middle of the gutter; None for no columns."""
    low, high = 0.0, 0.0
    end, both = start, 0
    for row in found[start:]:
        gap = _shared(row, low, high) if both else _widest(row)
        if gap is None:
            break
        if len(row) > 1 and gap[1] < 1e9:
            both += 1
        low, high = gap
        end += 1
    block = found[start:end]
    if both < 4 or both < 0.6 * len(block):
        return end, None
    gutter = (low + high) / 2
    return end, gutter if _is_running(block, gutter) else None


def _widest(row: Row) -> tuple[float, float] | None:
    gaps = [(before.box[2], after.box[0]) for before, after in pairwise(row)]
    return max(gaps, key=lambda gap: gap[1] - gap[0], default=None)


def _shared(row: Row, low: float, high: float) -> tuple[float, float] | None:
    """What is left of a gutter when it must also run through this row."""
    for cell in row:
        left, _, right, _ = cell.box
        if left < high and right > low:
            if right < (low + high) / 2:
                low = max(low, right)
            elif left > (low + high) / 2:
                high = min(high, left)
            else:
                return None
    return (low, high) if high - low >= 6 else None


def _is_running(block: Sequence[Row], gutter: float) -> bool:
    """Whether both sides of a gutter are sentences, not labels and figures."""
    for side in (True, False):
        cells = [cell for row in block for cell in row if (cell.box[0] < gutter) is side]
        words = [word.text for cell in cells for word in cell.words]
        figures = sum(any(sign.isdigit() for sign in word) for word in words)
        if not cells or len(words) < RUNNING * len(cells) or figures > 0.25 * len(words):
            return False
    return True


# --- tables ---


def _table_end(found: Sequence[Row], start: int) -> int:
    """The row behind the last that may belong to a table which begins here."""
    if len(found[start]) < 2:
        return start
    end, last = start + 1, start
    for index in range(start + 1, len(found)):
        row, before = found[index], found[index - 1]
        height = max(cell.box[3] - cell.box[1] for cell in row)
        if row[0].box[1] - max(cell.box[3] for cell in before) > 2.5 * height:
            break
        if len(row) >= 2:
            last = index
        elif index - last > 2 or not _continues(row[0], found[last]):
            break
        end = index + 1
    return last + 1 if end > last + 1 and not _continues(found[end - 1][0], found[last]) else end


def _continues(cell: Line, row: Row) -> bool:
    """Whether a lone cell goes on with a cell of the row above it."""
    return any(abs(cell.box[0] - above.box[0]) < 3 or (cell.box[2] <= above.box[2] + 3 and cell.box[0] >= above.box[0] - 3)
               for above in row)  # fmt: skip


def _table(found: Sequence[Row]) -> Table | None:
    edges = _edges(found)
    columns = len(edges) - 1
    full = [row for row in found if len(row) > 1]
    if columns < 2 or len(full) < (2 if columns > 2 else 3):
        return None
    made = list[list[str]]()
    for row in found:
        cells = [""] * columns
        for cell in row:
            at = _column(cell, edges)
            cells[at] = f"{cells[at]} {cell.text}".strip()
        if sum(map(bool, cells)) == 1 and made and len(row) == 1:
            at = next(index for index, text in enumerate(cells) if text)
            made[-1][at] = f"{made[-1][at]} {cells[at]}".strip()
        else:
            made.append(cells)
    filled = sum(bool(cell) for cells in made for cell in cells)
    if len(made) < 2 or filled < 0.5 * columns * len(made):
        return None
    return Table(box=_around([cell.box for row in found for cell in row]), rows=made)


def _edges(found: Sequence[Row]) -> list[float]:
    """Where columns begin: middles of the gaps that run through nearly all rows, with the outer ends."""
    spans = [(cell.box[0], cell.box[2]) for row in found for cell in row]
    most = len([row for row in found if len(row) > 1]) // 8
    events = sorted([(left, 1) for left, _ in spans] + [(right, -1) for _, right in spans])
    edges, inside, opened = [events[0][0] - 1], 0, None
    for place, step in events:
        before, inside = inside, inside + step
        if before > most >= inside:
            opened = place
        elif before <= most < inside and opened is not None:
            if place - opened >= 3:
                edges.append((place + opened) / 2)
            opened = None
    return [*edges, events[-1][0] + 1]


def _column(cell: Line, edges: Sequence[float]) -> int:
    """The column that holds most of a cell."""
    shares = [min(cell.box[2], high) - max(cell.box[0], low) for low, high in pairwise(edges)]
    return shares.index(max(shares))


def _around(boxes: Sequence[Box]) -> Box:
    """The smallest box that holds all of them."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return round(min(lefts), 1), round(min(tops), 1), round(max(rights), 1), round(max(bottoms), 1)
