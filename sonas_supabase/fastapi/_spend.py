"""What a handler sees of the credits that its request holds."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from sonas_supabase import InvalidAmount
from sonas_supabase.fastapi._user import User


class Spend:
    """Credits held for this request: charged when the response has gone out, given back when it fails.

    All that was held is charged, unless the handler says what it really cost::

        spend.cost = 3      # or, as tokens go out:
        spend.add(1)

    A stream that breaks is charged what was said by then, and nothing if nothing was said.

    Attributes:
        user: who pays, or acts for the workspace that does.
        credit_type: which credits.
        amount: credits held.
        operation_id: the id that the charge will have in the ledger; ``refund_credits`` takes it. None when the
            database could not be reached and the route goes on without: the journal will book it.
        replayed: whether an earlier request with the same ``Idempotency-Key`` has paid for this one.
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
    ) -> None:
        self.user = user
        self.credit_type = credit_type
        self.amount = amount
        self.operation_id = operation_id
        self.replayed = replayed
        self._is_settled = is_settled
        self._cost: int | None = None

    @property
    def cost(self) -> int | None:
        """What the work cost, in credits, as far as it is known; None stands for all that is held.

        More than is held may be set: what is available is then charged.

        Raises:
            InvalidAmount: it is not a whole number of credits from 0 on.
            RuntimeError: the response has gone out, and the charge with it.
        """
        return self._cost

    @cost.setter
    def cost(self, value: int) -> None:
        self._cost = self._checked(value)

    def add(self, credits: int = 1) -> None:
        """Add to the cost, from 0. Raises what setting the cost raises."""
        self._cost = (self._cost or 0) + self._checked(credits)

    def _checked(self, value: object) -> int:
        if self._is_settled():
            raise RuntimeError("The response has gone out and this spend is settled. Set the cost before.")
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return int(value)
        raise InvalidAmount(f"{value!r} is not a cost.", hint="A cost is a whole number of credits from 0 on.")
