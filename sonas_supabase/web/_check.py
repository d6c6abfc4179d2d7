"""Does the dashboard show what is true?"""

from __future__ import annotations

from typing import Any, NamedTuple

import httpx
from pydantic import TypeAdapter

from sonas_supabase import Balance, Summary
from sonas_supabase.web._report import warned

_BALANCES = TypeAdapter(tuple[Balance, ...])
_TIMEOUT = 10


class DashboardCheck(NamedTuple):
    """Whether the dashboard is right, and what was seen."""

    ok: bool
    seen: str


def check_dashboard(
    base_url: str, token: str, expected: Summary, *, client: httpx.Client | None = None
) -> DashboardCheck:
    """Compares what a running app answers with what ``get_credit_summary`` answered for the same user.

    ``token`` is a token of that user. Nothing is changed. Never raises for what the app does: an app that does not
    answer is one that shows nothing.
    """
    http = client or httpx.Client(base_url=base_url, timeout=_TIMEOUT)
    try:
        page = http.get("/")
        answer = http.get("/api/usage", headers={"authorization": f"Bearer {token}"})
        if not page.is_success or "sonas-usage" not in page.text:
            return DashboardCheck(False, f"GET / answered {page.status_code} without the dashboard")
        if not answer.is_success:
            return DashboardCheck(False, f"GET /api/usage answered {answer.status_code}")
        return _compare(answer.json(), expected)
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        return DashboardCheck(False, f"{base_url} does not show a dashboard: {error}")
    finally:
        if client is None:
            http.close()


def _compare(shown: dict[str, Any], expected: Summary) -> DashboardCheck:
    balances = _BALANCES.validate_python(shown["balances"])
    wrong = [
        f"{mine.credit_type}: {mine.remaining} shown, {true.remaining} true"
        for true in expected.balances
        for mine in balances
        if mine.credit_type == true.credit_type and mine != true
    ]
    missing = {balance.credit_type for balance in expected.balances} - {balance.credit_type for balance in balances}
    wrong += [f"{credit_type} is not shown" for credit_type in sorted(missing)]
    if shown["plan"]["id"] != expected.plan:
        wrong.append(f"plan {shown['plan']['id']} shown, {expected.plan} true")
    if {one["credit_type"] for one in shown["warnings"]} != {one.credit_type for one in warned(expected)}:
        wrong.append("the warnings are not those of the balances")
    if wrong:
        return DashboardCheck(False, "; ".join(wrong))
    figures = ", ".join(f"{_left(balance)} {balance.credit_type}" for balance in balances)
    return DashboardCheck(True, f"the dashboard shows plan {expected.plan}: {figures}")


def _left(balance: Balance) -> str:
    return (
        "unlimited"
        if balance.remaining is None
        else f"{balance.remaining} of {balance.used + balance.reserved + balance.remaining}"
    )
