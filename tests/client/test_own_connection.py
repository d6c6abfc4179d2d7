"""A client on the caller's connection: its calls are part of the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from sonas_supabase import (
    AsyncCreditsClient,
    CreditsClient,
    CreditsUnavailable,
    InsufficientCredits,
    InvalidArgument,
    OperationNotFound,
    UnexpectedAnswer,
)
from tests.support.clients import Awaited
from tests.support.database import Database


@pytest.fixture(autouse=True, scope="module")
def orders(database: Database) -> None:
    """A table of the caller's own."""
    database.run("create table public.orders (user_id uuid not null, name text not null unique)")


@pytest.fixture(params=["sync", "async"])
async def opened(request: pytest.FixtureRequest, database: Database) -> Any:
    """A connection that is not in autocommit mode, and a client on it."""
    if request.param == "async":
        async with await psycopg.AsyncConnection.connect(database.url, row_factory=dict_row) as connection:
            yield connection, AsyncCreditsClient.from_connection(connection)
    else:
        with psycopg.connect(database.url, row_factory=dict_row) as sync_connection:
            yield Awaited(sync_connection), Awaited(CreditsClient.from_connection(sync_connection))


def used(database: Database, user: UUID) -> int:
    return int(database.balance(user)["used"])


def orders_of(database: Database, user: UUID) -> int:
    return int(database.value("select count(*) from public.orders where user_id = %s", user))


async def test_it_commits_with_the_callers_writes(opened: Any, database: Database, user: UUID) -> None:
    connection, credits = opened
    await connection.execute("insert into public.orders values (%s, %s)", [user, f"{user}"])
    await credits.consume_credits(user, "message", 2)
    assert (used(database, user), orders_of(database, user)) == (0, 0)
    await connection.commit()
    assert (used(database, user), orders_of(database, user)) == (2, 1)


async def test_it_rolls_back_with_the_callers_writes(opened: Any, database: Database, user: UUID) -> None:
    connection, credits = opened
    await connection.execute("insert into public.orders values (%s, %s)", [user, f"{user}"])
    await credits.consume_credits(user, "message", 2)
    await connection.rollback()
    assert (used(database, user), orders_of(database, user)) == (0, 0)


async def test_a_call_that_comes_first_waits_for_the_callers_commit(
    opened: Any, database: Database, user: UUID
) -> None:
    connection, credits = opened
    await credits.consume_credits(user, "message", 2)
    assert used(database, user) == 0
    await connection.rollback()
    assert used(database, user) == 0
    await credits.consume_credits(user, "message", 2)
    await connection.commit()
    assert used(database, user) == 2


async def test_an_error_leaves_the_callers_writes_alone(opened: Any, database: Database, user: UUID) -> None:
    connection, credits = opened
    await connection.execute("insert into public.orders values (%s, %s)", [user, f"{user}"])
    with pytest.raises(OperationNotFound):
        await credits.refund_credits(user, user)
    with pytest.raises(InsufficientCredits):
        await credits.consume_credits(user, "message", 11, strict=True)
    await credits.consume_credits(user, "message")
    await connection.commit()
    assert (used(database, user), orders_of(database, user)) == (1, 1)


async def test_an_error_that_comes_first_leaves_the_connection_usable(
    opened: Any, database: Database, user: UUID
) -> None:
    connection, credits = opened
    with pytest.raises(OperationNotFound):
        await credits.refund_credits(user, user)
    await connection.execute("insert into public.orders values (%s, %s)", [user, f"{user}"])
    await connection.commit()
    assert orders_of(database, user) == 1


async def test_a_denial_is_on_record_when_the_caller_commits(opened: Any, database: Database, user: UUID) -> None:
    connection, credits = opened
    with pytest.raises(InsufficientCredits):
        await credits.consume_credits(user, "message", 11)
    await connection.commit()
    assert database.value("select count(*) from public.usage where account_id = %s and status = 'denied'", user) == 1


async def test_a_hold_belongs_to_the_transaction_too(opened: Any, database: Database, user: UUID) -> None:
    connection, credits = opened
    async with credits.reserve(user, "message", 5) as hold:
        await hold.capture(3)
    await connection.commit()
    assert used(database, user) == 3
    with pytest.raises(ValueError, match="no"):
        async with credits.reserve(user, "message", 5):
            raise ValueError("no")
    await connection.commit()
    assert database.balance(user)["reserved"] == 0


async def test_the_callers_own_error_stays_the_one_that_is_raised(opened: Any, user: UUID) -> None:
    connection, credits = opened
    with pytest.raises(psycopg.errors.NotNullViolation):
        async with credits.reserve(user, "message", 5):
            await connection.execute("insert into public.orders values (null, 'x')")
    with pytest.raises(UnexpectedAnswer) as aborted:
        await credits.consume_credits(user, "message")
    assert aborted.value.details["code"] == "25P02"
    await connection.rollback()


async def test_in_autocommit_mode_each_call_commits(database: Database, user: UUID) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        credits = CreditsClient.from_connection(connection)
        credits.consume_credits(user, "message", 2)
        assert used(database, user) == 2
        with connection.transaction(force_rollback=True):
            credits.consume_credits(user, "message", 2)
        assert used(database, user) == 2


async def test_closing_the_client_leaves_the_connection_open(database: Database, user: UUID) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        with CreditsClient.from_connection(connection) as credits:
            credits.consume_credits(user, "message")
        assert connection.execute("select 1").fetchone() == (1,)


async def test_nothing_is_sent_twice(
    database: Database, new_user: Callable[[], UUID], caplog: pytest.LogCaptureFixture
) -> None:
    user = new_user()
    with psycopg.connect(database.url) as connection, database.connect(autocommit=False) as blocker:
        connection.execute("set lock_timeout = '20ms'")
        blocker.execute("select 1 from credits.balances where account_id = %s for update", [user])
        credits = CreditsClient.from_connection(connection)
        with pytest.raises(CreditsUnavailable) as busy:
            credits.consume_credits(user, "message")
        assert busy.value.retryable
        assert not busy.value.may_have_taken_effect
        blocker.rollback()
        # The savepoint has saved the transaction, so the caller may try again.
        assert credits.consume_credits(user, "message").remaining == 9
        with pytest.raises(InvalidArgument):
            credits.get_credit_history(user, limit=0)
        connection.rollback()
    assert "sending it again" not in caplog.text
