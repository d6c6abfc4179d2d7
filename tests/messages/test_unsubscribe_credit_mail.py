"""The link of a mail turns mails off for one person and one account."""

from __future__ import annotations

from tests.messages.support import announce, claim
from tests.support.database import Database
from tests.support.errors import raises


def test_the_token_of_a_mail_turns_mails_off_and_no_other_does(own_database: Database) -> None:
    user = own_database.new_user()
    announce(own_database, user)
    [mail] = claim(own_database)
    token = mail["receiver"]["token"]
    changed = token[:-1] + ("A" if token[-1] != "A" else "B")
    with raises("invalid_argument"):
        own_database.call("unsubscribe_credit_mail", changed)
    assert own_database.call("unsubscribe_credit_mail", token)["by_mail"] is False
    # What had been routed before is not sent either: the worker is told.
    own_database.run("update credits.channels set leased_until = now()")
    [mail] = claim(own_database)
    assert mail["receiver"]["wanted"] is False
    announce(own_database, user)
    own_database.run("update credits.channels set leased_until = now()")
    assert len(claim(own_database)[0]["messages"]) == 1
    assert own_database.call("unsubscribe_credit_mail", token, True)["by_mail"] is True
