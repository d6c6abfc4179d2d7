"""A facilitator on loopback with a chain of its own, and agents who sign for real (EIP-3009, by the SDK)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from eth_account import Account
from fastapi import FastAPI
from x402.extensions.payment_identifier import append_payment_identifier_to_extensions
from x402.http.utils import decode_payment_required_header, encode_payment_signature_header
from x402.mechanisms.evm.eip712 import hash_eip3009_authorization
from x402.mechanisms.evm.exact.client import ExactEvmScheme
from x402.mechanisms.evm.types import ExactEIP3009Authorization
from x402.schemas import PaymentPayload, PaymentRequired, SettleRequest, SettleResponse, VerifyRequest, VerifyResponse

NETWORK, CHAIN_ID = "eip155:84532", 84532
ASSET = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
SHOP = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"


@dataclass
class FakeChain:
    """Who has what, and which authorizations were used: each once, whoever sends it."""

    balances: dict[str, int] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    settled: int = 0
    fail: str | None = None
    """What the facilitator does wrong next: `verify`, `settle` (before) or `lost` (after it was settled)."""

    def check(self, payload: PaymentPayload, wanted: Any) -> str | None:
        told = payload.payload["authorization"]
        authorization = ExactEIP3009Authorization(
            from_address=told["from"], to=told["to"], value=told["value"], valid_after=told["validAfter"],
            valid_before=told["validBefore"], nonce=told["nonce"],
        )  # fmt: skip
        digest = hash_eip3009_authorization(
            authorization, CHAIN_ID, wanted.asset, wanted.extra["name"], wanted.extra["version"]
        )
        signer = Account._recover_hash(digest, signature=payload.payload["signature"])
        if signer.lower() != authorization.from_address.lower():
            return "invalid_exact_evm_payload_signature"
        if authorization.to.lower() != wanted.pay_to.lower() or int(authorization.value) < int(wanted.amount):
            return "invalid_exact_evm_payload_authorization_value"
        if self.balances.get(signer.lower(), 0) < int(authorization.value):
            return "insufficient_funds"
        return None

    def settle(self, payload: PaymentPayload) -> str | None:
        """The transaction; the same one where this authorization was settled before. None without the money."""
        told = payload.payload["authorization"]
        if told["nonce"] not in self.used and self.balances[told["from"].lower()] < int(told["value"]):
            return None
        if told["nonce"] not in self.used:
            self.used.add(told["nonce"])
            self.settled += 1
            self.balances[told["from"].lower()] -= int(told["value"])
        return f"0x{told['nonce'][2:]}"


def facilitator(chain: FakeChain) -> FastAPI:
    app = FastAPI()

    @app.post("/verify")
    async def verify(request: VerifyRequest) -> Any:
        if chain.fail == "verify":
            raise RuntimeError("down")
        reason = chain.check(request.payment_payload, request.payment_requirements)
        answer = VerifyResponse(is_valid=reason is None, invalid_reason=reason, payer=None)
        return answer.model_dump(by_alias=True, exclude_none=True)

    @app.post("/settle")
    async def settle(request: SettleRequest) -> Any:
        if chain.fail == "settle":
            raise RuntimeError("down")
        transaction = chain.settle(request.payment_payload)
        if chain.fail == "lost":
            raise RuntimeError("down after it was settled")
        answer = SettleResponse(
            success=transaction is not None,
            error_reason=None if transaction else "insufficient_funds",
            transaction=transaction or "",
            network=NETWORK,
        )
        return answer.model_dump(by_alias=True, exclude_none=True)

    return app


def offered(header: str) -> PaymentRequired:
    """What a 402 asks for, in version 2."""
    read = decode_payment_required_header(header)
    assert isinstance(read, PaymentRequired)
    return read


class Agent:
    """Has a key and money on the chain, and signs what a 402 asks for."""

    def __init__(self, chain: FakeChain, money: int = 10**9) -> None:
        self.account = Account.create()
        chain.balances[self.account.address.lower()] = money

    def sign(self, header: str, name: str | None = None) -> dict[str, str]:
        """Pays for the call; `name` is what the agent calls its payment."""
        required = offered(header)
        return self.sign_offer(required, required.accepts[0], name)

    def sign_offer(self, required: PaymentRequired, accepted: Any, name: str | None = None) -> dict[str, str]:
        signed = ExactEvmScheme(self.account).create_payment_payload(accepted)
        extensions = dict(required.extensions or {})
        if name is not None:
            append_payment_identifier_to_extensions(extensions, name)
        payload = PaymentPayload(
            payload=signed, accepted=accepted, resource=required.resource, extensions=extensions or None
        )
        return {"payment-signature": encode_payment_signature_header(payload)}
