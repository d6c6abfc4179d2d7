"""Messages out: who is told, how, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLevels:
    """When the people of an account are warned of a credit type: shares used in percent, and amounts left."""

    credit_type: str
    description: str
    percents: tuple[int, ...]
    amounts: tuple[int, ...]
    is_default: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """How a person is told about an account. ``topic`` is where Supabase Realtime says that there is news."""

    account_id: UUID
    by_mail: bool
    in_app: bool
    topic: str
    alerts: tuple[AlertLevels, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSecret:
    """An endpoint with its secret, which cannot be read again. The one before signs too until ``old_until``."""

    account_id: UUID
    endpoint_id: UUID
    url: str
    secret: str
    old_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEndpoint:
    """An endpoint that was deleted."""

    account_id: UUID
    endpoint_id: UUID
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookTest:
    """A message that is on its way to one endpoint."""

    account_id: UUID
    endpoint_id: UUID
    message_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that was given up on a ``channel``: ``webhook`` or ``email``."""

    message_id: UUID
    kind: str
    channel: str
    endpoint_id: UUID | None
    user_id: UUID | None
    url: str | None
    attempts: int
    error: str | None
    data: dict[str, Any]
    created_at: datetime
    died_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetters:
    """Messages of an account that were given up, the newest first."""

    account_id: UUID
    rows: tuple[DeadLetter, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLettersRetried:
    """How many messages are to be sent again."""

    account_id: UUID
    retried: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSubscription:
    """Whether the person gets mails, about a workspace where it has a name."""

    by_mail: bool
    workspace: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What a person was told in the app. ``workspace`` is its name, None for their own account."""

    notification_id: UUID
    account_id: UUID
    kind: str
    data: dict[str, Any]
    created_at: datetime
    read_at: datetime | None
    workspace: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationList:
    """The newest notifications of a person, and how many of all are unread."""

    unread: int
    rows: tuple[Notification, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationsRead:
    """How many were marked, and how many are left."""

    marked: int
    unread: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The next messages of a channel, leased to a worker. ``receiver`` is None where it leads nowhere any more."""

    account_id: UUID
    channel: str
    kind: str
    receiver: dict[str, Any] | None
    messages: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageClaim:
    """What a worker has taken, and until when."""

    claims: tuple[Claim, ...]
    leased_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesSettled:
    """``settled`` is False where another worker has taken the channel over."""

    settled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesTended:
    """What a worker's round has found, given to channels and forgotten, by the database's clock."""

    found: int
    routed: int
    forgotten: int
    more: bool
    now: datetime
