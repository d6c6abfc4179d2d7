"""What a worker is told by its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values, find_dotenv

from sonas_supabase.errors import NotConfigured

_BACKOFF = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How messages go out. Times are in seconds.

    Attributes:
        smtp_url: ``SMTP_URL``, such as ``smtp://user:password@mail.example.com:587``; ``smtps`` encrypts from the
            start, ``smtp`` as soon as the server offers it. Without it mails wait.
        mail_from: ``MAIL_FROM``, such as ``Example <hello@example.com>``.
        app_url: ``APP_URL``, where links in mails lead to. Without it invitations wait.
        templates: ``MAIL_TEMPLATES``, a folder with templates of your own.
        allow_private: ``WEBHOOK_ALLOW_PRIVATE``, lets webhooks go to addresses inside your network.
        webhook_timeout: ``WEBHOOK_TIMEOUT``, how long a receiver may take.
        backoff: ``WORKER_BACKOFF``, how long to wait before each retry; after the last one a message is a dead letter.
        lease: ``WORKER_LEASE``, after how long another worker takes over what a killed one had claimed.
    """

    smtp_url: str | None = field(default=None, repr=False)
    mail_from: str = "credits@localhost"
    app_url: str | None = None
    templates: Path | None = None
    allow_private: bool = False
    webhook_timeout: float = 10
    backoff: tuple[float, ...] = _BACKOFF
    lease: int = 60

    def __post_init__(self) -> None:
        if self.smtp_url is not None:
            scheme = urlsplit(self.smtp_url).scheme
            if scheme not in ("smtp", "smtps"):
                raise NotConfigured("SMTP_URL begins with smtp:// or smtps://.", hint="smtp://user:password@host:587")
        if not 0 < self.webhook_timeout <= 60:
            raise NotConfigured("WEBHOOK_TIMEOUT is more than 0 and at most 60 seconds.")
        if not 1 <= self.lease <= 3600:
            raise NotConfigured("WORKER_LEASE is 1 to 3600 seconds.")
        if any(wait < 0 for wait in self.backoff):
            raise NotConfigured("WORKER_BACKOFF has no negative seconds.")

    @property
    def send_timeout(self) -> float:
        """How long one message may take: never longer than the lease, so that no other worker sends it meanwhile."""
        return min(self.webhook_timeout, self.lease * 0.8)

    @classmethod
    def from_env(cls, environment: Mapping[str, str | None] | None = None) -> WorkerSettings:
        """Read the environment, and the nearest ``.env`` for what it does not say.

        Raises:
            NotConfigured: a value cannot be used.
        """
        values = {**dotenv_values(find_dotenv(usecwd=True)), **os.environ} if environment is None else environment
        given = {name: value for name, value in values.items() if value}
        try:
            return cls(
                smtp_url=given.get("SMTP_URL"),
                mail_from=given.get("MAIL_FROM") or "credits@localhost",
                app_url=(given.get("APP_URL") or "").rstrip("/") or None,
                templates=Path(given["MAIL_TEMPLATES"]) if "MAIL_TEMPLATES" in given else None,
                allow_private=(given.get("WEBHOOK_ALLOW_PRIVATE") or "").lower() in ("1", "true", "yes", "on"),
                webhook_timeout=float(given.get("WEBHOOK_TIMEOUT") or 10),
                backoff=_seconds(given["WORKER_BACKOFF"]) if "WORKER_BACKOFF" in given else _BACKOFF,
                lease=int(float(given.get("WORKER_LEASE") or 60)),
            )
        except ValueError as error:
            raise NotConfigured(
                f"A setting of the worker is no number: {error}.",
                hint="WEBHOOK_TIMEOUT and WORKER_LEASE are seconds; WORKER_BACKOFF is seconds with commas between.",
            ) from error


def _seconds(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(",") if part.strip())
