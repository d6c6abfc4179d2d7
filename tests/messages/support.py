"""What the tests of messages share."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from tests.support.database import Database

ANNOUNCE = "select credits.announce(%s, %s, %s::jsonb)"


def announce(database: Database, account: UUID, kind: str = "credits.level", data: str = "{}") -> UUID:
    message: UUID = database.value(ANNOUNCE, account, kind, data)
    return message


def claim(database: Database, *, lease: UUID | None = None, **named: Any) -> list[dict[str, Any]]:
    """Routes what there is, then takes what is due."""
    database.call("tend_messages")
    claims: list[dict[str, Any]] = database.call("claim_messages", lease or uuid4(), **named)["claims"]
    return claims


def settle(database: Database, lease: UUID, claimed: dict[str, Any], *states: str, **more: Any) -> bool:
    results = [{"n": m["n"], "state": s, **more} for m, s in zip(claimed["messages"], states, strict=False)]
    done: bool = database.call("settle_messages", lease, claimed["account_id"], claimed["channel"], results)["settled"]
    return done


def add_webhook(database: Database, user: UUID, url: str = "https://example.com/hook", **named: Any) -> dict[str, Any]:
    made: dict[str, Any] = database.call("add_credit_webhook", user, url, **named)
    return made


def kinds(claims: list[dict[str, Any]], channel: str = "webhook") -> list[str]:
    return [m["kind"] for c in claims if c["kind"] == channel for m in c["messages"]]
