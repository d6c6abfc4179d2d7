"""The names that other people's code relies on: what is imported from where, taken with what, and answered.

A change here breaks somebody's backend. What is added beside these names breaks nobody's.
"""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi import Depends, FastAPI
from starlette.routing import Route
from typer.main import get_command

import sonas_supabase
from cli.app import app as command
from sonas_supabase import (
    AsyncCreditsClient,
    AsyncHold,
    CreditsClient,
    CreditsError,
    CreditsUnavailable,
    Hold,
    InsufficientCredits,
    billing,
)
from sonas_supabase.fastapi import Credits, CreditsMiddleware, Journal, Rule, Spend, SupabaseAuth, meter, spend
from sonas_supabase.metrics import metrics_routes
from sonas_supabase.testing import FakeCredits

UNSET = inspect.Parameter.empty
KEYED: dict[str, Any] = {"description": None, "idempotency_key": None, "metadata": None, "workspace_id": None}
PRICED: dict[str, Any] = {"operation": UNSET, "quantities": None, **KEYED, "book": None}

# Each method, and what it takes after the user, with the defaults.
METHODS: dict[str, dict[str, Any]] = {
    "consume_credits": {"credit_type": UNSET, "amount": 1, **KEYED, "strict": False},
    "consume_credits_batch": {"items": UNSET, "workspace_id": None},
    "check_credits": {"credit_type": UNSET, "amount": 1, "workspace_id": None},
    "reserve_credits": {"credit_type": UNSET, "amount": 1, **KEYED, "ttl_seconds": 900, "strict": False},
    "capture_credits": {"reservation_id": UNSET, "amount": None, **KEYED, "final": True},
    "release_credits": {"reservation_id": UNSET, "reason": None, "workspace_id": None},
    "refund_credits": {"operation_id": UNSET, "amount": None, "reason": None, "idempotency_key": None},
    "grant_credits": {"credit_type": UNSET, "amount": UNSET, "source": "promotion", "expires_at": None, **KEYED,
                      "starts_at": None, "priority": None, "paid_amount": None, "currency": None},
    "revoke_grant": {"grant_id": UNSET, "reason": None, "amount": None},
    "reset_monthly_credits": {"workspace_id": None},
    "change_plan": {"plan_id": UNSET, "effective": "now", "idempotency_key": None, "at": None, "quantity": None},
    "get_credit_summary": {"workspace_id": None},
    "explain_operation": {"operation_id": UNSET},
    "mark_test_account": {},
    "set_test_clock": {"now": UNSET},
    "get_credit_history": {"credit_type": None, "limit": 50, "cursor": None},
    "set_subscription_status": {"status": UNSET, "at": None, "ends_at": None},
    "extend_reservation": {"reservation_id": UNSET, "ttl_seconds": 900},
    "open_account": {},
    "pin_plan": {"version": None, "workspace_id": None},
    "consume_operation": {**PRICED, "strict": False},
    "reserve_operation": {**PRICED, "ttl_seconds": 900},
    "capture_operation": {"reservation_id": UNSET, "quantities": None},
    "set_auto_top_up": {"credit_type": UNSET, "threshold": UNSET, "pack_id": UNSET, "monthly_cap": UNSET},
    "create_billing_order": {"pack_id": None, "quantity": 1, "idempotency_key": None, "workspace_id": None},
    "iter_credit_history": {"credit_type": None},
}  # fmt: skip

STATUSES = {
    "invalid_amount": 422, "invalid_argument": 422, "unknown_credit_type": 404, "account_not_found": 404,
    "reservation_not_found": 404, "operation_not_found": 404, "idempotency_conflict": 409, "reservation_closed": 409,
    "not_a_test_account": 409, "account_frozen": 403, "ledger_is_append_only": 405, "forbidden": 403,
    "unknown_operation": 404, "last_owner": 409, "invitation_used": 409, "invitation_expired": 410,
    "insufficient_credits": 402, "limit_reached": 402, "member_cap_reached": 402,
}  # fmt: skip

COMMANDS = {
    "up": {"--detach", "--db-port", "--api-port", "--data-dir", "--worker"}, "status": {"--env", "--db-url"},
    "migrate": {"--db-url"}, "check": {"--db-url"}, "doctor": {"--db-url"}, "worker": {"--once", "--json"},
    "check-credits": set(), "stripe push": set(), "stripe pull": set(), "stripe reconcile": set(),
    "stripe replay": set(), "stripe doctor": set(), "prices import": set(), "prices list": set(),
    "prices quote": set(), "init": set(), "token": set(), "types": set(), "metrics": set(), "verify": set(),
    "demo": set(),
}  # fmt: skip


@pytest.mark.parametrize("client", [CreditsClient, AsyncCreditsClient])
def test_methods_take_what_they_took(client: type[Any]) -> None:
    for name, promised in METHODS.items():
        parameters = inspect.signature(getattr(client, name)).parameters
        assert list(parameters)[:2] == ["self", "user_id"], name
        taken = {parameter: parameters[parameter].default for parameter in promised if parameter in parameters}
        assert taken == promised, name
        assert {"timeout", "retries"} <= parameters.keys(), name
    for maker in ("from_env", "from_url", "from_supabase", "from_connection"):
        assert callable(getattr(client, maker))


def test_errors_have_the_statuses_they_had() -> None:
    assert {
        slug: errors.status for slug, errors in sonas_supabase.errors.ERRORS.items() if slug in STATUSES
    } == STATUSES
    assert (CreditsError.retryable, CreditsUnavailable.retryable) == (False, True)


def test_the_command_has_the_words_it_had() -> None:
    for words, options in COMMANDS.items():
        found: Any = get_command(command)
        for word in words.split():
            found = found.commands[word]
        assert options <= {option for parameter in found.params for option in parameter.opts}, words


@pytest.fixture
def fake() -> FakeCredits:
    return FakeCredits()


@pytest.fixture
def user(fake: FakeCredits) -> UUID:
    return fake.add_user()


def test_a_block_holds_and_a_denial_says_what_is_missing(fake: FakeCredits, user: UUID) -> None:
    with fake.client() as credits:
        with credits.reserve(user, "message", 5) as hold:
            hold.capture(2)
        answer = credits.consume_credits(user, "message", 1, description="Test", idempotency_key="k", metadata={"a": 1})
        told = {name: getattr(answer, name) for name in (
            "success", "code", "operation_id", "credit_type", "amount", "remaining", "limit", "used", "reserved",
            "unlimited", "period_end", "replayed",
        )}  # fmt: skip
        assert (told["success"], told["code"], told["remaining"], told["unlimited"]) == (True, "ok", 7, False)
        held = credits.reserve_credits(user, "message", 1)
        assert held.reservation_id
        assert held.expires_at > datetime.now(UTC) + timedelta(seconds=890)
        with pytest.raises(InsufficientCredits) as denied:
            credits.consume_credits(user, "message", 100)
        error = denied.value
        assert (error.required, error.available, error.code, error.status, error.retryable) == (
            100, 6, "insufficient_credits", 402, False,
        )  # fmt: skip
        assert {"details", "hint", "resets_at", "upgrade_url"} <= set(dir(error))
        assert error.to_problem()["status"] == 402
        assert [entry.kind for entry in credits.iter_credit_history(user)][:2] == ["consume", "capture"]
        with credits.reserve(user, "message", 1, ttl_seconds=60) as handed:
            token = handed.detach()
        with Hold.from_token(token, credits) as taken_up:
            taken_up.capture(1)
    assert callable(AsyncHold.from_token)


@pytest.fixture
def declared(fake: FakeCredits) -> FastAPI:
    """Everything that an application may declare, as it is written in the docs."""
    credits = Credits(fake.async_client(), SupabaseAuth(jwt_secret="s" * 32))
    app = FastAPI(routes=[*metrics_routes(credits.client)])
    credits.install(app)
    modes = [Depends(spend("message", 1, charge=mode)) for mode in ("on_start", "held", "cost")]
    more = Depends(spend("message", lambda request: 1, at_least=1, ttl_seconds=60, on_unavailable="deny"))

    @app.post("/", dependencies=[*modes, more])
    async def view() -> None: ...

    return app


def test_declarations_are_taken(declared: FastAPI, fake: FakeCredits, tmp_path: Path) -> None:
    credits = Credits(fake.async_client(), SupabaseAuth(jwt_secret="s" * 32), journal=Journal(tmp_path / "spends.db"))
    rule = Rule("POST", "/v1/*", spend("message", 1, on_unavailable="allow"))
    assert CreditsMiddleware(declared, credits, rules=[rule])
    assert next(route.path for route in declared.routes if isinstance(route, Route)) == "/metrics"
    assert {"cost", "add", "detach"} <= set(dir(Spend))
    assert callable(meter)
    sold = billing.router(fake.async_client(), credits.auth)
    assert {"/api/billing/webhook", "/api/billing/checkout", "/api/billing/portal"} <= {
        getattr(route, "path", "") for route in sold.routes
    }
