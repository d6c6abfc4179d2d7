"""What the app answers besides the errors of the library. The only HTTP status numbers of this package."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from sonas_supabase import Conflict, CreditsError, NotFound

CREATED = 201
PROBLEM = "application/problem+json"

NO_CONTENT = 204
NOT_MODIFIED = 304
INVALID = 422

REFUSALS = {
    "unreadable": 400,
    "denied": 402,
    "frozen": 403,
    "not_found": 404,
    "conflict": 409,
    "invalid": INVALID,
    "failed": 500,
    "unavailable": 503,
}
"""Why a request may be refused, by its status."""


class ProjectNotFound(NotFound):
    """The user has no such project."""

    code = "project_not_found"


class WorkFailed(CreditsError):
    """The function that does the work failed. What was held for it has been given back."""

    code = "work_failed"
    status = 500
    retryable = True

    @property
    def document(self) -> dict[str, object]:
        """What the client is told: nothing of what went wrong inside."""
        return {
            "type": "about:blank",
            "title": "The work failed",
            "status": self.status,
            "detail": self.message,
            "code": self.code,
        }


Answers = dict[int | str, dict[str, Any]]


def answers(**sentences: str) -> Answers:
    """The part of the OpenAPI document that says how a route refuses: a sentence for each of ``REFUSALS``."""
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {REFUSALS[name]: {"description": sentence, "content": content} for name, sentence in sentences.items()}


def http_problem(status: int) -> dict[str, object]:
    """What the client is told when there is no more to say than the status does."""
    phrase = HTTPStatus(status).phrase
    return {
        "type": "about:blank",
        "title": phrase,
        "status": status,
        "detail": f"{phrase}.",
        "code": phrase.lower().replace(" ", "_"),
    }


def invalid_request(faults: Sequence[Any]) -> dict[str, object]:
    """What the client of a request that is not well formed is told: where, and what, but not what it has sent."""
    return {
        "type": "about:blank",
        "title": "Unprocessable Content",
        "status": INVALID,
        "detail": " ".join(
            f"{'.'.join(map(str, fault['loc'][1:])) or 'The body'}: {fault['msg']}." for fault in faults
        ),
        "code": "invalid_request",
    }


class EmailTaken(Conflict):
    """A demo user has that address already."""

    code = "email_taken"


class NotHere(NotFound):
    """What a page asked for is not part of this app as it was set up."""

    code = "not_here"
