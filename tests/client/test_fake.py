"""The fake of sonas_supabase.testing, tried by the suite of the real client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from sonas_supabase import (
    AccountFrozen,
    AccountNotFound,
    InvalidAmount,
    InvalidArgument,
    NotConfigured,
    UnknownCreditType,
)
from sonas_supabase.testing import FakeCredits
from tests.client.test_methods import (  # noqa: F401 - tried here once more, on the fake
    test_a_batch_is_all_or_none,
    test_a_hold_is_captured_in_parts_and_extended,
    test_a_hold_that_was_captured_in_part_is_released,
    test_a_key_of_another_request_is_refused_before_all_else,
    test_a_limit_that_is_reached_is_a_denial_too,
    test_an_upgrade_begins_a_period_and_what_was_before_comes_back_beside_it,
    test_grant_and_revoke,
    test_history_is_paged_newest_first,
    test_ids_may_be_text,
    test_reserve_and_release,
    test_reserve_capture_and_refund,
    test_summary_has_warnings,
    test_the_same_key_takes_effect_once,
    test_the_same_key_twice_in_a_batch_is_one_spend,
    test_the_whole_history_is_gone_through_page_by_page,
    test_unlimited_is_none,
)
from tests.support.clients import COLOURS, Awaited


@pytest.fixture
def fake() -> FakeCredits:
    return FakeCredits()


@pytest.fixture
def user(fake: FakeCredits) -> UUID:
    return fake.add_user()


@pytest.fixture(params=COLOURS)
async def credits(request: pytest.FixtureRequest, fake: FakeCredits) -> AsyncIterator[Any]:
    client: Any = fake.async_client() if request.param == "async" else Awaited(fake.client())
    async with client:
        yield client


async def test_a_hold_is_captured_in_part_and_refunded(credits: Any, user: UUID) -> None:
    async with credits.reserve(user, "message", 5) as hold:
        assert (await credits.check_credits(user, "message", 6)).success is False
        captured = await hold.capture(7)
        assert (captured.captured, captured.released, captured.shortfall) == (7, 0, 0)
    refund = await credits.refund_credits(user, hold.operation_id, 2)
    assert (refund.amount, refund.remaining) == (2, 5)


async def test_a_failure_gives_the_hold_back(credits: Any, user: UUID) -> None:
    with pytest.raises(ZeroDivisionError):
        async with credits.reserve(user, "message", 5):
            raise ZeroDivisionError
    assert (await credits.get_credit_summary(user)).balance("message").remaining == 10


async def test_promotions_are_spent_before_the_plan_and_top_ups_after_it(credits: Any, user: UUID) -> None:
    await credits.grant_credits(user, "message", 5, source="top_up")
    await credits.grant_credits(user, "message", 5, source="promotion")
    await credits.consume_credits(user, "message", 6)
    left = {grant.source: grant.remaining for grant in (await credits.get_credit_summary(user)).grants
            if grant.credit_type == "message"}  # fmt: skip
    assert left == {"plan": 9, "top_up": 5}


async def test_what_no_database_accepts_is_refused(credits: Any, user: UUID) -> None:
    held = await credits.reserve_credits(user, "message", 1)
    given = await credits.grant_credits(user, "message", 5)
    for wrong in (
        credits.consume_credits(user, "message", description="x" * 2001),
        credits.consume_credits(user, "message", idempotency_key=""),
        credits.consume_credits(user, "message", metadata={"x": "y" * 65536}),
        credits.consume_credits_batch(user, []),
        credits.consume_credits_batch(user, [{"credit_type": "message"}] * 101),
        credits.extend_reservation(user, held.reservation_id, ttl_seconds=0),
        credits.release_credits(user, held.reservation_id, reason="x" * 2001),
        credits.revoke_grant(user, uuid4()),
    ):
        with pytest.raises(InvalidArgument):
            await wrong
    with pytest.raises(InvalidAmount):
        await credits.revoke_grant(user, given.grant_id, amount=6)
    assert (await credits.get_credit_summary(user)).balance("message").remaining == 14
    await credits.freeze_account(user)
    frozen = await credits.check_credits(user, "message")
    assert (frozen.success, frozen.code) == (False, "account_frozen")


async def test_who_and_what_is_unknown_is_refused(credits: Any, user: UUID) -> None:
    with pytest.raises(AccountNotFound):
        await credits.consume_credits(uuid4(), "message")
    with pytest.raises(UnknownCreditType):
        await credits.consume_credits(user, "gold")
    await credits.freeze_account(user)
    with pytest.raises(AccountFrozen):
        await credits.consume_credits(user, "message")
    with pytest.raises(NotConfigured, match="verify_books"):
        await credits.verify_books()
