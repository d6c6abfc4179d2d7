"""Every error that this library raises, and the one place that says which HTTP status each of them has.

The slugs are those that the SQL functions raise (``code``); a test holds the two lists together::

    CreditsError
    ├── InsufficientCredits            insufficient_credits    every denial is one of these three
    │   ├── LimitReached               limit_reached
    │   └── MemberCapReached           member_cap_reached
    ├── InvalidRequest
    │   ├── InvalidAmount              invalid_amount
    │   └── InvalidArgument            invalid_argument
    ├── NotFound
    │   ├── AccountNotFound            account_not_found
    │   ├── OperationNotFound          operation_not_found
    │   ├── ReservationNotFound        reservation_not_found
    │   ├── BudgetNotFound             budget_not_found
    │   ├── KeyNotFound                key_not_found
    │   ├── MemberNotFound             member_not_found
    │   ├── InvitationNotFound         invitation_not_found
    │   ├── EndpointNotFound           endpoint_not_found
    │   ├── MessageNotFound            message_not_found
    │   ├── UnknownCreditType          unknown_credit_type
    │   └── UnknownOperation           unknown_operation
    ├── Conflict
    │   ├── IdempotencyConflict        idempotency_conflict
    │   ├── ReservationClosed          reservation_closed
    │   ├── LastOwner                  last_owner
    │   ├── InvitationUsed             invitation_used
    │   └── NotATestAccount            not_a_test_account
    ├── InvitationExpired              invitation_expired
    ├── Forbidden                      forbidden
    ├── AccountFrozen                  account_frozen
    ├── LedgerIsAppendOnly             ledger_is_append_only
    ├── CreditsUnavailable             unavailable             the database could not be reached, try again
    │   └── PoolTimeout                pool_timeout            the pool had no connection in time
    ├── NotConfigured                  not_configured          a setting or an extra is missing
    ├── NotInstalled                   not_installed           the database lacks the migrations
    ├── AccessDenied                   access_denied           the key or the role may not call this
    └── UnexpectedAnswer               unexpected_answer       the database answered what nobody knows
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, ClassVar
from uuid import UUID


class CreditsError(Exception):
    """Something about credits went wrong. Unless a subclass says otherwise, nothing has been changed.

    Attributes:
        code: the slug, the same in SQL, over HTTP and here.
        status: the HTTP status that a web application answers it with.
        details: what a program needs to know about it.
        hint: a sentence for the person who meets it; may be empty.
        retryable: whether the same call may succeed later without anybody changing anything.
    """

    code: ClassVar[str] = "credits_error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str = "", *, details: Mapping[str, Any] | None = None, hint: str = "") -> None:
        self.message = message or hint or self.code
        self.details: dict[str, Any] = dict(details or {})
        self.hint = hint
        super().__init__(self.message)

    def to_problem(self) -> dict[str, Any]:
        """The problem document (RFC 9457) that a web application answers this with, for any framework.

        An error of the server's side says so in general words: what is wrong there is not the client's business.
        """
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self._detail(),
            "code": self.code,
        }

    def _detail(self) -> str:
        if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return "The server cannot charge credits for this request."
        return self.message if self.hint in self.message else f"{self.message} {self.hint}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.details, self.hint)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, details={self.details!r})"


def _rebuild(kind: type[CreditsError], message: str, details: dict[str, Any], hint: str) -> CreditsError:
    return kind(message, details=details, hint=hint)


class InsufficientCredits(CreditsError):
    """A denial: the account has not got what the call required. It is on record in ``usage``.

    Base class of the other two denials, so that one ``except`` catches all of them.
    """

    code = "insufficient_credits"
    status = 402

    def to_problem(self) -> dict[str, Any]:
        """The problem document, with what is missing and where to get it."""
        return {
            **super().to_problem(),
            "credit_type": self.details.get("credit_type"),
            "required": self.required,
            "available": self.available,
            "resets_at": self.details.get("resets_at"),
            "plan": self.plan,
            "upgrade_url": self.upgrade_url,
        }

    @property
    def operation_id(self) -> UUID | None:
        """The id under which it is on record; None for a check, and for what was raised and so left no record."""
        value = self.details.get("operation_id")
        return UUID(value) if isinstance(value, str) else None

    @property
    def required(self) -> int:
        """Credits that the call required."""
        return int(self.details.get("required") or 0)

    @property
    def available(self) -> int:
        """Credits that could be spent at that moment."""
        return int(self.details.get("available") or 0)

    @property
    def resets_at(self) -> datetime | None:
        """When the allowance renews (UTC); None for a limit, which never does."""
        value = self.details.get("resets_at")
        return datetime.fromisoformat(value) if isinstance(value, str) else None

    @property
    def plan(self) -> str | None:
        """The plan that the account is on."""
        return self.details.get("plan")

    @property
    def upgrade_url(self) -> str | None:
        """Where to get more."""
        return self.details.get("upgrade_url")

    @property
    def next_step(self) -> str | None:
        """What gives more: ``upgrade``, on the largest plan ``buy_credits``, or None where neither does."""
        return self.details.get("next_step")


class LimitReached(InsufficientCredits):
    """A denial: the plan's limit has no place left."""

    code = "limit_reached"


class MemberCapReached(InsufficientCredits):
    """A denial: the workspace has credits, but not for this member."""

    code = "member_cap_reached"


class InvalidRequest(CreditsError):
    """The request can never succeed as it is."""

    code = "invalid_request"
    status = 422


class InvalidAmount(InvalidRequest):
    """The amount is not a whole number of credits from 1 to 2^53, or is more than can be given back."""

    code = "invalid_amount"


class InvalidArgument(InvalidRequest):
    """An argument cannot be used; ``details["argument"]`` names it."""

    code = "invalid_argument"


class NotFound(CreditsError):
    """What an argument names does not exist, or not for this account."""

    code = "not_found"
    status = 404


class AccountNotFound(NotFound):
    """There is no such user or workspace, or the user is not a member of it."""

    code = "account_not_found"


class OperationNotFound(NotFound):
    """The account has no such operation."""

    code = "operation_not_found"


class ReservationNotFound(NotFound):
    """The account has no such reservation."""

    code = "reservation_not_found"


class BudgetNotFound(NotFound):
    """The account has no such budget."""

    code = "budget_not_found"


class KeyNotFound(NotFound):
    """There is no such API key, or it was revoked."""

    code = "key_not_found"


class MemberNotFound(NotFound):
    """The workspace has no such member."""

    code = "member_not_found"


class EndpointNotFound(NotFound):
    """The account has no such webhook endpoint, or has none any more."""

    code = "endpoint_not_found"


class MessageNotFound(NotFound):
    """The account has no such message, or it has been forgotten."""

    code = "message_not_found"


class InvitationNotFound(NotFound):
    """There is no such invitation."""

    code = "invitation_not_found"


class UnknownCreditType(NotFound):
    """There is no such credit type; ``details["known"]`` lists them."""

    code = "unknown_credit_type"


class UnknownOperation(NotFound):
    """The price book has no price for the operation."""

    code = "unknown_operation"


class Conflict(CreditsError):
    """The request does not fit what has happened before."""

    code = "conflict"
    status = 409


class IdempotencyConflict(Conflict):
    """The idempotency key belongs to another request; ``details["differs_in"]`` says where."""

    code = "idempotency_conflict"


class ReservationClosed(Conflict):
    """The hold has been captured, released or has expired; ``details["status"]`` says which."""

    code = "reservation_closed"


class LastOwner(Conflict):
    """A workspace always has an owner, and this is the last one."""

    code = "last_owner"


class InvitationUsed(Conflict):
    """The invitation has been used."""

    code = "invitation_used"


class NotATestAccount(Conflict):
    """Only an account marked with ``mark_test_account`` has a clock of its own."""

    code = "not_a_test_account"


class InvitationExpired(CreditsError):
    """The invitation is no longer open: its time is over, or it was taken back."""

    code = "invitation_expired"
    status = 410


class Forbidden(CreditsError):
    """The member's role in the workspace does not allow it; ``details["role"]`` is the role."""

    code = "forbidden"
    status = 403


class AccountFrozen(CreditsError):
    """The account may not spend until ``unfreeze_account``."""

    code = "account_frozen"
    status = 403


class LedgerIsAppendOnly(CreditsError):
    """Somebody tried to change the ledger."""

    code = "ledger_is_append_only"
    status = 405


class CreditsUnavailable(CreditsError):
    """The database could not be reached or was too busy. Trying again later may help.

    ``may_have_taken_effect`` is True when the connection broke while the answer was on its way. Repeat the call with
    the same idempotency key then: it takes effect once.
    """

    code = "unavailable"
    status = 503
    retryable = True

    def to_problem(self) -> dict[str, Any]:
        """The problem document. Why the database cannot be reached is not the client's business."""
        return {**super().to_problem(), "code": CreditsUnavailable.code}

    def _detail(self) -> str:
        return "Credits cannot be charged at the moment. Try again later."

    @property
    def may_have_taken_effect(self) -> bool:
        """Whether the database may have done what it was asked to."""
        return bool(self.details.get("may_have_taken_effect"))


class PoolTimeout(CreditsUnavailable):
    """The pool had no connection in time: all are busy, or the database cannot be reached. Nothing was sent."""

    code = "pool_timeout"


class NotConfigured(CreditsError):
    """A setting or an optional dependency is missing; the message names it."""

    code = "not_configured"


class NotInstalled(CreditsError):
    """The database does not have the function. Apply the migrations with ``sonas migrate`` or ``supabase db push``."""

    code = "not_installed"


class AccessDenied(CreditsError):
    """The key or the database role may not move credits. Only the service role may."""

    code = "access_denied"


class UnexpectedAnswer(CreditsError):
    """The database answered with an error or an object that this version does not know."""

    code = "unexpected_answer"


def _tree(kind: type[CreditsError]) -> Iterator[type[CreditsError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)


_LIBRARY_ONLY = {
    CreditsError,
    InvalidRequest,
    NotFound,
    Conflict,
    CreditsUnavailable,
    PoolTimeout,
    NotConfigured,
    NotInstalled,
    AccessDenied,
    UnexpectedAnswer,
}

ERRORS: Mapping[str, type[CreditsError]] = {
    kind.code: kind for kind in _tree(CreditsError) if kind not in _LIBRARY_ONLY
}
"""The class of each slug that the SQL functions raise or answer."""

DENIALS = frozenset(kind.code for kind in _tree(InsufficientCredits))
"""The slugs that say no to a request that is in order."""
