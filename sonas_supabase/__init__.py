"""Credits on Supabase: plans, allowances, holds, an append-only ledger.

The rules live in the database as SQL functions; this library calls them. In the order in which a call meets them:

1. :class:`CreditsClient` and :class:`AsyncCreditsClient` have one method per SQL function, under the same name.
2. A builder checks the arguments and writes down the call. There is no I/O in it, and no credit arithmetic anywhere.
3. A transport carries it: HTTPS with the project's secret key, a pool of Postgres connections, or a connection of
   yours, whose transaction the spend then belongs to. What got lost is sent again where that cannot double its effect.
4. The answer becomes a frozen dataclass (:mod:`sonas_supabase.models`), a denial or an error an exception under
   :class:`CreditsError` (:mod:`sonas_supabase.errors`).

::

    credits = CreditsClient.from_env()
    with credits.reserve(user_id, "message", 5) as hold:  # captured on success, released on exception
        answer = model(prompt)
        hold.capture(actual_cost(answer))
"""

from __future__ import annotations

from sonas_supabase import models
from sonas_supabase._async.client import AsyncCreditsClient
from sonas_supabase._async.hold import AsyncHold
from sonas_supabase._failures import error_of
from sonas_supabase._sync.client import CreditsClient
from sonas_supabase._sync.hold import Hold
from sonas_supabase.errors import (
    AccessDenied,
    AccountFrozen,
    AccountNotFound,
    BudgetNotFound,
    Conflict,
    CreditsError,
    CreditsUnavailable,
    EndpointNotFound,
    Forbidden,
    IdempotencyConflict,
    InsufficientCredits,
    InvalidAmount,
    InvalidArgument,
    InvalidRequest,
    InvitationExpired,
    InvitationNotFound,
    InvitationUsed,
    KeyNotFound,
    LastOwner,
    LedgerIsAppendOnly,
    LimitReached,
    MemberCapReached,
    MemberNotFound,
    MessageNotFound,
    NotATestAccount,
    NotConfigured,
    NotFound,
    NotInstalled,
    OperationNotFound,
    PoolTimeout,
    ReservationClosed,
    ReservationNotFound,
    UnexpectedAnswer,
    UnknownCreditType,
    UnknownOperation,
)
from sonas_supabase.models import *  # noqa: F403
from sonas_supabase.settings import Settings

__all__ = [
    "AccessDenied",
    "AccountFrozen",
    "AccountNotFound",
    "AsyncCreditsClient",
    "AsyncHold",
    "BudgetNotFound",
    "Conflict",
    "CreditsClient",
    "CreditsError",
    "CreditsUnavailable",
    "EndpointNotFound",
    "Forbidden",
    "Hold",
    "IdempotencyConflict",
    "InsufficientCredits",
    "InvalidAmount",
    "InvalidArgument",
    "InvalidRequest",
    "InvitationExpired",
    "InvitationNotFound",
    "InvitationUsed",
    "KeyNotFound",
    "LastOwner",
    "LedgerIsAppendOnly",
    "LimitReached",
    "MemberCapReached",
    "MemberNotFound",
    "MessageNotFound",
    "NotATestAccount",
    "NotConfigured",
    "NotFound",
    "NotInstalled",
    "OperationNotFound",
    "PoolTimeout",
    "ReservationClosed",
    "ReservationNotFound",
    "Settings",
    "UnexpectedAnswer",
    "UnknownCreditType",
    "UnknownOperation",
    "error_of",
]
__all__ += models.__all__
