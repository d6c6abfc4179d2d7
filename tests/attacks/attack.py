"""One attack: who sends what, and the answer that it has to get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.attacks.world import World, changed, site_token, state

ATTACKS: dict[str, Attack] = {}
"""Every named attack of all tables, in the order in which the files are read."""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """A request and its expected answer.

    ``code`` is the error that the body names: an SQLSTATE, PostgREST's own code, or a slug. ``sees`` looks at the
    answer of what is not refused. ``content`` is sent as it is, ``text`` as JSON that may be none; ``rewrites`` writes
    the id of the user in another way. ``writes`` are the tables that may change; nothing else may, whatever the answer.
    """

    name: str
    actor: str
    method: str
    path: str
    status: int
    code: str | None = None
    body: Any = None
    content: bytes | None = None
    text: str | None = None
    rewrites: Callable[[str], str] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    sees: Callable[[World, httpx.Response], bool] | None = None
    writes: frozenset[str] = frozenset()
    on: str = "postgrest"

    def run(self, world: World) -> None:
        before = state(world.database)
        answer = self.send(world)
        said = f"{answer.status_code} {answer.text[:500]}"
        assert answer.status_code == self.status, said
        if self.code is not None:
            assert code_of(answer) == self.code, said
        if self.sees is not None:
            assert self.sees(world, answer), said
        moved = changed(before, state(world.database))
        assert moved <= self.writes, f"changed {sorted(moved)}"

    def send(self, world: World) -> httpx.Response:
        base, token = {
            "postgrest": lambda: (world.api.direct_url, world.token(self.actor)),
            "gateway": lambda: (f"{world.api.url}/rest/v1", world.token(self.actor)),
            "site": lambda: (world.site.url, site_token(world, self.actor)),
        }[self.on]()
        headers = {"authorization": f"Bearer {token}"} if token else {}
        headers |= {name: world.fill(value) for name, value in self.headers.items()}
        payload = self._payload(world, headers)
        return world.http.request(self.method, base + world.fill(self.path), headers=headers, **payload)

    def _payload(self, world: World, headers: dict[str, str]) -> dict[str, Any]:
        if self.content is not None:
            return {"content": self.content}
        if self.text is not None:
            headers["content-type"] = "application/json"
            return {"content": world.fill(self.text).encode(errors="surrogateescape")}
        if self.body is None:
            return {}
        body = world.fill(self.body)
        if self.rewrites is not None:
            body["p_user_id"] = self.rewrites(body["p_user_id"])
        return {"json": body}


def code_of(answer: httpx.Response) -> str:
    """What the answer says went wrong: the slug where there is one, for PTnnn says no more than the status."""
    body = answer.json()
    code = str(body.get("code"))
    return str(body["message"]) if code.startswith("PT") else code


def attack(name: str, actor: str, request: str, status: int, code: str | None = None, **more: Any) -> None:
    """Puts an attack into the table: ``request`` is a method and a path."""
    assert name not in ATTACKS, name
    method, path = request.split(" ", 1)
    ATTACKS[name] = Attack(name=name, actor=actor, method=method, path=path, status=status, code=code, **more)


def those_of(family: Callable[[], None]) -> pytest.MarkDecorator:
    """Parametrizes a test with the attacks that ``family`` puts into the table."""
    before = set(ATTACKS)
    family()
    named = [attack for name, attack in ATTACKS.items() if name not in before]
    return pytest.mark.parametrize("attack", named, ids=[attack.name for attack in named])


def nothing_of_others(world: World, answer: httpx.Response) -> bool:
    """No id of anybody but the sender's own is in the answer, and no secret of theirs."""
    return answer.status_code == 200 and not any(
        known in answer.text for name, known in world.ids.items() if name.endswith(("user", "_of_user", "of_team"))
    )


def empty(_: World, answer: httpx.Response) -> bool:
    return bool(answer.json() == [])
