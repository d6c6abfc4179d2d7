"""Whether Stripe has signed a body, now."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from sonas_supabase.billing.errors import BadSignature

TOLERANCE = 300
"""Seconds by which the time of a signature may differ from now, either way."""

_TIME = re.compile(r"(?:^|,)t=([0-9]{1,12})(?:,|$)")


def check_signature(body: bytes, header: str | None, secrets: Sequence[str], *, now: float | None = None) -> None:
    """Refuses a body that none of the secrets has signed, or not within five minutes of now.

    The SDK's check takes one secret, looks at the past only, and raises other exceptions for some malformed bodies.
    """
    import stripe

    now = time.time() if now is None else now
    signed = _TIME.search(header or "")
    if not header or not signed:
        raise BadSignature("The request has no readable Stripe-Signature header.")
    if abs(now - int(signed[1])) > TOLERANCE:
        raise BadSignature("The signature is more than five minutes away from now.")
    for secret in secrets:
        try:
            # The time is checked above, on both sides.
            stripe.WebhookSignature.verify_header(body, header, secret, None)
        except (stripe.SignatureVerificationError, ValueError, TypeError):
            continue
        return
    raise BadSignature("None of the configured secrets has signed this body.")
