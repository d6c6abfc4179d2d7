"""What a web application answers besides the errors of the library itself. The only HTTP status numbers here."""

from __future__ import annotations

from typing import ClassVar

from sonas_supabase import Conflict, CreditsError

INTERNAL_FROM = 500
"""From this status on the fault is ours, and its details are not for the client."""

CLOSED_BECAUSE = 4000
"""A WebSocket that is refused is closed with this plus the HTTP status: 4402 is the code of a denial."""


class NotAuthenticated(Exception):
    """The request does not prove which user sent it.

    Attributes:
        reason: what is wrong with the token, for the client's developer; None when there is no token at all.
    """

    code: ClassVar[str] = "not_authenticated"
    status: ClassVar[int] = 401

    def __init__(self, reason: str | None = None) -> None:
        self.reason = reason
        super().__init__(reason or "The request carries no bearer token.")


class RequestInProgress(Conflict):
    """A request with the same ``Idempotency-Key`` is still being worked on."""

    code = "request_in_progress"


class AnswerNotStored(Conflict):
    """A request with the same ``Idempotency-Key`` has been answered and charged; its answer was too big to be kept."""

    code = "answer_not_stored"


class NoAccount(CreditsError):
    """The token is good, but its user is gone, or does not belong to the workspace that would pay."""

    code = "account_not_found"
    status = 403


class Misconfigured(CreditsError):
    """A route asks for something that the database or this application does not have; the log says what."""

    code = "misconfigured"
