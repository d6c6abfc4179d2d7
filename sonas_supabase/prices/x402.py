"""Agents that pay for a call: the 402 of this library is also one of x402 (version 2), and a signed payment answers it.

Off unless installed. The same denial carries `PAYMENT-REQUIRED`; a request with `PAYMENT-SIGNATURE` is claimed, settled
with the facilitator, and then run: once, with the credits that were paid for. A signed-in caller tops up their own
account; without a token the payment is for this request alone.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any, Protocol, cast
from uuid import UUID

from sonas_supabase import AsyncCreditsClient, CreditsError, InsufficientCredits, NotConfigured
from sonas_supabase.fastapi import Authenticator, NotAuthenticated, User
from sonas_supabase.untrusted import read_json

if TYPE_CHECKING:
    from x402.schemas import PaymentPayload, PaymentRequirements, SettleResponse, VerifyResponse

    from sonas_supabase.models import CreditPack

__all__ = ["X402", "Facilitator", "reconcile"]

_log = logging.getLogger("sonas_supabase")
_NOBODY = UUID("00000000-0000-4000-8000-000000000402")
_SCHEME = "X402 "
_LARGEST_BODY = 2**20
_PAUSE = 30.0
_REQUIRED = 402
_PACKS_FOR = 60.0
_PATIENCE = 5.0
_KEY = b"idempotency-key"


class Facilitator(Protocol):
    """Verifies and settles payments: `x402.http.HTTPFacilitatorClient`, or what does the same."""

    async def verify(self, payload: PaymentPayload, requirements: PaymentRequirements) -> VerifyResponse:
        """Whether the payment is good."""

    async def settle(self, payload: PaymentPayload, requirements: PaymentRequirements) -> SettleResponse:
        """Takes the payment."""


@dataclass(kw_only=True)
class X402:
    """What a payment is made to, and for how much.

    Args:
        client: the client that claims payments and spends.
        facilitator: who verifies and settles; there is no default.
        pay_to, network, asset: the receiver's address, the chain (`eip155:8453`) and the token's address.
        price_per_credit: for each credit type what one credit costs, in units of the asset (US dollars for USDC).
        decimals: of the asset.
        pack_currency: packs with a price in this currency are offered to signed-in callers too, at that price in units
            of the asset; None offers none.
        extra: what the scheme wants to know of the asset: its `name` and `version`.
        public_url: how clients reach the application, where a proxy stands before it.
    """

    client: AsyncCreditsClient
    facilitator: Facilitator
    pay_to: str
    network: str
    asset: str
    price_per_credit: Mapping[str, Decimal]
    decimals: int = 6
    pack_currency: str | None = "usd"
    extra: Mapping[str, Any] = field(default_factory=lambda: {"name": "USDC", "version": "2"})
    public_url: str | None = None
    max_timeout_seconds: int = 60
    timeout: float = _PATIENCE
    _tokens: dict[str, UUID] = field(default_factory=dict, repr=False)
    _away_until: float = field(default=0.0, repr=False)
    _packs: tuple[CreditPack, ...] = field(default=(), repr=False)
    _packs_until: float = field(default=0.0, repr=False)

    def __post_init__(self) -> None:
        try:
            import x402  # noqa: F401
        except ImportError as error:
            raise NotConfigured("Payments of agents need x402.", hint='pip install "sonas-supabase[x402]"') from error

    @property
    def spending_client(self) -> AsyncCreditsClient:
        """The client for ``Credits``: it refuses a caller without any identity, and without asking the database."""
        return cast(AsyncCreditsClient, _DenyingClient(self.client))

    def auth(self, inner: Authenticator) -> Authenticator:
        """An authenticator that also knows who has paid; all others are asked of ``inner``."""
        return _PayerAuth(inner, self._tokens)

    def install(self, app: Any, *, auth: Authenticator) -> None:
        """Adds the middleware. Call it after ``Credits.install``; ``auth`` is the inner one."""
        app.add_middleware(_Payments, x402=self, auth=auth)

    def requirements(self, credit_type: str, credits: int) -> PaymentRequirements | None:
        """What these credits cost; None where they are not for sale."""
        price = self.price_per_credit.get(credit_type)
        return None if price is None else self._required(price * credits)

    def _required(self, price: Decimal, **more: str) -> PaymentRequirements:
        from x402.schemas import PaymentRequirements

        amount = price.scaleb(self.decimals).to_integral_value(ROUND_CEILING)
        return PaymentRequirements(
            scheme="exact",
            network=self.network,
            asset=self.asset,
            amount=str(int(amount)),
            pay_to=self.pay_to,
            max_timeout_seconds=self.max_timeout_seconds,
            extra={**self.extra, **more},
        )

    async def _pack_offers(self, credit_type: str, credits: int) -> list[_Offer]:
        """The packs that cure a denial, the cheapest first."""
        if self.pack_currency is None:
            return []
        if time.monotonic() >= self._packs_until:
            self._packs = (await self.client.list_billing_prices()).packs
            self._packs_until = time.monotonic() + _PACKS_FOR
        fitting = [
            pack
            for pack in self._packs
            if pack.credit_type == credit_type and pack.currency == self.pack_currency and pack.credits >= credits
        ]
        return [
            _Offer(self._required(Decimal(pack.price_cents) / 100, pack=pack.id), credit_type, pack.credits, pack.id)
            for pack in sorted(fitting, key=lambda pack: (pack.price_cents, pack.rank, pack.id))
        ]

    @property
    def is_away(self) -> bool:
        """Whether the facilitator did not answer a moment ago: then nothing is offered."""
        return time.monotonic() < self._away_until

    def gone(self) -> None:
        """The facilitator did not answer."""
        self._away_until = time.monotonic() + _PAUSE


@dataclass(frozen=True)
class _Offer:
    """What a payment would buy: the credits of this call, or a pack."""

    wanted: PaymentRequirements
    credit_type: str
    credits: int
    pack_id: str | None = None


class _DenyingClient:
    def __init__(self, client: AsyncCreditsClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def reserve_credits(self, user_id: Any, credit_type: str, amount: int = 1, **options: Any) -> Any:
        if user_id == _NOBODY:
            raise _denied(credit_type, amount)
        return await self._client.reserve_credits(user_id, credit_type, amount, **options)

    async def reserve_operation(self, user_id: Any, operation: str, quantities: Any = None, **options: Any) -> Any:
        if user_id == _NOBODY:
            quote = await self._client.quote_operation(operation, quantities, book=options.get("book"))
            raise _denied(quote.credit_type, max(1, quote.maximum))
        return await self._client.reserve_operation(user_id, operation, quantities, **options)


def _denied(credit_type: str, amount: int) -> InsufficientCredits:
    return InsufficientCredits(
        f"{amount} {credit_type} credits are required.",
        details={"required": amount, "available": 0, "resets_at": None, "plan": None, "upgrade_url": "/pricing"},
        hint="Sign in, or pay for this call.",
    )


class _PayerAuth:
    def __init__(self, inner: Authenticator, tokens: Mapping[str, UUID]) -> None:
        self._inner = inner
        self._tokens = tokens

    async def user(self, authorization: str | None) -> User:
        if authorization is None:
            return User(id=_NOBODY, is_anonymous=True)
        if authorization.startswith(_SCHEME):
            payer = self._tokens.get(authorization.removeprefix(_SCHEME))
            if payer is None:
                raise NotAuthenticated("This is no token.")
            return User(id=payer, is_anonymous=True)
        return await self._inner.user(authorization)


@dataclass
class _Answer:
    """An answer that was kept back, since it may have to be changed."""

    start: dict[str, Any] = field(default_factory=dict)
    body: bytes = b""

    @property
    def status(self) -> int:
        return int(self.start.get("status", 0))

    @property
    def denial(self) -> dict[str, Any] | None:
        """The problem document, where it is one that money cures."""
        try:
            read = json.loads(self.body)
        except ValueError:
            return None
        return read if isinstance(read, dict) and read.get("code") == "insufficient_credits" else None


class _Payments:
    def __init__(self, app: Any, *, x402: X402, auth: Authenticator) -> None:
        self.app = app
        self.x402 = x402
        self.auth = auth

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        signature = headers.get(b"payment-signature")
        if signature is None:
            named = scope if b"authorization" in headers else _named(scope, None)
            denied = await self._run(named, receive, send)
            if denied is not None:
                await self._offer(scope, denied, send)
            return
        body = await _read(receive)
        if body is None:
            await _say(send, 413, "too_large", "A request that is paid for has at most 1 MiB.")
            return
        payload = _payload(signature)
        if payload is None:
            await _say(send, 400, "invalid_payment", "PAYMENT-SIGNATURE is no payment of x402, version 2.")
            return
        # A key belongs to an account, and without a token there is none yet.
        named = _named(scope, _name(scope, payload) if b"authorization" in headers else None)
        denied = await self._run(named, _replay(body), send)
        if denied is not None:
            await self._pay(scope, body, denied, payload, send)

    async def _run(self, scope: Any, receive: Any, send: Any) -> _Answer | None:
        """Runs the application. A 402 is kept back and answered, everything else goes out as it comes."""
        kept = _Answer()

        async def watch(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] == _REQUIRED:
                kept.start = message
            elif kept.start:
                kept.body += message.get("body", b"")
            else:
                await send(message)

        # What the layers below leave in the scope is of this run alone.
        await self.app(dict(scope), receive, watch)
        if kept.start and kept.denial is None:
            await send(kept.start)
            await send({"type": "http.response.body", "body": kept.body})
            return None
        return kept if kept.start else None

    async def _offers(self, scope: Any, denied: _Answer) -> list[_Offer]:
        """What cures the denial: this call first, then packs for who has an account that keeps them."""
        told = denied.denial or {}
        credit_type, required = str(told.get("credit_type")), int(told.get("required") or 0)
        wanted = self.x402.requirements(credit_type, required) if required else None
        if wanted is None:
            return []
        offers = [_Offer(wanted, credit_type, required)]
        if any(name.lower() == b"authorization" for name, _ in scope["headers"]):
            try:
                offers += await self.x402._pack_offers(credit_type, required)
            except CreditsError as error:
                _log.warning("packs could not be offered: %s", error)
        return offers

    async def _offer(self, scope: Any, denied: _Answer, send: Any, error: str = "insufficient_credits") -> None:
        """The denial as it was, with what would cure it."""
        from x402.extensions.payment_identifier import PAYMENT_IDENTIFIER, declare_payment_identifier_extension
        from x402.http.utils import encode_payment_required_header
        from x402.schemas import PaymentRequired, ResourceInfo

        offers = [] if self.x402.is_away else await self._offers(scope, denied)
        start = dict(denied.start)
        if offers:
            required = PaymentRequired(
                error=error,
                resource=ResourceInfo(url=_url(scope, self.x402.public_url), mime_type="application/json"),
                accepts=[offer.wanted for offer in offers],
                extensions={PAYMENT_IDENTIFIER: declare_payment_identifier_extension()},
            )
            start["headers"] = [
                *(item for item in start["headers"] if item[0].lower() != b"cache-control"),
                (b"payment-required", encode_payment_required_header(required).encode()),
                (b"cache-control", b"no-store"),
                (b"access-control-expose-headers", b"PAYMENT-REQUIRED, PAYMENT-RESPONSE"),
            ]
        await send(start)
        await send({"type": "http.response.body", "body": denied.body})

    async def _pay(self, scope: Any, body: bytes, denied: _Answer, payload: PaymentPayload, send: Any) -> None:
        offers = await self._offers(scope, denied)
        taken = next((offer for offer in offers if offer.wanted == payload.accepted), None)
        if taken is None:
            await self._offer(scope, denied, send, "No matching payment requirements")
        else:
            await _Payment(self, payload, taken, _name(scope, payload)).run(scope, body, denied, send)


@dataclass(frozen=True)
class _Run:
    """A request that was paid for; ``payer_id`` is whose it is where there is no token."""

    body: bytes
    key: str
    claim_id: UUID
    payer_id: UUID | None
    settled: SettleResponse | None


@dataclass
class _Payment:
    """One presentation of one payment."""

    payments: _Payments
    payload: PaymentPayload
    offer: _Offer
    name: str | None
    """Under which key its request is known: its payment identifier, or the Idempotency-Key."""

    @property
    def wanted(self) -> PaymentRequirements:
        return self.offer.wanted

    async def run(self, scope: Any, body: bytes, denied: _Answer, send: Any) -> None:
        x402 = self.payments.x402
        payer, nonce = _payer_of(self.payload)
        key = f"x402:{self.wanted.network}:{self.wanted.asset}:{payer}:{nonce}".lower()
        try:
            user = await self._identity(scope)
            claim = await x402.client.claim_x402_payment(
                key,
                payer,
                _request_hash(scope, body),
                self.offer.credit_type,
                self.offer.credits,
                network=self.wanted.network,
                asset=self.wanted.asset,
                paid_amount=self.wanted.amount,
                pack_id=self.offer.pack_id,
                identifier=_identifier(self.payload),
                presented={
                    "payload": self.payload.model_dump(mode="json", by_alias=True, exclude_none=True),
                    "requirements": self.wanted.model_dump(mode="json", by_alias=True, exclude_none=True),
                },
                user_id=user,
            )
        except NotAuthenticated:
            await _say(send, 401, "not_authenticated", "The token is not good; nothing was paid.")
            return
        # Only a caller without a token runs as the payer.
        payer_id = claim.user_id if user is None else None
        if claim.claim_id is None:
            if claim.state == "served" and claim.same_request and self.name:
                await self._run_as(scope, body, payer_id, send)
            else:
                await self._taken(claim.state, claim.same_request, send)
            return
        settled: SettleResponse | None = None
        if claim.state != "settled":
            settled = await self._settle(scope, key, claim.claim_id, denied, send, known=claim.state == "unknown")
            if settled is None:
                return
        await self._serve(scope, _Run(body, key, claim.claim_id, payer_id, settled), send)

    async def _identity(self, scope: Any) -> UUID | None:
        sent = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
        return (await self.payments.auth.user(sent[0].decode("latin-1"))).id if sent else None

    async def _taken(self, state: str, same: bool, send: Any) -> None:
        if state == "served" or not same:
            await _say(send, 409, "payment_used", "This payment has paid for a request already.")
        elif state == "unknown":
            await _say(send, 503, "payment_pending", "Whether it was paid is not known yet.", retry=2)
        else:
            await _say(send, 409, "payment_in_progress", "A request with this payment is being worked on.", retry=1)

    async def _settle(
        self, scope: Any, key: str, claim_id: UUID, denied: _Answer, send: Any, *, known: bool
    ) -> SettleResponse | None:
        """Takes the payment and grants its credits; None where the caller has been answered."""
        x402 = self.payments.x402
        finish = x402.client.finish_x402_payment
        try:
            # What may have been settled is asked about by settling it again.
            if not known:
                good = await asyncio.wait_for(x402.facilitator.verify(self.payload, self.wanted), x402.timeout)
                if not good.is_valid:
                    await finish(key, claim_id, "failed")
                    await self.payments._offer(scope, denied, send, good.invalid_reason or "invalid payment")
                    return None
        except Exception as error:
            _log.warning("the facilitator did not answer: %r", error)
            x402.gone()
            await finish(key, claim_id, "failed")
            await self.payments._offer(scope, denied, send)
            return None
        try:
            settled = await asyncio.wait_for(x402.facilitator.settle(self.payload, self.wanted), x402.timeout)
        except Exception as error:
            _log.warning("whether %s was settled is not known: %r", key, error)
            x402.gone()
            await finish(key, claim_id, "unknown")
            await _say(send, 503, "payment_pending", "Whether it was paid is not known yet.", retry=5)
            return None
        if not settled.success:
            await finish(key, claim_id, "failed")
            await self.payments._offer(scope, denied, send, settled.error_reason or "the payment was not settled")
            return None
        await finish(key, claim_id, "settled", transaction=settled.transaction or "none")
        return settled

    async def _serve(self, scope: Any, run: _Run, send: Any) -> None:
        """Runs the request with what was paid. What fails may be run again under the same payment."""
        from x402.http.utils import encode_payment_response_header

        x402 = self.payments.x402
        status = 0

        async def watch(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if run.settled is not None:
                    told = (b"payment-response", encode_payment_response_header(run.settled).encode())
                    message = {**message, "headers": [*message["headers"], told, (b"cache-control", b"private")]}
            await send(message)

        try:
            await self._run_as(scope, run.body, run.payer_id, watch)
        finally:
            ended = "served" if 200 <= status < 400 else "open"
            try:
                await asyncio.shield(x402.client.finish_x402_payment(run.key, run.claim_id, ended))
            except CreditsError as error:
                _log.error("%s was %s, and that is not on record: %s", run.key, ended, error)

    async def _run_as(self, scope: Any, body: bytes, payer_id: UUID | None, send: Any) -> None:
        """Runs the application for a payer, or for the caller's own account; a key answers what was answered."""
        x402, token = self.payments.x402, secrets.token_urlsafe(24)
        inner = _named(scope, self.name)
        if payer_id is not None:
            x402._tokens[token] = payer_id
            inner["headers"] = [*inner["headers"], (b"authorization", f"{_SCHEME}{token}".encode())]
        try:
            await self.payments.app(inner, _replay(body), send)
        finally:
            x402._tokens.pop(token, None)


async def reconcile(client: AsyncCreditsClient, facilitator: Facilitator, *, limit: int = 20) -> int:
    """Ask the facilitator again about payments whose answer got lost; answers how many are known now.

    What was settled is granted, and the agent's next try with the same signature is served. ``sonas worker`` does this
    where ``X402_FACILITATOR_URL`` is set.
    """
    from x402.schemas import PaymentPayload, PaymentRequirements

    known = 0
    for payment in await client.claim_unknown_x402_payments(limit=limit):
        key, claim_id = payment.payment_key, payment.claim_id
        try:
            payload = PaymentPayload.model_validate(payment.presented["payload"])
            wanted = PaymentRequirements.model_validate(payment.presented["requirements"])
            settled = await asyncio.wait_for(facilitator.settle(payload, wanted), _PATIENCE)
        except Exception as error:
            _log.warning("whether %s was settled is still not known: %r", key, error)
            await client.finish_x402_payment(key, claim_id, "unknown")
            continue
        known += 1
        if settled.success:
            await client.finish_x402_payment(key, claim_id, "settled", transaction=settled.transaction or "none")
            await client.finish_x402_payment(key, claim_id, "open")
        else:
            await client.finish_x402_payment(key, claim_id, "failed")
    return known


def _identifier(payload: PaymentPayload | None) -> str | None:
    """What the agent calls its payment (the extension payment-identifier), where it is one."""
    from x402.extensions.payment_identifier import extract_payment_identifier

    return extract_payment_identifier(payload) if payload is not None else None


def _name(scope: Any, payload: PaymentPayload) -> str | None:
    """Under which key a request that is paid for is known: what the agent calls its payment, or the Idempotency-Key."""
    sent = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == _KEY]
    return _identifier(payload) or (sent[0] if sent else None)


def _named(scope: Any, name: str | None) -> dict[str, Any]:
    """The request under this Idempotency-Key, or under none."""
    others = [item for item in scope["headers"] if item[0].lower() != _KEY]
    return {**scope, "headers": [*others, (_KEY, name.encode("latin-1"))] if name else others}


def _payload(signature: bytes) -> PaymentPayload | None:
    from x402.schemas import PaymentPayload

    # The SDK's own reader trusts how deep it goes.
    try:
        read = read_json(base64.b64decode(signature).decode())
        if not isinstance(read, Mapping) or read.get("x402Version", 2) != 2:
            return None
        return PaymentPayload.model_validate(read)
    except ValueError:
        return None


def _payer_of(payload: PaymentPayload) -> tuple[str, str]:
    """Who pays and the payment's own number; of a scheme that is not known, what was signed is both."""
    authorization = payload.payload.get("authorization")
    if isinstance(authorization, Mapping) and authorization.get("from") and authorization.get("nonce"):
        return str(authorization["from"])[:200], str(authorization["nonce"])[:200]
    digest = hashlib.sha256(json.dumps(payload.payload, sort_keys=True, default=str).encode()).hexdigest()
    return digest, digest


def _request_hash(scope: Any, body: bytes) -> str:
    parts = [scope["method"].encode(), scope.get("raw_path") or scope["path"].encode(), scope["query_string"], body]
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _url(scope: Any, public_url: str | None) -> str:
    host = dict(scope["headers"]).get(b"host", b"localhost").decode("latin-1")
    base = public_url.rstrip("/") if public_url else f"{scope.get('scheme', 'http')}://{host}"
    return base + str(scope["path"])


async def _read(receive: Any) -> bytes | None:
    body: bytes = b""
    while True:
        message: dict[str, Any] = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > _LARGEST_BODY:
            return None
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return body


def _replay(body: bytes) -> Any:
    sent = False

    async def receive() -> Any:
        nonlocal sent
        if sent:
            await asyncio.Event().wait()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _say(send: Any, status: int, code: str, detail: str, *, retry: int | None = None) -> None:
    problem = {"type": "about:blank", "title": code, "status": status, "detail": detail, "code": code}
    body = json.dumps(problem).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"cache-control", b"no-store")]
    if retry is not None:
        headers.append((b"retry-after", str(retry).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
