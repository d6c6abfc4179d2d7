"""Claims on an Idempotency-Key, as a web application makes them."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from tests.support.database import Database

KEY, REQUEST = "a key", "a request"


def claim(database: Database, user: UUID, claim_id: UUID | None = None, **arguments: Any) -> dict[str, Any]:
    """Claims KEY for REQUEST, as another request each time."""
    asked = {"key": KEY, "fingerprint": REQUEST, "claim_id": claim_id or uuid4(), **arguments}
    return dict(database.call("claim_http_request", user_id=user, **asked))


def lapse(database: Database, user: UUID) -> None:
    """Lets the time of a claim pass."""
    # Everything in the row is as much older as the claim is: moving one column alone would hide what the others do.
    past = (
        "update credits.stored_answers set created_at = created_at - v.age, expires_at = expires_at - v.age, "
        "claimed_until = claimed_until - v.age from (select interval '1 hour 1 second' as age) v where account_id = %s"
    )
    database.run(past, user)


def expire(database: Database, user: UUID) -> None:
    """Lets the time pass that answers are kept."""
    past = "update credits.stored_answers set expires_at = clock_timestamp() - interval '1 s' where account_id = %s"
    database.run(past, user)


def kept(database: Database, user: UUID) -> int:
    return int(database.value("select count(*) from credits.stored_answers where account_id = %s", user))
