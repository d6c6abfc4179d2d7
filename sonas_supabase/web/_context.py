"""What the routes work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from sonas_supabase import AsyncCreditsClient
from sonas_supabase.billing import BillingSettings
from sonas_supabase.web._live import Live
from sonas_supabase.web._rates import Rates
from sonas_supabase.web._store import Store
from sonas_supabase.web._work import Chat, Checkout, Generate


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """Lets a visitor be any demo user, without a password: for a stack on one's own machine.

    ``token`` signs a token for a user id and an address. Requests for other ``hosts`` are refused, so that no web page
    can reach these routes under a name of its own.
    """

    token: Callable[[UUID, str], str]
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]", "::1")


@dataclass(frozen=True, slots=True)
class SupabaseProject:
    """The project whose users sign in: its address, and the publishable key that the pages may know."""

    url: str
    publishable_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the app was made with."""

    store: Store
    credits: AsyncCreditsClient
    generate: Generate
    chat: Chat
    builtin_generate: bool
    builtin_chat: bool
    demo: Demo | None
    supabase: SupabaseProject | None
    checkout: Checkout | None
    billing: BillingSettings | None = None
    language: str | None = None
    live: Live

    @property
    def rates(self) -> Rates:
        """Prices and their use, on the store."""
        return Rates(self.store)
