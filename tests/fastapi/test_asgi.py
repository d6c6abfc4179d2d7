"""Without FastAPI: Starlette handlers, opaque ASGI applications, other middleware, and messages in every order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, cast
from uuid import UUID

import pytest
import pytest_asyncio
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sonas_supabase import IdempotencyConflict
from sonas_supabase.fastapi import Credits, CreditsMiddleware, Rule, current_user, spend
from tests.fastapi.support import add_routes, bearer, calling, make_credits
from tests.support.database import Database

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]


@pytest_asyncio.fixture(scope="module")
async def credits(database: Database) -> AsyncIterator[Credits]:
    credits = make_credits(database.url)
    yield credits
    await credits.client.close()


async def test_starlette_handlers_call_it(credits: Credits, database: Database, user: UUID) -> None:
    two_messages = spend("message", 2)

    async def chat(request: Request) -> Response:
        held = await two_messages(request)
        held.cost = 1
        return JSONResponse(str((await current_user(request)).id))

    app = Starlette(routes=[Route("/chat", chat, methods=["POST"])])
    credits.install(app)
    async with calling(app) as http:
        answer = await http.post("/chat", headers=bearer(user))
        assert answer.json() == str(user)
        assert (await http.post("/chat")).status_code == 401
        assert database.balance(user)["used"] == 1
        database.call("consume_credits", user, "message", 9)
        denied = await http.post("/chat", headers=bearer(user))
    assert (denied.status_code, denied.json()["required"]) == (402, 2)


async def test_rules_hold_for_an_application_that_knows_nothing(
    credits: Credits, database: Database, user: UUID
) -> None:
    seen: list[list[Any]] = []

    async def opaque(scope: Any, receive: Receive, send: Send) -> None:
        seen.append(scope.get("state", {}).get("spends", []))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    rules = [
        Rule("POST", "/chat*", spend("message", 1)),
        Rule("*", "/chat/*/deep", spend("project", 1)),
    ]
    async with calling(CreditsMiddleware(opaque, credits, rules)) as http:
        for method, path in [("POST", "/chat"), ("GET", "/chat"), ("POST", "/chat/1/deep"), ("POST", "/free")]:
            assert (await http.request(method, path, headers=bearer(user))).text == "done"
        assert [len(spends) for spends in seen] == [1, 0, 2, 0]
        assert (await http.post("/free")).status_code == 200
        refused = await http.post("/chat")
        assert (refused.status_code, refused.headers["content-type"]) == (401, "application/problem+json")
        assert len(seen) == 5, "the application is not even called"
    assert [database.balance(user, name)["used"] for name in ("message", "project")] == [2, 1]


async def test_rules_inside_of_rules_add_up(credits: Credits, database: Database, user: UUID) -> None:
    async def opaque(scope: Any, receive: Receive, send: Send) -> None:
        assert [held.credit_type for held in scope["state"]["spends"]] == ["message", "message", "project"]
        await send(START)
        await send({"type": "http.response.body"})

    inner = CreditsMiddleware(opaque, credits, [Rule("*", "*", spend("message")), Rule("*", "*", spend("project"))])
    async with calling(CreditsMiddleware(inner, credits, [Rule("*", "*", spend("message"))])) as http:
        headers = bearer(user) | {"idempotency-key": "k"}
        for _ in range(2):
            assert (await http.post("/", headers=headers)).status_code == 200
        assert [database.balance(user, name)["used"] for name in ("message", "project")] == [2, 1]
        database.call("consume_credits", user, "project", 2)
        denied = await http.post("/", headers=bearer(user))
    assert (denied.status_code, denied.json()["code"]) == (402, "limit_reached")
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (2, 0)


@pytest.mark.parametrize("keyed", [False, True])
async def test_a_function_of_a_rule_may_read_the_body_and_leaves_it(
    credits: Credits, database: Database, user: UUID, keyed: bool
) -> None:
    async def length(request: Request) -> int:
        return int((await request.json())["credits"])

    async def opaque(scope: Any, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        await send(START)
        await send({"type": "http.response.body", "body": b"%d" % len(body)})

    content = b'{"credits": 2, "text": "%s"}' % (b"x" * 200_000)
    headers = bearer(user) | ({"idempotency-key": "k"} if keyed else {})
    inner = CreditsMiddleware(opaque, credits, [Rule("POST", "*", spend("message", length))])
    async with calling(CreditsMiddleware(inner, credits, [Rule("POST", "*", spend("message", length))])) as http:
        answer = await http.post("/", headers=headers, content=content)
        assert (answer.status_code, answer.json()) == (200, len(content))
    assert database.balance(user)["used"] == 4


async def test_other_middleware_sees_refusals_as_responses(credits: Credits, database: Database, user: UUID) -> None:
    app = FastAPI()
    statuses: list[int] = []

    @app.middleware("http")
    async def inner(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        statuses.append(response.status_code)
        return response

    credits.install(app)
    app.add_middleware(CORSMiddleware, allow_origins=["https://shop.example"])
    app.middleware("http")(inner)
    add_routes(app)
    async with calling(app) as http:
        origin = {"origin": "https://shop.example"}
        assert (await http.post("/one", headers=bearer(user) | origin)).status_code == 200
        refused = await http.post("/one", headers=origin)
        assert (await http.post("/denied-later", headers=bearer(user))).status_code == 418
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "https://shop.example"
    assert statuses == [200, 200, 401, 401, 418, 418]
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (1, 0)


async def test_installed_twice_it_charges_once(credits: Credits, database: Database, user: UUID) -> None:
    app = FastAPI()
    credits.install(app)
    credits.install(app)
    add_routes(app)
    async with calling(CreditsMiddleware(app, credits)) as http:
        assert (await http.post("/one", headers=bearer(user))).status_code == 200
    assert database.balance(user)["used"] == 1


async def test_a_mounted_application_spends_too(credits: Credits, database: Database, user: UUID) -> None:
    app, mounted = FastAPI(), FastAPI()
    for each in (app, mounted):
        credits.install(each)
    add_routes(mounted)
    app.mount("/v1", mounted)
    async with calling(app) as http:
        answer = await http.post("/v1/one", headers=bearer(user))
        assert (answer.status_code, answer.headers["ratelimit"][:13]) == (200, '"message";r=9')
        assert (await http.post("/v1/one")).status_code == 401
    operation = database.call("explain_operation", user_id=user, operation_id=answer.json()["operation"])
    assert operation["description"] == "POST /v1/one"


async def test_not_installed_it_says_so(user: UUID) -> None:
    async def chat(request: Request) -> Response:
        await spend("message")(request)
        return PlainTextResponse("never")

    async with calling(Starlette(routes=[Route("/", chat)])) as http:
        assert (await http.get("/", headers=bearer(user))).status_code == 500


class Exchange:
    """One request, message by message, without a server."""

    def __init__(self, user: UUID) -> None:
        headers = [(name.encode(), value.encode()) for name, value in bearer(user).items()]
        self.scope = {"type": "http", "method": "POST", "path": "/\x00ö", "query_string": b"", "headers": headers}
        self.left = asyncio.Event()
        self.ended = asyncio.Event()
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.ended.set()


def holding(app: Callable[[Any, Receive, Send], Awaitable[None]], credits: Credits) -> CreditsMiddleware:
    return CreditsMiddleware(app, credits, [Rule("*", "*", spend("message", 5))])


START: Message = {"type": "http.response.start", "status": 200}


@pytest.mark.parametrize("leaves_at", ["never", "before start", "after start"])
async def test_a_client_that_leaves_once_the_handler_has_run_pays(
    credits: Credits, database: Database, user: UUID, leaves_at: str
) -> None:
    exchange = Exchange(user)

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        for moment, message in (("before start", START), ("after start", {"type": "http.response.body", "body": b""})):
            if moment == leaves_at:
                exchange.left.set()
            await send(message)

    await holding(app, credits)(exchange.scope, exchange.receive, exchange.send)
    assert [message["type"] for message in exchange.sent] == ["http.response.start", "http.response.body"]
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (5, 0)


@pytest.mark.parametrize(
    ("messages", "used"),
    [
        ([], 0),
        ([START], 2),
        ([START, {"type": "http.response.body", "body": b"a", "more_body": True}], 2),
        ([START, {"type": "http.response.pathsend", "path": "/dev/null"}], 2),
        ([{"type": "http.response.debug"}, START, {"type": "http.response.body"}], 2),
        ([{**START, "status": 500}, {"type": "http.response.body", "more_body": True}], 0),
    ],
)
async def test_how_far_a_response_came_decides(
    credits: Credits, database: Database, user: UUID, messages: list[Message], used: int
) -> None:
    exchange = Exchange(user)

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        scope["state"]["spends"][0].add(2)
        for message in messages:
            await send(message)

    await holding(app, credits)(exchange.scope, exchange.receive, exchange.send)
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (used, 0)


async def test_a_server_that_cannot_send_breaks_the_stream(credits: Credits, database: Database, user: UUID) -> None:
    exchange = Exchange(user)

    async def send(message: Message) -> None:
        if message.get("body") == b"2":
            raise OSError("gone")

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(START)
        for number in range(5):
            scope["state"]["spends"][0].add()
            await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})

    with pytest.raises(OSError, match="gone"):
        await holding(app, credits)(exchange.scope, exchange.receive, send)
    assert database.balance(user)["used"] == 3


async def test_a_cancelled_request_is_settled(credits: Credits, database: Database, user: UUID) -> None:
    exchange = Exchange(user)
    reached = asyncio.Event()

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        reached.set()
        await asyncio.Event().wait()

    request = asyncio.create_task(holding(app, credits)(exchange.scope, exchange.receive, exchange.send))
    await reached.wait()
    assert database.balance(user)["reserved"] == 5
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (0, 0)


async def test_a_sender_that_is_cancelled_at_the_end_is_charged_all_the_same(
    credits: Credits, database: Database, user: UUID
) -> None:
    exchange = Exchange(user)

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(START)
        last = asyncio.create_task(cast(Any, send({"type": "http.response.body"})))
        await exchange.ended.wait()
        last.cancel()

    await holding(app, credits)(exchange.scope, exchange.receive, exchange.send)
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (5, 0)


async def test_a_client_that_left_with_half_of_its_request_has_not_used_its_key(
    credits: Credits, database: Database, user: UUID
) -> None:
    exchange = Exchange(user)
    exchange.scope |= {"path": "/", "headers": [*cast(Any, exchange.scope)["headers"], (b"idempotency-key", b"k")]}
    come: list[Message] = [{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}]
    ran: list[str] = []

    async def receive() -> Message:
        return come.pop(0)

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        ran.append("once")
        await send(START)
        await send({"type": "http.response.body"})

    with pytest.raises(ClientDisconnect):
        await holding(app, credits)(exchange.scope, receive, exchange.send)
    async with calling(holding(app, credits)) as http:
        headers = bearer(user) | {"idempotency-key": "k"}
        assert (await http.post("/", headers=headers, content=b"half and the rest")).status_code == 200
    assert ran == ["once"]


async def test_what_comes_before_an_answer_does_not_keep_it_from_being_stored(credits: Credits, user: UUID) -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        for message in ({"type": "http.response.debug"}, START, {"type": "http.response.body", "body": b"done"}):
            await send(message)

    async with calling(holding(app, credits)) as http:
        for _ in range(2):
            answer = await http.post("/", headers=bearer(user) | {"idempotency-key": "k"})
        assert (answer.text, answer.headers["idempotency-replayed"]) == ("done", "true")


async def test_the_cost_may_change_until_the_application_has_done(
    credits: Credits, database: Database, user: UUID
) -> None:
    exchange = Exchange(user)

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(START)
        await send({"type": "http.response.body"})
        assert database.balance(user)["used"] == 5, "charged when the response is out, not when the handler ends"
        scope["state"]["spends"][0].cost = 3

    await holding(app, credits)(exchange.scope, exchange.receive, exchange.send)
    assert database.balance(user)["used"] == 3
    with pytest.raises(RuntimeError, match="settled"):
        cast(Any, exchange.scope)["state"]["spends"][0].cost = 1


async def test_an_error_after_the_start_is_the_servers(credits: Credits, database: Database, user: UUID) -> None:
    exchange = Exchange(user)

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(START)
        raise IdempotencyConflict("too late to say so")

    with pytest.raises(IdempotencyConflict):
        await holding(app, credits)(exchange.scope, exchange.receive, exchange.send)
    assert len(exchange.sent) == 1
    assert database.balance(user)["used"] == 0


async def test_what_is_no_request_passes(credits: Credits) -> None:
    passed: list[Any] = []

    async def app(*arguments: Any) -> None:
        passed.extend(arguments)

    exchange: list[Any] = [{"type": "lifespan"}, object(), object()]
    await holding(app, credits)(*exchange)
    assert passed == exchange
