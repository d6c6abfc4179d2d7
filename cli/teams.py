"""workspaces, budgets, keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from sonas_supabase import CreditsClient

from . import _people
from ._connect import AsJson, DbUrl, OneType, User, Workspace, completed, connect, offered, options
from ._guard import Stop
from ._output import Output, table
from ._people import names_of, suggestion
from ._register import register as _register

_ACTIONS = ("list", "show", "create", "invite", "revoke", "accept", "role", "remove", "leave", "transfer", "delete")
_ROLES = ("owner", "admin", "member", "viewer")
_WINDOWS = ("draw", "rolling", "day", "week", "month", "period", "in_flight")
_SCOPES = ("workspace", "role", "member", "metadata")
_Name = Annotated[str | None, typer.Option("--name", help="Of the workspace, or of the key.")]


def _listed(values: tuple[str, ...]) -> str:
    return f"{', '.join(values[:-1])} or {values[-1]}."


def _one_of(name: str, values: tuple[str, ...]) -> Any:
    return typer.Option(name, help=_listed(values), autocompletion=offered(*values))


def _action(*values: str) -> Any:
    return typer.Argument(metavar="ACTION", help=_listed(values), autocompletion=offered(*values), show_default=False)


def _need(**given: Any) -> dict[str, Any]:
    """The arguments, all of which are needed."""
    missing = [name for name, value in given.items() if value is None]
    if missing:
        words = ", ".join(f"--{name.removesuffix('_id').replace('_', '-')}" for name in missing)
        raise Stop(f"{words} is missing.", "`--help` shows an example.", code="usage")
    return given


def _choose(action: str, actions: dict[str, Callable[[], Any]]) -> Any:
    if action not in actions:
        hint = f"{suggestion(action, actions)}It is one of {', '.join(actions)}."
        raise Stop(f"There is no action {action!r}.", hint, code="usage")
    return actions[action]()


def workspaces(
    action: Annotated[
        str,
        _action(*_ACTIONS),
    ],
    user: User,
    workspace: Workspace = None,
    name: _Name = None,
    email: Annotated[str | None, typer.Option("--email", help="Whom to invite.")] = None,
    role: Annotated[str | None, _one_of("--role", _ROLES)] = None,
    member: Annotated[
        str | None,
        typer.Option(
            "--member",
            metavar="USER",
            help="Whom it is about, by e-mail or id.",
            autocompletion=completed(_people.accounts),
        ),
    ] = None,
    token: Annotated[str | None, typer.Option("--token", help="Of the invitation to accept.")] = None,
    invitation: Annotated[str | None, typer.Option("--invitation", metavar="ID", help="Which to revoke.")] = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show and change workspaces for a user: who is in them, and as what.

    USER is who acts, with the rights that their role has.

    Example: sonas workspaces invite ann@example.com --workspace Team --email bob@example.com
    """
    with connect(db_url) as client:

        def here(method: Callable[..., Any], **given: Any) -> Any:
            return method(user, **_need(workspace_id=workspace, **given))

        found = _choose(
            action,
            {
                "list": lambda: client.list_workspaces(user),
                "show": lambda: here(client.get_workspace),
                "create": lambda: client.create_workspace(user, **_need(name=name)),
                "invite": lambda: client.invite_to_workspace(
                    user, **_need(workspace_id=workspace, email=email), **options(role=role)
                ),
                "revoke": lambda: here(client.revoke_workspace_invitation, invitation_id=invitation),
                "accept": lambda: client.accept_workspace_invitation(user, **_need(token=token)),
                "role": lambda: here(client.set_workspace_role, member_id=member, role=role),
                "remove": lambda: here(client.remove_from_workspace, member_id=member),
                "leave": lambda: here(client.leave_workspace),
                "transfer": lambda: here(client.transfer_workspace, member_id=member),
                "delete": lambda: here(client.delete_workspace),
            },
        )
    output = Output(as_json)
    if action == "list":
        rows = [(line.name, line.role, line.members, line.workspace_id) for line in found.workspaces]
        output.answer(found, table(("name", "role", "#members", "id"), rows))
        return
    people = [(member.email or "", member.role, member.user_id) for member in found.members]
    told = [f"[bold]{found.name}[/] {found.workspace_id}"]
    if action == "invite":
        told.append(f"Send this token to {found.email}; it is shown this once: {found.token}")
    output.answer(found, *told, table(("e-mail", "role", "id"), people))


def budgets(
    action: Annotated[
        str,
        _action("list", "set", "delete"),
    ],
    user: User,
    credit_type: OneType = None,
    limit: Annotated[int | None, typer.Option("--limit", help="How many credits at most; 0 for none.")] = None,
    window: Annotated[
        str | None,
        _one_of("--window", _WINDOWS),
    ] = None,
    hours: Annotated[int | None, typer.Option("--hours", help="How many, for rolling.")] = None,
    scope: Annotated[
        str | None,
        _one_of("--scope", _SCOPES),
    ] = None,
    value: Annotated[
        str | None,
        typer.Option("--value", help="A role, a member (none for each), or such as actor=bob."),
    ] = None,
    budget: Annotated[str | None, typer.Option("--budget", metavar="ID", help="Which to delete.")] = None,
    workspace: Workspace = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show and change budgets: how much may be spent of a workspace, or of one's own account, by whom, per window.

    Example: sonas budgets set ann@example.com --workspace Team -t message --limit 50 --window day
    """
    with connect(db_url) as client:
        of = options(workspace_id=workspace)

        def set_budget() -> Any:
            named = _need(credit_type=credit_type, limit=limit, window=window)
            return client.set_credit_budget(user, **of, **named, **options(scope=scope, scope_value=value, hours=hours))

        found = _choose(
            action,
            {
                "list": lambda: client.list_credit_budgets(user, **of),
                "set": set_budget,
                "delete": lambda: client.delete_credit_budget(user, **of, **_need(budget_id=budget)),
            },
        )
        shown = found.budgets if action == "list" else (found,)
        names = {} if as_json else names_of(client, [b.scope_value for b in shown if b.scope == "member"])
    rows = [
        (
            b.credit_type, " ".join(filter(None, [b.scope, names.get(b.scope_value, b.scope_value)])),
            f"{b.window} {b.hours} h" if b.hours else b.window, f"{b.used:,} of {b.limit:,}", b.resets_at, b.budget_id,
        )
        for b in shown
    ]  # fmt: skip
    if action == "delete":
        Output(as_json).answer(found, "The budget is deleted.")
        return
    Output(as_json).answer(found, table(("type", "for", "window", "#used", "resets", "id"), rows))


def keys(
    action: Annotated[
        str,
        _action("list", "create", "revoke"),
    ],
    user: User,
    name: _Name = None,
    days: Annotated[int | None, typer.Option("--days", help="How long it lives; for ever unless said.")] = None,
    key: Annotated[str | None, typer.Option("--key", metavar="ID", help="Which to revoke.")] = None,
    workspace: Workspace = None,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show, make and revoke API keys: programs that act for a user, on their account or in a workspace.

    Example: sonas keys create ann@example.com --name nightly --workspace Team
    """
    with connect(db_url) as client:
        found = _choose(action, _key_actions(client, user, workspace, name, days, key))
        names = names_of(client, [k.user_id for k in found.keys]) if action == "list" and not as_json else {}
    output = Output(as_json)
    if action == "list":
        rows = [
            (k.name, names.get(str(k.user_id), k.user_id), k.created_at, k.expires_at, k.last_used_at, k.key_id)
            for k in found.keys
        ]
        output.answer(found, table(("name", "acts for", "made", "expires", "last used", "id"), rows))
    elif action == "create":
        output.answer(found, f"[bold green]{found.name}[/] {found.key_id}", f"Shown this once: {found.key}")
    else:
        output.answer(found, f"The key {found.name} is revoked.")


def _key_actions(
    client: CreditsClient, user: str, workspace: str | None, name: str | None, days: int | None, key: str | None
) -> dict[str, Callable[[], Any]]:
    of = options(workspace_id=workspace)
    seconds = options(ttl_seconds=days and days * 86400)
    return {
        "list": lambda: client.list_api_keys(user, **of),
        "create": lambda: client.create_api_key(user, **of, **_need(name=name), **seconds),
        "revoke": lambda: client.revoke_api_key(user, **of, **_need(key_id=key)),
    }


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    _register(app, "Teams", {"workspaces": workspaces, "budgets": budgets, "keys": keys})
