"""The free plan's credits belong to a person, not to an id: leaving and signing up again brings no new ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.database import Database, call, copied_database
from tests.support.errors import raises
from tests.support.people import new_workspace
from tests.support.races import race, wait_until_blocked
from tests.support.server import Server
from tests.support.timed import Timed


@pytest.fixture(scope="module")
def by_person(server: Server) -> Iterator[Database]:
    with copied_database(server) as database:
        database.run("update credits.settings set identity_by = 'person'")
        yield database


def email() -> str:
    return f"ann.{uuid4().hex[:10]}@example.com"


def leave(database: Database, user: UUID) -> None:
    database.run("delete from auth.users where id = %s", user)


def left(database: Database, user: UUID, credit_type: str = "message") -> int:
    return int(database.balance(user, credit_type)["remaining"])


def anonymous(database: Database) -> UUID:
    user = uuid4()
    database.run("insert into auth.users (id, is_anonymous) values (%s, true)", user)
    return user


def test_who_signs_up_again_continues_with_what_was_left_in_the_same_period(database: Database) -> None:
    address = email()
    first = database.new_user(email=address)
    database.call("consume_credits", first, "message", 7)
    before = database.balance(first)
    leave(database, first)
    second = database.new_user(email=address.upper())
    after = database.balance(second)
    assert after["remaining"] == 3
    assert (after["period_start"], after["period_end"]) == (before["period_start"], before["period_end"])
    assert left(database, second, "integration") == 100
    database.call("consume_credits", second, "message", 3)
    leave(database, second)
    third = database.new_user(email=address)
    assert left(database, third) == 0
    assert left(database, third, "project") == 3
    with raises("insufficient_credits", "PT402"):
        database.call("consume_credits", third, "message", strict=True)
    for user in (first, second, third):
        database.verify(user)


def test_the_next_period_brings_the_whole_allowance(database: Database) -> None:
    address = email()
    first = database.new_user(email=address)
    database.call("consume_credits", first, "message", 10)
    leave(database, first)
    second = database.new_user(email=address)
    database.call("mark_test_account", second)
    end = database.value(
        "select period_end from credit_balances where account_id = %s and credit_type = 'message'", second
    )
    database.call("set_test_clock", second, end - timedelta(seconds=1))
    assert left(database, second) == 0
    database.call("set_test_clock", second, end)
    assert left(database, second) == 10
    assert database.call("consume_credits", second, "message", 4)["remaining"] == 6
    database.verify(second)


def test_after_a_year_a_person_is_new(database: Database) -> None:
    address = email()
    first = database.new_user(email=address)
    database.call("consume_credits", first, "message", 10)
    leave(database, first)
    database.run("update credits.accounts set closed_at = closed_at - interval '366 days' where account_id = %s", first)
    assert left(database, database.new_user(email=address)) == 10
    database.run("select credits.drop_old_identities()")
    assert database.query("select 1 from credits.account_identities where account_id = %s", first) == []


def test_what_was_bought_is_never_touched(database: Database) -> None:
    address = email()
    first = database.new_user(email=address)
    database.call("consume_credits", first, "message", 10)
    leave(database, first)
    second = database.new_user(email=address)
    database.call("grant_credits", second, "message", 50, "top_up")
    assert left(database, second) == 50
    database.call("change_plan", second, "starter")
    assert left(database, second) == 150
    database.verify(second)


def test_both_addresses_count_after_a_change(database: Database) -> None:
    old, new = email(), email()
    first = database.new_user(email=old)
    database.call("consume_credits", first, "message", 10)
    database.run("update auth.users set email = %s where id = %s", new, first)
    beside = database.new_user(email=old)
    assert left(database, beside) == 0
    leave(database, first)
    assert left(database, database.new_user(email=new)) == 0


def test_without_an_address_the_phone_number_counts(database: Database) -> None:
    users = uuid4(), uuid4()
    number = f"+49{uuid4().int % 10**10}"
    database.run("insert into auth.users (id, phone) values (%s, %s)", users[0], number)
    database.call("consume_credits", users[0], "message", 8)
    leave(database, users[0])
    database.run("insert into auth.users (id, phone) values (%s, %s)", users[1], number)
    assert left(database, users[1]) == 2


def test_who_was_forgotten_is_still_known_by_a_keyed_hash_alone(database: Database) -> None:
    address = email()
    first = database.new_user(email=address)
    database.call("consume_credits", first, "message", 10)
    database.call("forget_account", first)
    leave(database, first)
    assert left(database, database.new_user(email=address)) == 0
    [(identity,)] = database.query("select identity from credits.account_identities where account_id = %s", first)
    assert len(identity) == 32
    plain = database.value("select sha256(convert_to('email:' || %s, 'UTF8'))", address)
    assert bytes(identity) != bytes(plain)


def test_the_hash_is_hmac_sha256(database: Database) -> None:
    import hashlib

    [(inner, outer)] = database.query("select inner_key, outer_key from credits.identity_key")
    expected = hashlib.sha256(bytes(outer) + hashlib.sha256(bytes(inner) + b"email:x").digest()).digest()
    assert bytes(database.value("select credits.hash_identity('email:x')")) == expected
    assert (len(inner), len(outer)) == (64, 64)
    key = bytes(b ^ 0x36 for b in inner)
    assert key == bytes(b ^ 0x5C for b in outer)
    assert key[:48] != bytes(48)


def test_a_plus_tag_is_another_address_by_default(database: Database) -> None:
    name = uuid4().hex[:10]
    database.new_user(email=f"{name}@example.com")
    assert left(database, database.new_user(email=f"{name}+two@example.com")) == 10


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("{}@example.com", "{}+again@Example.com", True),
        ("a.{}@gmail.com", "A{}+x@googlemail.com", True),
        ("a.{}@example.com", "a{}@example.com", False),
        ("{}@example.com", "{}@example.org", False),
    ],
)
def test_by_person_a_second_account_beside_a_living_one_has_no_free_credits(
    by_person: Database, one: str, other: str, same: bool
) -> None:
    name = uuid4().hex[:10]
    first = by_person.new_user(email=one.format(name))
    second = by_person.new_user(email=other.format(name))
    assert (left(by_person, first), left(by_person, second)) == (10, 0 if same else 10)
    assert left(by_person, second, "project") == 3
    if not same:
        return
    denial = by_person.call("consume_credits", second, "message")
    assert denial["details"]["free_credits"] == "other_account"
    assert "Another account of yours" in denial["hint"]
    assert by_person.call("get_credit_summary", second)["free_credits"] == "other_account"
    # When the first is gone the second continues with what it left.
    by_person.call("consume_credits", first, "message", 6)
    leave(by_person, first)
    assert left(by_person, second) == 4
    assert by_person.call("consume_credits", second, "message", 4)["success"]
    by_person.verify(second)


def test_a_project_may_say_by_itself_what_an_identity_is(own_database: Database) -> None:
    own_database.run(
        "create or replace function credits.identity_of(p_user auth.users) returns text language sql stable "
        "set search_path = '' as $$ select p_user.raw_user_meta_data ->> 'device' $$"
    )
    users = uuid4(), uuid4()
    for user in users:
        own_database.run(
            'insert into auth.users (id, email, raw_user_meta_data) values (%s, %s, \'{"device": "d1"}\')',
            user,
            email(),
        )
    assert [left(own_database, user) for user in users] == [10, 0]


def test_an_anonymous_user_has_the_limits_and_gets_the_credits_on_becoming_permanent(database: Database) -> None:
    user = anonymous(database)
    assert [left(database, user, kind) for kind in ("integration", "message", "project")] == [0, 0, 3]
    denial = database.call("consume_credits", user, "message")
    assert denial["details"]["free_credits"] == "anonymous"
    assert "Sign up" in denial["hint"]
    database.call("grant_credits", user, "message", 5)
    database.call("consume_credits", user, "message", 2)
    database.run("update auth.users set is_anonymous = false, email = %s where id = %s", email(), user)
    assert left(database, user) == 13
    assert database.call("get_credit_history", user)
    database.verify(user)


def test_an_anonymous_user_who_was_somebody_before_continues(database: Database) -> None:
    address = email()
    first = database.new_user(email=address)
    database.call("consume_credits", first, "message", 9)
    leave(database, first)
    user = anonymous(database)
    database.run("update auth.users set is_anonymous = false, email = %s where id = %s", address, user)
    assert left(database, user) == 1


def test_a_project_may_give_anonymous_users_and_workspaces_the_free_credits(own_database: Database) -> None:
    own_database.run("update credits.settings set anonymous_credits = 'free'")
    user = anonymous(own_database)
    assert left(own_database, user) == 10
    own_database.run("update auth.users set is_anonymous = false, email = %s where id = %s", email(), user)
    assert left(own_database, user) == 10
    workspace = new_workspace(own_database, user)
    assert left(own_database, workspace) == 10
    own_database.run("update credits.settings set workspace_credits = 'none'")
    workspace = own_database.value("insert into credit_workspaces (name) values ('w') returning account_id")
    assert [left(own_database, workspace, kind) for kind in ("integration", "message", "project")] == [0, 0, 3]
    own_database.verify()


def confirm(database: Database, user: UUID) -> None:
    database.run("update auth.users set email_confirmed_at = now() where id = %s", user)


def test_who_confirms_an_address_has_its_free_credits_and_not_the_stranger_who_signed_up_with_it(
    by_person: Database,
) -> None:
    name = uuid4().hex[:10]
    stranger = by_person.new_user(email=f"{name}+x@example.com")
    person = by_person.new_user(email=f"{name}@example.com")
    assert (left(by_person, stranger), left(by_person, person)) == (10, 0)
    confirm(by_person, person)
    assert (left(by_person, stranger), left(by_person, person)) == (0, 10)
    assert by_person.call("get_credit_summary", stranger)["free_credits"] == "other_account"
    # To confirm the other address as well brings nothing more, and neither does a third one.
    confirm(by_person, stranger)
    third = by_person.new_user(email=f"{name}+y@example.com")
    confirm(by_person, third)
    assert [left(by_person, user) for user in (stranger, person, third)] == [0, 10, 0]
    by_person.call("consume_credits", person, "message", 3)
    leave(by_person, person)
    assert sorted(left(by_person, user) for user in (stranger, third)) == [0, 7]
    for user in (stranger, person, third):
        by_person.verify(user)


def test_a_free_allowance_that_a_paid_plan_cut_short_is_not_given_again(database: Database) -> None:
    address = email()
    first = database.new_user(email=address)
    database.call("consume_credits", first, "message", 7)
    database.call("change_plan", first, "starter")
    leave(database, first)
    second = database.new_user(email=address)
    assert (left(database, second), left(database, second, "integration")) == (3, 100)
    database.verify(second)


def pass_through(user: Timed, way_out: str, *, is_managed: bool) -> None:
    """Subscribes, pays nothing, and leaves within the hour."""
    user.wait(minutes=20)
    if is_managed:
        user.database.run("select credits.cover_period(%s, null, null)", user.id)
    user.call("change_plan", "starter")
    user.wait(minutes=20)
    if way_out == "trial":
        user.call("set_subscription_status", "trialing", ends_at=user.now + timedelta(minutes=10))
    elif not is_managed:
        user.call("set_subscription_status", "past_due")
    user.wait(minutes=20)
    if way_out == "free":
        user.call("change_plan", "free")
    elif way_out == "canceled":
        user.call("set_subscription_status", "canceled")


@pytest.mark.parametrize("way_out", ["free", "canceled", "trial"])
@pytest.mark.parametrize("is_managed", [False, True])
def test_plans_that_were_not_paid_for_bring_no_second_free_allowance(
    database: Database, way_out: str, is_managed: bool
) -> None:
    user = Timed(database, start=datetime(2055, 1, 31, tzinfo=UTC))
    user.call("consume_credits", "message", 4)
    for _ in range(3):
        pass_through(user, way_out, is_managed=is_managed)
        assert user.remaining == 6
    user.call("consume_credits", "message", 5)
    held = user.call("reserve_credits", "message", 1, ttl_seconds=86400)["reservation_id"]
    pass_through(user, way_out, is_managed=is_managed)
    # What was held counts as spent, whether it is captured or comes back.
    assert user.remaining == 0
    user.call("capture_credits", held)
    pass_through(user, way_out, is_managed=is_managed)
    assert user.remaining == 0
    user.verify()
    # Once per period, all the same: the next one has all of it, and so has what support restarts.
    assert user.call("reset_monthly_credits")["restarted"] == ["integration", "message"]
    assert user.remaining == 10
    for month in (3, 4, 5):
        user.at(datetime(2055, month, 28, 12, tzinfo=UTC))
        assert user.remaining == 10
    user.verify()


@pytest.fixture(scope="module")
def rolling(server: Server) -> Iterator[Database]:
    """Four of the free plan's credits roll over."""
    with copied_database(server) as database:
        database.run("update plan_limits set rollover_cap = 4 where plan_id = 'free' and credit_type <> 'project'")
        yield database


@pytest.mark.parametrize("gap", [0, 61])
def test_what_a_plan_that_was_not_paid_for_carried_over_counts_as_given(rolling: Database, gap: int) -> None:
    user = Timed(rolling)

    def detour() -> None:
        user.wait(seconds=gap).call("change_plan", "starter")
        user.wait(seconds=gap).call("set_subscription_status", "past_due")
        user.wait(seconds=gap).call("change_plan", "free")

    user.call("grant_credits", "message", 1)
    user.call("consume_credits", "message", 2)
    for _ in range(3):
        detour()
        assert user.remaining == 9
    user.call("consume_credits", "message", 5)
    detour()
    assert user.remaining == 4
    # What support restarts is not taken back by the next detour, nor given twice.
    user.wait(seconds=1).call("reset_monthly_credits")
    restarted = user.remaining
    assert restarted is not None
    user.call("consume_credits", "message", 1)
    user.wait(seconds=1)
    detour()
    detour()
    assert user.remaining == restarted - 1
    user.verify()


def test_what_rolled_over_out_of_a_paid_plan_is_earned(rolling: Database) -> None:
    user = Timed(rolling, start=datetime(2055, 1, 31, tzinfo=UTC), plan="starter")
    user.at(user.period_end).call("consume_credits", "message", 1)
    user.wait(days=1).call("change_plan", "free", effective="period_end")
    assert user.at(user.period_end).remaining == 10
    user.call("change_plan", "starter")
    user.wait(days=1).call("set_subscription_status", "past_due")
    user.wait(days=1).call("change_plan", "free")
    assert user.remaining == 10
    user.verify()


def test_news_of_a_detour_that_comes_after_the_period_mints_nothing(rolling: Database) -> None:
    user = Timed(rolling, start=datetime(2055, 1, 31, tzinfo=UTC))
    began = user.wait(days=20).now
    assert user.at(datetime(2055, 3, 2, tzinfo=UTC)).remaining == 14
    user.call("consume_credits", "message", 1)
    user.call("change_plan", "starter", at=began)
    user.call("set_subscription_status", "past_due", at=began + timedelta(days=1))
    user.call("change_plan", "free")
    assert user.remaining == 9
    user.verify()


@pytest.mark.parametrize("way", ["deleted at once", "back on the free plan"])
def test_who_leaves_an_account_whose_plan_was_not_paid_for_continues_with_what_was_left(
    rolling: Database, way: str
) -> None:
    address = email()
    begun_with = []
    for _ in range(4):
        person = rolling.new_user(email=address)
        begun_with.append(left(rolling, person))
        rolling.call("change_plan", person, "starter")
        rolling.call("set_subscription_status", person, "past_due")
        if way == "back on the free plan":
            rolling.call("change_plan", person, "free")
        rolling.call("consume_credits", person, "message", min(6, left(rolling, person)) or 1)
        rolling.verify(person)
        leave(rolling, person)
    assert begun_with == [10, 4, 0, 0]


def test_who_has_paid_for_a_month_has_the_free_one_that_follows(database: Database) -> None:
    user = Timed(database, start=datetime(2055, 1, 31, tzinfo=UTC))
    user.call("consume_credits", "message", 10)
    user.wait(days=20).call("change_plan", "starter")
    user.call("set_subscription_status", "canceled")
    assert user.at(datetime(2055, 3, 20, tzinfo=UTC)).remaining == 10
    user.verify()


def test_two_sign_ups_of_one_person_at_once_get_the_credits_once(by_person: Database) -> None:
    name = uuid4().hex[:10]

    def sign_up(tag: int) -> Any:
        def insert(connection: psycopg.Connection[Any]) -> UUID:
            user = uuid4()
            connection.execute(
                "insert into auth.users (id, email) values (%s, %s)", [user, f"{name}+{tag}@example.com"]
            )
            return user

        return insert

    users = race(by_person, [sign_up(n) for n in range(6)])
    assert sorted(left(by_person, user) for user in users) == [0, 0, 0, 0, 0, 10]


def test_a_sign_up_while_the_account_before_is_being_deleted_gets_what_is_left(database: Database) -> None:
    address = email()
    first = database.new_user(email=address)
    database.call("consume_credits", first, "message", 4)
    second = uuid4()
    with database.connect(autocommit=False) as deleting, database.connect() as signing_up:
        deleting.execute("delete from auth.users where id = %s", [first])
        signing_up.execute("insert into auth.users (id, email) values (%s, %s)", [second, address])
        assert left(database, second) == 0
        deleting.commit()
    assert left(database, second) == 6
    assert database.call("consume_credits", second, "message", 6)["success"]
    database.verify(second)


def test_a_sign_up_that_comes_second_waits_for_the_first(by_person: Database) -> None:
    import threading

    name = uuid4().hex[:10]
    users = uuid4(), uuid4()
    query = "insert into auth.users (id, email) values (%s, %s)"
    with by_person.connect(autocommit=False) as first, by_person.connect(autocommit=False) as second:
        first.execute(query, [users[0], f"{name}@example.com"])
        thread = threading.Thread(target=lambda: second.execute(query, [users[1], f"{name}+b@example.com"]))
        thread.start()
        wait_until_blocked(by_person, second)
        first.rollback()
        thread.join()
        second.commit()
    assert left(by_person, users[1]) == 10
    assert call(by_person.connection, "consume_credits", users[1], "message")["success"]


def sign_up_event(address: str, **more: Any) -> Jsonb:
    """What Supabase Auth sends to a before-user-created hook."""
    user = {"id": str(uuid4()), "aud": "authenticated", "role": "", "email": address, "phone": "", "app_metadata": {}}
    return Jsonb(
        {
            "metadata": {"uuid": str(uuid4()), "name": "before-user-created", "ip_address": "127.0.0.1"},
            "user": user | {"user_metadata": {}, "identities": [], "is_anonymous": False} | more,
        }
    )


def test_the_hook_of_auth_refuses_a_second_account_of_a_person(by_person: Database) -> None:
    name = uuid4().hex[:10]
    first = by_person.new_user(email=f"{name}@example.com")
    with psycopg.connect(by_person.superuser_url) as connection:
        connection.execute("grant usage on schema credits to supabase_auth_admin")
        connection.execute("grant execute on function credits.refuse_repeated_signup(jsonb) to supabase_auth_admin")
        connection.execute("set role supabase_auth_admin")

        def asked(event: Jsonb) -> Any:
            row = connection.execute("select credits.refuse_repeated_signup(%s)", [event]).fetchone()
            assert row is not None
            return row[0]

        refused = asked(sign_up_event(f"{name}+two@example.com"))
        assert refused["error"]["http_code"] == 403
        assert "account already" in refused["error"]["message"]
        assert asked(sign_up_event(f"{name}-other@example.com")) == {}
        assert asked(sign_up_event("", is_anonymous=True)) == {}
        assert asked(Jsonb({"user": "nonsense"})) == {}
        connection.rollback()
    ask = "select credits.refuse_repeated_signup(%s)"
    with psycopg.connect(by_person.superuser_url) as connection:
        # An account that Auth has asked to confirm its address, and that has not, keeps nobody out.
        connection.execute("alter table auth.users add column if not exists confirmation_sent_at timestamptz")
        connection.execute("update auth.users set confirmation_sent_at = now() where id = %s", [first])
        assert connection.execute(ask, [sign_up_event(f"{name}@example.com")]).fetchall() == [({},)]
        connection.rollback()
    leave(by_person, first)
    assert by_person.query(ask, sign_up_event(f"{name}@example.com")) == [({},)]


def test_the_doctor_counts_accounts_of_one_person_and_accounts_of_nobody(own_database: Database) -> None:
    own_database.run("update credits.settings set identity_by = 'person'")
    for tag in ("", "+a", "+b"):
        own_database.new_user(email=f"ann{tag}@example.com")
    gone = own_database.new_user()
    with psycopg.connect(own_database.superuser_url) as connection:
        connection.execute("set local session_replication_role = replica")
        connection.execute("delete from auth.users where id = %s", [gone])
    found = {entry["code"]: entry for entry in own_database.call("diagnose")["findings"]}
    assert found["accounts_of_one_person"]["meaning"].startswith(
        "1 people have more than one open account, the busiest of them 3"
    )
    assert found["accounts_of_nobody"]["meaning"].startswith("1 accounts are open")
    own_database.run(found["accounts_of_nobody"]["how_to_mend"])
    assert "accounts_of_nobody" not in {entry["code"] for entry in own_database.call("diagnose")["findings"]}


def test_the_job_brings_accounts_in_line_that_were_busy(own_database: Database) -> None:
    user = own_database.new_user()
    with own_database.connect(autocommit=False) as busy:
        busy.execute("select 1 from credits.balances where account_id = %s for update", [user])
        own_database.run("delete from auth.users where id = %s", user)
        assert own_database.query("select account_id from credits.accounts_to_follow") == [(user,)]
    own_database.call("reset_monthly_credits")
    assert own_database.query("select account_id from credits.accounts_to_follow") == []
    assert own_database.value("select status from credits.accounts where account_id = %s", user) == "closed"


def balances_of(database: Database, user: UUID, **named: Any) -> dict[str, Any]:
    summary = database.call("get_credit_summary", user, **named)
    return {"why": summary["free_credits"]} | {row["credit_type"]: row for row in summary["balances"]}


def test_what_is_withheld_is_no_allowance_and_nothing_to_wait_for(own_database: Database) -> None:
    owner = own_database.new_user()
    workspace = UUID(own_database.call("create_workspace", owner, name="W")["workspace_id"])
    for user, why, more in (
        (anonymous(own_database), "anonymous", {}),
        (owner, "workspace", {"workspace_id": workspace}),
    ):
        found = balances_of(own_database, user, **more)
        assert found["why"] == why
        assert [found[kind]["allowance"] for kind in ("integration", "message", "project")] == [0, 0, 3]
        assert found["message"]["renews_at"] is None
        denial = own_database.call("consume_credits", user, "message", **more)
        assert (denial["details"]["free_credits"], denial["details"]["resets_at"]) == (why, None)
        assert "wait until" not in denial["hint"]
        # What is bought beside it is all there is; a plan that is bought gives what it says.
        own_database.call("grant_credits", user, "message", 5, **more)
        assert own_database.call("consume_credits", user, "message", 5, **more)["limit"] == 0
        assert balances_of(own_database, user, **more)["message"]["warning"] == "exhausted"
        told = "select data -> 'renews_at' from credits.outbox where account_id = %s and kind = 'credits.level'"
        assert own_database.query(told, more.get("workspace_id", user))[-1] == (None,)
        own_database.call("change_plan", user, "starter", **more)
        found = balances_of(own_database, user, **more)
        assert (found["message"]["allowance"], found["message"]["remaining"]) == (100, 100)
        assert found["message"]["renews_at"] == found["message"]["period_end"]
        denial = own_database.call("consume_credits", user, "message", 101, **more)
        assert "free_credits" not in denial["details"]
        assert "wait until" in denial["hint"]
        # After a plan that ends comes the free one: it brings nothing here.
        own_database.call("change_plan", user, "free", "period_end", **more)
        assert balances_of(own_database, user, **more)["message"]["renews_at"] is None
        own_database.verify(more.get("workspace_id", user))
    assert balances_of(own_database, owner)["message"]["renews_at"]


def test_whether_workspaces_have_free_credits_counts_at_once(own_database: Database) -> None:
    owner = own_database.new_user()
    workspace = UUID(own_database.call("create_workspace", owner, name="W")["workspace_id"])
    paid = UUID(own_database.call("create_workspace", owner, name="Paid")["workspace_id"])
    own_database.call("change_plan", owner, "starter", workspace_id=paid)
    for setting, expected in (("free", (10, 10)), ("none", (0, 0)), ("free", (10, 6)), ("none", (0, 0))):
        own_database.run("update credits.settings set workspace_credits = %s", setting)
        found = balances_of(own_database, owner, workspace_id=workspace)
        assert (found["message"]["allowance"], found["message"]["remaining"]) == expected, setting
        assert bool(found["message"]["renews_at"]) == (setting == "free")
        own_database.verify()
        if expected == (10, 10):
            own_database.call("consume_credits", owner, "message", 4, workspace_id=workspace)
        assert left(own_database, paid) == 100


def test_a_plan_that_is_not_paid_for_has_nothing_to_wait_for(database: Database) -> None:
    for status, renews in (("past_due", False), ("paused", False), ("canceled", True), ("active", True)):
        user = database.new_user()
        database.call("change_plan", user, "starter")
        database.call("set_subscription_status", user, status)
        assert bool(balances_of(database, user)["message"]["renews_at"]) is renews, status
        denial = database.call("consume_credits", user, "message", 10**6)
        assert ("wait until" in denial["hint"], bool(denial["details"]["resets_at"])) == (renews, renews), status


def test_what_was_left_in_an_earlier_account_is_what_this_period_has(database: Database) -> None:
    address = email()
    first = database.new_user(email=address)
    database.call("consume_credits", first, "message", 10)
    leave(database, first)
    found = balances_of(database, database.new_user(email=address))
    # The next period brings the whole allowance, so waiting helps.
    assert (found["why"], found["message"]["allowance"], found["message"]["remaining"]) == ("own", 10, 0)
    assert found["message"]["renews_at"]
