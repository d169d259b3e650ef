"""Documents cut into passages: along their headings, of a bounded size, each with the last sentence of the one before. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final

from backstay.ai.sentences import Sentence, sentences

WORDS: Final = 220
"""Words that a passage may have, if no sentence of it has more."""

HEADING: Final = 300
"""Characters of a title or heading of a page."""

_SKIPPED: Final = frozenset({"script", "style", "noscript", "template", "svg", "nav"})
_BLOCKS: Final = frozenset({
    "p", "div", "li", "tr", "br", "table", "ul", "ol", "section", "article", "pre", "blockquote", "dd", "dt", "main", "header", "footer",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A stretch of a document under one heading and on one page."""

    text: str
    heading: tuple[str, ...] = ()
    """The headings above it, the outermost first."""
    page: int | None = None


def passages(sections: Iterable[Section], words: int = WORDS) -> Iterator[Section]:
    """The sections in pieces of about the same size, none much longer than `words`."""
    for section in sections:
        pieces = [
            (each.text, len(each.text.split())) for whole in sentences(section.text) for each in _bounded(whole, words)
        ]
        total = sum(size for _, size in pieces)
        if not total:
            continue
        count = -(-total // words)
        for text in _even(pieces, total / count, count):
            yield Section(text=text, heading=section.heading, page=section.page)


def _bounded(sentence: Sentence, words: int) -> Iterator[Sentence]:
    """A sentence, or pieces of what is too long to be one: a table, a list without points."""
    said = sentence.text.split()
    if len(said) <= words:
        yield sentence
        return
    for start in range(0, len(said), words):
        yield sentence._replace(text=" ".join(said[start : start + words]))


def _even(pieces: list[tuple[str, int]], share: float, count: int) -> Iterator[str]:
    taken, size, made, last = list[str](), 0, 0, ""
    for text, length in pieces:
        if taken and made < count - 1 and size + length / 2 > share:
            yield "\n".join(taken)
            made += 1
            taken, size = ([last], 0) if len(last.split()) * 4 < share else ([], 0)
        taken.append(text)
        size, last = size + length, text
    if taken:
        yield "\n".join(taken)


def of_markdown(text: str) -> Iterator[Section]:
    """The sections of a Markdown text; text without headings is one section."""
    above, lines, fenced = list[str](), list[str](), ""
    found = [*text.splitlines(), ""]
    for number, line in enumerate(found):
        fence = re.match(r"\s{0,3}(```+|~~~+)", line)
        if fence and (not fenced or fence[1].startswith(fenced)):
            fenced = "" if fenced else fence[1][:3]
        marked = None if fenced else re.match(r"\s{0,3}(#{1,6})\s+(.+?)\s*#*\s*$", line)
        under = found[number + 1] if number + 1 < len(found) else ""
        level = len(marked[1]) if marked else _underlined(line, under) if not fenced and not fence else 0
        if level:
            yield from _section(lines, above)
            above = [*(above + [""] * level)[: level - 1], marked[2] if marked else line.strip()]
            lines = []
        elif not (lines == [] and re.fullmatch(r"\s*(=+|-{3,}|~{3,})\s*", line)):
            lines.append(line)
    yield from _section(lines, above)


def _underlined(line: str, under: str) -> int:
    """The level of a heading that is underlined with signs; 0 for what is none."""
    said = line.strip()
    drawn = re.fullmatch(r"(=|-|~)\1{2,}", under.strip())
    if not drawn or not said or line[0].isspace() or len(under.strip()) < len(said) * 0.6 or len(said) > 120:
        return 0
    return "=-~".index(drawn[1]) + 1 if re.search(r"\w", said) else 0


def _section(lines: list[str], above: list[str]) -> Iterator[Section]:
    text = "\n".join(lines).strip()
    if text:
        yield Section(text=text, heading=tuple(each for each in above if each))


def of_html(text: str) -> tuple[str, list[Section]]:
    """The title of a page and its sections."""
    parser = _Html()
    parser.feed(text)
    parser.close()
    parser.end()
    return " ".join(parser.title.split()), parser.sections


class _Html(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self.sections: list[Section] = []
        self._above: list[str] = []
        self._said: list[str] = []
        self._within: list[str] = []
        """The tags that are open whose text is not running text."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SKIPPED or tag == "title":
            self._within.append(tag)
        elif re.fullmatch("h[1-6]", tag):
            self.end()
            level = int(tag[1])
            self._above = [*(self._above + [""] * level)[: level - 1], ""]
            self._within.append(tag)
        elif tag in _BLOCKS:
            if self._within and self._within[-1] not in _SKIPPED:  # a heading or title that nobody closed
                self._within.pop()
            self._said.append("\n\n" if tag == "p" else "\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._within:
            del self._within[self._within.index(tag) :]
        elif tag in _BLOCKS:
            self._said.append("\n\n" if tag == "p" else "\n")

    def handle_data(self, data: str) -> None:
        last = self._within[-1] if self._within else ""
        if last == "title":
            self.title = (self.title + data)[:HEADING]
        elif last in _SKIPPED:
            return
        elif last:
            self._above[-1] = " ".join((self._above[-1] + data).split())[:HEADING]
        else:
            self._said.append(re.sub(r"\s+", " ", data))

    def end(self) -> None:
        """What was said so far is a section."""
        text = re.sub(r"[ \t]*\n[ \t]*", "\n", "".join(self._said))
        text = re.sub(r"\n{3,}", "\n\n", text).strip()
        if text:
            self.sections.append(Section(text=text, heading=tuple(each for each in self._above if each)))
        self._said = []
