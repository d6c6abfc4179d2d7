"""The mail catcher of the local stack: it takes every mail and shows it on a page, and sends none on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

KEPT = 500

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#1c1c1a}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.4em .8em .4em 0;vertical-align:top;"
    "border-bottom:1px solid #ddd}iframe{width:100%;height:28em;border:1px solid #ddd}pre{white-space:pre-wrap}"
)


@dataclass(frozen=True, slots=True)
class Caught:
    """A mail as it came in."""

    nth: int
    at: datetime
    to: tuple[str, ...]
    mail: EmailMessage

    def part(self, kind: str) -> str:
        """The body as text (`plain`) or `html`; empty where there is none."""
        found = self.mail.get_body((kind,))
        return str(found.get_content()) if found else ""

    def as_data(self) -> dict[str, Any]:
        """What a program reads of it."""
        return {
            "n": self.nth,
            "at": self.at.isoformat(),
            "to": list(self.to),
            "subject": str(self.mail["subject"]),
            "headers": {name.lower(): str(value) for name, value in self.mail.items()},
            "text": self.part("plain"),
            "html": self.part("html"),
        }


class MailCatcher:
    """An SMTP server on loopback, and the pages at ``/mail``."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._caught: deque[Caught] = deque(maxlen=KEPT)
        self._count = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Catches mails. Where the port is taken it catches none, and the rest of the stack goes on."""
        from aiosmtpd.smtp import SMTP

        try:
            server = await asyncio.get_running_loop().create_server(
                lambda: SMTP(self, enable_SMTPUTF8=True), "127.0.0.1", self.port
            )
        except OSError:
            yield
            return
        try:
            yield
        finally:
            server.close()

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:
        """What aiosmtpd calls for each mail."""
        content = envelope.content
        mail = message_from_bytes(content.encode() if isinstance(content, str) else content, policy=policy.default)
        self._count += 1
        self._caught.appendleft(Caught(self._count, datetime.now(UTC), tuple(envelope.rcpt_tos), mail))
        return "250 Caught"

    def routes(self) -> list[Route]:
        """The pages: all mails, one mail, and both for programs."""
        return [
            Route("/mail", self._list),
            Route("/mail.json", self._json),
            Route("/mail/{n:int}", self._one),
            Route("/mail/{n:int}/html", self._html),
        ]

    async def _json(self, _: Request) -> Response:
        return JSONResponse({"mails": [caught.as_data() for caught in self._caught]})

    async def _list(self, _: Request) -> Response:
        rows = "".join(
            f"<tr><td>{caught.at:%H:%M:%S}</td><td>{escape(', '.join(caught.to))}</td>"
            f'<td><a href="/mail/{caught.nth}">{escape(str(caught.mail["subject"]))}</a></td></tr>'
            for caught in self._caught
        )
        empty = "<p>None yet. <code>sonas worker --once</code> sends what there is.</p>"
        return _page("Mails", f"<table>{rows}</table>" if rows else empty)

    async def _one(self, request: Request) -> Response:
        caught = self._find(request)
        if caught is None:
            return _page("Mails", "<p>This mail is not here any more.</p>", status=404)
        shown = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in caught.mail.items()
        )
        return _page(
            str(caught.mail["subject"]),
            f'<p><a href="/mail">All mails</a></p><table>{shown}</table><pre>{escape(caught.part("plain"))}</pre>'
            f'<iframe sandbox src="/mail/{caught.nth}/html"></iframe>',
        )

    async def _html(self, request: Request) -> Response:
        caught = self._find(request)
        # A mail is somebody else's page: it runs nothing and loads nothing.
        return HTMLResponse(
            caught.part("html") if caught else "",
            headers={"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"},
        )

    def _find(self, request: Request) -> Caught | None:
        return next((caught for caught in self._caught if caught.nth == request.path_params["n"]), None)


def _page(title: str, body: str, *, status: int = 200) -> Response:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>{body}</html>",
        status_code=status,
        headers={"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'"},
    )
