"""A credit system in memory for the tests of an application: the real client, over a fake database.

::

    from sonas_supabase.testing import FakeCredits

    fake = FakeCredits()
    user_id = fake.add_user()
    credits = fake.client()  # a CreditsClient; fake.async_client() is an AsyncCreditsClient
    credits.consume_credits(user_id, "message", 10)  # and an eleventh raises InsufficientCredits

It keeps the rules of spending (batches too), holding (parts too), refunding, granting, keys, plans and the history,
which the suite of the real client checks on it. There is no calendar in it: periods never end. What it does not know
raises NotConfigured.
"""

from __future__ import annotations

from sonas_supabase.testing._fake import FakeCredits

__all__ = ["FakeCredits"]
