"""What comes in from the client: handed on, fingerprinted on the way, and watched for a client that leaves."""

from __future__ import annotations

import hashlib
import tempfile
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import IO, Any

import anyio
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

_IN_MEMORY = 2**20
_PIECE = 2**16


class Inbox:
    """The ``receive`` of a request."""

    def __init__(self, receive: Receive, headers: Headers) -> None:
        self._receive = receive
        self._digest = _BodyDigest(_boundary(headers.get("content-type", "")))
        self._spooled: IO[bytes] | None = None
        self._unread = 0
        self._others: deque[Message] = deque()
        self._complete = False
        self.client_left = False
        self.after_receiving: Callable[[Message], Awaitable[Message]] | None = None

    async def receive(self) -> Message:
        """The next message, for the application."""
        if self._spooled is not None:
            body = self._spooled.read(_PIECE)
            self._unread -= len(body)
            more = self._unread > 0 or not self._complete
            if not self._unread:
                self.close()
            return {"type": "http.request", "body": body, "more_body": more}
        message = self._others.popleft() if self._others else await self._next()
        return message if self.after_receiving is None else await self.after_receiving(message)

    def close(self) -> None:
        """Forget what was read ahead."""
        if self._spooled is not None:
            self._spooled.close()
            self._spooled = None

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] in ("http.disconnect", "websocket.disconnect"):
            self.client_left = True
        elif message["type"] == "http.request":
            self._digest.update(message.get("body", b""))
            self._complete = not message.get("more_body", False)
        return message

    async def fingerprint(self) -> str:
        """A digest of the whole body. Raises ClientDisconnect when the client leaves before it has sent all of it."""
        await self._read_ahead()
        return self._digest.hexdigest()

    def reader(self) -> Receive:
        """A ``receive`` that shows the body before the application reads it, and leaves it there."""
        position = 0

        async def receive() -> Message:
            nonlocal position
            await self._read_ahead()
            if self._spooled is None:
                return {"type": "http.request", "body": b"", "more_body": False}
            self._spooled.seek(position)
            body = self._spooled.read(_PIECE)
            position += len(body)
            self._spooled.seek(0)
            return {"type": "http.request", "body": body, "more_body": position < self._unread}

        return receive

    async def _read_ahead(self) -> None:
        """Read what the application has not read yet. It is kept for it, on disk if it is big."""
        if self._complete:
            return
        spooled = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed when it has been read
        try:
            while not self._complete:
                if self.client_left:
                    raise ClientDisconnect
                message = await self._next()
                if message["type"] == "http.request":
                    spooled.write(message.get("body", b""))
                else:
                    self._others.append(message)
        except BaseException:
            spooled.close()
            raise
        self._unread = spooled.tell()
        spooled.seek(0)
        self._spooled = spooled

    async def look(self) -> bool:
        """Whether the client has left, as far as the server has noticed. Does not wait."""
        while not (self.client_left or self._others):
            with anyio.CancelScope() as impatience:
                # A server that has something to say says it before it waits.
                impatience.cancel()
                self._others.append(await self._next())
            if impatience.cancelled_caught:
                break
        return self.client_left


class _BodyDigest:
    """A digest of a body, whatever pieces it comes in. The boundary of a form is another one each time it is sent."""

    def __init__(self, boundary: bytes | None) -> None:
        self._digest = hashlib.sha256()
        self._delimiter = b"--" + boundary if boundary else None
        self._length = 0
        self._tail = b""

    def update(self, piece: bytes) -> None:
        if self._delimiter is None:
            self._digest.update(piece)
            return
        for part, is_last in _parts(self._tail + piece, self._delimiter):
            if is_last:
                # The beginning of a delimiter may be at its end.
                kept = len(self._delimiter) - 1
                self._part(part[:-kept] if kept else part)
                self._tail = part[-kept:] if kept else b""
            else:
                self._part(part)
                self._digest.update(b"\0part of %d bytes\0" % self._length)
                self._length = 0

    def _part(self, piece: bytes) -> None:
        self._digest.update(piece)
        self._length += len(piece)

    def hexdigest(self) -> str:
        whole = self._digest.copy()
        whole.update(self._tail)
        return whole.hexdigest()


def _parts(body: bytes, delimiter: bytes) -> Iterator[tuple[bytes, bool]]:
    parts = body.split(delimiter)
    for number, part in enumerate(parts, 1):
        yield part, number == len(parts)


def _boundary(content_type: str) -> bytes | None:
    kind, _, parameters = content_type.partition(";")
    if not kind.strip().lower().startswith("multipart/"):
        return None
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "boundary":
            return value.strip().strip('"').encode("latin-1") or None
    return None
