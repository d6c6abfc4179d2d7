"""One request at a time has a key; what it was answered is what the others get."""

from __future__ import annotations

from collections import Counter
from uuid import UUID, uuid4

import pytest

from tests.http.support import KEY, REQUEST, claim, expire, kept, lapse
from tests.support.database import Database, call
from tests.support.errors import raises
from tests.support.races import race


def test_the_first_request_has_it_and_the_second_waits(database: Database, user: UUID) -> None:
    first = claim(database, user)
    assert (first["state"], first["body_limit"]) == ("claimed", 16384)
    second = claim(database, user)
    assert (second["state"], second["run_id"]) == ("working", first["run_id"])


def test_of_twenty_at_once_one_has_it(database: Database, user: UUID) -> None:
    outcomes = race(database, [lambda c: call(c, "claim_http_request", user, KEY, REQUEST, uuid4()) for _ in range(20)])
    assert Counter(outcome["state"] for outcome in outcomes) == {"claimed": 1, "working": 19}


def test_the_same_claim_again_renews_it(database: Database, user: UUID) -> None:
    mine = uuid4()
    assert claim(database, user, mine, lease_seconds=1)["state"] == "claimed"
    assert claim(database, user, mine, lease_seconds=60)["state"] == "claimed"
    left = (
        "select claimed_until - clock_timestamp() > interval '50 s' from credits.stored_answers where account_id = %s"
    )
    assert database.value(left, user) is True


def test_a_claim_that_has_lapsed_is_taken_over_and_the_run_goes_on(database: Database, user: UUID) -> None:
    dead = uuid4()
    first = claim(database, user, dead)
    lapse(database, user)
    second = claim(database, user)
    assert (second["state"], second["run_id"]) == ("claimed", first["run_id"])
    assert claim(database, user, dead)["state"] == "working", "a server that was only slow has lost it"
    assert database.call("store_http_answer", user, KEY, dead, 200, {}, "")["stored"] is False


def test_another_request_under_the_same_key_is_refused(database: Database, user: UUID) -> None:
    mine = uuid4()
    claim(database, user, mine)
    with raises("idempotency_conflict", "PT409"):
        claim(database, user, fingerprint="another request")
    database.call("store_http_answer", user, KEY, mine, 200, {}, "")
    with raises("idempotency_conflict", "PT409"):
        claim(database, user, fingerprint="another request")


def test_what_was_answered_is_answered_again(database: Database, user: UUID) -> None:
    mine = uuid4()
    claim(database, user, mine)
    database.call("store_http_answer", user, KEY, mine, 201, {"content-type": "text/plain"}, "aGVsbG8=")
    again = claim(database, user)
    assert (again["state"], again["status"], again["headers"]) == ("answered", 201, {"content-type": "text/plain"})
    assert again["body"] == "aGVsbG8="


def test_a_key_belongs_to_one_account(database: Database, user: UUID) -> None:
    other = database.new_user()
    assert claim(database, user)["state"] == claim(database, other)["state"] == "claimed"


def test_after_its_time_a_key_is_a_new_one(database: Database, user: UUID) -> None:
    mine = uuid4()
    first = claim(database, user, mine)
    database.call("store_http_answer", user, KEY, mine, 200, {}, "")
    expire(database, user)
    second = claim(database, user, fingerprint="another request")
    assert second["state"] == "claimed"
    assert second["run_id"] != first["run_id"], "or what it spends would count as paid"


def test_what_has_expired_is_forgotten_by_the_way(database: Database, user: UUID) -> None:
    for number in range(3):
        mine = uuid4()
        claim(database, user, mine, key=f"key {number}")
        database.call("store_http_answer", user, f"key {number}", mine, 200, {}, "")
    expire(database, user)
    claim(database, user)
    assert kept(database, user) == 1


def test_the_job_forgets_what_has_expired_and_nothing_else(database: Database, user: UUID) -> None:
    other = database.new_user()
    for each in (user, other):
        mine = uuid4()
        claim(database, each, mine)
        database.call("store_http_answer", each, KEY, mine, 200, {}, "")
    expire(database, user)
    assert database.value("select credits.forget_stored_answers()") == 1
    assert (kept(database, user), kept(database, other)) == (0, 1)


def test_a_request_that_works_for_long_is_not_forgotten(database: Database, user: UUID) -> None:
    claim(database, user)
    expire(database, user)
    database.value("select credits.forget_stored_answers()")
    assert claim(database, user)["state"] == "working"


def test_a_forgotten_person_leaves_no_answer(database: Database, user: UUID) -> None:
    mine = uuid4()
    claim(database, user, mine)
    database.call("store_http_answer", user, KEY, mine, 200, {}, "aGVsbG8=")
    database.call("record_uncollected", user, "message", 1, "unavailable", "POST /secret")
    database.call("forget_account", user)
    assert kept(database, user) == 0
    assert database.call("list_uncollected", user)["rows"][0]["description"] is None


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
def test_no_api_role_reads_the_answers_of_others(database: Database, role: str) -> None:
    for table in ("stored_answers", "uncollected"):
        allowed = "select has_table_privilege(%s, %s, 'select, insert, update, delete')"
        assert database.value(allowed, role, f"credits.{table}") is False
