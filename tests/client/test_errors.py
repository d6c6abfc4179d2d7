"""Every refusal is the same exception with the same fields, whichever way the call took."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from sonas_supabase import (
    AccountFrozen,
    AccountNotFound,
    Conflict,
    CreditsError,
    IdempotencyConflict,
    InvalidAmount,
    InvalidArgument,
    InvalidRequest,
    LimitReached,
    NotATestAccount,
    NotFound,
    OperationNotFound,
    ReservationClosed,
    ReservationNotFound,
    UnknownCreditType,
)

NOBODY = UUID(int=1)
METHODS = {
    "consume_credits": ("message",),
    "reserve_credits": ("message",),
    "check_credits": ("message",),
    "grant_credits": ("message", 1),
    "capture_credits": (NOBODY,),
    "release_credits": (NOBODY,),
    "refund_credits": (NOBODY,),
    "revoke_grant": (NOBODY,),
    "consume_credits_batch": ([{"credit_type": "message"}],),
    "change_plan": ("pro",),
    "set_subscription_status": ("active",),
    "set_time_zone": ("UTC",),
    "freeze_account": (),
    "unfreeze_account": (),
    "mark_test_account": (),
    "set_test_clock": (datetime(2030, 1, 1, tzinfo=UTC),),
    "get_credit_summary": (),
    "explain_operation": (NOBODY,),
    "get_credit_history": (),
    "reset_monthly_credits": (),
}
KEYED = ("consume_credits", "reserve_credits", "grant_credits", "refund_credits", "change_plan")
WITH_METADATA = ("consume_credits", "reserve_credits", "grant_credits", "capture_credits")
WITH_REASON = ("release_credits", "refund_credits", "revoke_grant", "freeze_account", "unfreeze_account")
CIRCLE: dict[str, Any] = {}
CIRCLE["me"] = CIRCLE

BAD_AMOUNTS = [0, -1, True, 1.0, 1.5, "1", 2**53 + 1, float("nan"), [1]]
BAD_IDS = ["", "not-a-uuid", 7, b"x" * 16, f"{NOBODY}x"]
BAD_TEXT = [7, "a\x00b", "half \ud800", ["a"]]
BAD_METADATA = [[1], "text", {"a": object()}, {"a": float("nan")}, {"a": "\x00"}, {"a": ["\udfff"]}, CIRCLE]


@pytest.mark.parametrize("amount", BAD_AMOUNTS, ids=repr)
async def test_an_amount_is_a_whole_number_of_credits(credits: Any, user: UUID, amount: Any) -> None:
    calls = [
        (credits.consume_credits, user, "message", amount),
        (credits.reserve_credits, user, "message", amount),
        (credits.check_credits, user, "message", amount),
        (credits.grant_credits, user, "message", amount),
        (credits.capture_credits, user, NOBODY, amount),
        (credits.refund_credits, user, NOBODY, amount),
    ]
    for method, *arguments in calls:
        with pytest.raises(InvalidAmount) as invalid:
            await method(*arguments)
        assert (invalid.value.code, invalid.value.status) == ("invalid_amount", 422)
        assert "amount" in invalid.value.details
        json.dumps(invalid.value.details)
    with pytest.raises(InvalidAmount) as invalid:
        await credits.consume_credits_batch(user, [{"credit_type": "message"}, {"credit_type": "x", "amount": amount}])
    assert invalid.value.details["item"] == 1


async def test_amounts_that_may_not_be_left_out(credits: Any, user: UUID) -> None:
    for method in (credits.consume_credits, credits.reserve_credits, credits.check_credits, credits.grant_credits):
        with pytest.raises(InvalidAmount):
            await method(user, "message", None)
    with pytest.raises(InvalidAmount):
        await credits.consume_credits_batch(user, [{"credit_type": "message", "amount": None}])


@pytest.mark.parametrize("method", METHODS)
async def test_bad_input_names_its_argument(credits: Any, user: UUID, method: str) -> None:
    call, rest = getattr(credits, method), METHODS[method]
    bad: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [("p_user_id", (value, *rest), {}) for value in BAD_IDS]
    if method != "reset_monthly_credits":
        bad += [("p_workspace_id", (user, *rest), {"workspace_id": value}) for value in BAD_IDS]
    if rest == (NOBODY,):
        name = {"refund_credits": "operation", "explain_operation": "operation", "revoke_grant": "grant"}
        bad += [(f"p_{name.get(method, 'reservation')}_id", (user, value), {}) for value in BAD_IDS]
    if rest and rest[0] == "message":
        bad += [("p_credit_type", (user, value, *rest[1:]), {}) for value in BAD_TEXT]
    if method in KEYED:
        bad += [
            ("p_idempotency_key", (user, *rest), {"idempotency_key": value}) for value in [*BAD_TEXT, "", "k" * 256]
        ]
    if method in WITH_METADATA:
        bad += [("p_metadata", (user, *rest), {"metadata": value}) for value in [*BAD_METADATA, {"a": "x" * 65536}]]
        bad += [("p_description", (user, *rest), {"description": value}) for value in [*BAD_TEXT, "d" * 2001]]
    if method in WITH_REASON:
        bad += [("p_reason", (user, *rest), {"reason": value}) for value in [*BAD_TEXT, "r" * 2001]]
    for argument, arguments, options in bad:
        with pytest.raises(InvalidArgument) as invalid:
            await call(*arguments, **options)
        assert invalid.value.details["argument"] == argument, (arguments, options)
        assert invalid.value.hint, (arguments, options)
        json.dumps(invalid.value.details)


async def test_other_arguments_that_cannot_be_used(credits: Any, user: UUID) -> None:
    naive = datetime(2030, 1, 1)  # noqa: DTZ001
    now = datetime.now(UTC)
    bad = [
        ("p_ttl_seconds", credits.reserve_credits(user, "message", ttl_seconds=0)),
        ("p_ttl_seconds", credits.reserve_credits(user, "message", ttl_seconds=86401)),
        ("p_ttl_seconds", credits.reserve_credits(user, "message", ttl_seconds=2**31)),
        ("p_ttl_seconds", credits.reserve_credits(user, "message", ttl_seconds=1.5)),
        ("p_ttl_seconds", credits.reserve_credits(user, "message", ttl_seconds=None)),
        ("p_strict", credits.consume_credits(user, "message", strict="yes")),
        ("p_source", credits.grant_credits(user, "message", 1, source="plan")),
        ("p_source", credits.grant_credits(user, "message", 1, source=None)),
        ("p_expires_at", credits.grant_credits(user, "message", 1, expires_at=naive)),
        ("p_expires_at", credits.grant_credits(user, "message", 1, expires_at="tomorrow")),
        ("p_expires_at", credits.grant_credits(user, "message", 1, expires_at=now - timedelta(days=1))),
        ("p_grant_id", credits.revoke_grant(user, NOBODY)),
        ("p_plan_id", credits.change_plan(user, "platinum")),
        ("p_effective", credits.change_plan(user, "pro", effective="tomorrow")),
        ("p_status", credits.set_subscription_status(user, "paid")),
        ("p_time_zone", credits.set_time_zone(user, "Mars/Olympus")),
        ("p_now", credits.set_test_clock(user, naive)),
        ("p_limit", credits.get_credit_history(user, limit=0)),
        ("p_limit", credits.get_credit_history(user, limit=1001)),
        ("p_limit", credits.get_credit_history(user, limit=2**31)),
        ("p_cursor", credits.get_credit_history(user, cursor="yesterday")),
        ("p_items", credits.consume_credits_batch(user, [])),
        ("p_items", credits.consume_credits_batch(user, [{"credit_type": "message"}] * 101)),
        ("p_items", credits.consume_credits_batch(user, {"credit_type": "message"})),
        ("p_items", credits.consume_credits_batch(user, "message")),
        ("p_items", credits.consume_credits_batch(user, ["message"])),
        ("p_items", credits.consume_credits_batch(user, [{"credit_type": "message", "price": 1}])),
    ]
    for argument, call in bad:
        with pytest.raises(InvalidArgument) as invalid:
            await call
        assert invalid.value.details["argument"] == argument
        assert invalid.value.hint


async def test_what_does_not_exist(credits: Any, user: UUID) -> None:
    missing: list[tuple[type[NotFound], Any]] = [
        (AccountNotFound, credits.consume_credits(uuid4(), "message")),
        (AccountNotFound, credits.get_credit_summary(uuid4())),
        (AccountNotFound, credits.consume_credits(user, "message", workspace_id=uuid4())),
        (UnknownCreditType, credits.consume_credits(user, "gold")),
        (UnknownCreditType, credits.check_credits(user, "gold")),
        (UnknownCreditType, credits.get_credit_history(user, credit_type="gold")),
        (ReservationNotFound, credits.capture_credits(user, uuid4())),
        (ReservationNotFound, credits.release_credits(user, uuid4())),
        (OperationNotFound, credits.refund_credits(user, uuid4())),
        (OperationNotFound, credits.explain_operation(user, uuid4())),
    ]
    for kind, call in missing:
        with pytest.raises(NotFound) as lost:
            await call
        assert type(lost.value) is kind
        assert (lost.value.code, lost.value.status) == (kind.code, 404)
        assert lost.value.hint.endswith(".")


async def test_unknown_credit_types_come_with_the_known_ones(credits: Any, user: UUID) -> None:
    with pytest.raises(UnknownCreditType) as unknown:
        await credits.consume_credits(user, "gold")
    assert unknown.value.details == {"credit_type": "gold", "known": ["integration", "message", "project"]}


async def test_what_does_not_fit_what_has_happened(credits: Any, user: UUID) -> None:
    held = await credits.reserve_credits(user, "message", 5)
    await credits.capture_credits(user, held.reservation_id, 3)
    with pytest.raises(ReservationClosed) as closed:
        await credits.capture_credits(user, held.reservation_id, 4)
    assert closed.value.details == {"reservation_id": str(held.reservation_id), "status": "captured", "captured": 3}
    with pytest.raises(NotATestAccount):
        await credits.set_test_clock(user, datetime(2030, 1, 1, tzinfo=UTC))
    with pytest.raises(InvalidAmount) as too_much:
        await credits.refund_credits(user, held.operation_id, 4)
    assert too_much.value.details == {"amount": 4, "refundable": 3}
    await credits.grant_credits(user, "message", 1, idempotency_key="k")
    with pytest.raises(IdempotencyConflict):
        await credits.change_plan(user, "pro", idempotency_key="k")
    assert issubclass(ReservationClosed, Conflict)


async def test_a_frozen_account_spends_nothing(credits: Any, user: UUID) -> None:
    await credits.freeze_account(user)
    with pytest.raises(AccountFrozen) as frozen:
        await credits.consume_credits(user, "message")
    assert frozen.value.status == 403
    assert "Write to" in frozen.value.hint
    assert "unfreeze" not in frozen.value.hint


def test_errors_travel_between_processes() -> None:
    error = LimitReached("no place left", details={"required": 1, "available": 0}, hint="Upgrade.")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.details, copy.hint) == (LimitReached, str(error), error.details, error.hint)


def test_every_error_says_something() -> None:
    assert str(InvalidAmount()) == "invalid_amount"
    assert str(InvalidAmount(hint="Pass one.")) == "Pass one."
    assert issubclass(InvalidAmount, InvalidRequest)
    assert issubclass(InvalidRequest, CreditsError)
