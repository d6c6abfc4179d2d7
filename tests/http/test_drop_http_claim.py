"""A request that failed gives its key back, and the next one under it is a new one."""

from __future__ import annotations

from uuid import UUID, uuid4

from tests.http.support import KEY, claim, kept
from tests.support.database import Database


def test_the_next_request_is_a_new_one(database: Database, user: UUID) -> None:
    mine = uuid4()
    first = claim(database, user, mine)
    assert database.call("drop_http_claim", user, KEY, mine)["dropped"] is True
    assert kept(database, user) == 0
    second = claim(database, user, fingerprint="even another request")
    assert second["state"] == "claimed"
    assert second["run_id"] != first["run_id"]


def test_only_the_request_that_has_the_key_drops_it(database: Database, user: UUID) -> None:
    mine = uuid4()
    claim(database, user, mine)
    assert database.call("drop_http_claim", user, KEY, uuid4())["dropped"] is False
    database.call("store_http_answer", user, KEY, mine, 200, {}, "")
    assert database.call("drop_http_claim", user, KEY, mine)["dropped"] is False
    assert claim(database, user)["state"] == "answered"
