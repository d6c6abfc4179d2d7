"""A spend belongs to the caller's transaction also over SQLAlchemy and asyncpg."""

from __future__ import annotations

from uuid import UUID, uuid4

import asyncpg
import psycopg
import pytest
import sqlalchemy as sa
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from sonas_supabase import (
    AsyncCreditsClient,
    CreditsClient,
    IdempotencyConflict,
    InsufficientCredits,
    NotConfigured,
    UnexpectedAnswer,
    UnknownCreditType,
)
from tests.support.database import Database


class Base(DeclarativeBase):
    """The caller's own tables."""


class Nowhere(Base):
    """One that is not there."""

    __tablename__ = "nowhere"
    id: Mapped[int] = mapped_column(primary_key=True)


def url_for(database: Database, driver: str) -> str:
    return database.url.replace("postgresql://", f"postgresql+{driver}://", 1)


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "pg8000"])
@pytest.mark.parametrize("kind", ["connection", "session"])
def test_sqlalchemy_for_threads(database: Database, user: UUID, kind: str, driver: str) -> None:
    engine = sa.create_engine(url_for(database, driver))
    with engine.connect() if kind == "connection" else Session(engine) as own:
        credits = CreditsClient.from_connection(own)
        spent = credits.consume_credits(user, "message", 2, description=":d $1 'x'", metadata={"a": [1]})
        assert spent.remaining == 8
        with pytest.raises(InsufficientCredits) as denied:
            credits.consume_credits(user, "message", 100)
        assert denied.value.available == 8
        with pytest.raises(UnknownCreditType):
            credits.consume_credits(user, "gold")
        # The transaction goes on after a refusal.
        assert own.execute(sa.text("select 1")).scalar_one() == 1
        own.rollback()
        assert database.balance(user)["used"] == 0
        credits.consume_credits(user, "message", 3)
        own.commit()
    engine.dispose()
    assert database.balance(user)["used"] == 3


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
@pytest.mark.parametrize("kind", ["connection", "session"])
async def test_sqlalchemy_for_asyncio(database: Database, user: UUID, kind: str, driver: str) -> None:
    engine = create_async_engine(url_for(database, driver))
    async with engine.connect() if kind == "connection" else AsyncSession(engine) as own:
        credits = AsyncCreditsClient.from_connection(own)
        key = str(uuid4())
        assert (await credits.consume_credits(user, "message", 2, idempotency_key=key)).remaining == 8
        with pytest.raises(IdempotencyConflict) as conflict:
            await credits.consume_credits(user, "message", 1, idempotency_key=key)
        assert conflict.value.details["idempotency_key"] == key
        assert conflict.value.hint
        await own.rollback()
        assert database.balance(user)["used"] == 0
        async with credits.reserve(user, "message", 4) as hold:
            await hold.capture(3)
        await own.commit()
    await engine.dispose()
    assert database.balance(user)["used"] == 3


async def test_asyncpg(database: Database, user: UUID) -> None:
    own = await asyncpg.connect(database.url)
    try:
        credits = AsyncCreditsClient.from_connection(own)
        transaction = own.transaction()
        await transaction.start()
        assert (await credits.consume_credits(user, "message", 2, metadata={"a": "b"})).remaining == 8
        with pytest.raises(InsufficientCredits):
            await credits.consume_credits(user, "message", 100, strict=True)
        assert await own.fetchval("select 1") == 1
        await transaction.rollback()
        assert database.balance(user)["used"] == 0
        async with own.transaction():
            await credits.consume_credits(user, "message", 3)
        assert (await credits.get_credit_summary(user)).balance("message").used == 3
    finally:
        await own.close()
    assert database.balance(user)["used"] == 3


def test_a_connection_that_cannot_be_used_says_why(database: Database, user: UUID) -> None:
    engine = sa.create_engine(url_for(database, "psycopg"))
    closed, session, alone = engine.connect(), Session(engine), psycopg.connect(database.url)
    closed.close()
    alone.close()
    session.add(Nowhere(id=1))
    with pytest.raises(sa.exc.ProgrammingError):
        session.flush()
    for own in (closed, session, alone, Session()):
        with pytest.raises(NotConfigured) as unusable:
            CreditsClient.from_connection(own).consume_credits(user, "message")
        assert unusable.value.hint
    session.rollback()
    assert CreditsClient.from_connection(session).consume_credits(user, "message").remaining == 9
    session.close()
    engine.dispose()


async def test_a_connection_that_is_back_in_its_pool_says_so(database: Database, user: UUID) -> None:
    async with asyncpg.create_pool(database.url, min_size=1, max_size=1) as pool:
        async with pool.acquire() as own:
            credits = AsyncCreditsClient.from_connection(own)
            transaction = own.transaction()
            await transaction.start()
            with pytest.raises(asyncpg.PostgresError):
                await own.execute("select nonsense")
            with pytest.raises(UnexpectedAnswer) as aborted:
                await credits.consume_credits(user, "message")
            assert "roll" in aborted.value.hint
            await transaction.rollback()
        with pytest.raises(NotConfigured, match="pool"):
            await credits.consume_credits(user, "message")


def test_a_connection_may_have_any_rows_and_cursors_and_has_to_write(database: Database, user: UUID) -> None:
    for cursors in (psycopg.ClientCursor, psycopg.RawCursor):
        with psycopg.connect(database.url, row_factory=dict_row, cursor_factory=cursors) as own:
            credits = CreditsClient.from_connection(own)
            credits.consume_credits(user, "message")
            own.commit()
            own.read_only = True
            with pytest.raises(UnexpectedAnswer) as refused:
                credits.consume_credits(user, "message")
            assert "primary" in refused.value.hint
    assert database.balance(user)["used"] == 2


async def test_a_connection_for_the_other_client_is_named(database: Database) -> None:
    async with asyncpg.create_pool(database.url, min_size=1, max_size=1) as pool:
        with pytest.raises(NotConfigured, match="Pool"):
            AsyncCreditsClient.from_connection(pool)
    with psycopg.connect(database.url) as own, pytest.raises(NotConfigured, match="Connection"):
        AsyncCreditsClient.from_connection(own)
    own_async = await psycopg.AsyncConnection.connect(database.url)
    async with own_async:
        with pytest.raises(NotConfigured, match="AsyncConnection"):
            CreditsClient.from_connection(own_async)
    engine = create_async_engine(url_for(database, "psycopg"))
    async with engine.connect() as connection:
        with pytest.raises(NotConfigured):
            CreditsClient.from_connection(connection)
    await engine.dispose()
