"""`check_dashboard`, with which `sonas verify` ticks the dashboard's line: true when it is right, and only then."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from uuid import UUID

import pytest
from starlette.applications import Starlette

from sonas_supabase import CreditsClient, Summary
from sonas_supabase.web import check_dashboard
from tests.support.database import Database
from tests.web.support import Site, serving, token


@pytest.fixture
def summary(database: Database, user: UUID) -> Iterator[Summary]:
    with CreditsClient.from_url(database.url) as credits:
        credits.consume_credits(user, "message", 8)
        yield credits.get_credit_summary(user)


def test_a_right_dashboard_is_right(site: Site, summary: Summary) -> None:
    check = check_dashboard(site.url, token(summary.user_id), summary)
    assert check.ok, check.seen
    assert "plan free" in check.seen
    assert "2 of 10 message" in check.seen


def test_other_figures_are_wrong(site: Site, database: Database, summary: Summary) -> None:
    database.call("consume_credits", summary.user_id, "message", 1)
    check = check_dashboard(site.url, token(summary.user_id), summary)
    assert not check.ok
    assert "message: 1 shown, 2 true" in check.seen


def test_another_plan_is_wrong(site: Site, summary: Summary) -> None:
    check = check_dashboard(site.url, token(summary.user_id), dataclasses.replace(summary, plan="pro"))
    assert not check.ok
    assert "plan free shown, pro true" in check.seen


def test_a_bad_token_is_wrong(site: Site, summary: Summary) -> None:
    check = check_dashboard(site.url, "not a token", summary)
    assert (check.ok, check.seen) == (False, "GET /api/usage answered 401")


def test_another_site_is_wrong(database: Database, summary: Summary) -> None:
    with serving(Starlette(), database) as other:
        check = check_dashboard(other.url, token(summary.user_id), summary)
    assert (check.ok, check.seen) == (False, "GET / answered 404 without the dashboard")


def test_no_site_is_wrong(summary: Summary) -> None:
    check = check_dashboard("http://127.0.0.1:1", token(summary.user_id), summary)
    assert not check.ok
    assert "does not show a dashboard" in check.seen
