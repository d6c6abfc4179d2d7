"""Sends events to the endpoints, signed, in their order, again and again until they are taken."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Sequence

import httpx

from sonas_supabase.local.stripe._objects import Json

_log = logging.getLogger("sonas_supabase.local")
PAUSES = (0.2, 0.5, 1, 2, 5, 10, 30, 60)
"""Seconds between one attempt and the next. The last one counts until the stack is stopped."""


def signed(body: str, secret: str, at: int | None = None) -> str:
    """The header by which Stripe proves a body to be its own."""
    import stripe

    header: str = stripe.WebhookSignature.generate_signature_header(body, secret, at)
    return header


class Sender:
    """Delivers events to one address."""

    def __init__(self, url: str, secret: str, *, pauses: Sequence[float] = PAUSES) -> None:
        self.url = url
        self._secret = secret
        self._pauses = pauses
        self._waiting: asyncio.Queue[Json] | None = None
        self._early: list[Json] = []
        self._unsent = 0

    @property
    def idle(self) -> bool:
        """Whether everything has been taken."""
        return self._unsent == 0

    def send(self, event: Json) -> None:
        """Puts an event behind those that wait."""
        self._unsent += 1
        if self._waiting is None:
            self._early.append(event)
        else:
            self._waiting.put_nowait(event)

    async def run(self) -> None:
        """Delivers until it is cancelled."""
        self._waiting = asyncio.Queue()
        for event in self._early:
            self._waiting.put_nowait(event)
        self._early = []
        async with httpx.AsyncClient(timeout=30) as http:
            while True:
                event = await self._waiting.get()
                await self._deliver(http, event)
                self._unsent -= 1

    async def _deliver(self, http: httpx.AsyncClient, event: Json) -> None:
        body = json.dumps(event)
        attempt = 0
        while True:
            headers = {
                "stripe-signature": signed(body, self._secret, int(time.time())),
                "content-type": "application/json",
            }
            try:
                answer = await http.post(self.url, content=body, headers=headers)
            except httpx.TransportError as error:
                told = type(error).__name__
            else:
                # A refusal is not changed by saying the same thing again, other than at Stripe's.
                if not answer.is_server_error:
                    return
                told = str(answer.status_code)
            _log.info("the event %s (%s) was not taken: %s", event["id"], event["type"], told)
            await asyncio.sleep(self._pauses[min(attempt, len(self._pauses) - 1)])
            attempt += 1
