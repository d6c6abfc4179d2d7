"""What the billing routes answer besides the errors of the library. The only HTTP status numbers of this package."""

from __future__ import annotations

from http import HTTPStatus

from sonas_supabase import Conflict, CreditsError, NotFound

UNREADABLE = 400
FAILED = 500
UNAVAILABLE = 503
PROBLEM = "application/problem+json"


class Refused(CreditsError):
    """A request to the webhook that cannot be taken: not signed by Stripe, not of now, or not readable.

    Sending it again would not help, so it is no failure of the server.
    """

    code = "webhook_refused"
    status = UNREADABLE


class BadSignature(Refused):
    """No configured secret has signed the body, or it was signed more than five minutes away from now."""

    code = "bad_signature"


class Unreadable(Refused):
    """The body is no event that this release can read."""

    code = "unreadable_event"


class UnknownApiVersion(Refused):
    """The event has the shape of another API version than this release reads."""

    code = "unknown_api_version"


class NotApplied(CreditsError):
    """An event could not be applied now. Nothing of it is recorded, so it is to be sent again."""

    code = "not_applied"
    status = UNAVAILABLE
    retryable = True


class AlreadySubscribed(Conflict):
    """The account has a subscription, which the portal changes; a second one would be paid twice."""

    code = "already_subscribed"


class NothingBought(NotFound):
    """The account has no customer at the payment provider yet, so there is nothing to manage."""

    code = "nothing_bought"


class OrderNotFound(NotFound):
    """The account has no such order."""

    code = "order_not_found"


class ProviderUnavailable(CreditsError):
    """Stripe could not be reached, or has refused what it was asked for. The log says what."""

    code = "payment_provider_unavailable"
    status = UNAVAILABLE
    retryable = True


class ProviderUnreachable(ProviderUnavailable):
    """Stripe did not answer."""


class KeyRefused(ProviderUnavailable):
    """Stripe does not take the key, or not for what it was asked for."""


def problem_of_request(status: int, detail: str, code: str) -> dict[str, object]:
    """The problem document of a request that is wrong in itself."""
    title = HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
