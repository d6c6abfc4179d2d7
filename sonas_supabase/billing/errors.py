"""What the billing routes answer besides the errors of the library. The only HTTP status numbers of this package."""

from __future__ import annotations

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


class AlreadySubscribed(Conflict):
    """The account has a subscription, which the portal changes; a second one would be paid twice."""

    code = "already_subscribed"


class NothingBought(NotFound):
    """The account has no customer at the payment provider yet, so there is nothing to manage."""

    code = "nothing_bought"


class ProviderUnavailable(CreditsError):
    """Stripe could not be reached, or has refused what it was asked for. The log says what."""

    code = "payment_provider_unavailable"
    status = UNAVAILABLE
    retryable = True
