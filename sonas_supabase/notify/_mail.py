"""Sends mails by SMTP."""

from __future__ import annotations

import asyncio
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from sonas_supabase.notify._outcome import Outcome
from sonas_supabase.notify._settings import WorkerSettings
from sonas_supabase.notify._templates import Mail

_PERMANENT = 500


class Mailer:
    """One SMTP server, reached anew for each batch of mails to one person."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._name, self._sender = parseaddr(settings.mail_from)
        self._at_once = asyncio.Semaphore(10)

    async def send(self, mail: Mail, receiver: str, message: dict[str, Any], unsubscribe: str | None) -> Outcome:
        """Sends one mail. Never raises for what the server does."""
        try:
            composed = self._compose(mail, receiver, message, unsubscribe)
        except (ValueError, IndexError) as error:
            return Outcome("dropped", f"it cannot be addressed: {error}")
        try:
            async with self._at_once, asyncio.timeout(self._settings.send_timeout), self._connection() as smtp:
                await smtp.send_message(composed, sender=self._sender, recipients=[receiver])
        except TimeoutError:
            return Outcome.failed("the mail server did not answer in time")
        except aiosmtplib.SMTPRecipientsRefused as error:
            refused = error.recipients[0]
            return Outcome("dead" if refused.code >= _PERMANENT else "failed", f"{refused.code} {refused.message}")
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return Outcome.failed(f"{type(error).__name__}: {error}"[:300])
        return Outcome.delivered()

    def _connection(self) -> aiosmtplib.SMTP:
        url = urlsplit(self._settings.smtp_url or "")
        secure = url.scheme == "smtps"
        required = parse_qs(url.query).get("starttls") == ["required"]
        return aiosmtplib.SMTP(
            hostname=url.hostname or "localhost",
            port=url.port or (465 if secure else 25),
            username=unquote(url.username) if url.username else None,
            password=unquote(url.password) if url.password else None,
            use_tls=secure,
            start_tls=False if secure else True if required else None,
            timeout=self._settings.send_timeout,
        )

    def _compose(self, mail: Mail, receiver: str, message: dict[str, Any], unsubscribe: str | None) -> EmailMessage:
        composed = EmailMessage()
        composed["From"] = Address(self._name, addr_spec=self._sender)
        composed["To"] = Address(addr_spec=receiver)
        composed["Subject"] = " ".join(mail.subject.split())
        composed["Date"] = format_datetime(mail.date)
        # The same message sent twice has the same id, so that mail programs show it once.
        composed["Message-ID"] = f"<{message['id']}@{self._sender.partition('@')[2] or 'localhost'}>"
        composed["Auto-Submitted"] = "auto-generated"
        if unsubscribe:
            composed["List-Unsubscribe"] = f"<{unsubscribe}>"
            composed["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        composed.set_content(mail.text)
        composed.add_alternative(mail.html, subtype="html")
        return composed
