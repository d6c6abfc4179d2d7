"""Idempotency-Key: one run for each key, and the answer of that run for whoever sends the request again."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

from sonas_supabase import AsyncCreditsClient, CreditsError, IdempotencyConflict
from sonas_supabase.fastapi._heartbeat import Heartbeat
from sonas_supabase.fastapi._inbox import Message
from sonas_supabase.fastapi.errors import AnswerNotStored, RequestInProgress

_log = logging.getLogger("sonas_supabase")
_LEASE_SECONDS = 60
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
_MOST_HEADER_BYTES = 8192
_WITHOUT_CONTENT = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
SENT_BY_SERVER = frozenset({"http.response.pathsend", "http.response.zerocopysend"})
"""The messages that say which file the server is to send by itself."""
REPLAYED = (b"idempotency-replayed", b"true")

# What a client needs to read the body, or to go on from it. Cookies are for one client once, and others say when or by
# which server an answer was made.
_HEADERS_THAT_MATTER = frozenset(
    {
        *(b"cache-control", b"content-disposition", b"content-encoding", b"content-language", b"content-location"),
        *(b"content-type", b"etag", b"last-modified", b"link", b"location", b"retry-after", b"vary"),
    }
)


class StoredAnswer(Exception):
    """The request was answered before, and this is what it was answered."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        super().__init__("The request was answered before.")


@dataclass(slots=True)
class Run:
    """The one run of a request under its key, from the claim to the answer that is stored."""

    client: AsyncCreditsClient
    user_id: UUID
    key: str
    claim_id: UUID
    run_id: UUID
    body_limit: int
    fingerprint: str
    _heartbeat: Heartbeat = field(init=False)
    _is_open: bool = True
    _status: int = 0
    _headers: dict[str, Any] = field(default_factory=dict)
    _body: bytearray | None = field(default_factory=bytearray)
    _is_complete: bool = False

    def __post_init__(self) -> None:
        self._heartbeat = Heartbeat(_LEASE_SECONDS / 3, self._renew)

    async def _renew(self) -> None:
        claim = await self.client.claim_http_request(
            self.user_id, self.key, self.fingerprint, self.claim_id, lease_seconds=_LEASE_SECONDS
        )
        if claim.state != "claimed":
            _log.warning("the claim on an Idempotency-Key was lost to another request")
            self._heartbeat.stop()

    def record(self, message: Message) -> None:
        """Take down what is sent."""
        kind = message["type"]
        if kind == "http.response.start":
            self._status = message["status"]
            headers = [(bytes(name).lower(), bytes(value)) for name, value in message.get("headers", [])]
            self._headers = {"fields": [_texts(header) for header in headers if header[0] in _HEADERS_THAT_MATTER]}
            if sum(len(name) + len(value) for name, value in headers) > _MOST_HEADER_BYTES:
                self._body = None
        elif kind == "http.response.body" and self._body is not None:
            self._body += message.get("body", b"")
            self._is_complete = not message.get("more_body", False)
            if len(self._body) > self.body_limit:
                self._body = None
        elif kind in SENT_BY_SERVER:
            # Its content is not seen here.
            self._body = None

    async def answered(self) -> None:
        """Store what was sent; what was too big or broke off was answered once, and cannot be answered again."""
        is_kept = self._body is not None and self._is_complete
        body = b64encode(self._body or b"").decode() if is_kept else None
        await self._end(
            lambda: self.client.store_http_answer(
                self.user_id, self.key, self.claim_id, self._status or 200, headers=self._headers, body=body
            )
        )

    async def failed(self) -> None:
        """Give the key back: the next request under it is a new one."""
        await self._end(lambda: self.client.drop_http_claim(self.user_id, self.key, self.claim_id))

    async def _end(self, say: Callable[[], Awaitable[object]]) -> None:
        if not self._is_open:
            return
        self._is_open = False
        self._heartbeat.stop()
        try:
            await say()
        except Exception as error:
            # The claim lapses, and a repeat continues the run: it is not charged again.
            _log.warning("what came of an Idempotency-Key could not be said: %s", error)


async def claim(
    client: AsyncCreditsClient,
    user_id: UUID,
    key: str,
    fingerprint: str,
    *,
    patience: float,
    has_left: Callable[[], Awaitable[bool]],
) -> Run:
    """Claim the key. While another request is at work under it, wait for its answer for ``patience`` seconds.

    Raises:
        StoredAnswer: it has been answered.
        RequestInProgress: the other one is still at it.
        AnswerNotStored, IdempotencyConflict, CreditsUnavailable.
    """
    claim_id = uuid4()
    deadline = asyncio.get_running_loop().time() + patience
    pause = _FIRST_PAUSE
    while True:
        try:
            claimed = await client.claim_http_request(user_id, key, fingerprint, claim_id, lease_seconds=_LEASE_SECONDS)
        except IdempotencyConflict as conflict:
            raise IdempotencyConflict(
                "This Idempotency-Key belongs to another request.",
                details=conflict.details,
                hint="Use a new key for a new request.",
            ) from conflict
        if claimed.state == "claimed":
            return Run(client, user_id, key, claim_id, claimed.run_id, claimed.body_limit, fingerprint)
        if claimed.state == "answered":
            raise _stored(claimed.status or 0, claimed.headers or {}, claimed.body or "")
        if claimed.state == "not_stored":
            raise AnswerNotStored(
                "A request with this Idempotency-Key was answered before, and its answer was not kept.",
                hint="It was charged. Use a new key for a new request.",
            )
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0 or await has_left():
            raise RequestInProgress(
                "A request with this Idempotency-Key is still being worked on.",
                hint="Wait for its answer, or try again later.",
            )
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE)


async def give_back(task: asyncio.Task[Run]) -> None:
    """Give back what was claimed for a request that was cancelled meanwhile."""
    try:
        run = await task
    except (CreditsError, StoredAnswer):
        return
    await run.failed()


def key_of(method: str, path: str, key: bytes, payer: UUID | None) -> str:
    """What a key of a user is called in the database: it belongs to a method, a path and the account that pays."""
    paying = [] if payer is None else [str(payer).encode()]
    return hashlib.sha256(b"\0".join([method.encode(), path.encode(), key, *paying])).hexdigest()


def _stored(status: int, headers: dict[str, Any], body: str) -> StoredAnswer:
    fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.get("fields", [])]
    content = b64decode(body)
    if status not in _WITHOUT_CONTENT:
        fields.append((b"content-length", b"%d" % len(content)))
    return StoredAnswer(status, [*fields, REPLAYED], content)


def _texts(header: tuple[bytes, bytes]) -> tuple[str, str]:
    return header[0].decode("latin-1"), header[1].decode("latin-1")
