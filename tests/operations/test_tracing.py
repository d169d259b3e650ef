"""One case is one trace: from its trigger, over its calls and the people in it, to what it started."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2

from backstay import App, IdempotencyKey, Retry, Sensitive, action, approval, sleep, start, task, wait_for, workflow
from backstay.errors import InvalidInput, OperatorError
from backstay.operations.tracing import Span, request, send, span_id, spans_of, trace_id
from backstay.store.database import Reader
from backstay.testing import Harness, harness

FAILURES = {"left": 0}
IBAN = "DE02120300000000202051"


@action(effect="write")
async def take_back(amount: int, result: str) -> None:
    return None


@action(effect="write", retry=Retry(attempts=3, first="1m", jitter=0), compensate=take_back)
async def post(amount: int, key: IdempotencyKey) -> str:
    if FAILURES["left"]:
        FAILURES["left"] -= 1
        raise RuntimeError("the secret is out")
    return "posted"


@action(effect="irreversible", approvers="treasury")
async def pay(iban: Sensitive["pii"], key: IdempotencyKey) -> str:
    return f"paid to {iban}"


@action(effect="write", queue="unclear")
async def phone(text: str) -> str:
    raise RuntimeError("the line went dead")


@workflow
async def paying(iban: Sensitive["pii"]) -> str:
    return await pay(iban)


@workflow
async def posting(amount: int) -> str:
    return await post(amount)


@workflow
async def ordering(amount: int, iban: Sensitive["pii"]) -> str:
    decision = await approval("desk", show={"amount": amount}, within="48h")
    if not decision.approved:
        return decision.reason
    await start(posting, amount)
    await start(paying, iban, detached=True)
    await task("hands", title="carry it")
    return "done"


@workflow
async def waiting() -> str:
    await sleep("1h")
    await wait_for("word", type=str)
    return await wait_for("other", type=str)


@workflow
async def undoing(amount: int) -> str:
    await post(amount)
    raise ValueError("something else is wrong")


@workflow
async def phoning() -> str:
    return await phone("hello")


@workflow
async def joining(name: str) -> str:
    return await start(posting, 1, key=name)


APP = App("shop", workflows=[ordering, paying, posting, waiting, undoing, phoning, joining])


def traced(it: Harness, run: str) -> list[Span]:
    reader = Reader(it.home / "backstay.db")
    try:
        return spans_of(reader, run)
    finally:
        reader.close()


def shape(spans: list[Span]) -> list[tuple[int, str, str, str]]:
    """(depth, name, kind, status) of each."""
    depth: dict[str, int] = {}
    for span in spans:
        depth[span.id] = depth.get(span.parent, -1) + 1
    return [(depth[span.id], span.name, span.kind, span.status if span.end else "open") for span in spans]


def read(body: dict[str, Any]) -> list[trace_pb2.Span]:
    """OTLP/JSON as OpenTelemetry's own messages; its ids are hexadecimal, which plain protobuf JSON is not."""

    def based(found: re.Match[str]) -> str:
        return f'"{found[1]}": "{base64.b64encode(bytes.fromhex(found[2])).decode()}"'

    text = re.sub(r'"(traceId|spanId|parentSpanId)": "([0-9a-f]*)"', based, json.dumps(body))
    parsed = json_format.Parse(text, ExportTraceServiceRequest())
    return [span for one in parsed.resource_spans for scope in one.scope_spans for span in scope.spans]


async def an_order(it: Harness) -> str:
    FAILURES["left"] = 1
    run = await it.start(ordering, by="web", amount=7, iban=IBAN)
    await it.advance("2h")
    await it.approve(run, by="dana", reason="a private word")
    await it.advance("1m")
    return run


async def test_a_case_with_its_children_is_one_trace(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await an_order(it)
        spans = traced(it, run)
        assert shape(spans) == [
            (0, "ordering", "internal", "open"),
            (1, "desk: approval", "internal", "ok"),
            (1, "start posting", "internal", "ok"),
            (2, "posting", "internal", "ok"),
            (3, "post", "client", "error"),
            (3, "post", "client", "ok"),
            (1, "start paying", "producer", "ok"),
            (2, "paying", "consumer", "open"),
            (3, "treasury: approve pay", "internal", "open"),
            (1, "hands: task", "internal", "open"),
        ]
        assert {span.trace for span in spans} == {trace_id(run)}
        assert len({span.id for span in spans}) == len(spans)
        waited = spans[1]
        assert (waited.start, waited.end) == ("2026-01-05T09:00:00.000000Z", "2026-01-05T11:00:00.000000Z")
        assert waited.attributes["backstay.verdict"] == "approved"
        assert (spans[4].error, spans[4].attributes["error.type"]) == ("RuntimeError", "RuntimeError")


async def test_a_child_alone_has_the_same_ids_as_within_its_parent(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await an_order(it)
        whole, again = traced(it, run), traced(it, run)
        child = next(span for span in whole if span.name == "paying")
        alone = traced(it, str(child.attributes["backstay.run"]))
        assert whole == again
        assert alone == [span for span in whole if span.name in ("paying", "treasury: approve pay")]
        assert (child.id, child.trace) == (span_id(str(child.attributes["backstay.run"])), trace_id(run))


async def test_a_trace_says_no_value_no_person_and_no_word_of_theirs(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await an_order(it)
        text = json.dumps(request(traced(it, run), it.clock.stamp()))
        assert [word for word in (IBAN, "dana", "web", "private word", "secret", "carry") if word in text] == []


async def test_timers_signals_early_and_late(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(waiting)
        await it.client.signal(run, "other", "early", by="web")
        await it.advance("2h")
        await it.client.signal(run, "word", "late", by="web")
        await it.settle()
        spans = traced(it, run)
        assert shape(spans) == [
            (0, "waiting", "internal", "ok"),
            (1, "sleep", "internal", "ok"),
            (1, "signal word", "internal", "ok"),
        ]  # for the other nobody had to wait
        assert [span.end for span in spans[1:]] == [f"2026-01-05T{hour}:00:00.000000Z" for hour in (10, 11)]


async def test_a_compensation_refers_to_what_it_undoes(home: Path) -> None:
    async with harness(APP, home) as it:
        FAILURES["left"] = 0
        spans = traced(it, await it.start(undoing, amount=3))
        assert shape(spans)[1:] == [(1, "post", "client", "ok"), (1, "take_back", "client", "ok")]
        assert (spans[0].status, spans[0].error) == ("error", "ValueError")
        assert spans[2].links == [(spans[0].trace, spans[1].id)]
        assert spans[2].attributes["backstay.compensation"] is True


async def test_an_unknown_effect_waits_for_a_person(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await it.start(phoning)
        assert shape(traced(it, run))[1:] == [
            (1, "phone", "client", "error"),
            (1, "unclear: settle phone", "internal", "open"),
        ]
        await it.client.cancel(run, by="dana", reason="no")
        await it.settle()
        await it.client.settle(it.waits(run)[0].id, "give-up", by="dana", reason="no") if it.waits(run) else None
        await it.settle()
        spans = traced(it, run)
        assert (it.status(run), spans[0].status, all(span.end for span in spans)) == ("cancelled", "error", True)


async def test_a_run_that_was_joined_by_its_key_is_a_link(home: Path) -> None:
    async with harness(APP, home) as it:
        FAILURES["left"] = 0
        other = await it.start(posting, key="k", amount=1)
        spans = traced(it, await it.start(joining, name="k"))
        assert [span.name for span in spans] == ["joining", "start posting"]
        assert spans[1].links == [(trace_id(other), span_id(other))]


# --- OTLP ---------------------------------------------------------------------------------------------------


async def test_the_export_is_what_opentelemetry_reads(home: Path) -> None:
    async with harness(APP, home) as it:
        run = await an_order(it)
        spans = traced(it, run)
        messages = read(request(spans, it.clock.stamp()))
        by_name = {message.name: message for message in messages}
        assert [message.span_id.hex() for message in messages] == [span.id for span in spans]
        assert {message.trace_id.hex() for message in messages} == {trace_id(run)}
        assert by_name["desk: approval"].parent_span_id == by_name["ordering"].span_id
        assert by_name["paying"].kind == trace_pb2.Span.SPAN_KIND_CONSUMER
        approved = by_name["desk: approval"]
        assert approved.end_time_unix_nano - approved.start_time_unix_nano == 2 * 3600 * 10**9
        failed = next(m for m in messages if m.status.code == trace_pb2.Status.STATUS_CODE_ERROR)
        assert (failed.name, failed.status.message) == ("post", "RuntimeError")
        opened = {
            m.name for m in messages if any(a.key == "backstay.open" and a.value.bool_value for a in m.attributes)
        }
        assert opened == {"ordering", "paying", "treasury: approve pay", "hands: task"}


@contextmanager
def collector(status: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An OTLP/HTTP endpoint on loopback, and what it was sent."""
    received: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append({"path": self.path, "type": self.headers["Content-Type"], "body": json.loads(body)})
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_what_has_ended_is_sent(home: Path) -> None:
    async with harness(APP, home) as it:
        spans = traced(it, await an_order(it))
        with collector() as (url, received):
            assert send(spans, url, it.clock.stamp()) == 6
    assert [(one["path"], one["type"]) for one in received] == [("/v1/traces", "application/json")]
    assert [message.name for message in read(received[0]["body"])] == [span.name for span in spans if span.end]


async def test_a_collector_that_refuses_is_an_error(home: Path) -> None:
    async with harness(APP, home) as it:
        spans = traced(it, await it.start(posting, amount=1))
        with collector(503) as (url, _), pytest.raises(OperatorError, match="did not take the spans: HTTP Error 503"):
            send(spans, url, it.clock.stamp())
        with pytest.raises(InvalidInput, match="no http or https address"):
            send(spans, "file:///etc/passwd", it.clock.stamp())
