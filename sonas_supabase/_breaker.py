"""Fails at once while the database is known to be away, and sees as soon as it is back. No I/O."""

from __future__ import annotations

from time import monotonic

from sonas_supabase.errors import CreditsUnavailable

# An attempt that is refused costs nothing, so every call may make one; one that hangs is made by one call at a time,
# and not again for twice the time that it took.
_QUICK = 0.1
_LONGEST_REST = 10.0
# So many calls in a row without any answer: it is not the one account that they wait for.
_SILENT_CALLS = 3


class Breaker:
    """Closed while all is well; open after a failure to connect, until something works again."""

    def __init__(self) -> None:
        self._open = False
        self._rest_until = 0.0
        self._probing_since: float | None = None
        self._silent = 0

    def admit(self) -> bool:
        """Whether the caller only looks if the database is back: with one attempt, and without waiting for it.

        Raises:
            CreditsUnavailable: it is known to be away.
        """
        if not self._open:
            return False
        now = monotonic()
        others_hang = self._probing_since is not None and now - self._probing_since > _QUICK
        if now < self._rest_until or others_hang:
            raise CreditsUnavailable(
                "The database could not be reached a moment ago.",
                details={"may_have_taken_effect": False},
                hint="Try again later: as soon as it is back, calls go through again.",
            )
        if self._probing_since is None:
            self._probing_since = now
        return True

    def failed(self, seconds: float) -> None:
        """It could not be reached, which took so many seconds to find out."""
        self._open = True
        self._probing_since = None
        if seconds > _QUICK:
            self._rest_until = monotonic() + min(_LONGEST_REST, 2 * seconds)

    def was_silent(self, seconds: float) -> None:
        """It was reached, and gave no answer in time."""
        self._silent += 1
        self._probing_since = None
        if self._silent >= _SILENT_CALLS:
            self.failed(seconds)

    def worked(self) -> None:
        """It answered."""
        self._open = False
        self._probing_since = None
        self._silent = 0
