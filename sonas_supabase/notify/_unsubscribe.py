"""Where the unsubscribe link of a mail leads to."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from sonas_supabase import AsyncCreditsClient, InvalidRequest

if TYPE_CHECKING:
    from fastapi import APIRouter

PATH = "/messages/unsubscribe"

_PAGE = """<!doctype html>
<html lang="{language}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<link rel="icon" href="data:,">
<title>{title}</title>
{style}<main>
<section class="card stack">
<h1>{title}</h1>
<p>{words}</p>
{form}</section>
</main>
</html>
"""
_FORM = """<form method="post"><button class="button">{words}</button></form>
"""
_WORDS = {
    "en": {
        "title": "Mails about your credits",
        "ask": "You get mails when your credits run low, and about your plan.",
        "stop": "Send me no more of them",
        "done": "You get no more mails{about}, except about payments that failed and changes of your plan.",
        "about": " about {workspace}",
        "invalid": "This link is not valid. Mails can be turned off in the app, too, under News.",
    },
    "de": {
        "title": "E-Mails zu deinem Guthaben",
        "ask": "Du bekommst E-Mails, wenn dein Guthaben knapp wird, und zu deinem Tarif.",
        "stop": "Keine mehr schicken",
        "done": "Du bekommst keine E-Mails{about} mehr, außer zu fehlgeschlagenen Zahlungen und Tarifänderungen.",
        "about": " zu {workspace}",
        "invalid": "Dieser Link ist nicht gültig. E-Mails lassen sich auch in der App abstellen, unter Neues.",
    },
}


def router(credits: AsyncCreditsClient, *, stylesheet: str | None = None) -> APIRouter:
    """The route of the unsubscribe link: a page with a button, and what mail programs call by themselves (RFC 8058).

    The page is in English or German, as the browser asks. ``stylesheet`` is the address of one for it.
    """
    from fastapi import APIRouter, Header, Query
    from fastapi.responses import HTMLResponse

    routes = APIRouter()
    token = Query(max_length=200)
    wishes = Header(alias="accept-language", default="", max_length=1000)
    style = f'<link rel="stylesheet" href="{escape(stylesheet)}">\n' if stylesheet else ""

    def page(language: str, words: str, *, form: str = "", status: int = 200) -> HTMLResponse:
        title = _WORDS[language]["title"]
        text = _PAGE.format(language=language, title=title, words=words, form=form, style=style)
        return HTMLResponse(text, status_code=status)

    @routes.get(PATH, include_in_schema=False)
    async def ask(token: str = token, wishes: str = wishes) -> HTMLResponse:
        # A link is opened by scanners, too: looking changes nothing.
        language = _language(wishes)
        words = _WORDS[language]
        return page(language, words["ask"], form=_FORM.format(words=words["stop"]))

    @routes.post(PATH, include_in_schema=False)
    async def unsubscribe(token: str = token, wishes: str = wishes) -> HTMLResponse:
        language = _language(wishes)
        words = _WORDS[language]
        try:
            answer = await credits.unsubscribe_credit_mail(token)
        except InvalidRequest as error:
            return page(language, words["invalid"], status=error.status)
        about = words["about"].format(workspace=escape(answer.workspace)) if answer.workspace else ""
        return page(language, words["done"].format(about=about))

    return routes


def _language(wishes: str) -> str:
    """The first language of an Accept-Language that there are words for."""
    tags = (wish.split(";")[0].strip().split("-")[0].lower() for wish in wishes.split(","))
    return next((tag for tag in tags if tag in _WORDS), "en")
