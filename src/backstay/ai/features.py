"""Texts as sparse vectors: TF-IDF over words, pairs of words, and pieces of words. Needs numpy and no weights.

Pieces of words (three to five letters, with the word's ends) carry over from one inflection or misspelling to the next.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[Any]
    Numbers: TypeAlias = NDArray[Any]

MOST_FEATURES: Final = 30_000
"""The most common ones are kept."""

LONGEST: Final = 4000
"""Characters of a text that are looked at."""

AT_ONCE: Final = 2048
"""Columns that are written out at a time when rows are compared."""


def folded(text: str) -> str:
    """A text as it is compared: without case and accents, numbers as one sign, spaces as one."""
    plain = unicodedata.normalize("NFKD", text[:LONGEST].casefold())
    kept = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return re.sub(r"\s+", " ", re.sub(r"\d+", "0", kept)).strip()


def words_in(text: str) -> list[str]:
    """The words of a folded text, marks that say something (?, !) among them."""
    return re.findall(r"\w+|[?!]", text)


def pieces_of(word: str) -> list[str]:
    """Three to five letters in a row, with a mark at each end of the word."""
    marked = f"<{word}>"
    return [marked[at : at + size] for size in (3, 4, 5) for at in range(len(marked) - size + 1)]


@dataclass(frozen=True, slots=True)
class Rows:
    """Sparse rows: those of row i are `columns[starts[i]:starts[i + 1]]`, with their `values`."""

    starts: Numbers
    columns: Numbers
    values: Floats
    known: Floats
    """Of each row, the share of its weight that lies in known features: 0 for a text in which nothing is known."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, which: Sequence[int] | Numbers) -> Rows:
        """Some of the rows."""
        import numpy as np

        spans = [np.arange(self.starts[each], self.starts[each + 1]) for each in which]
        places = np.concatenate(spans) if spans else np.empty(0, np.int64)
        starts = np.concatenate([[0], np.cumsum([len(span) for span in spans])]).astype(np.int64)
        return Rows(starts, self.columns[places], self.values[places], self.known[list(which)])

    def known_to(self, others: Numbers, group: Sequence[int] | Numbers) -> Floats:
        """Of some rows, the share of weight in features that others have. others: how many have each feature."""
        import numpy as np

        made = [slice(self.starts[row], self.starts[row + 1]) for row in group]
        shares = [float((self.values[some] ** 2)[others[self.columns[some]] > 0].sum()) for some in made]
        return self.known[list(group)] * np.array(shares, np.float32)

    def times(self, weights: Floats) -> Floats:
        """The rows times a dense matrix of one row for each feature."""
        import numpy as np

        made = np.zeros((len(self), weights.shape[1]), np.float32)
        for row in range(len(self)):
            some = slice(self.starts[row], self.starts[row + 1])
            made[row] = self.values[some] @ weights[self.columns[some]]
        return made

    def turned_times(self, weights: Floats, width: int) -> Floats:
        """The transposed rows times a dense matrix of one row for each row: one row for each of `width` features."""
        import numpy as np

        made = np.zeros((width, weights.shape[1]), np.float32)
        for row in range(len(self)):
            some = slice(self.starts[row], self.starts[row + 1])
            made[self.columns[some]] += self.values[some, None] * weights[row]
        return made

    def alike(self, others: Rows, width: int) -> Floats:
        """The inner product of each row with each of the others."""
        import numpy as np

        made = np.zeros((len(self), len(others)), np.float32)
        for start in range(0, width, AT_ONCE):
            made += self._written_out(start) @ others._written_out(start).T
        return made

    def _written_out(self, start: int) -> Floats:
        import numpy as np

        made = np.zeros((len(self), AT_ONCE), np.float32)
        rows = np.repeat(np.arange(len(self)), np.diff(self.starts))
        here = (self.columns >= start) & (self.columns < start + AT_ONCE)
        made[rows[here], self.columns[here] - start] = self.values[here]
        return made


class TfIdf:
    """Features and their weights, learned from texts. A row is of length 1, half of it from words and half from pieces.

    Weights are (1 + ln tf) * (1 + ln((1 + n) / (1 + df))), as Salton and Buckley (1988) have them with smoothed df.
    """

    def __init__(self, features: Sequence[str], frequencies: Numbers, texts: int) -> None:
        import numpy as np

        self.features, self.frequencies, self.texts = list(features), frequencies, texts
        self._column = {feature: column for column, feature in enumerate(self.features)}
        self._weight = (1 + np.log((1 + texts) / (1 + frequencies))).astype(np.float32)
        self._unknown = float(1 + np.log(1 + texts))
        self._is_piece = np.array([feature[0] == "#" for feature in self.features], bool)
        self._seen: dict[str, list[int]] = {}
        """Words that were met, with the columns of their pieces."""

    @classmethod
    def learned(cls, texts: Iterable[str]) -> TfIdf:
        """Features of more than one text, and all single words; the most common where there are too many."""
        import numpy as np

        counts, number = Counter[str](), 0
        for text in texts:
            counts.update(set(features_of(text)))
            number += 1
        kept = [(count, feature) for feature, count in counts.items() if count > 1 or feature[0] == "w"]
        kept = sorted(kept, key=lambda each: (-each[0], each[1]))[:MOST_FEATURES]
        return cls([feature for _, feature in kept], np.array([count for count, _ in kept], np.int64), number)

    def __len__(self) -> int:
        return len(self.features)

    def rows(self, texts: Iterable[str]) -> Rows:
        """A sparse row for each text."""
        import numpy as np

        made = [self._row(text) for text in texts]
        starts = np.concatenate([[0], np.cumsum([len(columns) for columns, _, _ in made])]).astype(np.int64)
        columns = np.concatenate([columns for columns, _, _ in made]) if made else np.empty(0, np.int64)
        values = np.concatenate([values for _, values, _ in made]) if made else np.empty(0, np.float32)
        return Rows(starts, columns, values, np.array([known for *_, known in made], np.float32))

    def _row(self, text: str) -> tuple[Numbers, Floats, float]:
        import numpy as np

        words, found, unknown = words_in(folded(text)), list[int](), 0
        for feature in _word_features(words):
            column = self._column.get(feature)
            if column is not None:
                found.append(column)
            else:
                unknown += feature[0] == "w"
        for word in words:
            found += self._pieces(word)
        if not found:
            return np.empty(0, np.int64), np.empty(0, np.float32), 0.0
        columns, counts = np.unique(np.array(found, np.int64), return_counts=True)
        values = self._weight[columns] * (1 + np.log(counts)).astype(np.float32)
        squares, piece = values * values, self._is_piece[columns]
        whole = float(squares.sum())
        of_pieces = float(squares[piece].sum())
        for some, sum_ in ((piece, of_pieces), (~piece, whole - of_pieces)):
            values[some] *= 0.0 if sum_ <= 1e-6 else np.float32((0.5 / sum_) ** 0.5)
        return columns, values, whole / (whole + unknown * self._unknown**2)

    def _pieces(self, word: str) -> list[int]:
        found = self._seen.get(word)
        if found is None:
            found = [self._column[piece] for each in pieces_of(word) if (piece := f"#{each}") in self._column]
            if len(self._seen) < MOST_FEATURES:
                self._seen[word] = found
        return found


def features_of(text: str) -> list[str]:
    """Every feature of a text: words (w...), pairs of words (2...) and pieces of words (#...)."""
    words = words_in(folded(text))
    return [*_word_features(words), *(f"#{piece}" for word in words for piece in pieces_of(word))]


def _word_features(words: Sequence[str]) -> list[str]:
    pairs = [f"2{one} {two}" for one, two in pairwise(words)]
    return [*(f"w{word}" for word in words), *pairs]
