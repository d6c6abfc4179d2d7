"""A credit system in memory for the tests of an application: the real client, over a fake database.

::

    from sonas_supabase.testing import FakeCredits

    fake = FakeCredits()
    user_id = fake.add_user()
    credits = fake.client()  # a CreditsClient; fake.async_client() is an AsyncCreditsClient
    credits.consume_credits(user_id, "message", 10)  # and an eleventh raises InsufficientCredits

It keeps the rules of spending (batches too), holding (parts too), refunding, granting, keys, plans and the history,
which the suite of the real client checks on it, and what web applications keep beside them: stored answers, and what
could not be charged. There is no calendar in it: periods never end. What it does not know raises NotConfigured.

``FakeSpend`` is what a handler of FastAPI is given, without a request; it needs the extra ``fastapi``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sonas_supabase.testing._fake import FakeCredits

if TYPE_CHECKING:
    from sonas_supabase.testing._spend import FakeSpend

__all__ = ["FakeCredits", "FakeSpend"]


def __getattr__(name: str) -> Any:
    # FastAPI is imported when it is asked for.
    if name == "FakeSpend":
        from sonas_supabase.testing._spend import FakeSpend

        return FakeSpend
    raise AttributeError(name)
