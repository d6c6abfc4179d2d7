"""The calls that tell where credits went, prove that all is well, take balances over, and forget."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sonas_supabase import _certainty_calls
from sonas_supabase._async.caller import AsyncCaller
from sonas_supabase._calls import Id
from sonas_supabase.certainty import (
    AccountExport,
    BalanceImport,
    BalanceStory,
    Forgotten,
    FoundOperation,
    LedgerDigest,
    LedgerEnd,
)


class AsyncCertainty(AsyncCaller):
    """For support, for moving in, and for the people who are asked whether the figures are right."""

    async def explain_balance(
        self,
        user_id: Id,
        credit_type: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        workspace_id: Id | None = None,
    ) -> BalanceStory:
        """Where the credits of one type went, from the start of the period until now unless said otherwise (UTC).

        SQL: ``explain_balance``.

        Raises:
            InvalidArgument: ``until`` is not after ``since``.
            AccountNotFound, UnknownCreditType.
        """
        return await self._call(
            _certainty_calls.explain_balance(user_id, credit_type, since=since, until=until, workspace_id=workspace_id)
        )

    async def find_operation(self, operation_id: Id) -> FoundOperation:
        """Whose operation it is, out of all accounts. For support: it reads the whole ledger. SQL: ``find_operation``.

        Raises:
            OperationNotFound: no account has such an operation.
        """
        return await self._call(_certainty_calls.find_operation(operation_id))

    async def ledger_digest(
        self,
        user_id: Id | None = None,
        *,
        after: LedgerEnd | None = None,
        ends: Iterable[LedgerEnd] | None = None,
        workspace_id: Id | None = None,
    ) -> LedgerDigest:
        """Digests of the ledger, of one account or of all: history whose digest is the same was not changed.

        One page; ask again with its last entry as ``after`` until ``is_last``. With ``ends`` (at most 5,000), the
        digests up to these versions instead, in their order, as many as fit into a page. SQL: ``ledger_digest``.

        Raises:
            InvalidArgument: too many ``ends``, or a version below 1.
        """
        return await self._call(
            _certainty_calls.ledger_digest(user_id, after=after, ends=ends, workspace_id=workspace_id)
        )

    async def import_balances(
        self,
        table: str,
        user_column: str,
        balance_column: str,
        credit_type: str,
        *,
        source: str = "top_up",
        expected_total: int | None = None,
        dry_run: bool = False,
    ) -> BalanceImport:
        """Take the balances of a table or view over as grants that never expire: all rows, or none.

        Nothing changes when a row cannot be used, when the totals differ from each other or from ``expected_total``
        (credits), or with ``dry_run``. A second run adds nothing. SQL: ``import_balances``.

        Raises:
            InvalidArgument: no such table, column or source.
            UnknownCreditType.
        """
        return await self._call(
            _certainty_calls.import_balances(
                table,
                user_column,
                balance_column,
                credit_type,
                source=source,
                expected_total=expected_total,
                dry_run=dry_run,
            )
        )

    async def export_account(
        self, user_id: Id, *, table: str | None = None, offset: int | None = None, limit: int | None = None
    ) -> AccountExport:
        """Everything that is stored about one user, table by table, also of a closed account.

        A user with very many rows does not fit into one answer: read one ``table`` after the other then, ``limit`` rows
        from ``offset`` on, while ``more`` is True. SQL: ``export_account``.

        Raises:
            InvalidArgument: no such table, or too much for one answer.
            AccountNotFound.
        """
        return await self._call(_certainty_calls.export_account(user_id, table=table, offset=offset, limit=limit))

    async def forget_account(self, user_id: Id) -> Forgotten:
        """Close a user's account for good and remove their words from the books, whose figures stay.

        What Auth knows of the user is yours to delete. SQL: ``forget_account``.

        Raises:
            AccountNotFound.
        """
        return await self._call(_certainty_calls.forget_account(user_id))
