"""Errors as answers: problem documents (RFC 9457), and close codes for WebSockets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sonas_supabase import CreditsError, CreditsUnavailable, InsufficientCredits
from sonas_supabase.fastapi import _ratelimit
from sonas_supabase.fastapi._pending_spend import Balance
from sonas_supabase.fastapi.errors import CLOSED_BECAUSE, INTERNAL_FROM, NotAuthenticated, RequestInProgress

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger("sonas_supabase")
_RETRY_AFTER = {CreditsUnavailable: b"5", RequestInProgress: b"1"}
_LONGEST_REASON = 123


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer that is ready to be sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def problem(error: CreditsError | NotAuthenticated) -> Problem:
    """The answer to a request that met this error."""
    _tell_operator(error)
    headers = [(b"content-type", MEDIA_TYPE.encode())]
    if isinstance(error, NotAuthenticated):
        headers.append((b"www-authenticate", _challenge(error).encode()))
    elif isinstance(error, InsufficientCredits) and error.details.get("credit_type"):
        balance = Balance(
            credit_type=error.details["credit_type"], remaining=error.available, period_end=error.resets_at
        )
        headers += _ratelimit.headers([balance])
    for kind, seconds in _RETRY_AFTER.items():
        if isinstance(error, kind):
            headers.append((b"retry-after", seconds))
    body = json.dumps(document(error), ensure_ascii=False).encode()
    return Problem(error.status, [*headers, (b"content-length", str(len(body)).encode())], body)


def document(error: CreditsError | NotAuthenticated) -> dict[str, Any]:
    """The problem document."""
    if not isinstance(error, NotAuthenticated):
        return error.to_problem()
    title = HTTPStatus(error.status).phrase
    return {"type": "about:blank", "title": title, "status": error.status, "detail": str(error), "code": error.code}


def close_messages(error: CreditsError | NotAuthenticated, *, accepted: bool = False) -> Iterator[dict[str, Any]]:
    """What closes a WebSocket with a code and a reason. A handshake that is refused tells its client neither."""
    _tell_operator(error)
    told = document(error)
    reason = f"{told['code']}: {told['detail']}".encode()[:_LONGEST_REASON].decode(errors="ignore")
    if not accepted:
        yield {"type": "websocket.accept"}
    yield {"type": "websocket.close", "code": CLOSED_BECAUSE + error.status, "reason": reason}


def _tell_operator(error: CreditsError | NotAuthenticated) -> None:
    if isinstance(error, CreditsUnavailable):
        _log.warning("credits are unavailable: %s", error)
    elif isinstance(error, CreditsError) and error.status >= INTERNAL_FROM:
        _log.error("a request failed: %s %s", error, error.details, exc_info=error)


def _challenge(error: NotAuthenticated) -> str:
    if error.reason is None:
        return "Bearer"
    return f'Bearer error="invalid_token", error_description="{error.reason}"'
