"""Made-up questions to a bank: 77 intents, seven wordings of each in `intents.txt`, written for this benchmark.

A question is one wording, drawn at random, in which words are replaced, dropped or misspelled, with or without a beginning and
an ending. Learned from and asked are drawn alike, so that some wordings are asked that were not learned. Questions of other
fields, in `intents_elsewhere.txt`, belong to none. This is no public set, and its numbers are not those of one.
"""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
OPENINGS: Final = (
    *[""] * 6,
    "hi, ",
    "hello, ",
    "good morning, ",
    "please help: ",
    "I have a question: ",
    "excuse me, ",
)
ENDINGS: Final = (*[""] * 6, "?", " thanks", " please", " it is urgent", " can you help?", " what can I do?")
OTHERS: Final = {
    "card": ["card", "bank card"], "money": ["money", "funds", "cash"], "account": ["account", "acct"],
    "why": ["why", "how come", "for what reason"], "how do i": ["how can I", "what is the way to", "tell me how to"],
    "where": ["where", "at which place"], "transfer": ["transfer", "wire", "payment order"], "machine": ["machine", "ATM"],
    "can i": ["may I", "am I able to", "is it possible to"], "i want": ["I would like", "I need", "I'd like"],
    "charged": ["charged", "billed"], "shop": ["shop", "store", "merchant"],
}  # fmt: skip
"""What people say in place of a word."""

Pairs = list[tuple[str, str]]


def wordings() -> dict[str, list[str]]:
    """Label -> its wordings."""
    lines = [line.split(":", 1) for line in (HERE / "intents.txt").read_text("utf-8").splitlines() if line.strip()]
    return {label.strip(): [each.strip() for each in re.split(r"\|(?![^\[]*\])", told)] for label, told in lines}


def elsewhere() -> list[str]:
    """Questions that belong to no label."""
    return (HERE / "intents_elsewhere.txt").read_text("utf-8").split("\n")[:-1]


def said(wording: str, chance: random.Random) -> str:
    """One way of saying it."""
    text = re.sub(r"\[([^\]]*)\]", lambda found: chance.choice(found[1].split("|")), wording)
    for word, others in OTHERS.items():
        if chance.random() < 0.5:
            text = re.sub(rf"\b{word}\b", lambda _, others=others: chance.choice(others), text, count=1, flags=re.I)
    words = text.split()
    if len(words) > 4 and chance.random() < 0.4:
        del words[chance.randrange(len(words))]
    text = chance.choice(OPENINGS) + " ".join(words) + chance.choice(ENDINGS)
    if chance.random() < 0.15:
        at = chance.randrange(1, len(text) - 1)
        text = text[:at] + (text[at + 1] + text[at] + text[at + 2 :] if chance.random() < 0.5 else text[at + 1 :])
    return text


def drawn(shots: int, asked: int, seed: int) -> tuple[Pairs, Pairs]:
    """So many questions of each label to learn from, and others to ask."""
    chance, learned, questions = random.Random(seed), Pairs(), Pairs()
    for label, told in wordings().items():
        learned += [(said(chance.choice(told), chance), label) for _ in range(shots)]
        questions += [(said(chance.choice(told), chance), label) for _ in range(asked)]
    return learned, questions


def noisy(count: int, wrong: float, seed: int) -> Pairs:
    """A few examples of all labels together, of which a share has a label that is not theirs."""
    chance, told = random.Random(seed), wordings()
    made = Pairs()
    for _ in range(count):
        label = chance.choice(list(told))
        made.append(
            (said(chance.choice(told[label]), chance), chance.choice(list(told)) if chance.random() < wrong else label)
        )
    return made
