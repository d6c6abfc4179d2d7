"""Who says what work costs."""

from __future__ import annotations

from ._amounts import leaves
from ._event import Event
from ._finding import revoke_call, whoever
from ._guards import (
    any_holds,
)
from ._judging import Judging, Move
from ._moves import Entry
from ._tree import Tree, walk

_SPENDING = {"consume_credits", "reserve_credits"}


class ClientPrices(Judging):
    """Finds prices that the caller names."""

    def _prices(self, entry: Entry, moves: list[Move], calls: list[Event], is_strong: bool) -> None:
        if not is_strong or entry.relation is not None:
            return
        for move in moves:
            if any_holds(move.holds(), self.privileged) or any(other.gives() and not other.takes() for other in moves):
                continue
            for atom in move.takes():
                if atom[0] == "argument" or leaves(atom):
                    self._named_price(entry, leaves(atom) or [atom])
                    return
        for event in calls:
            if self._own(event.name) in _SPENDING:
                given = self._given(event)
                amount = given.get("p_amount", given.get(2))
                if amount is not None and leaves(amount):
                    self._named_price(entry, leaves(amount))
                    return

    def _named_price(self, entry: Entry, found: list[Tree]) -> None:
        labels = [
            one.label for one in entry.routine.arguments if any(("argument", one.nth) in walk(leaf) for leaf in found)
        ]
        if labels:
            self._add(
                "client_names_price", "low", entry,
                f"{whoever(entry.roles)} may call it over the API and say with {labels[0]} how much the work costs. A caller who "
                "says less, or calls it for nothing, pays less.",
                mend="Where the work is done by a backend, let the backend charge for it: "
                + revoke_call(entry.routine, self.catalog),
            )  # fmt: skip
