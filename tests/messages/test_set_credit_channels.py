"""Mail and notifications can be turned off, but for what people must know."""

from __future__ import annotations

from tests.messages.support import announce, claim, kinds
from tests.support.database import Database


def test_without_mails_only_what_is_essential_is_mailed(own_database: Database) -> None:
    user = own_database.new_user()
    own_database.call("set_credit_channels", user, by_mail=False)
    announce(own_database, user, "credits.level")
    announce(own_database, user, "payment.failed")
    assert kinds(claim(own_database), "email") == ["payment.failed"]


def test_without_notifications_nothing_is_shown(database: Database) -> None:
    user = database.new_user()
    answer = database.call("set_credit_channels", user, in_app=False)
    assert (answer["by_mail"], answer["in_app"]) == (True, False)
    announce(database, user)
    assert database.call("list_notifications", user)["rows"] == []
    assert database.call("set_credit_channels", user, in_app=True)["in_app"] is True
