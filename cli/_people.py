"""People and workspaces by the names that people use: an e-mail wherever a user is named, and shown where an id is."""

from __future__ import annotations

import difflib
import inspect
import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from sonas_supabase import AccountNotFound, CreditsClient, CreditsError, InvalidArgument, UnknownCreditType

from ._guard import REFUSED, Stop

_SOURCES = ("trial", "promotion", "compensation", "top_up", "goodwill")


class ByName:
    """A client whose users and members may be named by e-mail and whose workspaces by name."""

    def __init__(self, client: CreditsClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        """The client's method, which finds out who is meant before it asks."""
        method = getattr(self._client, name)
        if not inspect.ismethod(method):
            return method
        takes_user = next(iter(inspect.signature(method).parameters), "") == "user_id"

        def call(*args: Any, **named: Any) -> Any:
            if takes_user and args:
                args = (account_named(self._client, args[0]), *args[1:])
            for argument, kind in (("user_id", "person"), ("member_id", "person"), ("workspace_id", "workspace")):
                if argument in named:
                    named[argument] = account_named(self._client, named[argument], kind)
            if named.get("scope") == "member":
                named["scope_value"] = account_named(self._client, named.get("scope_value"))
            return method(*args, **named)

        return call


def account_named(client: CreditsClient, name: Any, kind: str = "person") -> Any:
    """The id of the account with this e-mail or name; what is an id, or nothing, stays as it is.

    Raises:
        AccountNotFound: nobody has that address, or no workspace that name.
    """
    if not isinstance(name, str) or is_id(name) or (kind == "person" and "@" not in name):
        return name
    found = [account for account in client.find_accounts(search=name, limit=10).accounts if account.kind == kind]
    exact = [account for account in found if (account.name or "").lower() == name.lower()]
    if len(exact) == 1:
        return str(exact[0].account_id)
    what = "user with the address" if kind == "person" else "workspace with the name"
    near = [account.name for account in found if account.name]
    raise AccountNotFound(
        f"There is no {what} {name}." if not exact else f"Several workspaces have the name {name}.",
        hint=f"Did you mean {near[0]}?" if near and not exact else "`sonas users` lists accounts with their ids.",
        details={"name": name},
    )


def is_id(text: str) -> bool:
    """Whether it is a UUID."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def names_of(client: CreditsClient, ids: Iterable[UUID | str | None]) -> dict[str, str]:
    """The address or name of each account that has one, by id."""
    wanted = sorted({str(one) for one in ids if one is not None and is_id(str(one))})[:1000]
    if not wanted:
        return {}
    found = client.find_accounts(account_ids=wanted, limit=1000).accounts
    return {str(account.account_id): account.name for account in found if account.name}


def explained(client: CreditsClient, error: CreditsError) -> Stop | None:
    """The same refusal with the values that would have been right, and the nearest of them; None for another kind."""
    if isinstance(error, UnknownCreditType):
        return _with_values(error, str(error.details.get("credit_type", "")), credit_types(client))
    if isinstance(error, AccountNotFound) and "name" not in error.details:
        return _again(error, str(error), "Pass an id or an e-mail; `sonas users` lists accounts.")
    if not isinstance(error, InvalidArgument):
        return None
    argument, value = error.details.get("argument"), error.details.get("value")
    if argument == "p_user_id" and isinstance(value, str):
        return _again(error, f"{value} is not an id.", "Pass an id or an e-mail; `sonas users` lists accounts.")
    values = VALUES.get(str(argument))
    if values is None or not isinstance(value, str):
        return None
    return _with_values(error, value, values(client))


def suggestion(value: str, known: Iterable[str]) -> str:
    """What was probably meant; nothing when nothing is near."""
    near = difflib.get_close_matches(value.lower(), {one.lower(): one for one in known}, n=1, cutoff=0.6)
    return f"Did you mean {next(one for one in known if one.lower() == near[0])}? " if near else ""


def _with_values(error: CreditsError, value: str, known: list[str]) -> Stop:
    listed = known if len(known) <= 20 else known[:0]
    there_are = f"There are: {', '.join(listed)}." if listed else error.hint
    sentence = str(error)
    if value and value not in sentence:
        sentence = f"{value!r} is not known. {sentence}"
    return _again(error, sentence, f"{suggestion(value, known)}{there_are}")


def _again(error: CreditsError, message: str, hint: str) -> Stop:
    return Stop(message, hint, code=error.code, exit_code=REFUSED, details=error.details)


def credit_types(client: CreditsClient) -> list[str]:
    """The credit types that plans have a limit for."""
    return sorted({limit.credit_type for plan in client.list_plans() for limit in plan.limits})


def plan_ids(client: CreditsClient) -> list[str]:
    """The plans, the smallest first."""
    return [plan.id for plan in client.list_plans()]


def sources(_: CreditsClient | None = None) -> list[str]:
    """Where credits that are granted by hand may come from."""
    return list(_SOURCES)


def statuses(_: CreditsClient | None = None) -> list[str]:
    """What may become of a subscription."""
    return ["active", "trialing", "past_due", "unpaid", "paused", "canceled"]


def time_zones(_: CreditsClient | None = None) -> list[str]:
    """The zones that this machine knows."""
    return sorted(zoneinfo.available_timezones())


def accounts(client: CreditsClient, typed: str = "") -> list[str]:
    """Addresses that begin so."""
    found = client.find_accounts(search=typed or None, limit=50).accounts
    return [account.name for account in found if account.name and account.kind == "person"]


def workspaces(client: CreditsClient) -> list[str]:
    """The names of workspaces, of the newest where there are many."""
    found = client.find_accounts(limit=1000).accounts
    return sorted({account.name for account in found if account.name and account.kind == "workspace"})


VALUES: Mapping[str, Callable[[CreditsClient], list[str]]] = {
    "p_plan_id": plan_ids,
    "p_plan": plan_ids,
    "p_source": sources,
    "p_status": statuses,
    "p_time_zone": time_zones,
}
