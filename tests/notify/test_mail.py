"""Mails: to whom, in which words, and how they are turned off."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from sonas_supabase import AsyncCreditsClient
from sonas_supabase.notify import Report, Templates, router
from tests.messages.support import announce
from tests.notify.conftest import Pass
from tests.notify.receivers import SmtpServer
from tests.support.database import Database
from tests.support.errors import raises
from tests.support.people import new_workspace

KINDS = [
    *("credits.level", "credits.recovered", "credits.renewed", "credits.expiring", "top_up.bought", "top_up.stopped"),
    *("payment.failed", "plan.changed", "trial.ending", "hold.expired", "budget.reached"),
]


def person(database: Database, name: str) -> UUID:
    return database.new_user(email=f"{name}@example.com")


async def test_a_level_is_mailed_to_the_person_in_plain_words(
    own_database: Database, smtp: SmtpServer, work: Pass
) -> None:
    user = person(own_database, "ann")
    own_database.call("consume_credits", user, "message", 8)
    report = await work(smtp_url=smtp.url, mail_from="Acme <credits@acme.example>", app_url="https://acme.example")
    assert report.delivered == 1
    [mail] = smtp.to("ann@example.com")
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    html = mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert mail["from"] == "Acme <credits@acme.example>"
    assert "80 %" in mail["subject"]
    assert "Left: 2. New credits come on" in text
    assert "You can choose a larger plan." in text
    assert "https://acme.example" in html
    for part in (text, html, mail["subject"]):
        assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}|_credits|\$\w|None|null", part)
    [message] = own_database.query("select id from credits.outbox where account_id = %s", user)
    assert mail["message-id"] == f"<{message[0]}@acme.example>"


async def test_the_link_of_a_mail_turns_mails_off_by_one_click(
    own_database: Database, smtp: SmtpServer, work: Pass
) -> None:
    user = person(own_database, "bob")
    announce(own_database, user)
    await work(smtp_url=smtp.url, app_url="https://acme.example")
    [mail] = smtp.to("bob@example.com")
    assert mail["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    link = urlsplit(str(mail["list-unsubscribe"]).strip("<>").replace("\n", "").replace(" ", ""))
    app = FastAPI()
    async with AsyncCreditsClient.from_url(own_database.url) as credits:
        app.include_router(router(credits))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://acme.example") as browser:
            address = f"{link.path}?{link.query}"
            shown = await browser.get(address)
            assert (shown.status_code, "<button" in shown.text) == (200, True)
            announce(own_database, user)
            await work(smtp_url=smtp.url)
            assert len(smtp.to("bob@example.com")) == 2  # a look changes nothing
            done = await browser.post(address, content="List-Unsubscribe=One-Click")
            assert (done.status_code, "no more mails" in done.text) == (200, True)
            assert (await browser.post(f"{link.path}?token=nonsense")).status_code == 422
    announce(own_database, user)
    announce(own_database, user, "payment.failed")
    await work(smtp_url=smtp.url, app_url="https://acme.example")
    assert len(smtp.to("bob@example.com")) == 3
    essential = smtp.to("bob@example.com")[-1]
    assert "payment" in essential["subject"]
    assert essential["list-unsubscribe"] is None


async def test_no_mail_promises_credits_that_do_not_come(own_database: Database, smtp: SmtpServer, work: Pass) -> None:
    user = person(own_database, "ann")
    own_database.call("change_plan", user, "starter")
    own_database.call("set_subscription_status", user, "past_due")
    own_database.call("consume_credits", user, "message", 80)
    await work(smtp_url=smtp.url)
    [mail] = [mail for mail in smtp.to("ann@example.com") if "80 %" in mail["subject"]]
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "Left: 20." in text
    assert "New credits" not in text


async def test_a_workspace_mails_its_owners_and_admins(own_database: Database, smtp: SmtpServer, work: Pass) -> None:
    owner, member = person(own_database, "owner"), person(own_database, "member")
    team = new_workspace(own_database, owner, member)
    announce(own_database, team, "credits.level", '{"level": 100, "remaining": 0, "name": "Chat"}')
    await work(smtp_url=smtp.url)
    assert [address for address, _ in smtp.mails] == ["owner@example.com"]
    assert smtp.mails[0][1]["subject"].startswith("Team: You have used all")


async def test_an_invitation_is_mailed_with_a_link_that_accepts_it(
    own_database: Database, smtp: SmtpServer, work: Pass
) -> None:
    owner, zoe = person(own_database, "owner"), person(own_database, "zoe")
    team = own_database.call("create_workspace", owner, "Win at www.evil.example/now\r\nBcc: x@y.z <b>")["workspace_id"]
    invited = own_database.call("invite_to_workspace", owner, team, "zoe@example.com")
    assert (await work(smtp_url=smtp.url)).delivered == 0  # there is nothing to lead to
    report = await work(smtp_url=smtp.url, app_url="https://acme.example")
    assert (report.delivered, await work(smtp_url=smtp.url, app_url="https://acme.example")) == (1, Report())
    [(address, mail)] = smtp.mails
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    html = mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert (address, mail["bcc"], mail["list-unsubscribe"]) == ("zoe@example.com", None, None)
    assert mail["subject"].strip() == "owner@example.com invites you to Win at www evil example now Bcc: x y z <b>"
    assert "<b>" not in html
    assert "of your account" not in text
    [token] = set(re.findall(r"https://acme\.example/team#invitation=(inv_\w+)", text + html))
    # One more token, made for the mail: what the owner was answered is stored nowhere.
    assert token != invited["token"]
    assert own_database.call("accept_workspace_invitation", zoe, token)["role"] == "member"
    with raises("invitation_used", "PT409"):
        own_database.call("accept_workspace_invitation", person(own_database, "eve"), token)
    own_database.run("update credits.outbox set routed_at = now() - interval '40 days'")
    own_database.run("update credits.deliveries set settled_at = settled_at - interval '40 days'")
    own_database.call("tend_messages")
    assert own_database.value("select count(*) from credits.channels where kind = 'invitation'") == 0


async def test_an_invitation_that_is_over_is_not_mailed_and_no_mailbox_is_filled(
    own_database: Database, smtp: SmtpServer, work: Pass
) -> None:
    owner = person(own_database, "owner")
    team = own_database.call("create_workspace", owner, "Team")["workspace_id"]
    for _ in range(5):
        own_database.call("invite_to_workspace", owner, team, "zoe@example.com")
    revoked = own_database.call("invite_to_workspace", owner, team, "max@example.com")
    own_database.call("revoke_workspace_invitation", owner, team, revoked["invitation_id"])
    own_database.run("update credits.settings set mail_invitations = false")
    own_database.call("invite_to_workspace", owner, team, "pam@example.com")
    report = await work(smtp_url=smtp.url, app_url="https://acme.example")
    # Three to one address a day; of these only the last is open, and it was the fifth.
    assert (report.delivered, report.dropped, smtp.mails) == (0, 4, [])


async def test_an_address_that_was_never_confirmed_gets_no_mail(
    own_database: Database, smtp: SmtpServer, work: Pass
) -> None:
    user = person(own_database, "victim")
    own_database.run(
        "update auth.users set email_confirmed_at = null, raw_user_meta_data = %s", '{"email_verified": false}'
    )
    announce(own_database, user, "payment.failed")
    assert ((await work(smtp_url=smtp.url)).dropped, smtp.mails) == (1, [])


async def test_a_server_that_refuses_or_is_away_loses_nothing(
    own_database: Database, smtp: SmtpServer, work: Pass
) -> None:
    for name in ("away", "unknown", "later"):
        announce(own_database, person(own_database, name))
    assert (await work(smtp_url="smtp://127.0.0.1:1")).failed == 3
    smtp.refuse = {"unknown@example.com": "550 No such person", "later@example.com": "451 Try again"}
    report = await work(smtp_url=smtp.url)
    assert (report.delivered, report.dead, report.failed) == (1, 1, 1)
    smtp.refuse = {}
    assert (await work(smtp_url=smtp.url)).delivered == 1
    assert {address for address, _ in smtp.mails} == {"away@example.com", "later@example.com"}


async def test_without_a_mail_server_mails_wait(own_database: Database, smtp: SmtpServer, work: Pass) -> None:
    announce(own_database, person(own_database, "ann"))
    assert (await work()).delivered == 0
    assert (await work(smtp_url=smtp.url)).delivered == 1


async def test_a_template_of_the_projects_own_replaces_ours(
    own_database: Database, smtp: SmtpServer, work: Pass, tmp_path: Path
) -> None:
    (tmp_path / "credits.level.txt").write_text("Subject: Achtung, $level %\nNoch $remaining übrig.\n")
    announce(own_database, person(own_database, "ann"), "credits.level", '{"level": 80, "remaining": 2}')
    await work(smtp_url=smtp.url, templates=tmp_path)
    [mail] = smtp.to("ann@example.com")
    assert mail["subject"] == "Achtung, 80 %"
    assert "Noch 2 übrig." in mail.get_body(("html",)).get_content()  # type: ignore[union-attr]


async def test_what_a_person_wrote_cannot_add_headers_or_tags(
    own_database: Database, smtp: SmtpServer, work: Pass
) -> None:
    owner = person(own_database, "owner")
    team = new_workspace(own_database, owner)
    own_database.run(
        "update public.credit_workspaces set name = %s where account_id = %s", "A\r\nBcc: x@y.z\r\n<b>", team
    )
    announce(own_database, team)
    assert (await work(smtp_url=smtp.url)).delivered == 1
    [(address, mail)] = smtp.mails
    assert (address, mail["bcc"]) == ("owner@example.com", None)
    assert "<b>" not in mail.get_body(("html",)).get_content()  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_words_of_its_own_and_needs_no_data(kind: str) -> None:
    mail = Templates(app_url="https://acme.example").mail(
        {"kind": kind, "data": {}, "created_at": "2026-01-02T03:04:05+00:00"}, unsubscribe="https://acme.example/off"
    )
    assert mail.subject
    assert mail.subject != "News about your credits"
    assert "$" not in mail.text + mail.html + mail.subject
