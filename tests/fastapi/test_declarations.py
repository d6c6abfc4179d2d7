"""What can never work is refused where it is declared; what a function answers is worked out for each request."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from fastapi import Depends, Request

from sonas_supabase import InvalidArgument
from sonas_supabase.fastapi import Rule, Spend, WrongDeclaration, spend
from tests.fastapi.support import bearer, calling, make_app, make_credits
from tests.support.database import Database


def two_arguments(request: Request, other: int) -> int:
    return other


async def yields(request: Request) -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("credit_type", [None, "", " ", 5]),
        ("amount", [-5, 0, "5", 1.0, True, None, 2**53 + 1, two_arguments, lambda: 1, yields]),
        ("charge", ["helt", None, "HELD", True]),
        ("at_least", [-1, "1", 1.5, 6, None]),
        ("description", [5, b"text", lambda: ""]),
        ("ttl_seconds", [1e9, 0, -1, 86401, "900", 900.0, None, True]),
        ("on_unavailable", ["alow", "", None, True]),
        ("workspace", ["no uuid", 5, lambda: None]),
        ("actor", ["agent", 5, lambda: None]),
        ("exempt", [True, "yes", lambda: True]),
    ],
)
def test_what_can_never_work_is_refused_when_it_is_declared(argument: str, values: list[Any]) -> None:
    for value in values:
        declared: dict[str, Any] = {"credit_type": "message", "amount": 5, argument: value}
        with pytest.raises(WrongDeclaration) as refused:
            spend(**declared)
        assert isinstance(refused.value, ValueError)
        assert isinstance(refused.value, InvalidArgument)
        assert refused.value.details == {"argument": argument}
        assert repr(value) in str(refused.value)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PSOT", "/chat"),
        ("", "/chat"),
        ("GET,POST", "/chat"),
        (None, "/chat"),
        ("GET", "chat"),
        ("GET", ""),
        ("GET", None),
        ("GET", "/chat?x=1"),
        ("GET", "/chat#top"),
        ("GET", "/caf%C3%A9"),
        ("GET", "/chat "),
        ("GET", "https://shop.example/chat"),
    ],
)
def test_a_rule_that_can_never_match_is_refused(method: Any, path: Any) -> None:
    with pytest.raises(WrongDeclaration, match="never match"):
        Rule(method, path, spend("message"))


def test_a_rule_without_a_price_is_refused() -> None:
    with pytest.raises(WrongDeclaration):
        Rule("GET", "/chat", "message")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "request_line", "applies"),
    [
        ("post /chat", "POST /chat", True),
        ("GET /chat", "HEAD /chat", True),
        ("HEAD /chat", "GET /chat", False),
        ("POST /chat", "HEAD /chat", False),
        ("* /chat", "QUERY /chat", True),
        ("GET /chat", "get /chat", True),
        ("GET /chat*", "GET /chat/1/2", True),
        ("GET /chat/*/deep", "GET /chat/1/2/deep", True),
        ("GET /chat", "GET /chats", False),
        ("GET /a[bc]", "GET /ab", False),
        ("GET /a[bc]", "GET /a[bc]", True),
        ("GET /a*", "GET /a\nb", True),
        ("GET *", "GET /", True),
        ("GET /a.c", "GET /abc", False),
        ("GET /*b*b", "GET /bb", True),
        ("GET /*b*b", "GET /b", False),
        ("GET /*ab*b*", "GET /aabxb", True),
        ("GET *a", "GET /aba", True),
    ],
)
def test_which_requests_a_rule_covers(rule: str, request_line: str, applies: bool) -> None:
    declared = Rule(*rule.split(" ", 1), spend("message"))  # type: ignore[call-arg, arg-type]
    method, path = request_line.split(" ", 1)
    assert declared.applies({"type": "http", "method": method, "path": path}) is applies


def test_a_path_that_was_made_to_match_late_costs_no_more_than_others() -> None:
    rule = Rule("POST", "/v1/*/a/*/b/*/c", spend("message"))
    began = time.perf_counter()
    for made in ("/a/b" * 2000, "/a//b/" * 2000):
        assert not rule.applies({"type": "http", "method": "POST", "path": f"/v1/{made}"})
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    ("prefix", "path", "applies"),
    [
        ("", "/chat", True),
        ("/v1", "/v1/chat", True),
        ("/v1/", "/v1/chat", True),
        ("/v1", "/chat", True),
        ("/v1", "/v10/chat", False),
        ("/chat", "/chat", False),
    ],
)
def test_a_rules_path_is_the_one_inside_the_application(prefix: str, path: str, applies: bool) -> None:
    rule = Rule("GET", "/chat", spend("message"))
    scope = {"type": "http", "method": "GET", "path": path, "root_path": prefix}
    assert rule.applies(scope) is applies


def length(request: Request) -> int:
    return int(request.headers["length"])


async def team(request: Request) -> str | None:
    return request.headers.get("team")


async def of_the_body(request: Request) -> int:
    return len((await request.json())["text"])


@pytest_asyncio.fixture(scope="module")
async def http(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    credits = make_credits(database.url)
    app = make_app(credits)

    @app.post("/sized")
    async def sized(
        held: Annotated[Spend, Depends(spend("message", length, workspace=team, actor=lambda request: "agent-7"))],
    ) -> int:
        return held.amount

    @app.post("/of-the-body")
    async def by_body(held: Annotated[Spend, Depends(spend("message", of_the_body))]) -> int:
        return held.amount

    @app.post("/exempt")
    async def exempt(
        held: Annotated[
            Spend,
            Depends(spend("message", 5, at_least=2, exempt=lambda request: "friend" in request.headers)),
        ],
        cost: int | None = None,
    ) -> int:
        if cost is not None:
            held.cost = cost
        return held.amount

    @app.post("/more-than-held")
    async def more(held: Annotated[Spend, Depends(spend("message", lambda request: 1, at_least=2))]) -> None: ...

    async with calling(app) as client:
        yield client
    await credits.client.close()


async def test_the_amount_may_be_asked_of_the_request(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    assert (await http.post("/sized", headers=bearer(user) | {"length": "3"})).json() == 3
    assert (await http.post("/sized", headers=bearer(user) | {"length": "0"})).json() == 0
    assert (await http.post("/of-the-body", headers=bearer(user), json={"text": "four"})).json() == 4
    assert database.balance(user)["used"] == 7
    denied = await http.post("/sized", headers=bearer(user) | {"length": "4"})
    assert (denied.status_code, denied.json()["required"]) == (402, 4)


async def test_who_acts_is_in_the_ledger(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    await http.post("/sized", headers=bearer(user) | {"length": "1"})
    actor = "select metadata ->> 'actor' from public.credit_transactions where account_id = %s and kind = 'capture'"
    assert database.value(actor, user) == "agent-7"


@pytest.mark.parametrize("answered", ["-1", str(2**53 + 1)])
async def test_an_amount_that_is_none_is_a_mistake_of_ours(
    http: httpx.AsyncClient, database: Database, user: UUID, answered: str
) -> None:
    answer = await http.post("/sized", headers=bearer(user) | {"length": answered})
    assert (answer.status_code, answer.json()["code"]) == (500, "misconfigured")
    answer = await http.post("/more-than-held", headers=bearer(user))
    assert (answer.status_code, answer.json()["code"]) == (500, "misconfigured")
    assert database.balance(user)["used"] == 0


async def test_a_strange_workspace_is_refused(http: httpx.AsyncClient, database: Database, user: UUID) -> None:
    answer = await http.post("/sized", headers=bearer(user) | {"length": "1", "team": str(uuid4())})
    assert (answer.status_code, answer.json()["code"]) == (403, "account_not_found")


async def test_who_is_exempt_pays_what_the_handler_says_and_nothing_else(
    http: httpx.AsyncClient, database: Database, user: UUID
) -> None:
    friend = bearer(user) | {"friend": "yes"}
    assert (await http.post("/exempt", headers=friend)).json() == 0
    assert database.balance(user)["used"] == 0
    await http.post("/exempt?cost=1", headers=friend)
    assert database.balance(user)["used"] == 1
    await http.post("/exempt?cost=1", headers=bearer(user))
    assert database.balance(user)["used"] == 3, "at_least is for who is not exempt"
