"""Credits for agents, by the Model Context Protocol: balances, histories, prices and figures, read-only by default.

`sonas mcp` serves it on stdin and stdout. What moves credits is there only with ``allow_writes``, and asks twice: the
first call says what would happen and answers a token, the second call with the token does it, once and unchanged.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sonas_supabase import CreditsClient, CreditsError, NotConfigured

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

__all__ = ["Confirmations", "make_server"]

_INSTRUCTIONS = (
    "Credits of a product's users, on Supabase. Amounts are whole credits, times are UTC, a user is {user}. "
    "A refusal is an answer with `code`, `message` and `hint`."
)


class Confirmations:
    """Tokens that a call has to be repeated with: each for one tool with the same arguments, and once."""

    def __init__(self) -> None:
        self._open: dict[str, str] = {}

    def ask(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """What a first call is answered."""
        token = secrets.token_urlsafe(16)
        self._open[token] = _fingerprint(tool, arguments)
        return {
            "done": False,
            "would": {tool: arguments},
            "confirm": token,
            "hint": "Nothing has happened. Show it to a person, then call again with the same arguments and the token.",
        }

    def take(self, token: str, tool: str, arguments: dict[str, Any]) -> bool:
        """Whether the token is for exactly this; it is spent then."""
        if self._open.get(token) != _fingerprint(tool, arguments):
            return False
        del self._open[token]
        return True


def make_server(
    client: CreditsClient, *, allow_writes: bool = False, user: str = "an id of auth.users"
) -> MCPServer[Any]:
    """A server whose tools call ``client``. ``user`` tells agents how that one knows users.

    Raises:
        NotConfigured: the extra `mcp` is not installed.
    """
    try:
        from mcp.server.mcpserver import MCPServer
    except ImportError as error:
        raise NotConfigured(
            "Serving agents needs the package mcp.", hint='pip install "sonas-supabase[mcp]"'
        ) from error
    server: MCPServer[Any] = MCPServer("sonas", instructions=_INSTRUCTIONS.format(user=user))
    _add_reads(server, client)
    if allow_writes:
        _add_writes(server, client, Confirmations())
    return server


def _add_reads(server: MCPServer[Any], client: CreditsClient) -> None:
    @server.tool()
    def balance(user_id: str) -> dict[str, Any]:
        """What a user has left of each credit type, on which plan, until when."""
        return _answer(lambda: client.get_credit_summary(user_id))

    @server.tool()
    def history(user_id: str, credit_type: str | None = None, limit: int = 20) -> dict[str, Any]:
        """The latest entries of a user's ledger, the newest first."""
        return _answer(lambda: client.get_credit_history(user_id, credit_type=credit_type, limit=limit))

    @server.tool()
    def why(user_id: str, operation_id: str) -> dict[str, Any]:
        """What one operation did: which grants it touched, its price with every line, the balance before and after."""
        return _answer(lambda: client.explain_operation(user_id, operation_id=operation_id))

    @server.tool()
    def quote(
        operation: str, quantities: dict[str, float | str] | None = None, book: str | None = None
    ) -> dict[str, Any]:
        """What an operation of the price book would cost now. Books nothing."""
        return _answer(lambda: client.quote_operation(operation, quantities, book=book))

    @server.tool()
    def plans() -> dict[str, Any]:
        """The plans that are on sale, with their limits and prices."""
        return _answer(lambda: {"plans": client.list_plans()})

    @server.tool()
    def metrics(name: str = "consumption", days: int = 30) -> dict[str, Any]:
        """A figure over all accounts and days: consumption, breakage, exhaustion, conversion, liability, margin."""
        return _answer(lambda: _metric(client, name, days))


def _metric(client: CreditsClient, name: str, days: int) -> Any:
    names = ("consumption", "breakage", "exhaustion", "conversion", "margin")
    if name == "liability":
        return client.metrics_liability()
    if name not in names:
        return {"success": False, "code": "invalid_argument", "hint": f"One of {', '.join((*names, 'liability'))}."}
    since = datetime.now(UTC) - timedelta(days=max(1, min(days, 366)))
    return getattr(client, f"metrics_{name}")(since=since)


def _add_writes(server: MCPServer[Any], client: CreditsClient, confirmations: Confirmations) -> None:
    def twice(tool: str, arguments: dict[str, Any], confirm: str | None, do: Callable[[str], Any]) -> dict[str, Any]:
        if confirm is None:
            return confirmations.ask(tool, arguments)
        if not confirmations.take(confirm, tool, arguments):
            hint = "Call without confirm first; a token is for the same arguments, and once."
            return {"done": False, "code": "not_confirmed", "hint": hint}
        # The token makes the key, so that an answer that got lost costs nothing twice.
        return _answer(lambda: do(f"mcp:{confirm}")) | {"done": True}

    @server.tool()
    def grant(user_id: str, credit_type: str, amount: int, reason: str, confirm: str | None = None) -> dict[str, Any]:
        """Give a user credits. The first call answers a token; the second, with confirm, does it."""
        given = {"user_id": user_id, "credit_type": credit_type, "amount": amount, "reason": reason}
        options = {"description": reason, "metadata": {"operator": "mcp"}}
        return twice(
            "grant",
            given,
            confirm,
            lambda key: client.grant_credits(user_id, credit_type, amount, idempotency_key=key, **options),  # type: ignore[arg-type]
        )

    @server.tool()
    def refund(
        user_id: str, operation_id: str, reason: str, amount: int | None = None, confirm: str | None = None
    ) -> dict[str, Any]:
        """Give a spend back, all that is left of it or an amount. The first call answers a token."""
        given = {"user_id": user_id, "operation_id": operation_id, "amount": amount, "reason": reason}
        return twice(
            "refund",
            given,
            confirm,
            lambda key: client.refund_credits(user_id, operation_id, amount, reason=reason, idempotency_key=key),
        )

    @server.tool()
    def change_plan(user_id: str, plan_id: str, effective: str = "now", confirm: str | None = None) -> dict[str, Any]:
        """Move a user to another plan, now or at the period's end. The first call answers a token."""
        given = {"user_id": user_id, "plan_id": plan_id, "effective": effective}
        return twice(
            "change_plan",
            given,
            confirm,
            lambda key: client.change_plan(user_id, plan_id, effective=effective, idempotency_key=key),
        )


def _answer(call: Callable[[], Any]) -> dict[str, Any]:
    """What a call answers, or why it was refused, as JSON."""
    try:
        return dict(_plain(call()))
    except CreditsError as error:
        return {
            "success": False,
            "code": error.code,
            "message": str(error),
            "hint": error.hint,
            "details": _plain(error.details),
        }


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID | Decimal) else value


def _fingerprint(tool: str, arguments: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps([tool, arguments], sort_keys=True).encode()).hexdigest()
