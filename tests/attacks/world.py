"""The world under attack: two users who have done the same things, one of them in a workspace with a colleague."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import uuid4

import httpx

from sonas_supabase.local import Keys
from tests.support.api import Api
from tests.support.database import Database
from tests.support.people import new_workspace
from tests.web.support import KEYS as SITE_KEYS
from tests.web.support import Site

ACTORS = ("anon", "user", "other", "colleague", "stranger", "forged", "expired", "service")
"""user owns what is attacked; other is a user outside of the workspace; a stranger has a token but no account."""

SIGNED_IN = ("user", "other", "colleague")
TOKENLESS = ("forged", "expired")


@dataclass(frozen=True)
class World:
    """Everybody and everything that an attack may name as {name} in its path or body."""

    database: Database
    api: Api
    site: Site
    http: httpx.Client
    ids: dict[str, str]

    def token(self, actor: str, keys: Keys | None = None) -> str | None:
        """The token that the actor sends, signed with the keys of PostgREST or of the reference app."""
        keys = keys or self.api.keys
        if actor == "anon":
            return None
        if actor == "service":
            return keys.token(role="service_role")
        if actor == "forged":
            return Keys.make().token(role="authenticated", user_id=self.ids["user"])
        user_id = self.ids["user" if actor == "expired" else actor]
        return keys.token(role="authenticated", user_id=user_id, lifetime=-60 if actor == "expired" else 3600)

    @cached_property
    def _accounts(self) -> dict[str, set[str]]:
        own = {actor: {self.ids[actor]} for actor in (*SIGNED_IN, "stranger")}
        for actor in ("user", "colleague"):
            own[actor].add(self.ids["workspace"])
        return own

    def accounts_of(self, actor: str) -> set[str]:
        """The accounts whose rows the actor may see."""
        return self._accounts.get(actor, set())

    def fill(self, value: Any) -> Any:
        """The value with every {name} in its texts replaced by the id."""
        if isinstance(value, str):
            for name, known in self.ids.items():
                value = value.replace(f"{{{name}}}", known)
            return value
        if isinstance(value, dict):
            return {self.fill(name): self.fill(inner) for name, inner in value.items()}
        return [self.fill(inner) for inner in value] if isinstance(value, list) else value


def make_world(database: Database, api: Api, site: Site, http: httpx.Client) -> World:
    user, other, colleague = (database.new_user() for _ in range(3))
    workspace = new_workspace(database, user, colleague)
    ids = {
        "user": user,
        "other": other,
        "colleague": colleague,
        "stranger": uuid4(),
        "nobody": uuid4(),
        "workspace": workspace,
    }
    for who, payer in (("user", None), ("other", None), ("team", workspace)):
        actor = ids.get(who, user)
        # On the largest plan, so that the requests of a table of attacks do not run into the limits of each other.
        database.call("change_plan", actor, "elite", workspace_id=payer)
        spent = database.call("consume_credits", actor, "message", 1, "a secret of theirs", f"key of {who}",
                              workspace_id=payer)  # fmt: skip
        held = database.call("reserve_credits", actor, "message", 1, ttl_seconds=86400, workspace_id=payer)
        granted = database.call("grant_credits", actor, "message", 1, workspace_id=payer)
        database.call("consume_credits", actor, "message", 10**6, workspace_id=payer)
        ids |= {
            f"operation_of_{who}": spent["operation_id"],
            f"reservation_of_{who}": held["reservation_id"],
            f"grant_of_{who}": granted["grant_id"],
            f"project_of_{who}": database.value(
                "insert into projects (owner_id, name) values (%s, 'a secret of theirs') returning id",
                payer or actor,
            ),
        }
    return World(database, api, site, http, {name: str(value) for name, value in ids.items()})


def site_token(world: World, actor: str) -> str | None:
    """The actor's token for the reference app."""
    return world.token(actor, SITE_KEYS)


def unsigned(claims: dict[str, Any], header: dict[str, Any], signature: bytes = b"") -> str:
    """A token made by hand."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


_digests: dict[str, str] = {}


def state(database: Database) -> dict[str, str]:
    """A digest of each table of the system and of auth.users, read from the catalog: a new table is among them."""
    if database.name not in _digests:
        one = "select '{0}', md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from {0} t"
        _digests[database.name] = " union all ".join(
            one.format(table)
            for [table] in database.query(
                "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace where "
                "c.relkind in ('r', 'p') and (n.nspname in ('public', 'credits') or c.oid = 'auth.users'::regclass)"
            )
        )
    return dict(database.query(_digests[database.name]))


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """The tables that are not what they were."""
    return {table for table in before.keys() | after.keys() if before.get(table) != after.get(table)}


def uuids_of(value: Any) -> set[str]:
    """The account ids that an answer names, however deep."""
    if isinstance(value, dict):
        found = {str(inner) for name, inner in value.items() if name in ("account_id", "user_id", "owner_id")}
        return found.union(*(uuids_of(inner) for inner in value.values())) - {"None"}
    return set().union(*(uuids_of(inner) for inner in value)) if isinstance(value, list) else set()
