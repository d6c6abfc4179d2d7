"""The mail catcher of the local stack shows every mail, and sends none on."""

from __future__ import annotations

import asyncio
import smtplib
import socket

import httpx
from starlette.applications import Starlette

from sonas_supabase.local.mail import MailCatcher


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def test_a_mail_is_caught_and_shown_without_running_what_is_in_it() -> None:
    catcher = MailCatcher(free_port())
    app = Starlette(routes=catcher.routes())
    async with catcher.running():

        def send() -> None:
            with smtplib.SMTP("127.0.0.1", catcher.port, timeout=10) as smtp:
                smtp.sendmail(
                    "a@localhost",
                    ["ann@example.com"],
                    b"Subject: <b>80 %</b>\r\nContent-Type: text/html\r\n\r\n<script>alert(1)</script><p>Hello</p>",
                )

        await asyncio.to_thread(send)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as browser:
            [mail] = (await browser.get("/mail.json")).json()["mails"]
            assert (mail["to"], mail["subject"]) == (["ann@example.com"], "<b>80 %</b>")
            shown = (await browser.get("/mail")).text
            assert "&lt;b&gt;80 %&lt;/b&gt;" in shown
            assert "<b>80" not in shown
            html = await browser.get(f"/mail/{mail['n']}/html")
            assert "sandbox" in html.headers["content-security-policy"]
            assert (await browser.get("/mail/99")).status_code == 404


async def test_where_the_port_is_taken_the_rest_goes_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        catcher = MailCatcher(taken.getsockname()[1])
        async with catcher.running():
            assert catcher.routes()
