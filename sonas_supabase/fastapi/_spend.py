"""What a handler sees of the credits that its request holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from sonas_supabase.charging import Said, checked_cost
from sonas_supabase.fastapi._user import User


class Spend:
    """Credits held for this request, and what its handler says that the work really cost::

        spend.cost = 3      # or, as tokens go out:
        spend.add(1)

    Who pays what, and when, is declared by ``charge=``; see :func:`spend`.

    Attributes:
        user: who pays, or acts for the workspace that does.
        credit_type: which credits.
        amount: credits held; 0 for a request that is exempt.
        operation_id: the id that the charge will have in the ledger; ``refund_credits`` takes it. None when nothing is
            held: the request is exempt, or the database could not be reached and the journal will charge it.
        replayed: whether an earlier request with the same ``Idempotency-Key``, whose server died, has paid for this.
    """

    def __init__(
        self,
        *,
        user: User,
        credit_type: str,
        amount: int,
        operation_id: UUID | None,
        replayed: bool,
        is_settled: Callable[[], bool],
        hand_over: Callable[[], str],
        is_charged: bool = False,
    ) -> None:
        self.user = user
        self.credit_type = credit_type
        self.amount = amount
        self.operation_id = operation_id
        self.replayed = replayed
        self._is_settled = is_settled
        self._hand_over = hand_over
        self._is_charged = is_charged
        self._cost: int | None = None
        self._quantities: Mapping[str, Any] | None = None
        self._added = 0

    @property
    def cost(self) -> int | None:
        """What the work cost, in credits, as far as it is known; None as long as nothing was said.

        More than is held may be set: what is available is then charged. It may be set until the application has done
        with the request, background tasks included.

        Raises:
            InvalidAmount: it is not a whole number of credits from 0 to 2^53.
            RuntimeError: the request has come to its end, and the charge with it.
        """
        return self._cost

    @cost.setter
    def cost(self, value: int) -> None:
        self._cost = self._checked(value)

    @property
    def quantities(self) -> Mapping[str, Any] | None:
        """What the operation has used; None as long as nothing was said. Only for ``spend(operation=…)``.

        Setting it says that the work was done: it is charged by it, exactly, also when the answer is a refusal.

        Raises:
            RuntimeError: the request has come to its end, and the charge with it; or ``charge="on_start"`` has charged
                what was declared.
        """
        return self._quantities

    @quantities.setter
    def quantities(self, used: Mapping[str, Any]) -> None:
        if self._is_charged:
            raise RuntimeError('charge="on_start" has charged the quantities of the declaration. Use "held" or "cost".')
        self.cost = self.amount
        self._quantities = dict(used)

    def add(self, credits: int = 1) -> None:
        """Add to the cost, from 0. It stays charged when a stream breaks. Raises what setting the cost raises."""
        added = self._checked(credits)
        self._cost = checked_cost((self._cost or 0) + added)
        self._added += added

    def detach(self) -> str:
        """Hand this spend over to a queue: the token with which ``Hold.from_token`` takes it up in another process.

        From now on the request neither charges nor gives back. The hold lives until ``ttl_seconds`` after it was made,
        unless the worker takes it up before. The token is as good as the credits it holds: keep it between servers.

        Raises:
            RuntimeError: nothing is held, it is charged already, or it was handed over before.
        """
        return self._hand_over()

    @property
    def said(self) -> Said:
        """What was said of the cost by now."""
        return Said(cost=self._cost, added=self._added)

    def _checked(self, value: object) -> int:
        if self._is_settled():
            raise RuntimeError("The request has come to its end and this spend is settled. Set the cost before.")
        return checked_cost(value)
