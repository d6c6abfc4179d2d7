"""Who pays: each cell of the table in docs/fastapi.md for Flask and Django, sync and async, on real servers."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import httpx
import pytest
from asgiref.sync import iscoroutinefunction
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template import engines
from django.template.response import TemplateResponse
from django.test.utils import override_settings
from django.urls import path
from django.utils.decorators import sync_and_async_middleware
from flask import Flask, Response, abort, make_response, redirect, request, stream_with_context
from werkzeug.serving import make_server

from sonas_supabase import AsyncCreditsClient, CreditsClient
from sonas_supabase.charging import ChargeMode
from sonas_supabase.django import spends
from sonas_supabase.flask import FlaskCredits
from sonas_supabase.views import AsyncViewHold, ViewHold
from tests.fastapi.support import serving, until
from tests.fastapi.test_who_pays import AMOUNT, COST, MODES, cells, expected
from tests.frameworks.ways_to_end import astream, gates, say, status_of, stream
from tests.support.database import Database

LEAVES = {"left, then cost", "cost, then left", "stream, left in the middle", "stream, left, then cost"}
EVENTS = {
    "the response goes out, status 2xx": [
        "200", "201", "stream, cost first", "stream, added", "stream, cost in the last chunk",
    ],
    "the client leaves once the handler has begun, or in the middle of a stream": sorted(LEAVES),
    "a redirect, 304, any 3xx": ["303", "304"],
    "a 4xx": ["refuses 422", "404"],
    "an exception, a 5xx": ["raises", "500", "falls behind", "renders badly"],
    "a stream breaks by an exception": ["stream, added, fails", "stream, cost, fails"],
}  # fmt: skip

urlpatterns: list[Any] = []


def asked(values: Any) -> tuple[str, int | None]:
    return values["event"], int(values["cost"]) if "cost" in values else None


def flask(client: CreditsClient) -> Flask:
    app = Flask(__name__)
    credits = FlaskCredits(client, user=lambda: request.headers["user"])

    @app.after_request
    def fall_behind(response: Response) -> Response:
        if request.args["event"] == "falls behind":
            raise ZeroDivisionError
        return response

    credits.init_app(app)

    def declare(mode: ChargeMode) -> None:
        @app.route(f"/{mode}", methods=["GET", "POST"], endpoint=mode)
        @credits.spend("message", AMOUNT, charge=mode)
        def view(hold: ViewHold) -> Any:
            event, cost = asked(request.args)
            gate = gates[request.headers["user"]]
            if event == "falls behind" or event.startswith("stream"):
                body = stream(event, hold, cost, gate)
                return Response(stream_with_context(body) if cost else body, mimetype="text/event-stream")
            status = status_of(event, hold, cost, gate)
            if event.startswith("refuses"):
                abort(int(event.removeprefix("refuses ")))
            if event == "renders badly":
                return object()
            return redirect("/", status) if status == 303 else make_response("done", status)

    for mode in MODES:
        declare(mode)  # type: ignore[arg-type]
    return app


def django_view(client: CreditsClient, mode: Any) -> Any:
    @spends(client, "message", AMOUNT, charge=mode, user=lambda request: request.headers["user"])
    def view(request: HttpRequest, hold: ViewHold) -> HttpResponseBase:
        event, cost = asked(request.GET)
        gate = gates[request.headers["user"]]
        if event == "falls behind" or event.startswith("stream"):
            return StreamingHttpResponse(stream(event, hold, cost, gate))
        return django_response(event, status_of(event, hold, cost, gate), request)

    return view


def django_async_view(client: AsyncCreditsClient, mode: Any) -> Any:
    @spends(client, "message", AMOUNT, charge=mode, user=lambda request: request.headers["user"])
    async def view(request: HttpRequest, hold: AsyncViewHold) -> HttpResponseBase:
        event, cost = asked(request.GET)
        gate = gates[request.headers["user"]]
        if event == "falls behind" or event.startswith("stream"):
            return StreamingHttpResponse(astream(event, hold, cost, gate))
        if event == "cost, then left":
            say(hold, cost)
        if event in LEAVES:
            # Django cancels an async view whose client has left.
            await asyncio.to_thread(gate.reached.set)
            await asyncio.sleep(20)
        return django_response(event, status_of(event, hold, cost, gate), request)

    return view


def django_response(event: str, status: int, request: HttpRequest) -> HttpResponseBase:
    if event.startswith("refuses"):
        return HttpResponse("no", status=int(event.removeprefix("refuses ")))
    if event == "renders badly":
        return TemplateResponse(request, engines["django"].from_string("{% include missing %}"), {})
    return HttpResponse("done", status=status, headers={"location": "/"} if status == 303 else {})


@sync_and_async_middleware  # type: ignore[untyped-decorator]
def falling_behind(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """A middleware inside of ours that may fail once the view has answered."""

    def check(request: HttpRequest, response: Any) -> Any:
        return 1 / 0 if request.GET["event"] == "falls behind" else response

    async def later(request: HttpRequest) -> Any:
        return check(request, await get_response(request))

    return later if iscoroutinefunction(get_response) else lambda request: check(request, get_response(request))


@contextmanager
def listening(app: Any) -> Iterator[int]:
    """A WSGI server with a thread for each request."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def send(port: int, path: str, headers: dict[str, str]) -> socket.socket:
    """A request whose connection can be cut at any moment."""
    connection = socket.create_connection(("127.0.0.1", port), 20)
    lines = [f"POST {path} HTTP/1.1", "host: test", "content-length: 0", *map(": ".join, headers.items())]
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    return connection


MIDDLEWARE = ["sonas_supabase.django.CreditsProblems", "tests.frameworks.test_who_pays.falling_behind"]
KINDS = ["flask", "django", "django async"]


class Handler(ASGIHandler):  # type: ignore[misc]
    """Django leaves what it has read of a request open when a response fails; the test closes it."""

    def __init__(self) -> None:
        super().__init__()
        self.files: list[Any] = []

    async def read_body(self, receive: Any) -> Any:
        """What the request has sent."""
        self.files.append(await super().read_body(receive))
        return self.files[-1]


@contextmanager
def listening_async() -> Iterator[int]:
    """Django on an ASGI server."""
    handler = Handler()
    with serving(handler) as server:
        yield server.port
    for file in handler.files:
        file.close()


@contextmanager
def routed(views: dict[str, Any]) -> Iterator[None]:
    """Django's views for the time of the block."""
    urlpatterns[:] = [path(name, view) for name, view in views.items()]
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=MIDDLEWARE):
        yield


@pytest.fixture(scope="module", params=KINDS)
def port(request: pytest.FixtureRequest, database: Database) -> Iterator[int]:
    """Where a server of a kind listens."""
    with CreditsClient.from_url(database.url) as calls:
        if request.param == "flask":
            with listening(flask(calls)) as port:
                yield port
        elif request.param == "django":
            with routed({mode: django_view(calls, mode) for mode in MODES}), listening(WSGIHandler()) as port:
                yield port
        else:
            later = AsyncCreditsClient.from_url(database.url)
            views = {mode: django_async_view(later, mode) for mode in MODES}
            with routed(views), listening_async() as port:
                yield port


def has_paid(database: Database, user: UUID, credits: int) -> bool:
    balance = database.balance(user)
    return (balance["used"], balance["reserved"]) == (credits, 0)


async def end(port: int, mode: str, event: str, cost: int | None, user: UUID) -> None:
    """Make a request that ends like that."""
    query = {"event": event} | ({} if cost is None else {"cost": str(cost)})
    path = f"/{mode}?{urlencode(query)}"
    headers = {"user": str(user)}
    if event not in LEAVES:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            with suppress(httpx.RemoteProtocolError, httpx.ReadError):
                await client.post(path, headers=headers)
        return
    gate = gates[str(user)]
    with closing(send(port, path, headers)):
        assert await asyncio.to_thread(gate.reached.wait, 20)
    gate.open.set()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("row", EVENTS)
async def test_each_cell_is_what_is_charged(
    port: int, database: Database, row: str, mode: str, request: pytest.FixtureRequest
) -> None:
    cell = cells()[row][mode]
    for event in EVENTS[row] if mode == "held" else EVENTS[row][:1]:
        for cost in (None, COST):
            if (cost is None and event == "stream, added") or (cost and event in ("falls behind", "renders badly")):
                continue
            user = database.new_user()
            await end(port, mode, event, cost, user)
            is_cancelled = event == "left, then cost" and request.node.callspec.params["port"] == "django async"
            wanted = expected(cell, None if is_cancelled else cost, event)
            await until(lambda: has_paid(database, user, wanted))  # noqa: B023
    database.verify(user)


async def test_a_view_in_a_thread_goes_on_when_its_client_leaves(database: Database) -> None:
    with (
        CreditsClient.from_url(database.url) as calls,
        routed({"cost": django_view(calls, "cost"), "held": django_view(calls, "held")}),
        listening_async() as port,
    ):
        for mode, event, cost, paid in [
            ("cost", "left, then cost", COST, COST), ("held", "left, then cost", None, AMOUNT),
            ("cost", "200", COST, COST), ("held", "raises", COST, 0),
        ]:  # fmt: skip
            user = database.new_user()
            await end(port, mode, event, cost, user)
            await until(lambda: has_paid(database, user, paid))  # noqa: B023
            database.verify(user)


def test_every_row_of_the_table_is_tried() -> None:
    assert list(cells()) == list(EVENTS)
