"""The RPC transport: supabase-py to PostgREST, with the project's secret key."""

from __future__ import annotations

import os
from time import monotonic
from typing import Any

import httpx
from postgrest.exceptions import APIError
from supabase import AsyncClient, AsyncClientOptions, AsyncSupabaseException

from sonas_supabase._addresses import key_of_project, project_url
from sonas_supabase._async.sessions import new_http, watch
from sonas_supabase._async.waiting import Homes, Slots, within
from sonas_supabase._breaker import Breaker
from sonas_supabase._call import Call
from sonas_supabase._deadline import Limits, TimeIsUp, remaining
from sonas_supabase._failures import DATABASE_AWAY, NO_SUCH_HOST, reported, unreachable
from sonas_supabase.errors import NotConfigured, PoolTimeout

# Nothing of the request has left this machine when one of these is raised.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
# A call waits for its turn here, not in httpx: what is given up while it waits there keeps its connection for ever.
_MOST_AT_ONCE = 100


class _Home:
    """The supabase client of one process and event loop, and the HTTP client if it is this transport's own."""

    def __init__(self, client: AsyncClient, http: httpx.AsyncClient | None) -> None:
        self.client = client
        self.http = http
        self.slots = Slots(_MOST_AT_ONCE)


class AsyncRpcTransport:
    """Calls go to ``/rest/v1/rpc/<function>``, each a transaction of its own."""

    autonomous = True

    def __init__(self, url: str, secret_key: str, first: _Home | None = None) -> None:
        self._url = url
        self._secret_key = secret_key
        self._breaker = Breaker()
        self.breaker: Breaker | None = self._breaker
        # Made here, so that what is no address or no key is said at once.
        self._first: _Home | None = first or self._new()
        self._process = os.getpid()
        self._homes = Homes(self._make, _close)

    @classmethod
    def connect(cls, url: str, secret_key: str) -> AsyncRpcTransport:
        """A transport with supabase clients of its own. Raises NotConfigured for what is no address or no key."""
        return cls(project_url(url), key_of_project(secret_key))

    @classmethod
    def of_client(cls, client: AsyncClient) -> AsyncRpcTransport:
        """A transport over a supabase client of the caller's; a forked process makes one like it."""
        watch(client.postgrest.session)
        return cls(str(client.supabase_url).rstrip("/"), client.supabase_key, _Home(client, None))

    def _make(self) -> _Home:
        first, self._first = self._first, None
        return first if first is not None and os.getpid() == self._process else self._new()

    def _new(self) -> _Home:
        http = new_http()
        options = AsyncClientOptions(httpx_client=http, auto_refresh_token=False, persist_session=False)
        try:
            return _Home(AsyncClient(self._url, self._secret_key, options), http)
        except (AsyncSupabaseException, ValueError) as error:
            raise NotConfigured(
                f"SUPABASE_URL or SUPABASE_SECRET_KEY cannot be used: {error}.",
                hint="The address looks like https://<project>.supabase.co.",
            ) from error

    async def send(self, call: Call[Any], limits: Limits) -> Any:
        """Run the call once and return its JSON answer. Raises CreditsError."""
        home = await self._homes.here()
        began = monotonic()
        if not await home.slots.take(remaining(limits.deadline)):
            raise PoolTimeout(
                f"All {_MOST_AT_ONCE} connections stayed busy for {monotonic() - began:.1f} s.", hint="Try again later."
            )
        try:
            return await self._send(home, call, limits)
        finally:
            home.slots.give()

    async def _send(self, home: _Home, call: Call[Any], limits: Limits) -> Any:
        began = monotonic()
        try:
            async with within(remaining(limits.deadline)):
                response = await home.client.rpc(call.function, call.params).execute()
        except APIError as error:
            if error.code in DATABASE_AWAY:
                self._breaker.failed(monotonic() - began)
            else:
                self._breaker.worked()
            raise reported(error.code, error.message, error.details, error.hint) from error
        except (TimeoutError, TimeIsUp) as error:
            self._breaker.was_silent(monotonic() - began)
            raise unreachable("No answer came in time.", may_have_taken_effect=True) from error
        except httpx.RequestError as error:
            sent = not isinstance(error, _NOT_SENT)
            if NO_SUCH_HOST.search(str(error)):
                raise NotConfigured(
                    f"There is no such host: {httpx.URL(self._url).host}.", hint="Look at SUPABASE_URL."
                ) from error
            if not sent:
                self._breaker.failed(monotonic() - began)
            elif isinstance(error, httpx.TimeoutException):
                self._breaker.was_silent(monotonic() - began)
            raise unreachable(str(error), may_have_taken_effect=sent) from error
        self._breaker.worked()
        return response.data

    async def close(self) -> None:
        """Close the HTTP connections, unless the caller brought the supabase client."""
        first, self._first = self._first, None
        if first is not None:
            await _close(first)
        await self._homes.end_here()


async def _close(home: _Home) -> None:
    if home.http is not None:
        await home.http.aclose()
