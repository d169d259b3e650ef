"""Finds and reads lines of text in a picture, with the ONNX models that `rapidocr` brings. Runs in the child.

Detection is a probability map of text (DB: Liao et al. 2020, "Real-time Scene Text Detection with Differentiable
Binarization"), recognition a sequence of signs by column (CTC). Spaces that it drops are put back where the ink has gaps.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

AREA: Final = 750_000
"""Pixels in which lines are searched for: a page of A4 has them at 88 dots an inch."""
LONGEST: Final = 2048
INK: Final = 0.3
SURE: Final = 0.5
"""Of a pixel, and on average of a line, in the map of text."""
GROW: Final = 1.6
"""Lines are found shrunk, by this ratio of area and circumference."""
HEIGHT: Final = 48
"""Pixels of a line that is read."""
WIDEST: Final = 3200
LINES: Final = 1000

_PLAIN: Final = {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)} | {"一": "-", "。": ".", "、": ","}
"""Signs of full width, and those that look like plain ones."""

np: Any = None
cv2: Any = None


@dataclass(frozen=True, slots=True)
class Spot:
    """A line of text in a picture, as a rectangle that may be turned."""

    x: float
    y: float
    width: float
    height: float
    angle: float
    """Degrees, clockwise, of its writing against the horizontal; between -45 and 45, or 45 to 135 where it runs down."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A word of a line: where it begins and ends, as shares of the line's width."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Sign:
    """A recognised letter, figure or space: its middle in pixels of the line, and how sure it is."""

    text: str
    at: float
    chance: float


@dataclass(frozen=True, slots=True)
class Gap:
    """Where a line has no ink, in pixels; and how much the recogniser thought of a space there."""

    left: float
    right: float
    space: float


def models() -> Path | None:
    """Where the models are; None when the extra is not installed."""
    for name in ("rapidocr", "onnxruntime", "cv2"):
        if importlib.util.find_spec(name) is None:
            return None
    spec = importlib.util.find_spec("rapidocr")
    folder = Path(spec.origin).parent / "models" if spec and spec.origin else None
    return folder if folder and all(list(folder.glob(f"*_{part}_*.onnx")) for part in ("det", "rec", "cls")) else None


class Recogniser:
    """The three models, loaded."""

    def __init__(self, folder: Path) -> None:
        global np, cv2
        import cv2 as vision
        import numpy

        np, cv2 = numpy, vision
        onnxruntime: Any = importlib.import_module("onnxruntime")
        cv2.setNumThreads(1)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.enable_cpu_mem_arena = False

        def session(part: str) -> Any:
            path = sorted(folder.glob(f"*_{part}_*.onnx"))[-1]
            return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

        self._detect, self._recognise, self._flip = session("det"), session("rec"), session("cls")
        signs = self._recognise.get_modelmeta().custom_metadata_map["character"].splitlines()
        self._signs = ["", *signs, " "]

    # --- finding lines ---

    def spots(self, picture: Any) -> list[Spot]:
        """The lines of a picture (rows, columns, three colours)."""
        high, wide = picture.shape[:2]
        scale = min((AREA / (high * wide)) ** 0.5, LONGEST / max(high, wide), 1.5)
        size = [max(32, round(side * scale / 32) * 32) for side in (wide, high)]
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        given = ((small.astype(np.float32) / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None]
        chances = self._run(self._detect, given)[0, 0]
        mask = cv2.dilate((chances > INK).astype(np.uint8), np.ones((2, 2), np.uint8))
        outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        ratios = wide / size[0], high / size[1]
        found = (self._spot(outline, chances, ratios) for outline in outlines[:LINES])
        return [spot for spot in found if spot is not None]

    def _spot(self, outline: Any, chances: Any, ratios: tuple[float, float]) -> Spot | None:
        (x, y), (width, height), _ = cv2.minAreaRect(outline)
        if min(width, height) < 3 or self._chance(outline, chances) < SURE:
            return None
        corners = cv2.boxPoints(cv2.minAreaRect(outline))
        grown = width * height * GROW / (2 * (width + height))
        edges = corners[1] - corners[0], corners[2] - corners[1]
        first, second = (float(np.hypot(*edge)) for edge in edges)
        along = edges[0] if first >= second else edges[1]
        if abs(along[0]) >= abs(along[1]):
            along = along if along[0] > 0 else -along
        else:
            along = along if along[1] > 0 else -along
        angle = float(np.degrees(np.arctan2(along[1], along[0])))
        longer, shorter = max(first, second) + 2 * grown, min(first, second) + 2 * grown
        across = ratios if abs(along[0]) >= abs(along[1]) else ratios[::-1]
        return Spot(x * ratios[0], y * ratios[1], longer * across[0], shorter * across[1], angle)

    def _chance(self, outline: Any, chances: Any) -> float:
        left, top, width, height = cv2.boundingRect(outline)
        inside = np.zeros((height, width), np.uint8)
        cv2.fillPoly(inside, [outline - (left, top)], 1)
        return float(cv2.mean(chances[top : top + height, left : left + width], inside)[0])

    # --- reading lines ---

    def cut(self, picture: Any, spot: Spot) -> Any:
        """The line alone, running to the right, in the height that is read."""
        high = HEIGHT
        wide = int(min(max(spot.width * high / max(spot.height, 1.0), 8), WIDEST))
        turn = np.radians(spot.angle)
        along, down = (np.cos(turn), np.sin(turn)), (-np.sin(turn), np.cos(turn))
        half = spot.width / 2, spot.height / 2

        def corner(right: int, below: int) -> tuple[float, float]:
            return (
                spot.x + right * half[0] * along[0] + below * half[1] * down[0],
                spot.y + right * half[0] * along[1] + below * half[1] * down[1],
            )

        here = np.array([corner(-1, -1), corner(1, -1), corner(-1, 1)], np.float32)
        there = np.array([(0, 0), (wide, 0), (0, high)], np.float32)
        matrix = cv2.getAffineTransform(here, there)
        return cv2.warpAffine(picture, matrix, (wide, high), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def upright(self, picture: Any) -> tuple[Any, list[Spot]]:
        """A picture turned and rotated so that its lines run to the right, and the lines in it."""
        spots = self.spots(picture)
        lengthy = [spot for spot in spots if spot.width > 2.5 * spot.height]
        down = sum(spot.width for spot in lengthy if spot.angle > 45)
        if down > sum(spot.width for spot in lengthy) / 2:
            picture = np.ascontiguousarray(np.rot90(picture))
            spots = self.spots(picture)
            lengthy = [spot for spot in spots if spot.width > 2.5 * spot.height]
        picture, spots = _straight(picture, spots, _skew(lengthy))
        if self._head_over([self.cut(picture, spot) for spot in _typical(spots)]):
            high, wide = picture.shape[:2]
            picture = np.ascontiguousarray(np.rot90(picture, 2))
            spots = [replace(spot, x=wide - spot.x, y=high - spot.y) for spot in spots]
        return picture, spots

    def _head_over(self, lines: Sequence[Any]) -> bool:
        """Whether lines stand on their heads. Where that seems so, it is also asked which way they can be read better."""
        chances = list[float]()
        for line in lines:
            small = cv2.resize(line, (192, HEIGHT)) if line.shape[1] >= 192 else _padded(line, 192)
            given = ((small.astype(np.float32) / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None]
            chances.append(float(self._run(self._flip, given)[0][1]))
        if sum(chances) < 0.2 * len(lines) or not lines:
            return False
        turned = [np.ascontiguousarray(np.rot90(line, 2)) for line in lines]
        return _sense(self.read(turned)) > _sense(self.read(lines))

    def read(self, lines: Sequence[Any]) -> list[list[Piece]]:
        """The words of each line."""
        return [self._pieces(line) for line in lines]

    def _pieces(self, line: Any) -> list[Piece]:
        """One line at a time: on one core a batch only adds the padding of its shorter lines."""
        wide = max(line.shape[1], 64)
        given = ((_padded(line, wide).astype(np.float32) / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None]
        chances = self._run(self._recognise, given)[0]
        best, sure = chances.argmax(axis=1), chances.max(axis=1)
        fresh = np.ones(len(best), bool)
        fresh[1:] = best[1:] != best[:-1]
        columns = np.flatnonzero(fresh & (best != 0))
        step = wide / len(best)
        signs = [Sign(self._signs[best[at]], (float(at) + 0.5) * step, float(sure[at])) for at in columns]
        signs = _in_one_script(signs)
        space = chances[:, -1]
        gaps, tall = _gaps(line)
        breaks = [
            Gap(left, right, float(space[int(left / step) : int(right / step) + 1].max(initial=0)))
            for left, right in gaps
        ]
        return words_of(signs, breaks, tall, float(line.shape[1]))

    def _run(self, session: Any, given: Any) -> Any:
        return session.run(None, {session.get_inputs()[0].name: given})[0]


def _typical(spots: Sequence[Spot]) -> list[Spot]:
    """Some lines of all lengths, without those of one or two letters."""
    lengthy = sorted((spot for spot in spots if spot.width > 3 * spot.height), key=lambda spot: spot.width)
    return lengthy[:: max(1, len(lengthy) // 8)][:8]


def _sense(lines: Sequence[Sequence[Piece]]) -> float:
    """How well lines could be read: letters and figures count as much as they are sure."""
    pieces = [piece for line in lines for piece in line]
    return sum((piece.confidence - 0.5) * sum(sign.isalnum() for sign in piece.text) for piece in pieces)


def _skew(spots: Sequence[Spot]) -> float:
    """The angle that half of the writing is below and half above, in degrees; 0 where it is too small to matter."""
    known = sorted((spot.angle, spot.width) for spot in spots if abs(spot.angle) <= 45)
    half, passed = sum(width for _, width in known) / 2, 0.0
    for angle, width in known:
        passed += width
        if passed >= half:
            return angle if abs(angle) > 0.25 else 0.0
    return 0.0


def _straight(picture: Any, spots: Sequence[Spot], angle: float) -> tuple[Any, list[Spot]]:
    """A picture rotated back by an angle about its middle, and its lines; what then is nearly level counts as level."""
    high, wide = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((wide / 2, high / 2), angle, 1.0)
    if angle:
        corner = np.median(picture[:8, :8].reshape(-1, 3), axis=0).tolist()
        picture = cv2.warpAffine(picture, matrix, (wide, high), flags=cv2.INTER_LINEAR, borderValue=corner)
    made = list[Spot]()
    for spot in spots:
        x, y = (float(place) for place in matrix @ (spot.x, spot.y, 1.0))
        left = spot.angle - angle
        if abs(left - 90) < 20 and spot.width < 2.5 * spot.height:  # one or two letters: taller than they are wide
            made.append(Spot(x, y, spot.height, spot.width, 0.0))
        else:
            made.append(Spot(x, y, spot.width, spot.height, 0.0 if abs(left) < 4 else left))
    return picture, made


def _in_one_script(signs: Sequence[Sign]) -> list[Sign]:
    """Signs of a line; in one without Chinese or Japanese letters, the look-alikes of theirs become the plain signs."""
    plain = [replace(sign, text=_PLAIN.get(sign.text, sign.text)) for sign in signs]
    return list(signs) if any("\u3040" <= sign.text <= "\u9fff" for sign in plain) else plain


def words_of(signs: Sequence[Sign], gaps: Sequence[Gap], tall: float, wide: float) -> list[Piece]:
    """Signs of a line as words: one ends where a space was recognised, and where the ink has a gap as wide as a space.

    tall: of the writing; wide: of the line.
    """
    words, fresh = list[list[Sign]](), True
    inner = [gap for gap in gaps if gap.left > 0 and gap.right < wide]
    for sign in signs:
        if sign.text.isspace():
            fresh = True
            continue
        before = words[-1][-1] if words else None
        if fresh or before is None or any(_is_space(gap, before, sign, tall) for gap in inner):
            words.append([])
        words[-1].append(sign)
        fresh = False
    made = list[Piece]()
    for word in words:
        first, last = word[0].at, word[-1].at
        start = max([0.0, *(gap.right for gap in gaps if gap.right <= first + 4)])
        stop = min([wide, *(gap.left for gap in gaps if gap.left >= last - 4)])
        if made:
            start = max(start, made[-1].end * wide)
        sure = sum(sign.chance for sign in word) / len(word)
        text = "".join(sign.text for sign in word)
        made.append(Piece(text, start / wide, max(stop, start + 1) / wide, round(sure, 4)))
    return made


def _is_space(gap: Gap, before: Sign, after: Sign, tall: float) -> bool:
    """Whether a gap between two signs is a space. Figures stand apart: a 1 has the width of an 8."""
    if not before.at < (gap.left + gap.right) / 2 < after.at or gap.space > 0.5:
        return False  # what was recognised as a space has ended its word already
    share = (gap.right - gap.left) / tall
    figures = all(sign.text.isdigit() or sign.text in ".,:/-" for sign in (before, after))
    close = figures or after.text in ".,:;)!?"
    return share > (0.75 if close else 0.42) or (share > 0.22 and gap.space > 0.05)


def _gaps(line: Any) -> tuple[list[tuple[float, float]], float]:
    """Where a line has no ink, and how tall its writing is; in pixels."""
    gray = cv2.cvtColor(line, cv2.COLOR_RGB2GRAY)
    limit, _ = cv2.threshold(gray, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    dark = gray <= limit if gray.mean() > limit else gray > limit
    rows = np.flatnonzero(dark.sum(axis=1) > 1)
    tall = float(rows[-1] - rows[0] + 1) if len(rows) else float(HEIGHT)
    ink = dark[4:-4].sum(axis=0) > 0
    edges = np.flatnonzero(np.diff(np.concatenate([[True], ink, [True]]).astype(np.int8)))
    runs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=False)
    return [(float(left), float(right)) for left, right in runs if right - left > 1], tall


def _padded(line: Any, wide: int) -> Any:
    made = np.full((HEIGHT, wide, 3), 127, np.uint8)
    made[:, : line.shape[1]] = line[:, :wide]
    return made
