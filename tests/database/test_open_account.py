"""An account for an id that has no row in auth.users here."""

from __future__ import annotations

from uuid import UUID, uuid4

from tests.support.database import Database
from tests.support.errors import raises
from tests.support.people import new_workspace


def test_an_id_that_auth_does_not_know_gets_an_account_and_keeps_it(database: Database) -> None:
    stranger = uuid4()
    with raises("account_not_found", "PT404"):
        database.call("consume_credits", stranger, "message")
    answer = database.call("open_account", stranger)
    assert (answer["success"], answer["account_id"]) == (True, str(stranger))
    assert database.call("consume_credits", stranger, "message", 4)["remaining"] == 6
    database.call("open_account", stranger)
    assert database.balance(stranger)["remaining"] == 6
    assert database.call("check_credits", stranger, "message")["success"]
    database.run("select credits.follow_account(%s)", stranger)
    assert database.call("consume_credits", stranger, "message")["remaining"] == 5
    database.verify(stranger)


def test_a_user_who_is_known_here_is_gone_with_auth(database: Database, user: UUID) -> None:
    database.call("open_account", user)
    database.run("delete from auth.users where id = %s", user)
    with raises("account_not_found", "PT404"):
        database.call("consume_credits", user, "message")


def test_an_account_of_elsewhere_ends_with_its_user_once_there_is_one(database: Database) -> None:
    stranger = uuid4()
    database.call("open_account", stranger)
    database.call("consume_credits", stranger, "message", 4)
    database.run("insert into auth.users (id) values (%s)", stranger)
    assert database.call("consume_credits", stranger, "message")["remaining"] == 5
    database.run("update auth.users set deleted_at = now() where id = %s", stranger)
    for function, arguments in (("consume_credits", ("message",)), ("open_account", ())):
        with raises("account_not_found", "PT404"):
            database.call(function, stranger, *arguments)


def test_a_workspace_and_an_account_that_was_forgotten_are_not_opened(database: Database, user: UUID) -> None:
    with raises("account_not_found", "PT404"):
        database.call("open_account", new_workspace(database, user))
    database.call("forget_account", user)
    with raises("account_not_found", "PT404"):
        database.call("open_account", user)
    with raises("invalid_argument", "PT422"):
        database.call("open_account", None)


def test_the_id_that_stands_for_no_user_gets_no_account(database: Database) -> None:
    with raises("invalid_argument", "PT422"):
        database.call("open_account", UUID(int=0))
