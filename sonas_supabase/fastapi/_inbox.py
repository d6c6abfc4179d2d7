"""What comes in from the client: handed on, fingerprinted on the way, and watched for a client that leaves."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import anyio

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

_FINGERPRINTED = 2**20


class Inbox:
    """The ``receive`` of a request."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._read_ahead: deque[Message] = deque()
        self._digest = hashlib.sha256()
        self._length = 0
        self._complete = False
        self.client_left = False

    async def receive(self) -> Message:
        """The next message, for the application."""
        return self._read_ahead.popleft() if self._read_ahead else await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.client_left = True
        elif message["type"] == "http.request":
            body = message.get("body", b"")
            # Exactly the first bytes, whatever pieces they come in: a retry comes in others.
            self._digest.update(body[: max(_FINGERPRINTED - self._length, 0)])
            self._length += len(body)
            self._complete = not message.get("more_body", False)
        return message

    async def fingerprint(self) -> str:
        """A digest of the body's first MiB. What nobody has read yet is read ahead, and no more than that is kept."""
        while not (self._complete or self.client_left or self._length >= _FINGERPRINTED):
            self._read_ahead.append(await self._next())
        return self._digest.hexdigest()

    async def look(self) -> bool:
        """Whether the client has left, as far as the server has noticed. Does not wait."""
        while not (self.client_left or self._read_ahead):
            with anyio.CancelScope() as impatience:
                # A server that has something to say says it before it waits.
                impatience.cancel()
                self._read_ahead.append(await self._next())
            if impatience.cancelled_caught:
                break
        return self.client_left
