"""What is on sale beside the plans."""

from __future__ import annotations

from tests.support.database import Database


def test_the_packs_are_listed_and_world_readable(database: Database) -> None:
    packs = database.call("list_billing_prices")["packs"]
    assert next((p["id"], p["credits"], p["expires_after"]) for p in packs) == ("message_100", 100, "1 year")
    with database.connect(role="anon") as visitor:
        [(count,)] = visitor.execute("select count(*) from public.credit_packs").fetchall()
    assert count == len(packs)
