"""Text, tables and links of HTML; what a reader of the page would not see is left out, and said. Runs in the child."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urlsplit

from backstay.ai.documents.found import DocumentLimits, Found
from backstay.ai.documents.model import Table
from backstay.ai.documents.plain import CELLS, decoded

_BLOCKS: Final = frozenset(
    "address article aside blockquote body br center dd div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr li "
    "main nav ol p pre section table tr ul option".split()
)
_SILENT: Final = frozenset("script style template noscript head title svg iframe object".split())
_VOID: Final = frozenset("area base br col embed hr img input link meta param source track wbr".split())
_HIDDEN: Final = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0*(?:\.0+)?(?:px|pt|em|%)?\s*(?:;|$|!)|opacity\s*:\s*0*(?:\.0+)?\s*(?:;|$|!)"
    r"|(?:text-indent|left|top|margin-left)\s*:\s*-\d{3,}|max-height\s*:\s*0(?:px)?\s*(?:;|$|!)|mso-hide\s*:\s*all",
    re.I,
)  # fmt: skip
_CHARSET: Final = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([A-Za-z0-9_:.-]{2,40})", re.I)
DEPTH: Final = 2000


def read(data: bytes, limits: DocumentLimits, said: str = "") -> Found:
    """A page. said: its code, where a mail says it."""
    declared = _CHARSET.search(data[:4096])
    text, doubt = decoded(data, said or (declared[1].decode("ascii") if declared else ""))
    page = _Page(limits)
    page.feed(text[: 4 * limits.characters])
    page.close()
    return page.found(doubt)


class _Page(HTMLParser):
    def __init__(self, limits: DocumentLimits) -> None:
        super().__init__(convert_charrefs=True)
        self._limits = limits
        self._text: list[str] = []
        self._open: list[tuple[str, bool]] = []
        """Elements that are open, and whether their text is not seen."""
        self._unseen: list[str] = []
        self._tables: list[list[list[list[str]]]] = []
        """Those that are open: rows, cells, pieces of text."""
        self._done: list[Table] = []
        self._cells = 0
        self._link: tuple[str, int] | None = None
        self._problems: list[str] = []

    # --- what the parser calls ---

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in _BLOCKS:
            self._say("\n")
        if tag == "a" and self._link is None:
            self._link = given.get("href", ""), len(self._text)
        if tag in ("img", "area") and given.get("alt", "").strip():
            self._say(f" {given['alt'].strip()} ")
        self._begin_cell(tag)
        if tag in _VOID:
            return
        hidden = "hidden" in given or given.get("aria-hidden") == "true" or bool(_HIDDEN.search(given.get("style", "")))
        if len(self._open) < DEPTH:
            self._open.append((tag, hidden or (bool(self._open) and self._open[-1][1])))

    def handle_endtag(self, tag: str) -> None:
        for index in range(len(self._open) - 1, max(-1, len(self._open) - 100), -1):
            if self._open[index][0] == tag:
                del self._open[index:]
                break
        if tag == "a" and self._link is not None:
            self._end_link()
        if tag == "table" and self._tables:
            self._end_table(self._tables.pop())
        if tag in _BLOCKS:
            self._say("\n")

    def handle_data(self, data: str) -> None:
        if any(tag in _SILENT for tag, _ in self._open[-20:]):
            return
        if self._open and self._open[-1][1]:
            if data.strip():
                self._unseen.append(data.strip())
            return
        inside = any(tag == "pre" for tag, _ in self._open[-20:])
        self._say(data if inside else re.sub(r"\s+", " ", data))

    # --- what comes out ---

    def found(self, doubt: str) -> Found:
        lines = (re.sub(r"[ \t\u00a0]+", " ", line).strip() for line in "".join(self._text).split("\n"))
        text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
        if self._unseen:
            hidden = " ".join(self._unseen)
            self._problems.append(f"it has text that a reader does not see, and that was left out: {hidden!r:.200}")
        if doubt:
            self._problems.append(doubt)
        return Found(text=text[: self._limits.characters], tables=self._done, problems=self._problems)

    def _say(self, text: str) -> None:
        self._text.append(text)
        if self._tables and self._tables[-1] and self._tables[-1][-1]:
            self._tables[-1][-1][-1].append(text)

    def _begin_cell(self, tag: str) -> None:
        if tag == "table":
            self._tables.append([])
        elif tag == "tr" and self._tables:
            self._tables[-1].append([])
        elif tag in ("td", "th") and self._tables and self._cells < CELLS:
            self._cells += 1
            if not self._tables[-1]:
                self._tables[-1].append([])
            self._tables[-1][-1].append([])
            self._text.append("\t" if len(self._tables[-1][-1]) > 1 else "")

    def _end_table(self, rows: list[list[list[str]]]) -> None:
        """Keep what is a table, and not the layout of a page: two rows of two cells at least, none of them a chapter."""
        texts = [[" ".join("".join(cell).split()) for cell in row] for row in rows if row]
        wide = max(map(len, texts), default=0)
        if len(texts) < 2 or wide < 2 or any(len(text) > 1000 for row in texts for text in row):
            return
        if wide * len(texts) <= CELLS:
            self._done.append(Table(rows=[row + [""] * (wide - len(row)) for row in texts]))

    def _end_link(self) -> None:
        """Write where a link leads; one that names another place than it leads to is a trick."""
        target, at = self._link or ("", 0)
        self._link = None
        shown = "".join(self._text[at:]).strip()
        if not re.match(r"(?i)https?://|mailto:", target.strip()):
            return
        if target.strip() not in (shown, f"mailto:{shown}"):
            self._say(f" <{target.strip()[:500]}>")
        named = re.match(r"(?i)(?:https?://)?((?:[\w-]+\.)+[a-z]{2,})(?:[/\s:?]|$)", shown)
        host = _host(target)
        if named and host and not f".{host}".endswith(f".{named[1].lower().removeprefix('www.')}"):
            self._problems.append(f"a link says {named[1]!r:.80} and leads to {host!r:.80}")


def _host(target: str) -> str:
    try:
        return (urlsplit(target.strip()).hostname or "").lower()
    except ValueError:
        return ""
