"""Which credits go first: priority, then expiry (never-expiring last), then start, then id."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.database import Database
from tests.support.timed import Timed

SOURCES = {"rollover": 10, "trial": 20, "promotion": 20, "compensation": 20, "top_up": 50, "goodwill": 60}


@pytest.fixture
def user(database: Database) -> Timed:
    return Timed(database)


def burnt(user: Timed) -> list[str]:
    """The grants in the order in which one spend of everything has touched them."""
    user.call("consume_credits", "message", user.remaining)
    grants = {g["id"]: g["description"] for source in (*SOURCES, "plan") for g in user.grants(source)}
    return [grants[e["grant_id"]] for e in user.entries("consume")]


@pytest.mark.parametrize(("source", "priority"), SOURCES.items())
def test_each_source_has_its_priority(user: Timed, source: str, priority: int) -> None:
    user.call("grant_credits", "message", 1, source)
    [grant] = user.grants(source)
    assert grant["priority"] == priority


def test_goodwill_that_expires_goes_like_a_promotion(user: Timed) -> None:
    user.call("grant_credits", "message", 1, "goodwill", expires_at=user.now + timedelta(days=1))
    [grant] = user.grants("goodwill")
    assert grant["priority"] == 20


def test_priority_comes_first(user: Timed) -> None:
    for source in ("goodwill", "top_up", "promotion", "rollover"):
        user.call("grant_credits", "message", 1, source, source)
    assert burnt(user) == ["rollover", "promotion", "plan allowance", "top_up", "goodwill"]


def test_then_what_expires_first_and_what_never_expires_last(user: Timed) -> None:
    for name, days in (("never", None), ("late", 20), ("soon", 2), ("later", 30)):
        expires_at = user.now + timedelta(days=days) if days else None
        user.call("grant_credits", "message", 1, "promotion", name, expires_at)
    assert burnt(user)[:4] == ["soon", "late", "later", "never"]


def test_then_what_started_first(user: Timed) -> None:
    end = user.now + timedelta(days=9)
    for name in ("first", "second", "third"):
        user.wait(seconds=1).call("grant_credits", "message", 1, "promotion", name, end)
    assert burnt(user)[:3] == ["first", "second", "third"]


def test_then_the_id_decides_so_that_the_order_is_the_same_every_time(user: Timed) -> None:
    for nth in range(5):
        user.call("grant_credits", "message", 1, "promotion", f"grant {nth}")
    order = [
        d
        for (d,) in user.database.query(
            "select description from credit_grants where account_id = %s and source = 'promotion' order by id", user.id
        )
    ]
    assert burnt(user)[:5] == order


def test_the_priority_is_frozen_when_the_grant_is_issued(own_database: Database) -> None:
    user = Timed(own_database)
    user.call("grant_credits", "message", 1, "promotion", "before")
    own_database.run("update credits.grant_sources set priority = 70 where id = 'promotion'")
    user.call("grant_credits", "message", 1, "promotion", "after")
    assert burnt(user) == ["before", "plan allowance", "after"]


def test_what_has_expired_or_been_revoked_is_not_spent(user: Timed) -> None:
    user.call("grant_credits", "message", 5, expires_at=user.now + timedelta(hours=1))
    revoked = user.call("grant_credits", "message", 5)["grant_id"]
    user.call("revoke_grant", revoked)
    assert user.wait(hours=1).remaining == 10
    assert user.call("consume_credits", "message", 11)["details"]["available"] == 10
    user.verify()


def test_what_is_frozen_or_has_not_started_is_not_spent(database: Database) -> None:
    """No function of the first release issues such grants; the engine reads them all the same."""
    user = Timed(database)
    for description, change in (
        ("frozen", "frozen_at = created_at, frozen_reason = 'dispute'"),
        ("later", "starts_at = starts_at + interval '2 days'"),
    ):
        grant = user.call("grant_credits", "message", 5, "top_up", description)["grant_id"]
        database.run(
            f"update credit_grants set {change} where account_id = %s and id = %s",
            user.id,
            grant,
        )
    database.run("update credits.balances set due_at = '-infinity' where account_id = %s", user.id)
    assert user.remaining == 10
    assert user.call("consume_credits", "message", 11)["success"] is False
    assert user.call("consume_credits", "message", 10)["remaining"] == 0
    assert user.wait(days=2).remaining == 5
    assert user.call("consume_credits", "message", 5)["remaining"] == 0
    user.verify()


def test_all_or_nothing_over_several_grants(user: Timed) -> None:
    user.call("grant_credits", "message", 5)
    ledger = user.entries()
    assert user.call("consume_credits", "message", 16)["success"] is False
    assert user.entries() == ledger
    assert user.call("consume_credits", "message", 15)["remaining"] == 0
    assert len(user.entries("consume")) == 2
    user.verify()
