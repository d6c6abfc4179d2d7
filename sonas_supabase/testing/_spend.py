"""A spend without a request, for tests that call a handler by hand."""

from __future__ import annotations

from uuid import UUID, uuid4

from sonas_supabase.charging import ChargeMode, Outcome, check_amounts, credits_to_charge
from sonas_supabase.fastapi import Spend, User


class FakeSpend(Spend):
    """What ``Depends(spend(credit_type, amount, …))`` gives to a handler::

        held = FakeSpend("message", 5)
        await chat("hello", held)
        assert held.charged() == 2  # as if the answer were a 200

    Nothing is held or charged anywhere. ``detach`` answers a text that is no token, and ``was_detached`` then is True.
    """

    def __init__(
        self,
        credit_type: str = "message",
        amount: int = 1,
        *,
        charge: ChargeMode = "held",
        at_least: int = 0,
        user: User | UUID | None = None,
    ) -> None:
        check_amounts(amount, at_least=at_least, ttl_seconds=1, charge=charge)
        super().__init__(
            user=user if isinstance(user, User) else User(id=user or uuid4()),
            credit_type=credit_type,
            amount=amount,
            operation_id=uuid4(),
            replayed=False,
            is_settled=lambda: False,
            hand_over=self._detach,
            is_charged=charge == "on_start",
        )
        self._charge = charge
        self._at_least = at_least
        self.was_detached = False

    def charged(self, status: int = 200, *, broken: bool = False) -> int:
        """Credits that the request costs if it is answered like that; ``broken``: its stream breaks by an exception."""
        if self.was_detached:
            return 0
        outcome = Outcome.BROKEN if broken else Outcome.of_status(status)
        return credits_to_charge(self._charge, outcome, self.said, amount=self.amount, at_least=self._at_least)

    def _detach(self) -> str:
        if self.was_detached:
            raise RuntimeError("There is no hold that could be handed over.")
        self.was_detached = True
        return f"a hold of {self.amount}"
