"""The doubles of sonas_supabase.testing under FastAPI: the fake database, and a spend without a request."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI

from sonas_supabase import InvalidAmount
from sonas_supabase.fastapi import Credits, SupabaseAuth, User, WrongDeclaration
from sonas_supabase.testing import FakeCredits, FakeSpend
from tests.fastapi.support import KEYS, add_routes, bearer, calling


@pytest.mark.parametrize(
    ("mode", "cost", "added", "ok", "refused", "failed", "broken"),
    [("held", None, 0, 5, 0, 0, 0), ("held", 2, 0, 2, 2, 0, 0), ("held", None, 3, 3, 3, 0, 3),
     ("cost", None, 0, 1, 0, 0, 0), ("cost", 2, 0, 2, 2, 0, 0), ("on_start", None, 0, 5, 5, 0, 0)],
)  # fmt: skip
def test_a_spend_without_a_request(
    mode: Any, cost: int | None, added: int, ok: int, refused: int, failed: int, broken: int
) -> None:
    user = User(id=uuid4())
    held = FakeSpend("message", 5, charge=mode, at_least=1, user=user)
    if cost is not None:
        held.cost = cost
    held.add(added) if added else None
    assert (held.charged(), held.charged(404), held.charged(503), held.charged(broken=True)) == (
        ok, refused, failed, broken,
    )  # fmt: skip
    assert (held.user, held.amount, held.credit_type) == (user, 5, "message")
    assert held.detach()
    assert (held.was_detached, held.charged()) == (True, 0)


def test_it_refuses_what_a_spend_refuses() -> None:
    with pytest.raises(WrongDeclaration):
        FakeSpend("message", -1)
    with pytest.raises(InvalidAmount):
        FakeSpend().add(-1)
    held = FakeSpend()
    held.detach()
    with pytest.raises(RuntimeError):
        held.detach()


async def test_an_application_over_the_fake_keeps_the_rules() -> None:
    fake = FakeCredits()
    user = fake.add_user()
    client = fake.async_client()
    app = FastAPI()
    Credits(client, SupabaseAuth(jwt_secret=KEYS.jwt_secret)).install(app)
    add_routes(app)
    keyed = {**bearer(user), "idempotency-key": "k"}
    async with calling(app) as http:
        first, again = [await http.post("/one", headers=keyed) for _ in range(2)]
        assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
        assert (await http.post("/one?other=1", headers=keyed)).status_code == 409
        assert (await http.post("/broken", headers=keyed)).status_code == 500
        assert (await http.post("/broken", headers=keyed)).status_code == 500
        assert (await http.post("/cost/12", headers=bearer(user))).status_code == 200
        assert (await http.post("/one", headers=bearer(user))).status_code == 402
    (entry,) = (await client.list_uncollected()).rows
    assert (entry.amount, entry.user_id, (await client.list_uncollected(user)).totals) == (3, user, {"message": 3})
