"""Sends one message to an endpoint. The database has signed it."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

from sonas_supabase.notify._addresses import RefusedAddress, resolve
from sonas_supabase.notify._outcome import Outcome
from sonas_supabase.notify._settings import WorkerSettings

READ_AT_MOST = 64 * 1024


class WebhookSender:
    """Connects to the address that was checked, follows no redirects, and reads little of the answer."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings

    async def send(self, client: httpx.AsyncClient, url: str, message: dict[str, Any]) -> Outcome:
        """Sends a message as it was signed. Never raises for what the receiver does."""
        headers = {
            "content-type": "application/json",
            "user-agent": "sonas-supabase",
            "webhook-id": str(message["id"]),
            "webhook-timestamp": str(message["timestamp"]),
            "webhook-signature": str(message["signature"]),
        }
        try:
            async with asyncio.timeout(self._settings.send_timeout):
                status = await self._post(client, url, headers, str(message["body"]).encode())
        except TimeoutError:
            return Outcome.failed(f"no answer within {self._settings.send_timeout:g} seconds")
        except RefusedAddress as error:
            return Outcome.failed(str(error))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return Outcome.failed(f"{type(error).__name__}: {error}"[:300])
        return _judged(status)

    async def _post(self, client: httpx.AsyncClient, url: str, headers: dict[str, str], body: bytes) -> int:
        parts = urlsplit(url)
        host, secure = parts.hostname or "", parts.scheme.lower() == "https"
        port = parts.port or (443 if secure else 80)
        addresses = await resolve(host, port, allow_private=self._settings.allow_private)
        target = httpx.URL(url)
        name = target.netloc.decode("ascii")
        for nth, address in enumerate(addresses):
            request = client.build_request(
                "POST",
                target.copy_with(host=address),
                content=body,
                headers={**headers, "host": name},
                extensions={"sni_hostname": target.raw_host.decode("ascii")} if secure else {},
            )
            try:
                return await _answer(client, request)
            except httpx.ConnectError:
                if nth == len(addresses) - 1:
                    raise
        raise RefusedAddress(f"{host} has no address")


def _judged(status: int) -> Outcome:
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Outcome.delivered()
    if status == HTTPStatus.GONE:
        return Outcome("gone", "the receiver says that it is gone (410)")
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Outcome.failed(f"it redirects ({status}), which is not followed")
    return Outcome.failed(f"it answered {status}")


async def _answer(client: httpx.AsyncClient, request: httpx.Request) -> int:
    response = await client.send(request, stream=True, follow_redirects=False)
    try:
        read = 0
        async for part in response.aiter_raw():
            read += len(part)
            if read >= READ_AT_MOST:
                break
        return response.status_code
    finally:
        await response.aclose()


def new_client(settings: WorkerSettings) -> httpx.AsyncClient:
    """A client that knows no proxies and keeps no connections: each message goes to the address checked for it."""
    return httpx.AsyncClient(
        trust_env=False,
        follow_redirects=False,
        timeout=settings.send_timeout,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
    )
