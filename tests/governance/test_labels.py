"""Labels look through all that a run has seen, however they are indexed: the answers are those of a plain search."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.governance import labels as module
from backstay.governance.labels import CUT_OUT, LONG, PLANTED, SUSPECT, Labels, leaves, literals

WORDS = [
    "pay",
    "de89",
    "de8937",
    "iban",
    "acme ltd",
    "a",
    "evil@x.example",
    "evil",
    "x.example and more",
    "7",
    "order 7",
]
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).flatmap(
    lambda words: st.sampled_from([" ".join(words), "".join(words), "-".join(words)])
)
VALUES = st.recursive(
    TEXTS | st.integers(0, 99_999) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
POINTERS = st.dictionaries(st.sampled_from(["", "/0", "/1", "/0/1", "/pay", "/a"]), st.sampled_from([PLANTED, SUSPECT]))
SEEN = st.fixed_dictionaries({
    "value": VALUES, "untrusted": st.booleans() | POINTERS, "spoken": st.booleans(), "asked_for": st.booleans(),
    "echoes": st.lists(TEXTS.map(lambda text: " ".join(text.split())), max_size=2),
})  # fmt: skip
STEPS = st.lists(st.tuples(SEEN, st.lists(VALUES, max_size=3)), max_size=8)


class Plain:
    """The same answers, found by looking at everything each time."""

    def __init__(self) -> None:
        self.trusted, self.untrusted = set[str](), set[str]()
        self.spoken, self.outside, self.planted = list[str](), list[str](), list[str]()

    def observe(self, value: Any, *, untrusted: Any, spoken: bool, asked_for: bool, echoes: list[str]) -> None:
        roots = {} if isinstance(untrusted, bool) else untrusted
        for pointer, text in literals(value):
            kinds = [kind for root, kind in roots.items() if pointer == root or pointer.startswith(f"{root}/")]
            echoed = any(text == e or (min(len(text), len(e)) >= CUT_OUT and (e in text or text in e)) for e in echoes)
            if untrusted is True or kinds or echoed:
                self.untrusted.add(text)
                self.planted += [text] if not asked_for or PLANTED in kinds else []
                self.outside += [text] if len(text) >= LONG else []
            else:
                self.trusted.add(text)
                self.spoken += [text] if spoken and len(text) >= LONG else []

    def says(self, text: str) -> bool:
        for said in self.spoken:
            for place in range(len(said)):
                around = said[max(place - 1, 0) : place] + said[place + len(text) : place + len(text) + 1]
                if said.startswith(text, place) and not any(each.isalnum() for each in around):
                    return True
        return False

    def suspect(self, text: str) -> bool:
        if text in self.trusted or self.says(text):
            return False
        parts = {part for part in self.untrusted - self.trusted if len(part) >= CUT_OUT}
        return text in self.untrusted or (
            len(text) >= CUT_OUT and (any(text in each for each in self.outside) or any(part in text for part in parts))
        )


@settings(max_examples=300, deadline=None)
@given(STEPS, st.sampled_from([1, 20, 65_536]))
def test_what_labels_say_is_what_a_plain_search_says(steps: Any, block: int) -> None:
    whole, module.BLOCK = module.BLOCK, block  # type: ignore[misc]
    try:
        labels, plain, asked = Labels(), Plain(), list[Any]()
        for seen, questions in steps:
            labels.observe(**seen)
            plain.observe(**seen)
            asked += questions
            for value in asked:  # the earlier ones too: what is remembered of them must not be what was true then
                texts = [text for _, text in leaves(value)]
                suspects = [text for text in texts if plain.suspect(text)]
                assert labels.suspects(value) == suspects
                assert labels.smuggled(value) == [t for t in suspects if any(t in other for other in plain.planted)]
                assert labels.names(value) == (bool(texts) and all(plain.says(text) for text in texts))
                assert labels.pointers(value) == {
                    pointer: PLANTED if any(text in other for other in plain.planted) else SUSPECT
                    for pointer, text in literals(value)
                    if plain.suspect(text)
                }
    finally:
        module.BLOCK = whole  # type: ignore[misc]
