"""What gateways, PostgREST and Postgres report when something is broken, as errors that say what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from supabase import ClientOptions, create_client

from sonas_supabase import (
    AccessDenied,
    CreditsClient,
    CreditsError,
    CreditsUnavailable,
    InvalidAmount,
    InvalidArgument,
    NotInstalled,
    UnexpectedAnswer,
)
from sonas_supabase._arguments import amount, integer
from sonas_supabase._failures import reported, unreachable
from sonas_supabase._parse import parse
from sonas_supabase.models.metrics import RollUp

NOBODY = UUID(int=1)


def answering(*responses: httpx.Response, retries: int = 0) -> tuple[CreditsClient, list[httpx.Request]]:
    """A client of a server that gives these answers, the last one again and again; and what it was asked."""
    asked: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return responses[min(len(asked), len(responses)) - 1]

    http = httpx.Client(transport=httpx.MockTransport(handle))
    client = create_client("http://project.test", "sb_secret_x", ClientOptions(httpx_client=http))
    return CreditsClient.from_supabase_client(client, retries=retries), asked


def body(code: str, **more: Any) -> dict[str, Any]:
    return {"code": code, "message": "it is so", "details": None, "hint": None, **more}


@pytest.mark.parametrize(
    ("response", "kind", "maybe"),
    [
        (httpx.Response(502, text="<html>bad gateway</html>"), CreditsUnavailable, True),
        (httpx.Response(504, text=""), CreditsUnavailable, True),
        (httpx.Response(522, text="cloud"), CreditsUnavailable, True),
        (httpx.Response(429, text="slow down"), CreditsUnavailable, False),
        (httpx.Response(503, json=body("PGRST000")), CreditsUnavailable, False),
        (httpx.Response(503, json=body("PGRST001")), CreditsUnavailable, True),
        (httpx.Response(503, json=body("PGRST002")), CreditsUnavailable, False),
        (httpx.Response(504, json=body("PGRST003")), CreditsUnavailable, False),
        (httpx.Response(500, json=body("40P01")), CreditsUnavailable, False),
        (httpx.Response(500, json=body("57014")), CreditsUnavailable, False),
        (httpx.Response(401, json={"message": "Invalid API key", "hint": "Double check it."}), AccessDenied, None),
        (httpx.Response(401, json=body("PGRST301")), AccessDenied, None),
        (httpx.Response(403, json=body("42501")), AccessDenied, None),
        (httpx.Response(404, json=body("PGRST202")), NotInstalled, None),
        (httpx.Response(400, json=body("22P02")), InvalidArgument, None),
        (httpx.Response(400, json=body("P0001", message="the books disagree")), UnexpectedAnswer, None),
        (httpx.Response(418, text="I'm a teapot"), UnexpectedAnswer, None),
        (httpx.Response(200, text="<html>welcome to the hotel's network</html>"), UnexpectedAnswer, None),
        (httpx.Response(200, json=None), UnexpectedAnswer, None),
        (httpx.Response(200, json={"success": True, "code": "ok"}), UnexpectedAnswer, None),
        (httpx.Response(200, json=[1]), UnexpectedAnswer, None),
    ],
    ids=str,
)
def test_each_report_has_its_error(response: httpx.Response, kind: type[CreditsError], maybe: bool | None) -> None:
    credits, _ = answering(response)
    with pytest.raises(CreditsError) as raised:
        credits.consume_credits(NOBODY, "message")
    assert type(raised.value) is kind
    if isinstance(raised.value, CreditsUnavailable):
        assert raised.value.may_have_taken_effect is maybe
    assert str(raised.value)


def test_a_gateway_that_failed_is_asked_again_with_the_same_key() -> None:
    credits, asked = answering(httpx.Response(502), httpx.Response(503), httpx.Response(409, json=PT409), retries=3)
    with pytest.raises(CreditsError, match="another request"):
        credits.consume_credits(NOBODY, "message")
    assert len(asked) == 3
    assert len({request.content for request in asked}) == 1
    assert b"p_idempotency_key" in asked[0].content


PT409 = body("PT409", message="idempotency_conflict", details='{"idempotency_key": "k"}', hint="It is another request.")


def test_what_may_not_be_repeated_is_repeated_only_when_it_never_arrived() -> None:
    credits, asked = answering(httpx.Response(502), retries=3)
    with pytest.raises(CreditsUnavailable):
        credits.reset_monthly_credits(NOBODY)
    assert len(asked) == 1
    credits, asked = answering(httpx.Response(503, json=body("PGRST003")), retries=2)
    with pytest.raises(CreditsUnavailable):
        credits.reset_monthly_credits(NOBODY)
    assert len(asked) == 3


def test_what_nothing_can_mend_is_not_repeated() -> None:
    for response in (httpx.Response(404, json=body("PGRST202")), httpx.Response(401, json=body("PGRST301"))):
        credits, asked = answering(response, retries=3)
        with pytest.raises(CreditsError):
            credits.list_plans()
        assert len(asked) == 1


def test_none_is_left_to_the_defaults_of_sql() -> None:
    credits, asked = answering(httpx.Response(502))
    calls: list[Callable[[], Any]] = [
        lambda: credits.get_credit_history(NOBODY),
        lambda: credits.capture_credits(NOBODY, NOBODY),
    ]
    for call in calls:
        with pytest.raises(CreditsUnavailable):
            call()
    assert all(b"null" not in request.content for request in asked)


def test_a_report_that_is_no_json_is_kept() -> None:
    error = reported("PT422", "invalid_argument", "not json", None)
    assert error.details == {"details": "not json"}
    assert str(error) == "invalid_argument"


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("08006", "the server closed the connection", CreditsUnavailable),
        ("080", "no SQLSTATE", UnexpectedAnswer),
        ("", "Invalid API key", AccessDenied),
        ("", "something else", UnexpectedAnswer),
        ("P0001", "a table of API keys is missing", UnexpectedAnswer),
    ],
)
def test_a_report_is_known_by_its_code_and_without_one_by_its_words(
    code: str, message: str, kind: type[CreditsError]
) -> None:
    assert type(reported(code, message, None, None)) is kind


def test_what_the_statement_timeout_has_ended_says_what_to_do() -> None:
    error = reported("57014", "canceling statement due to statement timeout", None, None)
    assert type(error) is CreditsUnavailable
    assert "DATABASE_URL" in error.hint


def test_what_could_not_be_reached_says_why_or_that_it_could_not() -> None:
    assert str(unreachable("no route", may_have_taken_effect=False)) == "no route"
    assert str(unreachable("", may_have_taken_effect=False)) == "The database could not be reached."


def test_an_answer_with_a_value_of_another_type_is_unexpected() -> None:
    with pytest.raises(UnexpectedAnswer, match="is not of type int"):
        parse(RollUp, {"balances": "3", "finished": True, "rolled_up_at": None})


def test_the_greatest_integer_of_postgres_passes() -> None:
    assert integer("limit", 2**31 - 1) == 2**31 - 1
    with pytest.raises(InvalidArgument):
        integer("limit", 2**31)


@pytest.mark.parametrize("items", ["message", {"credit_type": "message"}, 5, None, iter([{"credit_type": "message"}])])
def test_a_batch_that_is_no_list_is_not_sent(items: Any) -> None:
    credits, asked = answering(httpx.Response(502))
    with pytest.raises(InvalidArgument, match="items is not a list"):
        credits.consume_credits_batch(NOBODY, items)
    assert not asked


@pytest.mark.parametrize(("value", "shown"), [(None, None), (True, True), (2.5, "2.5"), ("ten", "ten")])
def test_an_amount_that_is_none_is_shown_as_it_was_given(value: Any, shown: Any) -> None:
    with pytest.raises(InvalidAmount) as seen:
        amount(value)
    assert seen.value.details == {"amount": shown}
