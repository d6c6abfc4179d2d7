"""Any WSGI or ASGI application: a denial is a problem document, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from uuid import UUID
from wsgiref.validate import validator

import httpx
import psycopg
import pytest
from flask import Flask, request
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sonas_supabase import AsyncCreditsClient, CreditsClient, CreditsUnavailable
from sonas_supabase.problems import AsgiProblems, WsgiProblems
from tests.support.database import Database

USER = "HTTP_USER"
STRICT = "select public.consume_credits(%s, 'message', %s, p_strict => true)"


def plain(database: Database, calls: CreditsClient) -> Callable[..., Any]:
    """An application without a framework."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        user = environ[USER]
        path = environ["PATH_INFO"]
        if path == "/begun":
            start_response("200 OK", [("Content-Type", "text/plain")])
            raise ZeroDivisionError
        if path == "/mistake":
            raise ZeroDivisionError
        if path == "/own":
            with psycopg.connect(database.url) as connection:
                connection.execute(STRICT, [user, 11])
        if path == "/away":
            raise CreditsUnavailable("the password is wrong")
        calls.consume_credits(user, "message", 11 if path == "/denied" else 1)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]

    return application


def flask(database: Database, calls: CreditsClient) -> Callable[..., Any]:
    """Flask, which hands errors on."""
    app = Flask(__name__)
    app.config["PROPAGATE_EXCEPTIONS"] = True

    @app.get("/<path>")
    def view(path: str) -> str:
        user = request.headers["user"]
        if path in ("mistake", "begun"):
            raise ZeroDivisionError
        if path == "own":
            with psycopg.connect(database.url) as connection:
                connection.execute(STRICT, [user, 11])
        if path == "away":
            raise CreditsUnavailable("the password is wrong")
        calls.consume_credits(user, "message", 11 if path == "denied" else 1)
        return "done"

    return app


@pytest.fixture(params=[plain, flask])
def http(request: pytest.FixtureRequest, database: Database) -> Iterator[httpx.Client]:
    with CreditsClient.from_url(database.url) as calls:
        app = validator(WsgiProblems(request.param(database, calls)))
        with httpx.Client(transport=httpx.WSGITransport(app), base_url="http://app") as client:
            yield client


def test_a_wsgi_application(http: httpx.Client, database: Database, user: UUID) -> None:
    headers = {"user": str(user)}
    for path in ("/denied", "/own"):
        answer = http.get(path, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (402, "application/problem+json")
        assert (answer.json()["code"], answer.json()["available"]) == ("insufficient_credits", 10)
    away = http.get("/away", headers=headers)
    assert (away.status_code, away.headers["retry-after"]) == (503, "5")
    assert "password" not in away.text
    assert http.get("/ok", headers=headers).text == "done"
    for path in ("/mistake", "/begun"):
        with pytest.raises(ZeroDivisionError):
            http.get(path, headers=headers)
    assert database.balance(user)["used"] == 1


async def test_an_asgi_application(database: Database, user: UUID) -> None:
    async with AsyncCreditsClient.from_url(database.url) as calls:

        async def endpoint(request: Request) -> Response:
            if request.url.path == "/mistake":
                raise ZeroDivisionError
            await calls.consume_credits(request.headers["user"], "message", int(request.query_params["amount"]))
            return PlainTextResponse("done")

        # Inside of what answers everything with 500.
        app = Starlette(routes=[Route("/{path}", endpoint)], middleware=[Middleware(AsgiProblems)])
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
            headers = {"user": str(user)}
            denied = await http.get("/denied?amount=11", headers=headers)
            assert (denied.status_code, denied.json()["code"]) == (402, "insufficient_credits")
            with pytest.raises(ZeroDivisionError):
                await http.get("/mistake?amount=1", headers=headers)
            assert (await http.get("/ok?amount=2", headers=headers)).text == "done"

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        async with AsyncCreditsClient.from_url(database.url) as calls:
            await calls.consume_credits(user, "message", 11)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(AsgiProblems(bare)), base_url="http://app") as http:
        denied = await http.get("/")
    assert (denied.status_code, denied.json()["available"]) == (402, 8)
