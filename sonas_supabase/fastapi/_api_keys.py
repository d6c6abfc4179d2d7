"""API keys beside access tokens: programs that act for a person on one account."""

from __future__ import annotations

from sonas_supabase import AsyncCreditsClient, KeyNotFound
from sonas_supabase.fastapi._user import Authenticator, User
from sonas_supabase.fastapi.errors import NotAuthenticated

PREFIX = "sonas_"


class ApiKeyAuth:
    """Knows the keys that ``create_api_key`` makes, and asks another authenticator about everything else.

    Each request with a key asks the database, so that a key ends the moment it is revoked.

    Args:
        client: the client that knows the keys.
        others: who tells of requests without a key; ``SupabaseAuth`` for a Supabase project.
    """

    def __init__(self, client: AsyncCreditsClient, others: Authenticator) -> None:
        self._client = client
        self._others = others

    async def user(self, authorization: str | None) -> User:
        """The person whom the ``Authorization`` header names, or for whom its key acts.

        Raises:
            NotAuthenticated: there is no token or key, or not a good one.
            CreditsUnavailable: the database that knows the keys cannot be reached.
        """
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token.startswith(PREFIX):
            return await self._others.user(authorization)
        try:
            holder = await self._client.find_api_key(token)
        except KeyNotFound as error:
            raise NotAuthenticated("There is no such API key, or it was revoked.") from error
        return User(id=holder.user_id, key_id=holder.key_id, key_name=holder.name, workspace_id=holder.workspace_id)
