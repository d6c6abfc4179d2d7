"""Where the unsubscribe link of a mail leads to."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from sonas_supabase import AsyncCreditsClient, InvalidRequest

if TYPE_CHECKING:
    from fastapi import APIRouter

PATH = "/messages/unsubscribe"

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Mails about your credits</title>
<h1>Mails about your credits</h1>
<p>{words}</p>
{form}
</html>
"""
_FORM = """<form method="post"><button>{words}</button></form>"""


def router(credits: AsyncCreditsClient) -> APIRouter:
    """The route of the unsubscribe link: a page with a button, and what mail programs call by themselves (RFC 8058)."""
    from fastapi import APIRouter, Query
    from fastapi.responses import HTMLResponse

    routes = APIRouter()
    token = Query(max_length=200)

    @routes.get(PATH, include_in_schema=False)
    async def ask(token: str = token) -> HTMLResponse:
        # A link is opened by scanners, too: looking changes nothing.
        return HTMLResponse(
            _PAGE.format(
                words="You get mails when your credits run low, and about your plan.",
                form=_FORM.format(words="Send me no more of them"),
            )
        )

    @routes.post(PATH, include_in_schema=False)
    async def unsubscribe(token: str = token) -> HTMLResponse:
        try:
            answer = await credits.unsubscribe_credit_mail(token)
        except InvalidRequest as error:
            return HTMLResponse(_PAGE.format(words=escape(error.hint), form=""), status_code=error.status)
        about = f" about {escape(answer.workspace)}" if answer.workspace else ""
        words = f"You get no more mails{about}, except about payments that failed and changes of your plan."
        return HTMLResponse(_PAGE.format(words=words, form=""))

    return routes
