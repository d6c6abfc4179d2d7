"""What each method answers, over both transports, with and without await."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from sonas_supabase import (
    AccountNotFound,
    IdempotencyConflict,
    InsufficientCredits,
    InvalidArgument,
    LedgerEnd,
    LimitReached,
    ReservationClosed,
)
from tests.support.database import Database
from tests.support.people import new_workspace


async def test_consume_credits_spends_and_answers_the_balance(credits: Any, database: Database, user: UUID) -> None:
    answer = await credits.consume_credits(user, "message", 2, description="two", metadata={"model": "small", "n": [1]})
    assert (answer.success, answer.code, answer.replayed) == (True, "ok", False)
    assert (answer.credit_type, answer.amount, answer.remaining, answer.limit) == ("message", 2, 8, 10)
    assert (answer.used, answer.reserved, answer.unlimited) == (2, 0, False)
    assert answer.period_end.tzinfo is not None
    row = database.query(
        "select description, metadata, credits_used from public.usage where operation_id = %s", answer.operation_id
    )
    assert row == [("two", {"model": "small", "n": [1]}, 2)]


async def test_ids_may_be_text(credits: Any, user: UUID) -> None:
    assert (await credits.consume_credits(str(user).upper(), "message")).remaining == 9


async def test_the_same_key_takes_effect_once(credits: Any, user: UUID) -> None:
    key = str(uuid4())
    first = await credits.consume_credits(user, "message", 3, idempotency_key=key)
    again = await credits.consume_credits(user, "message", 3, idempotency_key=key)
    assert (again.operation_id, again.replayed, again.remaining) == (first.operation_id, True, 7)
    with pytest.raises(IdempotencyConflict) as conflict:
        await credits.consume_credits(user, "message", 4, idempotency_key=key)
    assert conflict.value.details == {"idempotency_key": key, "differs_in": ["amount"]}
    assert conflict.value.status == 409


async def test_running_out_raises_what_the_user_needs_to_know(credits: Any, database: Database, user: UUID) -> None:
    with pytest.raises(InsufficientCredits) as denied:
        await credits.consume_credits(user, "message", 11, description="too much")
    error = denied.value
    assert (error.code, error.status, error.retryable) == ("insufficient_credits", 402, False)
    assert (error.required, error.available, error.plan) == (11, 10, "free")
    assert error.resets_at == datetime.fromisoformat(database.balance(user)["period_end"])
    assert error.upgrade_url
    assert error.upgrade_url in error.hint
    assert str(error) == "Not enough message credits: 11 required, 10 available."
    assert database.query("select description from public.usage where account_id = %s and status = 'denied'", user) == [
        ("too much",)
    ]


async def test_strict_keeps_a_denial_off_the_record(credits: Any, database: Database, user: UUID) -> None:
    with pytest.raises(InsufficientCredits) as denied:
        await credits.consume_credits(user, "message", 11, strict=True)
    assert (denied.value.required, denied.value.available) == (11, 10)
    assert denied.value.upgrade_url
    assert database.value("select count(*) from public.usage where account_id = %s", user) == 0


async def test_a_limit_that_is_reached_is_a_denial_too(credits: Any, user: UUID) -> None:
    await credits.consume_credits(user, "project", 3)
    with pytest.raises(InsufficientCredits) as denied:
        await credits.consume_credits(user, "project")
    assert type(denied.value) is LimitReached
    assert denied.value.resets_at is None


async def test_a_batch_is_all_or_none(credits: Any, user: UUID) -> None:
    batch = await credits.consume_credits_batch(
        user, [{"credit_type": "message", "amount": 4}, {"credit_type": "project", "description": "site"}]
    )
    assert batch.amount == 5
    assert [(item.credit_type, item.amount) for item in batch.items] == [("message", 4), ("project", 1)]
    with pytest.raises(InsufficientCredits) as denied:
        await credits.consume_credits_batch(user, [{"credit_type": "project"}, {"credit_type": "message", "amount": 7}])
    assert denied.value.required == 7
    assert (await credits.get_credit_summary(user)).balance("project").used == 1


async def test_the_same_key_twice_in_a_batch_is_one_spend(credits: Any, user: UUID) -> None:
    item = {"credit_type": "message", "amount": 2, "idempotency_key": "k"}
    batch = await credits.consume_credits_batch(user, [item, {"credit_type": "message"}, item])
    assert (batch.amount, [one.replayed for one in batch.items]) == (3, [False, False, True])
    assert (await credits.consume_credits(user, "message", 2, idempotency_key="k")).replayed
    with pytest.raises(IdempotencyConflict):
        await credits.consume_credits_batch(user, [{**item, "amount": 3}])
    assert (await credits.get_credit_summary(user)).balance("message").used == 3


async def test_check_credits_advises_and_does_not_raise(credits: Any, database: Database, user: UUID) -> None:
    yes = await credits.check_credits(user, "message", 10)
    assert (yes.success, yes.remaining, yes.message, yes.hint, yes.details) == (True, 10, None, None, None)
    no = await credits.check_credits(user, "message", 11)
    assert (no.success, no.code, no.details.required, no.details.available) == (False, "insufficient_credits", 11, 10)
    assert no.details.upgrade_url in no.hint
    assert no.details.resets_at == no.period_end
    assert database.value("select count(*) from public.usage where account_id = %s", user) == 0


async def test_reserve_capture_and_refund(credits: Any, user: UUID) -> None:
    held = await credits.reserve_credits(user, "message", 5, ttl_seconds=60)
    assert (held.amount, held.reserved, held.remaining) == (5, 5, 5)
    assert timedelta(seconds=30) < held.expires_at - datetime.now(UTC) <= timedelta(seconds=61)
    captured = await credits.capture_credits(user, held.reservation_id, 7)
    assert (captured.captured, captured.released, captured.shortfall) == (7, 0, 0)
    assert captured.operation_id == held.operation_id
    again = await credits.capture_credits(user, held.reservation_id, 7)
    assert again.replayed
    refund = await credits.refund_credits(user, held.operation_id, 2, reason="half an answer")
    assert (refund.amount, refund.refunds_operation_id, refund.remaining) == (2, held.operation_id, 5)
    operation = await credits.explain_operation(user, held.operation_id)
    assert (operation.kind, operation.amount, operation.refunded) == ("capture", 7, 2)
    assert [(entry.source, entry.amount, entry.balance_before, entry.balance_after) for entry in operation.entries] == [
        ("plan", -7, 10, 3)
    ]


async def test_a_hold_is_captured_in_parts_and_extended(credits: Any, user: UUID) -> None:
    async with credits.reserve(user, "message", 5, ttl_seconds=60) as hold:
        part = await hold.capture(2, final=False, idempotency_key="first")
        assert (part.captured, part.held, part.released, hold.closed) == (2, 3, 0, False)
        assert part.operation_id != hold.operation_id
        again = await hold.capture(2, final=False, idempotency_key="first")
        assert (again.replayed, again.operation_id) == (True, part.operation_id)
        extended = await hold.extend(600)
        assert extended.expires_at > hold.expires_at - timedelta(seconds=1)
        assert extended.expires_at - datetime.now(UTC) > timedelta(seconds=500)
        balance = (await credits.get_credit_summary(user)).balance("message")
        assert (balance.used, balance.reserved, balance.remaining) == (2, 3, 5)
        last = await hold.capture(1)
        assert (last.captured, last.held, last.released) == (1, 0, 2)
    with pytest.raises(ReservationClosed):
        await credits.capture_credits(user, hold.reservation_id, 2, final=False, idempotency_key="late")
    assert (await credits.refund_credits(user, part.operation_id, 1)).remaining == 8
    explained = await credits.explain_operation(user, hold.operation_id)
    assert (explained.reservation["status"], explained.reservation["captured"]) == ("captured", 3)
    assert [entry.amount for entry in (await credits.get_credit_history(user, credit_type="message")).rows] == [
        1, -1, -2, 10
    ]  # fmt: skip


async def test_a_hold_that_was_captured_in_part_is_released(credits: Any, user: UUID) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - what is raised inside the block is what is tested
        async with credits.reserve(user, "message", 5) as hold:
            await hold.capture(2, final=False)
            raise ZeroDivisionError
    balance = (await credits.get_credit_summary(user)).balance("message")
    assert (balance.used, balance.reserved, balance.remaining) == (2, 0, 8)


async def test_reserve_and_release(credits: Any, user: UUID) -> None:
    held = await credits.reserve_credits(user, "message", 5)
    released = await credits.release_credits(user, held.reservation_id, reason="changed my mind")
    assert (released.released, released.remaining, released.reserved) == (5, 10, 0)
    with pytest.raises(ReservationClosed) as closed:
        await credits.release_credits(user, held.reservation_id)
    assert closed.value.details["status"] == "released"


async def test_grant_and_revoke(credits: Any, user: UUID) -> None:
    until = datetime.now(UTC) + timedelta(days=7)
    given = await credits.grant_credits(
        user, "message", 20, source="goodwill", description="sorry", expires_at=until, metadata={"ticket": 7}
    )
    assert given.remaining == 30
    summary = await credits.get_credit_summary(user)
    grant = next(grant for grant in summary.grants if grant.grant_id == given.grant_id)
    assert (grant.source, grant.amount, grant.expires_at, grant.priority) == ("goodwill", 20, until, 20)
    await credits.consume_credits(user, "message", 5)
    revoked = await credits.revoke_grant(user, given.grant_id, reason="mistake")
    assert (revoked.amount, revoked.remaining, revoked.replayed) == (15, 10, False)
    assert (await credits.revoke_grant(user, given.grant_id)).replayed


async def test_change_plan_and_its_pending_change(credits: Any, user: UUID) -> None:
    change = await credits.change_plan(user, "pro")
    assert (change.plan, change.status, change.pending_plan, change.pending_at) == ("pro", "active", None, None)
    assert {balance.credit_type: balance.remaining for balance in change.balances} == {
        "message": 500,
        "integration": 20000,
        "project": None,
    }
    later = await credits.change_plan(user, "free", effective="period_end")
    assert (later.plan, later.pending_plan) == ("pro", "free")
    assert later.pending_at == later.period_end


async def test_an_upgrade_begins_a_period_and_what_was_before_comes_back_beside_it(credits: Any, user: UUID) -> None:
    early = await credits.consume_credits(user, "message", 2)
    held = await credits.reserve_credits(user, "message", 3)
    await credits.consume_credits(user, "project", 1)
    await credits.change_plan(user, "starter")
    # What the free plan's allowance had left has ended, and what is held of it ends with its hold.
    assert (await credits.release_credits(user, held.reservation_id)).remaining == 100
    late = await credits.consume_credits(user, "message", 1)
    refund = await credits.refund_credits(user, early.operation_id)
    assert (refund.remaining, refund.used, refund.returned) == (101, 1, 2)
    assert (await credits.refund_credits(user, late.operation_id)).used == 0
    # Places that were taken while there was no limit count when there is one again.
    assert (await credits.reserve_credits(user, "project", 5)).reserved == 5
    await credits.consume_credits(user, "project", 3)
    await credits.change_plan(user, "free")
    assert (await credits.check_credits(user, "project", 1)).details.available == 0


async def test_a_key_of_another_request_is_refused_before_all_else(credits: Any, user: UUID) -> None:
    twice = [{"credit_type": "message", "amount": amount, "idempotency_key": "k"} for amount in (99, 98)]
    with pytest.raises(IdempotencyConflict) as refused:
        await credits.consume_credits_batch(user, twice)
    assert refused.value.details["differs_in"] == ["amount"]


async def test_unlimited_is_none(credits: Any, user: UUID) -> None:
    await credits.change_plan(user, "pro")
    answer = await credits.consume_credits(user, "project", 1000)
    assert (answer.unlimited, answer.remaining, answer.limit, answer.used) == (True, None, None, 1000)


async def test_reset_restarts_one_allowance(credits: Any, user: UUID) -> None:
    await credits.consume_credits(user, "message", 10)
    reset = await credits.reset_monthly_credits(user)
    assert reset.accounts is None
    assert {balance.credit_type: balance.remaining for balance in reset.balances}["message"] == 10


async def test_status_time_zone_and_freezing(credits: Any, user: UUID) -> None:
    await credits.change_plan(user, "starter")
    assert (await credits.set_subscription_status(user, "past_due")).status == "past_due"
    assert (await credits.get_credit_summary(user)).status == "past_due"
    assert (await credits.set_subscription_status(user, "active")).status == "active"
    assert (await credits.set_time_zone(user, "Europe/Paris")).time_zone == "Europe/Paris"
    assert (await credits.freeze_account(user, reason="chargeback")).status == "frozen"
    for credit_type, available in (("message", 100), ("project", None)):
        advice = await credits.check_credits(user, credit_type, 2)
        assert (advice.code, advice.details.available) == ("account_frozen", available)
    assert (await credits.unfreeze_account(user, reason="settled")).status == "active"


async def test_a_test_clock_moves_one_account(credits: Any, user: UUID) -> None:
    marked = await credits.mark_test_account(user)
    await credits.consume_credits(user, "message", 10)
    renewal = marked.period_end
    assert (await credits.set_test_clock(user, renewal)).now == renewal
    assert (await credits.get_credit_summary(user)).balance("message").remaining == 10
    # Resetting everybody books what has fallen due, this account among them.
    assert (await credits.reset_monthly_credits()).accounts >= 1


async def test_summary_has_warnings(credits: Any, user: UUID) -> None:
    await credits.consume_credits(user, "message", 8)
    summary = await credits.get_credit_summary(user)
    assert (summary.account_id, summary.plan, summary.plan_name) == (user, "free", "Free")
    balance = summary.balance("message")
    assert (balance.kind, balance.percent_used, balance.warning, balance.allowance) == ("credit", 80, "low", 10)
    with pytest.raises(KeyError):
        summary.balance("gold")


async def test_history_is_paged_newest_first(credits: Any, user: UUID) -> None:
    for _ in range(3):
        await credits.consume_credits(user, "message")
    page = await credits.get_credit_history(user, credit_type="message", limit=2)
    assert [(entry.version, entry.kind, entry.amount, entry.balance_after) for entry in page.rows] == [
        (4, "consume", -1, 7),
        (3, "consume", -1, 8),
    ]
    older = await credits.get_credit_history(user, credit_type="message", cursor=page.next_cursor)
    assert [entry.version for entry in older.rows] == [2, 1]
    assert older.rows[-1].kind == "grant"
    assert older.next_cursor is None


async def test_the_whole_history_is_gone_through_page_by_page(credits: Any, user: UUID) -> None:
    for _ in range(5):
        await credits.consume_credits(user, "message")
    found = [entry async for entry in credits.iter_credit_history(user, credit_type="message", page_size=2)]
    assert [entry.version for entry in found] == [6, 5, 4, 3, 2, 1]
    assert [entry async for entry in credits.iter_credit_history(user, credit_type="message")] == found


async def test_plans_status_and_checks(credits: Any) -> None:
    plans = await credits.list_plans()
    assert [plan.id for plan in plans] == ["free", "starter", "builder", "pro", "elite"]
    assert {limit.credit_type: limit.allowance for limit in plans[0].limits} == {
        "message": 10,
        "integration": 100,
        "project": 3,
    }
    status = await credits.system_status()
    assert status.accounts >= 0
    assert status.now.tzinfo is not None
    books = await credits.verify_books()
    assert books.success
    assert all(check.ok for check in books.checks)
    checklist = await credits.verify_checklist()
    assert checklist.success
    assert [line.line for line in checklist.checks] == list(range(1, 11))


async def test_a_workspace_pays(credits: Any, database: Database, user: UUID) -> None:
    workspace = new_workspace(database, user, plan="starter")
    answer = await credits.consume_credits(user, "message", 4, workspace_id=workspace)
    assert answer.remaining == 96
    async with credits.reserve(user, "message", 6, workspace_id=workspace) as hold:
        await hold.capture(1)
    summary = await credits.get_credit_summary(user, workspace_id=workspace)
    assert (summary.account_id, summary.balance("message").used) == (workspace, 5)
    assert (await credits.get_credit_summary(user)).balance("message").used == 0


async def test_every_balance_still_adds_up(credits: Any, user: UUID) -> None:
    async with credits.reserve(user, "message", 3):
        pass
    spent = await credits.consume_credits(user, "message", 2)
    await credits.refund_credits(user, spent.operation_id)
    assert (await credits.verify_books(user)).success


async def test_the_digest_of_a_history_is_the_same_later(credits: Any, user: UUID) -> None:
    await credits.consume_credits(user, "message", 2)
    before = await credits.ledger_digest(user)
    assert [(entry.credit_type, entry.version, entry.rows) for entry in before.entries] == [
        ("integration", 1, 1),
        ("message", 2, 2),
        ("project", 1, 1),
    ]
    assert before.is_last
    await credits.consume_credits(user, "message", 1)
    assert (await credits.ledger_digest(ends=before.entries)).entries == before.entries
    assert (await credits.ledger_digest(user, after=before.entries[0])).entries != before.entries[1:]
    wrong = LedgerEnd(account_id=user, credit_type="message", version=0)
    with pytest.raises(InvalidArgument) as refused:
        await credits.ledger_digest(ends=[wrong])
    assert refused.value.details["argument"] == "p_ends"
    with pytest.raises(AccountNotFound):
        await credits.verify_books(uuid4())


async def test_diagnose_says_what_to_look_at(credits: Any, database: Database) -> None:
    before = await credits.diagnose()
    database.run("grant update on public.credit_grants to authenticated")
    try:
        after = await credits.diagnose()
    finally:
        database.run("revoke update on public.credit_grants from authenticated")
    new = {finding.object for finding in after.findings} - {finding.object for finding in before.findings}
    assert any("credit_grants" in str(name) for name in new)
    assert {finding.severity for finding in after.findings} <= {"critical", "high", "medium", "low", "info"}
