"""What mails say. A template is a text with ``$names``; a project can replace each by a file of the same name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from html import escape
from pathlib import Path
from string import Template
from typing import Any

# What gives more credits, as the database says it; on the largest plan of an app that sells none, nothing does.
_MORE = {"upgrade": "You can choose a larger plan.", "buy_credits": "You can buy more credits."}
_BUILT_IN = Path(__file__).with_name("templates")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail as people see it."""

    subject: str
    text: str
    html: str
    date: datetime


class Templates:
    """The built-in templates, and those of a folder of yours before them.

    A mail of the kind ``credits.level`` is ``credits.level.txt``: a first line ``Subject: …``, then the body. Its HTML
    is made of the same text, unless there is a ``credits.level.html``. ``layout.txt`` and ``layout.html`` stand around
    all. A template may name what the message's data has, and ``$headline``, ``$name``, ``$workspace``, ``$renews``,
    ``$more``; ``invitation.txt`` also ``$inviter``, ``$link`` and ``$token``.
    """

    def __init__(self, folder: Path | None = None, *, app_url: str | None = None) -> None:
        self._folder = folder
        self._app_url = app_url

    def mail(self, message: Mapping[str, Any], *, workspace: str | None = None, unsubscribe: str | None = None) -> Mail:
        """The mail of a message."""
        words = _words(message.get("data") or {}, workspace, self._app_url)
        about = f" at {workspace}" if workspace else ""
        mail = self._filled(
            message,
            words,
            around={"about": about, "why": f"You get this because of your account{about}."},
            link=(self._app_url, "See your credits"),
            unsubscribe=unsubscribe,
        )
        return replace(mail, subject=f"{workspace}: {mail.subject}") if workspace else mail

    def invitation(self, message: Mapping[str, Any], receiver: Mapping[str, Any]) -> Mail:
        """The mail of an invitation, with the link that accepts it. Its receiver need not be a user."""
        link = f"{self._app_url}/team#invitation={receiver['token']}"
        # The name is a stranger's: it leads nowhere, and tells no story.
        workspace = re.sub(r"(?<=\w)[.:/@]+(?=[\w/])", " ", " ".join(str(receiver["workspace"]).split()))[:80]
        inviter = str(receiver.get("invited_by") or "Somebody")
        words = {
            **_words(message.get("data") or {}, workspace, self._app_url),
            **{"inviter": inviter, "link": link, "token": str(receiver["token"])},
        }
        why = f"You get this because {inviter} entered your address."
        return self._filled(message, words, around={"about": "", "why": why}, link=(link, "Join"))

    def _filled(
        self,
        message: Mapping[str, Any],
        words: Mapping[str, str],
        *,
        around: Mapping[str, str],
        link: tuple[str | None, str],
        unsubscribe: str | None = None,
    ) -> Mail:
        kind = str(message["kind"])
        raw = self._read(f"{kind}.txt") or self._read("message.txt") or ""
        head, _, body = raw.partition("\n")
        subject = _filled(head.removeprefix("Subject:").strip(), words)
        text = _filled(body.strip(), words)
        own_html = self._read(f"{kind}.html")
        safe = {name: escape(value) for name, value in words.items()}
        url, shown = link
        return Mail(
            subject=subject,
            date=datetime.fromisoformat(str(message["created_at"])),
            text=_filled(
                self._read("layout.txt") or "$body",
                {
                    **around,
                    "body": text,
                    "link": f"\n{url}\n" if url and url not in text else "",
                    "footer": f"\nNo more mails like this: {unsubscribe}" if unsubscribe else "",
                },
            ),
            html=_filled(
                self._read("layout.html") or "$body",
                {
                    **{name: escape(value) for name, value in around.items()},
                    "subject": escape(subject),
                    "body": _filled(own_html, safe) if own_html else _paragraphs(text),
                    "link": _link(url, shown) if url else "",
                    "footer": f" {_link(unsubscribe, 'No more mails like this')}" if unsubscribe else "",
                },
            ),
        )

    def _read(self, name: str) -> str | None:
        if self._folder is not None and (text := _text(self._folder / name)) is not None:
            return text
        return _text(_BUILT_IN / name)


@lru_cache(maxsize=128)
def _text(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None


def _filled(text: str, words: Mapping[str, str]) -> str:
    """A name that the data lacks stays empty: a mail goes out all the same."""
    return Template(text).safe_substitute(_Lenient(words)).rstrip() + ("\n" if text.endswith("\n") else "")


class _Lenient(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""


def _words(data: Mapping[str, Any], workspace: str | None, app_url: str | None) -> dict[str, str]:
    words = {key: _shown(value) for key, value in data.items() if not isinstance(value, dict | list)}
    budget = data.get("budget")
    if isinstance(budget, dict):
        words |= {key: _shown(value) for key, value in budget.items() if not isinstance(value, dict | list)}
    name = str(data.get("name") or data.get("credit_type") or "what you use")
    words["name"] = name[:1].lower() + name[1:] if name[1:2].islower() else name
    words["workspace"] = workspace or ""
    words["headline"] = _headline(data, words["name"])
    words["renews"] = f" New credits come on {_shown(data['renews_at'])}." if data.get("renews_at") else ""
    words["more"] = _MORE.get(str(data.get("next_step")), "") if app_url else ""
    return words


def _headline(data: Mapping[str, Any], name: str) -> str:
    level = data.get("level")
    if data.get("unit") == "credits":
        return f"You have {_shown(data.get('remaining'))} left for {name}"
    what = "limit" if data.get("kind") == "limit" else "credits"
    if level == 100 or data.get("remaining") == 0:
        return f"You have used all of your {what} for {name}"
    return f"You have used {_shown(data.get('percent_used') or level)} % of your {what} for {name}"


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, str) and len(value) > 18 and value[4:5] == "-" and value[10:11] == "T":
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return value
        return f"{moment.day} {moment:%B %Y}"
    return str(value)


def _paragraphs(text: str) -> str:
    parts = [part.replace("\n", "<br>") for part in escape(text).split("\n\n") if part.strip()]
    return "\n".join(f"<p>{part}</p>" for part in parts)


def _link(url: str, words: str) -> str:
    return f'<a href="{escape(url)}">{words}</a>'
