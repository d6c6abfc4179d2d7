"""The RPC transport: supabase-py to PostgREST, with the project's secret key."""

from __future__ import annotations

from typing import Any

import httpx
from postgrest.exceptions import APIError
from supabase import AsyncClient, AsyncClientOptions, AsyncSupabaseException

from sonas_supabase._call import Call
from sonas_supabase._failures import reported, unreachable
from sonas_supabase.errors import NotConfigured

# Nothing of the request has left this machine when one of these is raised.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class AsyncRpcTransport:
    """Calls go to ``/rest/v1/rpc/<function>``, each a transaction of its own."""

    autonomous = True

    def __init__(self, client: AsyncClient, http: httpx.AsyncClient | None = None) -> None:
        self._client = client
        self._http = http

    @classmethod
    def connect(cls, url: str, secret_key: str, timeout: float) -> AsyncRpcTransport:
        """A transport with a supabase client of its own. Raises NotConfigured for what is no address or no key."""
        http = httpx.AsyncClient(timeout=timeout, follow_redirects=True)
        options = AsyncClientOptions(httpx_client=http, auto_refresh_token=False, persist_session=False)
        try:
            return cls(AsyncClient(url, secret_key, options), http)
        except AsyncSupabaseException as error:
            raise NotConfigured(
                f"SUPABASE_URL or SUPABASE_SECRET_KEY cannot be used: {error}.",
                hint="The address looks like https://<project>.supabase.co.",
            ) from error

    async def send(self, call: Call[Any]) -> Any:
        """Run the call once and return its JSON answer. Raises CreditsError."""
        try:
            response = await self._client.rpc(call.function, call.params).execute()
        except APIError as error:
            raise reported(error.code, error.message, error.details, error.hint) from error
        except httpx.RequestError as error:
            sent = not isinstance(error, _NOT_SENT)
            raise unreachable(str(error), may_have_taken_effect=sent) from error
        return response.data

    async def close(self) -> None:
        """Close the HTTP connections, unless the caller brought the supabase client."""
        if self._http is not None:
            await self._http.aclose()
