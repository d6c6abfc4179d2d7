"""What got lost on the way is sent again, and takes effect exactly once. The way is a real one, and really breaks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest

from sonas_supabase import CreditsUnavailable, InsufficientCredits, PoolTimeout
from tests.support.api import Api
from tests.support.clients import COLOURS, make_client, until_blocked
from tests.support.database import Database
from tests.support.proxy import Proxy, proxy_to


@pytest.fixture
def lossy(shape: tuple[str, str], database: Database, api: Api) -> Any:
    """A proxy on the way of this transport, and a maker of clients that go through it."""
    target = urlsplit(database.url if shape[0] == "postgres" else api.url)
    assert target.hostname
    assert target.port
    with proxy_to(target.hostname, target.port) as proxy:
        url = target._replace(netloc=target.netloc.replace(str(target.port), str(proxy.port))).geturl()
        yield proxy, lambda **options: make_client(*shape, url=url, secret_key=api.keys.secret_key, **options)


@pytest.fixture
async def way(lossy: Any, shape: tuple[str, str]) -> AsyncIterator[tuple[Proxy, Any]]:
    """The proxy, and a client whose only connection through it is warm: the next answer is that of a call."""
    proxy, make = lossy
    async with asyncio.timeout(60), make(**({"pool_size": 1} if shape[0] == "postgres" else {})) as client:
        await client.list_plans()
        yield proxy, client


async def test_a_spend_whose_answer_got_lost_is_one_spend(
    way: tuple[Proxy, Any], database: Database, user: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    proxy, credits = way
    proxy.lose_answers = 1
    with caplog.at_level(logging.WARNING, "sonas_supabase"):
        answer = await credits.consume_credits(user, "message", 2)
    assert proxy.lost == 1
    assert (answer.replayed, answer.remaining) == (True, 8)
    assert database.balance(user)["used"] == 2
    assert "consume_credits got lost" in caplog.text
    assert "attempt 2 of 4" in caplog.text


async def test_every_other_keyed_call_too(way: tuple[Proxy, Any], database: Database, user: UUID) -> None:
    proxy, credits = way
    held = await _losing(proxy, credits, lambda: credits.reserve_credits(user, "message", 5))
    assert (held.replayed, held.reserved) == (True, 5)
    captured = await _losing(proxy, credits, lambda: credits.capture_credits(user, held.reservation_id, 2))
    assert (captured.replayed, captured.captured) == (True, 2)
    refund = await _losing(proxy, credits, lambda: credits.refund_credits(user, held.operation_id, 1))
    assert (refund.replayed, refund.remaining) == (True, 9)
    given = await _losing(
        proxy, credits, lambda: credits.grant_credits(user, "message", 3, idempotency_key=str(uuid4()))
    )
    assert (given.replayed, given.remaining) == (True, 12)
    batch = await _losing(
        proxy,
        credits,
        lambda: credits.consume_credits_batch(user, [{"credit_type": "message"}, {"credit_type": "project"}]),
    )
    assert batch.replayed
    revoked = await _losing(proxy, credits, lambda: credits.revoke_grant(user, given.grant_id))
    assert revoked.replayed
    change = await _losing(proxy, credits, lambda: credits.change_plan(user, "pro"))
    assert (change.replayed, change.plan) == (True, "pro")
    summary = await _losing(proxy, credits, lambda: credits.get_credit_summary(user))
    assert summary.plan == "pro"
    assert (await credits.verify_books(user)).success


async def _losing(proxy: Proxy, credits: Any, call: Any) -> Any:
    """The answer of a call whose first answer is lost."""
    await credits.list_plans()
    lost = proxy.lost
    proxy.lose_answers = 1
    answer = await call()
    assert proxy.lost == lost + 1
    return answer


async def test_a_denial_whose_answer_got_lost_stays_one(way: tuple[Proxy, Any], user: UUID) -> None:
    proxy, credits = way
    proxy.lose_answers = 1
    with pytest.raises(InsufficientCredits):
        await credits.consume_credits(user, "message", 11)


async def test_what_may_not_be_repeated_is_not(way: tuple[Proxy, Any], database: Database, user: UUID) -> None:
    proxy, credits = way
    await credits.consume_credits(user, "message", 4)
    proxy.lose_answers = 1
    with pytest.raises(CreditsUnavailable) as lost:
        await credits.reset_monthly_credits(user)
    error = lost.value
    assert (error.status, error.retryable, error.may_have_taken_effect) == (503, True, True)
    assert proxy.lose_answers == 0
    grants = (
        "select count(*) from public.credit_transactions where account_id = %s and credit_type = %s and kind = 'grant'"
    )
    assert database.value(grants, user, "message") == 2, "the sign-up's and one restart's"


async def test_retries_end(lossy: Any, database: Database, user: UUID) -> None:
    proxy, make = lossy
    key = str(uuid4())
    async with make(timeout=4, retries=2) as credits:
        await credits.list_plans()
        proxy.lose_answers = 100
        with pytest.raises(CreditsUnavailable) as lost:
            await credits.consume_credits(user, "message", idempotency_key=key)
        # The last attempt found nobody, but the first one was heard.
        assert lost.value.may_have_taken_effect
        proxy.lose_answers = 0
        # The caller may go on with the same key: it still takes effect once.
        assert (await credits.consume_credits(user, "message", idempotency_key=key)).remaining == 9
    assert database.balance(user)["used"] == 1


async def test_no_retries_when_asked_for_none(lossy: Any, database: Database, user: UUID) -> None:
    proxy, make = lossy
    async with make(retries=0) as credits:
        await credits.list_plans()
        proxy.lose_answers = 1
        with pytest.raises(CreditsUnavailable):
            await credits.consume_credits(user, "message")
    assert database.balance(user)["used"] == 1
    assert database.value("select count(*) from credits.idempotency_keys where account_id = %s", user) == 0


async def test_a_hold_survives_lost_answers(way: tuple[Proxy, Any], database: Database, user: UUID) -> None:
    proxy, credits = way
    proxy.lose_answers = 1
    async with credits.reserve(user, "message", 5):
        await credits.list_plans()
        proxy.lose_answers = 1
    assert proxy.lost == 2
    await credits.list_plans()
    with pytest.raises(ValueError, match="no"):
        async with credits.reserve(user, "message", 5):
            _lose_and_fail(proxy)
    row = database.balance(user)
    assert (row["used"], row["reserved"]) == (5, 0)
    assert database.value("select count(*) from public.credit_reservations where account_id = %s", user) == 2


def _lose_and_fail(proxy: Proxy) -> None:
    proxy.lose_answers = 1
    raise ValueError("no")


async def test_broken_connections_are_replaced(lossy: Any, database: Database, user: UUID) -> None:
    proxy, make = lossy
    async with make() as credits:
        await asyncio.gather(*(credits.get_credit_summary(user) for _ in range(8)))
        proxy.cut()
        answers = await asyncio.gather(*(credits.consume_credits(user, "message") for _ in range(8)))
    assert sorted(answer.remaining for answer in answers) == list(range(2, 10))
    assert database.balance(user)["used"] == 8


async def test_nobody_at_home(lossy: Any, user: UUID) -> None:
    proxy, make = lossy
    proxy.close()
    async with make(retries=1, timeout=1) as credits:
        with pytest.raises(CreditsUnavailable) as nobody:
            await credits.reset_monthly_credits(user)
    assert not nobody.value.may_have_taken_effect


@pytest.mark.parametrize("colour", COLOURS)
async def test_a_locked_row_is_waited_for_again(
    colour: str, database: Database, user: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    with database.connect(autocommit=False) as blocker:
        blocker.execute("select 1 from credits.balances where account_id = %s for update", [user])

        class GiveWay(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                blocker.rollback()

        give_way = GiveWay()
        logging.getLogger("sonas_supabase").addHandler(give_way)
        try:
            url = f"{database.url}?options=-c%20lock_timeout%3D50ms"
            async with make_client("postgres", colour, url=url) as credits:
                assert (await credits.consume_credits(user, "message")).remaining == 9
        finally:
            logging.getLogger("sonas_supabase").removeHandler(give_way)
    assert "lock timeout" in caplog.text


@pytest.mark.parametrize("colour", COLOURS)
async def test_a_restarted_server_is_met_again(colour: str, database: Database, user: UUID) -> None:
    url = f"{database.url}?application_name={colour}-pool"
    async with make_client("postgres", colour, url=url) as credits:
        await asyncio.gather(*(credits.list_plans() for _ in range(6)))
        ended = database.query(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = %s", f"{colour}-pool"
        )
        assert ended
        answers = await asyncio.gather(*(credits.consume_credits(user, "message") for _ in range(6)))
        assert sorted(answer.remaining for answer in answers) == [4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("colour", COLOURS)
async def test_a_pool_that_stays_busy_says_so(colour: str, database: Database, user: UUID) -> None:
    with database.connect(autocommit=False) as blocker:
        blocker.execute("select 1 from credits.balances where account_id = %s for update", [user])
        async with make_client("postgres", colour, url=database.url, pool_size=1, timeout=20) as credits:
            waiting = asyncio.create_task(credits.consume_credits(user, "message"))
            await until_blocked(database)
            with pytest.raises(PoolTimeout) as busy:
                await credits.list_plans(timeout=0.3)
            assert (busy.value.code, busy.value.status, busy.value.retryable) == ("pool_timeout", 503, True)
            assert "pool_size" in busy.value.hint
            blocker.rollback()
            assert (await waiting).remaining == 9
