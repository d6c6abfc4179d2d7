"""An answer is kept by the request that has the key, as far as it is small enough."""

from __future__ import annotations

from base64 import b64encode
from uuid import UUID, uuid4

import pytest

from tests.http.support import KEY, claim
from tests.support.database import Database


@pytest.mark.parametrize(("size", "state"), [(0, "answered"), (16384, "answered"), (16385, "not_stored")])
def test_what_is_too_big_is_answered_once(database: Database, user: UUID, size: int, state: str) -> None:
    mine = uuid4()
    claim(database, user, mine)
    body = b64encode(b"x" * size).decode()
    assert database.call("store_http_answer", user, KEY, mine, 200, {}, body)["stored"] is True
    assert claim(database, user)["state"] == state


def test_without_a_body_it_is_answered_once(database: Database, user: UUID) -> None:
    mine = uuid4()
    claim(database, user, mine)
    database.call("store_http_answer", user, KEY, mine, 200)
    again = claim(database, user)
    assert (again["state"], again["body"]) == ("not_stored", None)


def test_only_the_request_that_has_the_key_stores(database: Database, user: UUID) -> None:
    mine = uuid4()
    claim(database, user, mine)
    assert database.call("store_http_answer", user, KEY, uuid4(), 200, {}, "")["stored"] is False
    assert database.call("store_http_answer", user, KEY, mine, 200, {}, "")["stored"] is True
    assert database.call("store_http_answer", user, KEY, mine, 500, {}, "")["stored"] is False
    assert claim(database, user)["status"] == 200


def test_how_big_and_how_long_are_settings(own_database: Database) -> None:
    user, mine = own_database.new_user(), uuid4()
    own_database.run("update credits.settings set stored_body_bytes = 3, stored_answer_retention = '1 hour'")
    assert claim(own_database, user, mine)["body_limit"] == 3
    own_database.call("store_http_answer", user, KEY, mine, 200, {}, b64encode(b"four").decode())
    assert claim(own_database, user)["state"] == "not_stored"
    left = "select extract(epoch from expires_at - clock_timestamp()) from credits.stored_answers"
    assert 3500 < own_database.value(left) <= 3600


def test_an_account_keeps_so_many_bodies_and_no_run_is_forgotten(own_database: Database) -> None:
    user, other = own_database.new_user(), own_database.new_user()
    own_database.run("update credits.settings set stored_bodies_per_account = 2")
    for who, keys in ((other, ["a"]), (user, ["a", "b", "c", "d"])):
        for key in keys:
            mine = uuid4()
            claim(own_database, who, mine, key=key)
            own_database.call("store_http_answer", who, key, mine, 200, {}, b64encode(key.encode()).decode())
    assert [claim(own_database, user, key=key)["state"] for key in "abcd"] == [
        "not_stored", "not_stored", "answered", "answered"
    ]  # fmt: skip
    assert claim(own_database, other, key="a")["state"] == "answered"
