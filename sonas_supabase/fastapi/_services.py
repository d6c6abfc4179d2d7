"""What requests spend through: the books, and who users are."""

from __future__ import annotations

from sonas_supabase import AsyncCreditsClient
from sonas_supabase.fastapi._api_keys import ApiKeyAuth
from sonas_supabase.fastapi._books import Books, OnUncollected
from sonas_supabase.fastapi._journal import Journal
from sonas_supabase.fastapi._user import Authenticator


class Services:
    """The base of :class:`Credits`, without the application that it is installed in."""

    def __init__(
        self,
        client: AsyncCreditsClient,
        auth: Authenticator,
        *,
        journal: Journal | None = None,
        on_uncollected: OnUncollected | None = None,
        answer_timeout: float = 30.0,
    ) -> None:
        self.answer_timeout = answer_timeout
        self.books = Books(client, journal=journal, on_uncollected=on_uncollected)
        self.auth: Authenticator = ApiKeyAuth(client, auth)

    @property
    def client(self) -> AsyncCreditsClient:
        """The client that holds and charges."""
        return self.books.client

    @property
    def journal(self) -> Journal | None:
        """Where spends wait while the database cannot be reached."""
        return self.books.journal

    @journal.setter
    def journal(self, journal: Journal | None) -> None:
        self.books.journal = journal
