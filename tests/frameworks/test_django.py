"""Django, sync and async: a denial is a problem document, and a view that is decorated costs credits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
import pytest_asyncio
from django.http import Http404, HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.test.utils import override_settings
from django.urls import path

from sonas_supabase import AsyncCreditsClient, AsyncHold, CreditsClient, Hold
from sonas_supabase.django import spends
from tests.support.database import Database

urlpatterns: list[Any] = []


def who(request: HttpRequest) -> str:
    return str(request.headers["user"])


@pytest.fixture(scope="module", autouse=True)
def routes(database: Database) -> Iterator[None]:
    with CreditsClient.from_url(database.url) as credits, override_settings(DEBUG_PROPAGATE_EXCEPTIONS=False):

        @spends(credits, "message", 5, user=who)
        def chat(request: HttpRequest, hold: Hold) -> HttpResponse:
            if "raise" in request.GET:
                raise ZeroDivisionError
            if "cost" in request.GET:
                hold.capture(int(request.GET["cost"]))
            return HttpResponse("done", status=int(request.GET.get("status", 200)))

        def own_statement(request: HttpRequest) -> HttpResponse:
            strict = "select public.consume_credits(%s, 'message', %s, p_strict => true)"
            try:
                with psycopg.connect(database.url) as connection:
                    connection.execute(strict, [who(request), int(request.GET["amount"])])
            except psycopg.Error as error:
                if "hidden" in request.GET:
                    raise Http404 from error
                raise
            return HttpResponse("done")

        @spends(credits, "message", lambda request: len(request.body), user=who)
        def by_length(request: HttpRequest, hold: Hold) -> HttpResponse:
            return HttpResponse("done")

        urlpatterns.append(path("chat", chat))
        urlpatterns.append(path("by-length", by_length))
        urlpatterns.append(path("own-statement", own_statement))
        yield
        urlpatterns.clear()


@pytest_asyncio.fixture(scope="module", autouse=True)
async def async_routes(database: Database) -> AsyncIterator[None]:
    async with AsyncCreditsClient.from_url(database.url) as credits:

        @spends(credits, "message", 5, user=who)
        async def chat(request: HttpRequest, hold: AsyncHold) -> HttpResponse:
            if "raise" in request.GET:
                raise ZeroDivisionError
            if "cost" in request.GET:
                await hold.capture(int(request.GET["cost"]))
            return HttpResponse("done", status=int(request.GET.get("status", 200)))

        urlpatterns.append(path("async-chat", chat))
        yield


COSTS = [("", 5), ("?cost=2", 2), ("?status=303", 0), ("?status=404", 0), ("?status=404&cost=2", 2), ("?raise=1", 0)]


@pytest.mark.parametrize(("query", "used"), COSTS)
def test_what_a_view_costs(database: Database, user: UUID, query: str, used: int) -> None:
    Client(raise_request_exception=False).post(f"/chat{query}", headers={"user": str(user)})
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (used, 0)


@pytest.mark.parametrize(("query", "used"), COSTS)
async def test_what_an_async_view_costs(database: Database, user: UUID, query: str, used: int) -> None:
    await AsyncClient(raise_request_exception=False).post(f"/async-chat{query}", headers={"user": str(user)})
    balance = database.balance(user)
    assert (balance["used"], balance["reserved"]) == (used, 0)


async def test_a_denial_is_a_problem_document(database: Database, user: UUID) -> None:
    database.call("consume_credits", user, "message", 6)
    answer = await AsyncClient().post("/async-chat", headers={"user": str(user)})
    assert (answer.status_code, answer.headers["content-type"]) == (402, "application/problem+json")
    assert (answer.json()["code"], answer.json()["available"]) == ("insufficient_credits", 4)


def test_a_denial_of_a_sync_view_is_one_too(database: Database, user: UUID) -> None:
    database.call("consume_credits", user, "message", 6)
    answer = Client().post("/chat", headers={"user": str(user)})
    assert (answer.status_code, answer.json()["required"]) == (402, 5)


def test_a_denial_of_a_statement_of_the_views_own_is_one_too(database: Database, user: UUID) -> None:
    client = Client(raise_request_exception=False)
    answer = client.post("/own-statement?amount=11", headers={"user": str(user)})
    assert (answer.status_code, answer.json()["available"]) == (402, 10)
    assert client.post("/own-statement?amount=11&hidden=1", headers={"user": str(user)}).status_code == 404
    assert client.post("/own-statement?amount=99999999999999999999", headers={"user": str(user)}).status_code == 500


def test_an_amount_may_be_a_function_of_the_request(database: Database, user: UUID) -> None:
    Client().post("/by-length", data=b"four", content_type="text/plain", headers={"user": str(user)})
    assert database.balance(user)["used"] == 4


def test_a_view_and_its_client_are_of_one_kind(database: Database) -> None:
    with CreditsClient.from_url(database.url) as credits, pytest.raises(TypeError, match="AsyncCreditsClient"):

        @spends(credits, "message")
        async def view(request: HttpRequest, hold: AsyncHold) -> HttpResponse:
            return HttpResponse("never")
