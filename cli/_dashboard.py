"""The dashboard of the local stack, where the extra that it needs is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from sonas_supabase import CreditsClient

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from sonas_supabase.local import LocalStack
    from sonas_supabase.web import DashboardCheck


def is_installed() -> bool:
    """Whether the reference app can run here."""
    return find_spec("fastapi") is not None and find_spec("jwt") is not None


def local_app(stack: LocalStack) -> Starlette:
    """The reference app on the stack's database, in which a visitor is whichever demo user he clicks."""
    from sonas_supabase.fastapi import SupabaseAuth
    from sonas_supabase.web import Demo, create_app

    keys = stack.keys
    return create_app(
        stack.database_url,
        auth=SupabaseAuth(jwt_secret=keys.jwt_secret),
        demo=Demo(token=lambda user, email: keys.token(role="authenticated", user_id=str(user), email=email)),
    )


def check(client: CreditsClient, base_url: str, user: str, token: str) -> DashboardCheck:
    """Compares what a running app shows of a user with what the database says."""
    from sonas_supabase.web import check_dashboard

    return check_dashboard(base_url, token, client.get_credit_summary(user))
