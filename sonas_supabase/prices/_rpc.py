"""A JSON-RPC endpoint of a chain, metered: a price for each method, gas held at its limit, settled by the receipt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from sonas_supabase import CreditsClient, PricedCapture, PricedReservation

Endpoint = Callable[[str, list[Any]], Any]
"""Sends a method with its parameters to the chain, and answers the result."""


class RpcProblem(RuntimeError):
    """The chain has answered something that cannot be charged for."""


@dataclass(kw_only=True)
class RpcCall:
    """What a transaction has cost: ``charge`` is None until it is settled."""

    transaction_hash: str | None = None
    receipt: Mapping[str, Any] | None = None
    outcome: str = "pending"
    charge: PricedCapture | None = None


@dataclass(frozen=True, kw_only=True)
class RpcMeter:
    """The endpoint for one user. Operations are `chain:method` and `chain:gas`; made by :func:`meter_rpc`."""

    credits: CreditsClient
    user_id: Any
    endpoint: Endpoint
    chain: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def call(self, method: str, params: list[Any] | None = None, *, idempotency_key: str | None = None) -> Any:
        """Charges one call of ``method``, then makes it; a call that the chain refuses is not charged.

        Raises:
            UnknownOperation: the method has no price, so it is not made.
            InsufficientCredits: there is not enough, so it is not made.
        """
        hold = self.credits.reserve_operation(
            self.user_id,
            f"{self.chain}:{method}",
            quantities={"call": 1},
            idempotency_key=idempotency_key or str(uuid4()),
            **self.options,
        )
        try:
            result = self.endpoint(method, params or [])
        except BaseException:
            self.credits.release_credits(self.user_id, hold.reservation_id, reason="the call failed")
            raise
        self.credits.capture_operation(self.user_id, hold.reservation_id, quantities={"call": 1})
        return result

    @contextmanager
    def transaction(self, transaction: Mapping[str, Any], *, ttl_seconds: int = 900) -> Iterator[RpcCall]:
        """Holds the most that a transaction can cost in gas; the block sends it and settles it with :meth:`settle`.

        The most is gas limit times the largest fee, in wei (dimension `wei` of `chain:gas`), at the exchange rate of
        this moment. A transaction without `gas` is estimated first. What was never sent costs nothing; what was sent
        and not settled stays held until the hold expires.

        Raises:
            UnknownOperation, InsufficientCredits: nothing was sent.
        """
        limit = _number(transaction.get("gas")) or _number(self.endpoint("eth_estimateGas", [dict(transaction)]))
        fee = _number(transaction.get("maxFeePerGas")) or _number(transaction.get("gasPrice"))
        fee = fee or _number(self.endpoint("eth_gasPrice", []))
        hold = self.credits.reserve_operation(
            self.user_id,
            f"{self.chain}:gas",
            quantities={"wei": limit * fee},
            ttl_seconds=ttl_seconds,
            idempotency_key=str(uuid4()),
            **self.options,
        )
        call = RpcCall()
        try:
            yield call
        except BaseException:
            if call.transaction_hash is None:
                self.credits.release_credits(self.user_id, hold.reservation_id, reason="it was not sent")
            raise
        if call.transaction_hash is None:
            self.credits.release_credits(self.user_id, hold.reservation_id, reason="it was not sent")
            return
        receipt = call.receipt or self.endpoint("eth_getTransactionReceipt", [call.transaction_hash])
        if receipt is not None:
            call.receipt = receipt
            self._settle(call, hold)

    def settle(self, call: RpcCall, receipt: Mapping[str, Any]) -> None:
        """Hands over the receipt of a transaction that took a while; the end of the block charges by it."""
        call.receipt = receipt

    def _settle(self, call: RpcCall, hold: PricedReservation) -> None:
        receipt = call.receipt or {}
        used, price = _number(receipt.get("gasUsed")), _number(receipt.get("effectiveGasPrice"))
        if used is None or price is None:
            raise RpcProblem(f"The receipt of {call.transaction_hash} says neither gasUsed nor effectiveGasPrice.")
        # A transaction that was reverted has used its gas all the same.
        call.outcome = "ok" if _number(receipt.get("status")) == 1 else "reverted"
        call.charge = self.credits.capture_operation(
            self.user_id,
            hold.reservation_id,
            quantities={"wei": used * price},
            metadata={"transaction": call.transaction_hash, "outcome": call.outcome, "gas_used": used},
        )


def meter_rpc(credits: CreditsClient, user_id: Any, endpoint: Endpoint, *, chain: str, **options: Any) -> RpcMeter:
    """An endpoint that charges ``user_id`` for what it is asked: ``chain`` is the first part of its operations.

    ``options`` go to every hold: `book`, `workspace_id`.
    """
    return RpcMeter(credits=credits, user_id=user_id, endpoint=endpoint, chain=chain, options=options)


def _number(value: Any) -> Any:
    """A quantity of Ethereum: a number, or hexadecimal text."""
    if isinstance(value, bool) or value is None:
        return None
    return int(value, 16) if isinstance(value, str) else int(value)
