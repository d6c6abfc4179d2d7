"""Errors as answers: problem documents (RFC 9457)."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sonas_supabase import CreditsError, CreditsUnavailable, InsufficientCredits
from sonas_supabase.fastapi import _ratelimit
from sonas_supabase.fastapi.errors import INTERNAL_FROM, NotAuthenticated, RequestInProgress

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger("sonas_supabase")
_RETRY_AFTER = {CreditsUnavailable: b"5", RequestInProgress: b"1"}


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer that is ready to be sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def problem(error: CreditsError | NotAuthenticated) -> Problem:
    """The answer to a request that met this error."""
    members: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": _sentence(error),
        # Why it cannot be reached is not the client's business.
        "code": CreditsUnavailable.code if isinstance(error, CreditsUnavailable) else error.code,
    }
    headers = [(b"content-type", MEDIA_TYPE.encode())]
    if isinstance(error, NotAuthenticated):
        headers.append((b"www-authenticate", _challenge(error).encode()))
    elif isinstance(error, InsufficientCredits):
        details = error.details
        members |= {
            "credit_type": details.get("credit_type"),
            "required": error.required,
            "available": error.available,
            "resets_at": details.get("resets_at"),
            "plan": error.plan,
            "upgrade_url": error.upgrade_url,
        }
        if details.get("credit_type"):
            headers += _ratelimit.headers([(details["credit_type"], None, error.available, error.resets_at)])
    for kind, seconds in _RETRY_AFTER.items():
        if isinstance(error, kind):
            headers.append((b"retry-after", seconds))
    body = json.dumps(members, ensure_ascii=False).encode()
    return Problem(error.status, [*headers, (b"content-length", str(len(body)).encode())], body)


def _sentence(error: CreditsError | NotAuthenticated) -> str:
    if isinstance(error, NotAuthenticated):
        return str(error)
    if isinstance(error, CreditsUnavailable):
        _log.warning("credits are unavailable: %s", error)
        return "Credits cannot be booked at the moment. Try again later."
    if error.status >= INTERNAL_FROM:
        _log.error("a request failed: %s %s", error, error.details, exc_info=error)
        return "The server cannot book credits for this request."
    return error.message if error.hint in error.message else f"{error.message} {error.hint}"


def _challenge(error: NotAuthenticated) -> str:
    if error.reason is None:
        return "Bearer"
    return f'Bearer error="invalid_token", error_description="{error.reason}"'
