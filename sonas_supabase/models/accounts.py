"""What an account answers: its balances, its open grants, its status and its clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sonas_supabase.models.budgets import Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What an account has of one credit type.

    ``percent_used`` counts top-ups as much as the allowance; ``warning`` is ``low`` from 80 %, ``exhausted`` at nothing
    left, else None. ``kind`` is ``credit`` or ``limit``. ``debt`` is what the next purchase pays first. ``renews_at``
    is when an allowance comes, None where waiting brings nothing.
    """

    credit_type: str
    kind: str
    allowance: int | None
    used: int
    reserved: int
    remaining: int | None
    unlimited: bool
    percent_used: int
    warning: str | None
    period_start: datetime | None
    period_end: datetime | None
    debt: int = 0
    renews_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAnswer:
    """An operation on a whole account, and all its balances after it."""

    operation_id: UUID | None
    period_end: datetime | None
    replayed: bool
    balances: tuple[Balance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedAccount(AccountAnswer):
    """An account that is open now."""

    account_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChange(AccountAnswer):
    """The status that the subscription or the account has now."""

    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeZoneChange(AccountAnswer):
    """The time zone whose wall clock the account's periods follow."""

    time_zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock(AccountAnswer):
    """The time (UTC) that a test account lives in."""

    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenGrant:
    """A grant that still has credits. The lower the ``priority``, the earlier it is spent."""

    grant_id: UUID
    credit_type: str
    source: str
    amount: int
    remaining: int
    held: int
    priority: int
    starts_at: datetime
    expires_at: datetime | None
    frozen: bool
    description: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Everything that a usage page shows of one account.

    ``message`` says that the account is frozen and whom to write to, else None. ``free_credits`` is ``own``, or why the
    account has none of the free plan's: ``anonymous``, ``other_account``, ``workspace``. ``next_steps`` says for each
    credit type what gives more of it: ``upgrade``, on the largest plan ``buy_credits``, or None; ``may_buy`` whether
    the user may do so, which members of a workspace may not.
    """

    account_id: UUID
    user_id: UUID
    plan: str
    plan_name: str
    status: str
    upgrade_url: str
    support_contact: str | None
    message: str | None
    free_credits: str
    pending_plan: str | None
    pending_at: datetime | None
    trial_ends_at: datetime | None = None
    period_start: datetime | None
    period_end: datetime | None
    now: datetime
    balances: tuple[Balance, ...]
    grants: tuple[OpenGrant, ...]
    budgets: tuple[Budget, ...] = ()
    next_steps: dict[str, str | None]
    may_buy: bool

    def balance(self, credit_type: str) -> Balance:
        """The balance of one credit type. Raises KeyError when the account has none of it."""
        for balance in self.balances:
            if balance.credit_type == credit_type:
                return balance
        raise KeyError(credit_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLine:
    """An account of a ``person``, by e-mail or phone number, or of a ``workspace``, by its name.

    ``status`` is that of the subscription, or ``frozen`` or ``closed``; both are None where no account is open.
    """

    account_id: UUID
    kind: str
    name: str | None
    plan: str | None
    status: str | None
    created_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundAccounts:
    """The accounts that were found."""

    accounts: tuple[AccountLine, ...]
