"""The client: where it connects to, and the chapters of its calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sonas_supabase._async.chapters import AsyncChapters
from sonas_supabase._async.hold import AsyncHold
from sonas_supabase._async.own_connection import transport_over
from sonas_supabase._async.transport import AsyncTransport
from sonas_supabase._call import Id
from sonas_supabase._deadline import checked_retries, checked_timeout
from sonas_supabase._extras import needs_postgres
from sonas_supabase.models.ledger import HistoryEntry
from sonas_supabase.settings import Settings

if TYPE_CHECKING:
    import psycopg
    from supabase import AsyncClient


class AsyncCreditsClient(AsyncChapters):
    """Credits on Supabase, for asyncio. One method per SQL function, under the same name.

    Make one per program and share it: a forked process opens connections of its own, and so does another event loop.
    Close it at the end, or use it in an ``async with`` block.

    A call that got lost is sent again up to ``retries`` times, if that cannot double its effect, and ends within
    ``timeout`` seconds, retries included; both can be said for each call. What goes over everything (reports, imports,
    checks) has an hour where the call does not say. After a failure to reach the database calls fail at once, until it
    is back.
    """

    def __init__(self, transport: AsyncTransport, *, timeout: float = 10, retries: int = 3) -> None:
        self._transport = transport
        self._timeout = checked_timeout(timeout)
        self._retries = checked_retries(retries)

    @classmethod
    def from_env(cls, *, timeout: float | None = None, retries: int = 3) -> Self:
        """A client for what the environment or ``.env`` says.

        ``DATABASE_URL`` if it is set (a hop less, and nothing else to run), else ``SUPABASE_URL`` with
        ``SUPABASE_SECRET_KEY``.

        Raises:
            NotConfigured: neither is set.
        """
        settings = Settings.from_env()
        if settings.database_url:
            return cls.from_url(settings.database_url, timeout=timeout or 10, retries=retries)
        return cls.from_supabase(*settings.require_supabase(), timeout=timeout or 30, retries=retries)

    @classmethod
    def from_url(cls, database_url: str, *, pool_size: int = 10, timeout: float = 10, retries: int = 3) -> Self:
        """A client with up to ``pool_size`` Postgres connections, opened as they are needed.

        A call ends within ``timeout`` seconds, retries included. Poolers in transaction mode are fine.

        Raises:
            NotConfigured: psycopg is not installed.
        """
        with needs_postgres():
            from sonas_supabase._async.postgres import AsyncPoolTransport
        return cls(AsyncPoolTransport(database_url, pool_size=pool_size), timeout=timeout, retries=retries)

    @classmethod
    def from_connection(cls, connection: psycopg.AsyncConnection[Any] | Any, *, timeout: float = 60) -> Self:
        """A client on a connection that you have open, for spends that belong to your own writes.

        It is one of psycopg or SQLAlchemy (a session too), or of asyncpg with ``AsyncCreditsClient``.

        It never commits and never rolls back what is yours: the calls take effect when your transaction commits, and
        not at all when it rolls back. A call that fails leaves your transaction usable. Nothing is sent twice. A
        connection that gives no answer for ``timeout`` seconds is closed.

        Raises:
            NotConfigured: it is another kind of connection, or one for the other kind of client.
        """
        return cls(transport_over(connection), timeout=timeout, retries=0)

    @classmethod
    def from_supabase(cls, url: str, secret_key: str, *, timeout: float = 30, retries: int = 3) -> Self:
        """A client over HTTPS, with the project's address and secret key.

        A call ends within ``timeout`` seconds, retries included.
        """
        from sonas_supabase._async.rpc import AsyncRpcTransport

        return cls(AsyncRpcTransport.connect(url, secret_key), timeout=timeout, retries=retries)

    @classmethod
    def from_supabase_client(cls, client: AsyncClient, *, timeout: float = 30, retries: int = 3) -> Self:
        """A client over a supabase client that you have. It must keep the secret key: nobody may sign in with it."""
        from sonas_supabase._async.rpc import AsyncRpcTransport

        return cls(AsyncRpcTransport.of_client(client), timeout=timeout, retries=retries)

    def reserve(
        self,
        user_id: Id,
        credit_type: str,
        amount: int = 1,
        *,
        description: str | None = None,
        idempotency_key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        ttl_seconds: int = 900,
        workspace_id: Id | None = None,
        strict: bool = False,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> AsyncHold:
        """Hold credits for the length of an ``async with`` block, and ``ttl_seconds`` more if the process dies in it.

        Success charges all of the hold, or what ``hold.capture(amount)`` says; an exception gives it back. The
        arguments and errors are those of :meth:`reserve_credits`, which the block begins with.
        """
        reserve = partial(
            self.reserve_credits,
            user_id,
            credit_type,
            amount,
            description=description,
            idempotency_key=idempotency_key,
            metadata=metadata,
            ttl_seconds=ttl_seconds,
            workspace_id=workspace_id,
            strict=strict,
            timeout=timeout,
            retries=retries,
        )
        return AsyncHold(
            self,
            reserve,
            user_id=user_id,
            workspace_id=workspace_id,
            autonomous=self._transport.autonomous,
            ttl_seconds=ttl_seconds,
        )

    async def iter_credit_history(
        self,
        user_id: Id,
        *,
        credit_type: str | None = None,
        page_size: int = 100,
        workspace_id: Id | None = None,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> AsyncIterator[HistoryEntry]:
        """Every row of the ledger once, newest first, read ``page_size`` rows at a time (1 to 1000).

        What is added meanwhile is left out; ``timeout`` is that of a page. The errors are those of
        :meth:`get_credit_history`.
        """
        cursor = None
        while True:
            page = await self.get_credit_history(
                user_id,
                credit_type=credit_type,
                limit=page_size,
                cursor=cursor,
                workspace_id=workspace_id,
                timeout=timeout,
                retries=retries,
            )
            for row in page.rows:
                yield row
            if page.next_cursor is None:
                return
            cursor = page.next_cursor

    async def close(self) -> None:
        """Close what this client opened itself. A call after this raises NotConfigured."""
        self._closed = True
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
