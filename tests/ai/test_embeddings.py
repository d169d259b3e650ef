"""Vectors of texts: MiniLM computed in numpy, and a server that speaks OpenAI's `/embeddings`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backstay.ai.credentials import CredentialMissing
from backstay.ai.embeddings import WEIGHTS, EmbeddingServer, MiniLM, gelu, local_embedder, read_safetensors
from backstay.ai.steps import cached
from backstay.errors import NotRetryable, OperatorError
from backstay.store.steps import StepFile

MINILM = local_embedder()
needs_weights = pytest.mark.skipif(MINILM is None, reason="the weights of MiniLM are not on this machine")


@needs_weights
def test_vectors_are_those_that_the_published_model_gives() -> None:
    assert MINILM is not None
    one, other = MINILM.embed(["This is an example sentence", "Each sentence is converted"])
    assert one[:4] == pytest.approx([0.0676569, 0.0634959, 0.0487131, 0.0793049], abs=2e-5)
    assert other[:4] == pytest.approx([0.0864386, 0.1027628, 0.0053946, 0.0020444], abs=2e-5)
    assert MINILM.name == "minilm 53aa5117"


@needs_weights
def test_a_text_has_the_same_vector_alone_and_among_others() -> None:
    assert MINILM is not None
    texts = ["Short", "A text of some more words than that", "Two words", "", "word " * 400]
    together = MINILM.embed(texts)
    assert together.shape == (5, 384)
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    for place, text in enumerate(texts):
        assert MINILM.embed([text])[0] == pytest.approx(together[place], abs=1e-5)
    assert MINILM.embed([]).shape == (0, 384)


@needs_weights
def test_what_means_the_same_is_nearer_than_what_shares_words() -> None:
    assert MINILM is not None
    lost, missing, found = MINILM.embed(["My card is lost", "I cannot find my bank card any more", "My parcel is lost"])
    assert lost @ missing > lost @ found


def test_the_activation_is_close_to_the_exact_one() -> None:
    from math import erf

    points = np.linspace(-12, 12, 2001, dtype=np.float32).reshape(-1, 1)
    exact = np.array([[x * 0.5 * (1 + erf(x / 2**0.5))] for x in points[:, 0].tolist()])
    assert np.abs(gelu(points.copy()) - exact).max() < 3e-5


def test_a_folder_without_the_files_is_an_error_that_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OperatorError, match=f"has no 'model.safetensors': name another in {WEIGHTS}"):
        MiniLM(tmp_path)
    monkeypatch.setenv(WEIGHTS, str(tmp_path))
    local_embedder.cache_clear()
    with pytest.raises(OperatorError, match=r"model\.safetensors"):
        local_embedder()
    local_embedder.cache_clear()


def test_tensors_are_read_by_hand(tmp_path: Path) -> None:
    rows = np.arange(6, dtype="<f4").reshape(2, 3)
    header = json.dumps(
        {"__metadata__": {}, "rows": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
    ).encode()
    (tmp_path / "some.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + rows.tobytes())
    assert read_safetensors(tmp_path / "some.safetensors")["rows"].tolist() == rows.tolist()


# --- a server ------------------------------------------------------------------------------------------------------


class Answers:
    """What the server was asked, and what it answers."""

    def __init__(self) -> None:
        self.status, self.asked, self.keys = 200, list[Any](), list[str]()
        self.body: bytes | None = None


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def server(answers: Answers) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answers.asked.append(asked)
            answers.keys.append(self.headers.get("Authorization", ""))
            data = [{"index": place, "embedding": [float(len(text)), 1.0]} for place, text in enumerate(asked["input"])]
            body = answers.body or json.dumps({"data": data[::-1]}).encode()
            self.send_response(answers.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    served = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}/v1/"
    served.shutdown()
    served.server_close()
    thread.join()


def test_a_server_is_asked_in_portions_and_answers_in_any_order(
    server: str, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "secret")
    embedder = EmbeddingServer("tiny", url=server, key="SOME_KEY", portion=2)
    made = embedder.embed(["abc", "a", "abcdefg"])
    assert made[:, 0] / made[:, 1] == pytest.approx([3, 1, 7])
    assert np.linalg.norm(made, axis=1) == pytest.approx(np.ones(3))
    assert [each["input"] for each in answers.asked] == [["abc", "a"], ["abcdefg"]]
    assert set(answers.keys) == {"Bearer secret"}
    assert "secret" not in embedder.name


@pytest.mark.parametrize(("status", "error"), [(500, ConnectionError), (429, ConnectionError), (400, NotRetryable)])
def test_a_server_that_refuses_is_told_from_one_that_may_answer_later(
    server: str, answers: Answers, status: int, error: type[Exception]
) -> None:
    answers.status = status
    with pytest.raises(error, match=str(status)):
        EmbeddingServer("tiny", url=server).embed(["a"])


@pytest.mark.parametrize("body", [b"<html>", b'{"data": []}', b'{"data": [{"index": 0, "embedding": ["x"]}]}'])
def test_an_answer_that_is_no_vectors_is_an_error(server: str, answers: Answers, body: bytes) -> None:
    answers.body = body
    with pytest.raises(NotRetryable, match="answered"):
        EmbeddingServer("tiny", url=server).embed(["a"])


def test_a_key_that_is_not_set_and_a_server_that_is_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(CredentialMissing, match="NO_SUCH_KEY"):
        EmbeddingServer("tiny", url="http://127.0.0.1:9", key="NO_SUCH_KEY").embed(["a"])
    with pytest.raises(ConnectionError, match="cannot be reached"):
        EmbeddingServer("tiny", url="http://127.0.0.1:9", timeout="2s").embed(["a"])


def test_a_vector_is_computed_once_and_kept_by_its_digest(server: str, answers: Answers, tmp_path: Path) -> None:
    file = StepFile(tmp_path)
    vectors = cached(file, EmbeddingServer("tiny", url=server))
    first = vectors(["abc", "a"])
    assert vectors(["a", "abc"])[::-1].tolist() == first.tolist()
    assert len(answers.asked) == 1
    assert cached(file, EmbeddingServer("other", url=server))(["a"]).shape == (1, 2)
    assert len(answers.asked) == 2
    file.close()
