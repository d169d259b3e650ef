"""Operations of an HTTP API: a real server on loopback, and what it really received."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from backstay import ActionFailed, Agent, App, Models, Retry, workflow
from backstay.ai.openapi_document import read_operations
from backstay.ai.openapi_requests import write
from backstay.ai.openapi_tools import OpenAPI
from backstay.ai.scripted import ScriptedModel, call, finish
from backstay.errors import AuthorError, InvalidInput, NotRetryable
from backstay.language import Workflow
from backstay.testing import harness

TICKET = {"$ref": "#/components/schemas/Ticket"}
DOCUMENT: dict[str, Any] = {
    "openapi": "3.0.3",
    "paths": {
        "/tickets/{number}": {
            "parameters": [{"name": "number", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": {
                "operationId": "getTicket",
                "summary": "Look up a ticket.",
                "parameters": [
                    {"name": "fields", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
                    {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
                    {"name": "Authorization", "in": "header", "schema": {"type": "string"}},
                ],
            },
            "delete": {"operationId": "deleteTicket"},
        },
        "/tickets": {
            "post": {
                "operationId": "createTicket",
                "parameters": [{"$ref": "#/components/parameters/Key"}],
                "requestBody": {"required": True, "content": {"application/json": {"schema": TICKET}}},
            },
            "put": {"requestBody": {"content": {"application/json": {"schema": {"type": "array", "items": TICKET}}}}},
        },
        "/upload": {"post": {"operationId": "upload", "requestBody": {"content": {"multipart/form-data": {}}}}},
        "/login": {
            "post": {
                "operationId": "login",
                "requestBody": {
                    "content": {
                        "application/x-www-form-urlencoded": {
                            "schema": {"type": "object", "properties": {"user": {"type": "string"}, "all": {}}}
                        }
                    }
                },
            }
        },
        "/elsewhere": {
            "get": {"operationId": "elsewhere", "parameters": [{"$ref": "https://evil.example/p.json"}]},
        },
    },
    "components": {
        "parameters": {"Key": {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}},
        "schemas": {
            "Ticket": {
                "type": "object",
                "required": ["id", "subject"],
                "properties": {
                    "id": {"type": "string", "readOnly": True},
                    "subject": {"type": "string", "maxLength": 40},
                    "note": {"type": "string", "nullable": True},
                    "weight": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
                    "parent": TICKET,
                },
            }
        },
    },
}
PLAIN = {"number": "7", "subject": "printer"}
Reply = tuple[int, Mapping[str, str], bytes]


class Cause(BaseModel):
    cause: str


class Server(ThreadingHTTPServer):
    """Answers with what a test puts into `replies`, then with PLAIN; keeps what it received."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: list[Reply | str] = []
        self.received: list[tuple[str, str, dict[str, str], Any]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length).decode()
        self.server.received.append((self.command, self.path, dict(self.headers), body))
        reply = self.server.replies.pop(0) if self.server.replies else answered(200, PLAIN)
        if isinstance(reply, str):  # the line drops
            self.close_connection = True
            return
        status, headers, content = reply
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def answered(status: int, value: Any, **headers: str) -> Reply:
    return status, {"Content-Type": "application/json", **headers}, json.dumps(value).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.02,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def api(url: str, *operations: str, **options: Any) -> OpenAPI:
    wanted = operations or ("getTicket", "createTicket", "deleteTicket")
    return OpenAPI("helpdesk", document=DOCUMENT, url=url, operations=wanted, **options)


def asking(made: OpenAPI, operation: str) -> tuple[App, Workflow[..., Any]]:
    """An application with a workflow that makes one call, and says how it went."""
    tool = made.tools[operation]

    @workflow
    async def ask(given: dict[str, Any]) -> Any:
        try:
            return await tool(**given)
        except ActionFailed as error:
            return f"{error.type}: {error.message}"

    return App("helpdesk", workflows=[ask], suppliers=[made]), ask


# --- what it does ---------------------------------------------------------------------------------------


async def test_an_agent_reads_and_a_workflow_writes(server: Server, monkeypatch: Any) -> None:
    monkeypatch.setenv("HELPDESK_TOKEN", "s3cret")
    made = api(
        server.url, effects={"createTicket": "write"}, headers={"Authorization": "Bearer ${HELPDESK_TOKEN}"},
        key_header="Idempotency-Key",
    )  # fmt: skip
    clerk = Agent("clerk", goal="Find it.", tools=[made.tools["getTicket"]], output=Cause)
    create = made.tools["createTicket"]

    @workflow
    async def report(number: str) -> Any:
        finding = await clerk({"ticket": number})
        return await create(subject=finding.output.cause, note=None)

    script = [
        call("helpdesk_getTicket", number="7/..", fields=["subject", "a&b"]),
        finish({"cause": "printer"}, ("It is the printer.", "o1", "printer")),
    ]
    app = App("helpdesk", workflows=[report, clerk], suppliers=[made], models=Models(careful=ScriptedModel(script)))
    async with harness(app) as it:
        run = await it.start(report, number="7")
        assert await it.result(run) == PLAIN
        key = it.events(run, "call_intended")[0].key
    (method, path, headers, _), (other, place, sent, body) = server.received
    assert (method, path) == ("GET", "/v1/tickets/7%2F..?fields=subject&fields=a%26b")
    assert (headers["Authorization"], "Idempotency-Key" in headers) == ("Bearer s3cret", False)
    assert (other, place, json.loads(body)) == ("POST", "/v1/tickets", {"subject": "printer", "note": None})
    assert (sent["Idempotency-Key"], sent["Content-Type"]) == (key, "application/json")


def test_what_reads_is_proposed_as_a_read_and_the_rest_is_irreversible_until_somebody_says_otherwise() -> None:
    tools = api("https://helpdesk.example/v1").tools
    assert {name: tool.effect for name, tool in tools.items()} == {
        "getTicket": "read", "createTicket": "irreversible", "deleteTicket": "irreversible",
    }  # fmt: skip
    assert all(tool.untrusted for tool in tools.values())


def test_arguments_come_from_parameters_and_body_in_one_closed_schema() -> None:
    create = api("https://helpdesk.example", key_header="Idempotency-Key", sinks={"createTicket": ["subject"]}).tools[
        "createTicket"
    ]
    assert create.parameters == ("subject", "note", "weight", "parent")
    assert create.interface["arguments"]["required"] == ["subject"]
    create.read_arguments('{"subject": "printer", "note": null, "weight": 1, "parent": {"id": "1", "subject": "x"}}')
    for wrong, where in (
        ('{"subject": "printer", "also": 1}', "also"),
        ('{"subject": "printer", "id": "7"}', "id"),
        ('{"subject": "printer", "weight": 0}', "weight"),
        ('{"subject": "printer", "parent": {"id": "1", "subject": "x", "more": 1}}', "parent"),
        ('{"note": "x"}', "subject"),
    ):
        with pytest.raises(InvalidInput, match=where):
            create.read_arguments(wrong)
    assert api("https://helpdesk.example").tools["createTicket"].parameters[0] == "Idempotency-Key"


def test_a_body_that_is_no_object_is_one_argument_and_forms_are_encoded() -> None:
    found = read_operations(DOCUMENT, ["PUT /tickets", "login"], ())
    assert (
        write(found["PUT /tickets"], {"body": [{"id": "1", "subject": "ü"}]}).content
        == '[{"id": "1", "subject": "ü"}]'.encode()
    )
    assert write(found["PUT /tickets"], {}).content is None
    form = write(found["login"], {"user": "a&b=c", "all": ["x", "y z"]})
    assert (form.content, form.headers["Content-Type"]) == (
        b"user=a%26b%3Dc&all=x&all=y%20z", "application/x-www-form-urlencoded",
    )  # fmt: skip


COLOURS = {"R": 100, "G": 200}
STYLES: list[tuple[str, dict[str, Any], Any, str]] = [  # the examples of the specification
    ("path", {"style": "simple"}, ["blue", "black"], "/p/blue,black"),
    ("path", {"style": "simple"}, COLOURS, "/p/R,100,G,200"),
    ("path", {"style": "simple", "explode": True}, COLOURS, "/p/R=100,G=200"),
    ("path", {"style": "label", "explode": True}, ["blue", "black"], "/p/.blue.black"),
    ("path", {"style": "label", "explode": False}, ["blue", "black"], "/p/.blue,black"),
    ("path", {"style": "matrix", "explode": False}, ["blue", "black"], "/p/;color=blue,black"),
    ("path", {"style": "matrix", "explode": True}, ["blue", "black"], "/p/;color=blue;color=black"),
    ("path", {"style": "matrix", "explode": True}, COLOURS, "/p/;R=100;G=200"),
    ("query", {}, ["blue", "black"], "/p?color=blue&color=black"),
    ("query", {"explode": False}, ["blue", "black"], "/p?color=blue,black"),
    ("query", {}, COLOURS, "/p?R=100&G=200"),
    ("query", {"explode": False}, COLOURS, "/p?color=R,100,G,200"),
    ("query", {"style": "spaceDelimited", "explode": False}, ["blue", "black"], "/p?color=blue%20black"),
    ("query", {"style": "pipeDelimited", "explode": False}, ["blue", "black"], "/p?color=blue%7Cblack"),
    ("query", {"style": "deepObject", "explode": True}, COLOURS, "/p?color%5BR%5D=100&color%5BG%5D=200"),
    ("query", {}, "a/b?c&d", "/p?color=a%2Fb%3Fc%26d"),
    ("query", {"allowReserved": True}, "a/b?c&d", "/p?color=a/b?c%26d"),
    ("query", {}, True, "/p?color=true"),
    ("query", {}, [], "/p"),
]


@pytest.mark.parametrize(("place", "how", "value", "target"), STYLES)
def test_values_are_written_as_the_specification_says(place: str, how: dict[str, Any], value: Any, target: str) -> None:
    path = "/p/{color}" if place == "path" else "/p"
    parameter = {"name": "color", "in": place, "required": True, "schema": {}, **how}
    document = {"openapi": "3.1.0", "paths": {path: {"get": {"operationId": "paint", "parameters": [parameter]}}}}
    found = write(read_operations(document, ["paint"], ())["paint"], {"color": value})
    assert (found.target, found.content) == (target, None)


@pytest.mark.parametrize("number", ["..", ".", ""])
def test_no_value_leaves_its_place_in_the_path(number: str) -> None:
    operation = read_operations(DOCUMENT, ["getTicket"], ())["getTicket"]
    with pytest.raises(NotRetryable, match="nothing was sent"):
        write(operation, {"number": number})
    assert write(operation, {"number": "a/../b?c#d"}).target == "/tickets/a%2F..%2Fb%3Fc%23d"
    with pytest.raises(NotRetryable, match="X-Trace: this cannot stand in a header"):
        write(operation, {"number": "7", "X-Trace": "a\r\nHost: evil.example"})


# --- how calls go -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        ((204, {}, b""), None),
        ((200, {"Content-Type": "text/plain; charset=utf-8"}, "grün".encode()), "grün"),
        ((200, {"Content-Type": "application/problem+json"}, b"[1]"), [1]),
    ],
)
async def test_answers_come_as_what_they_are(server: Server, reply: Reply, result: Any) -> None:
    server.replies.append(reply)
    app, ask = asking(api(server.url), "getTicket")
    async with harness(app) as it:
        assert await it.result(await it.start(ask, given={"number": "7"})) == result


async def test_a_file_comes_as_its_address(server: Server) -> None:
    server.replies.append((200, {"Content-Type": "image/png"}, b"pixels"))
    app, ask = asking(api(server.url), "getTicket")
    async with harness(app) as it:
        found = await it.result(await it.start(ask, given={"number": "7"}))
    assert (found["type"], found["bytes"], len(found["sha256"])) == ("image/png", 6, 64)


async def test_an_answer_that_is_too_long_waits_for_a_person(server: Server, monkeypatch: Any) -> None:
    monkeypatch.setattr("backstay.ai.openapi_tools.ANSWER", 1000)
    server.replies.append(answered(200, "x" * 2000))
    app, ask = asking(api(server.url), "getTicket")
    async with harness(app) as it:
        run = await it.start(ask, given={"number": "7"})
        assert [wait.kind for wait in it.waits(run)] == ["queued"]
    assert len(server.received) == 1


async def test_what_the_server_refuses_is_told_in_its_words_and_not_tried_again(server: Server) -> None:
    server.replies.append(answered(422, {"detail": "subject is too vague"}))
    app, ask = asking(api(server.url, effects={"createTicket": "write"}), "createTicket")
    async with harness(app) as it:
        said = await it.result(await it.start(ask, given={"subject": "it"}))
    assert said == "RequestRefused: operation 'createTicket' of API 'helpdesk' answered 422: subject is too vague"
    assert len(server.received) == 1


async def test_a_read_is_tried_again_when_the_server_is_not_well(server: Server) -> None:
    server.replies += [answered(503, {}), answered(429, {}), "cut", answered(200, "well")]
    app, ask = asking(api(server.url, retry=Retry(attempts=4, first="1s")), "getTicket")
    async with harness(app) as it:
        run = await it.start(ask, given={"number": "7"})
        await it.advance("5m")
        assert await it.result(run) == "well"


async def test_a_write_under_a_key_is_repeated_under_the_same_key(server: Server) -> None:
    server.replies += ["cut", answered(500, {})]
    made = api(server.url, effects={"createTicket": "write"}, key_header="Idempotency-Key")
    app, ask = asking(made, "createTicket")
    async with harness(app) as it:
        run = await it.start(ask, given={"subject": "printer"})
        await it.advance("5m")
        assert await it.result(run) == PLAIN
    keys = [headers["Idempotency-Key"] for _, _, headers, _ in server.received]
    assert (len(keys), len(set(keys))) == (3, 1)


async def test_a_write_without_a_key_is_unknown_when_its_answer_is_lost_and_refused_when_it_was_not_begun(
    server: Server,
) -> None:
    app, ask = asking(api(server.url, effects={"createTicket": "write"}), "createTicket")
    async with harness(app) as it:
        server.replies.append("cut")
        run = await it.start(ask, given={"subject": "printer"})
        await it.advance("1d")
        assert ([wait.kind for wait in it.waits(run)], len(server.received)) == (["unknown"], 1)
        server.replies.append(answered(429, {"message": "slow down"}))
        assert "slow down" in await it.result(await it.start(ask, given={"subject": "printer"}))


async def test_where_nobody_listens_nothing_was_sent() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    app, ask = asking(api(url, effects={"createTicket": "write"}), "createTicket")
    async with harness(app) as it:
        said = await it.result(await it.start(ask, given={"subject": "printer"}))
    assert said.startswith("RequestRefused: API 'helpdesk' cannot be reached, and nothing was sent")


async def test_a_redirect_is_not_followed_and_takes_no_credential_along(server: Server) -> None:
    server.replies.append((307, {"Location": "http://evil.example/v1/tickets"}, b""))
    app, ask = asking(api(server.url), "getTicket")
    async with harness(app) as it:
        said = await it.result(await it.start(ask, given={"number": "7"}))
    assert "redirected to 'http://evil.example/v1/tickets', and redirects are not followed" in said
    assert len(server.received) == 1


async def test_a_credential_that_is_not_set_is_named(server: Server, monkeypatch: Any) -> None:
    monkeypatch.delenv("HELPDESK_TOKEN", raising=False)
    app, ask = asking(api(server.url, headers={"X-Api-Key": "${HELPDESK_TOKEN}"}), "getTicket")
    async with harness(app) as it:
        said = await it.result(await it.start(ask, given={"number": "7"}))
    assert (said.startswith("CredentialMissing: server 'helpdesk' needs"), server.received) == (True, [])


# --- documents that do not fit ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"operations": ["closeTicket"]}, "has no operation closeTicket; it has"),
        ({"operations": ["upload"]}, "only JSON and URL-encoded forms"),
        ({"operations": ["elsewhere"]}, "another document: 'https://evil.example/p.json'"),
        ({"effects": {"close": "read"}}, "effects and sinks speak of close"),
        ({"sinks": {"getTicket": ["colour"]}}, "has no argument colour"),
        ({"url": "helpdesk.example"}, "must be the base address alone"),
        ({"url": "https://user:word@helpdesk.example"}, "must be the base address alone"),
        ({"document": {"swagger": "2.0"}}, "no OpenAPI 3 document"),
        ({"document": "none.json"}, "there is no document 'none.json'"),
    ],
)
def test_what_does_not_fit_is_said_when_the_application_is_made(options: dict[str, Any], why: str) -> None:
    given: dict[str, Any] = {
        "document": DOCUMENT,
        "url": "https://helpdesk.example",
        "operations": ["getTicket"],
        **options,
    }
    with pytest.raises(AuthorError, match=why):
        _ = OpenAPI("helpdesk", **given).tools


def test_a_document_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(DOCUMENT))
    made = OpenAPI(
        "helpdesk", document=tmp_path / "openapi.json", url="https://helpdesk.example", operations=["getTicket"]
    )
    assert list(made.tools) == ["getTicket"]
    (tmp_path / "openapi.yaml").write_text("openapi: 3.1.0\n")
    with pytest.raises(AuthorError, match="convert it if it is YAML"):
        OpenAPI("helpdesk", document=tmp_path / "openapi.yaml", url="https://helpdesk.example", operations=[])
