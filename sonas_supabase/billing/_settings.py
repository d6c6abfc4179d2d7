"""What selling through Stripe is told by the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from dotenv import dotenv_values, find_dotenv

from sonas_supabase.errors import NotConfigured

_LIVE = ("sk_live_", "rk_live_")
_TEST = ("sk_test_", "rk_test_")
_HERE = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingSettings:
    """How to reach Stripe, and how to know it. Secrets stay out of the ``repr``.

    Attributes:
        secret_key: ``STRIPE_SECRET_KEY``, a secret or restricted key. Its mode decides which events count.
        webhook_secrets: ``STRIPE_WEBHOOK_SECRETS``, with commas between: each may have signed an event, so that one can
            take the place of another.
        api_base: ``STRIPE_API_BASE``, a simulated Stripe on this machine; None for Stripe itself.
        app_url: ``APP_URL``, where the pages are that one comes back to; by default where the request went.
        automatic_tax: ``STRIPE_AUTOMATIC_TAX``, whether Stripe works the tax out.

    Raises:
        NotConfigured: the key is none of Stripe's, or it would be sent to another machine.
    """

    secret_key: str | None = field(default=None, repr=False)
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    api_base: str | None = None
    app_url: str | None = None
    automatic_tax: bool = False

    def __post_init__(self) -> None:
        if self.secret_key and not self.secret_key.startswith(_LIVE + _TEST):
            raise NotConfigured(
                "STRIPE_SECRET_KEY is no secret key of Stripe's.", hint="It begins with sk_test_, rk_test_ or sk_live_."
            )
        if self.api_base is None:
            return
        if urlsplit(self.api_base).hostname not in _HERE:
            raise NotConfigured(
                "STRIPE_API_BASE names another machine, which would get the secret key.",
                hint="It is for a simulated Stripe on this machine; leave it out for Stripe itself.",
            )
        if self.livemode:
            raise NotConfigured(
                "STRIPE_API_BASE is set together with a live key.", hint="A simulated Stripe takes test keys alone."
            )

    @classmethod
    def from_env(cls) -> BillingSettings:
        """Read the environment, then the nearest ``.env`` file. An empty value counts as none."""
        return cls.from_values({**dotenv_values(find_dotenv(usecwd=True)), **os.environ})

    @classmethod
    def from_values(cls, values: Mapping[str, str | None]) -> BillingSettings:
        """Read these values."""
        secrets = (values.get("STRIPE_WEBHOOK_SECRETS") or "").split(",")
        return cls(
            secret_key=(values.get("STRIPE_SECRET_KEY") or "").strip() or None,
            webhook_secrets=tuple(secret.strip() for secret in secrets if secret.strip()),
            api_base=(values.get("STRIPE_API_BASE") or "").rstrip("/") or None,
            app_url=(values.get("APP_URL") or "").rstrip("/") or None,
            automatic_tax=(values.get("STRIPE_AUTOMATIC_TAX") or "").lower() in ("1", "true", "yes", "on"),
        )

    @property
    def is_configured(self) -> bool:
        """Whether anything can be sold or heard."""
        return bool(self.secret_key or self.webhook_secrets)

    @property
    def livemode(self) -> bool:
        """Whether real money moves."""
        return bool(self.secret_key and self.secret_key.startswith(_LIVE))

    @property
    def expected_livemode(self) -> bool | None:
        """Which events count: those of the key's mode. Without a key, those of either."""
        return self.livemode if self.secret_key else None

    def require_key(self) -> str:
        """The secret key. Raises NotConfigured when there is none."""
        if self.secret_key:
            return self.secret_key
        raise NotConfigured("STRIPE_SECRET_KEY is not set.", hint="docs/stripe.md says where it comes from.")
