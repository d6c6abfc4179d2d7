"""What the app answers besides the errors of the library. The only HTTP status numbers of this package."""

from __future__ import annotations

from sonas_supabase import Conflict, CreditsError, NotFound

CREATED = 201
NOT_MODIFIED = 304
NO_CONTENT = 204
NOT_AUTHENTICATED = 401
PAYMENT_REQUIRED = 402
NOT_FOUND = 404
CONFLICT = 409
INVALID = 422
UNAVAILABLE = 503


class ProjectNotFound(NotFound):
    """The user has no such project."""

    code = "project_not_found"


class WorkFailed(CreditsError):
    """The function that does the work failed. What was held for it has been given back."""

    code = "work_failed"
    status = 500
    retryable = True


class EmailTaken(Conflict):
    """A demo user has that address already."""

    code = "email_taken"


class NotHere(NotFound):
    """What a page asked for is not part of this app as it was set up."""

    code = "not_here"
