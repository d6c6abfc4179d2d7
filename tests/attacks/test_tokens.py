"""Tokens that are not what they seem, at PostgREST, at the gateway and at the reference app."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import statistics
import time
from typing import Any

import httpx
import jwt
import pytest

from sonas_supabase.local import Keys
from tests.attacks.attack import Attack, nothing_of_others, those_of
from tests.attacks.attack import attack as add
from tests.attacks.world import World, unsigned
from tests.web.support import KEYS as SITE_KEYS

GOOD_ANSWER = "/credit_balances?select=account_id,user_id"


def claims(world: World, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    given = {
        "sub": world.ids["user"],
        "role": "authenticated",
        "aud": "authenticated",
        "iat": now,
        "exp": now + 600,
        **changes,
    }
    return {name: value for name, value in given.items() if value is not None}


def signed(world: World, secret: str, header: dict[str, Any] | None = None, **changes: Any) -> str:
    return jwt.encode(claims(world, **changes), secret, "HS256", headers=header)


def tampered(token: str) -> str:
    """The same token with another payload under the old signature."""
    head, _, signature = token.split(".")
    now = int(time.time())
    other = unsigned({"role": "service_role", "exp": now + 600}, {}).split(".")[1]
    return f"{head}.{other}.{signature}"


# Each makes a token out of the right secret, which the attacker has not got, or out of a wrong one.
TOKENS: dict[str, Any] = {
    "signed with another secret": lambda w, s: signed(w, Keys.make().jwt_secret),
    "signed with an empty secret": lambda w, s: unsigned(claims(w), {"alg": "HS256", "typ": "JWT"}, b""),
    "not signed, and says so": lambda w, s: unsigned(claims(w), {"alg": "none", "typ": "JWT"}),
    "not signed, and says so in capitals": lambda w, s: unsigned(claims(w), {"alg": "NONE"}),
    "of the service role, not signed": lambda w, s: unsigned(claims(w, role="service_role"), {"alg": "none"}),
    "with the claims of another under the signature of one": lambda w, s: tampered(signed(w, s)),
    "cut short": lambda w, s: signed(w, s)[:-5],
    "without its signature": lambda w, s: signed(w, s).rpartition(".")[0] + ".",
    "of two parts": lambda w, s: signed(w, s).rpartition(".")[0],
    "of four parts": lambda w, s: signed(w, s) + ".e30",
    "that brings its own key": lambda w, s: signed(
        w, "k" * 40, {"jwk": {"kty": "oct", "k": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s"}}
    ),
    "whose key is a file": lambda w, s: signed(w, "\0", {"kid": "../../../../dev/null"}),
    "whose key is to be fetched": lambda w, s: signed(w, "k" * 40, {"jku": "http://127.0.0.1:1/jwks.json"}),
    "that has expired": lambda w, s: signed(w, s, exp=int(time.time()) - 60),
    "that is not good yet": lambda w, s: signed(w, s, nbf=int(time.time()) + 600),
    "for another audience": lambda w, s: signed(w, s, aud="somebody else"),
    "of nonsense": lambda w, s: "x" * 2000,
}


@pytest.mark.parametrize("kind", TOKENS)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_token_is_refused(world: World, kind: str) -> None:
    for url, path, secret in (
        (world.api.direct_url, GOOD_ANSWER, world.api.keys.jwt_secret),
        (f"{world.api.url}/rest/v1", GOOD_ANSWER, world.api.keys.jwt_secret),
        (world.site.url, "/api/usage", SITE_KEYS.jwt_secret),
    ):
        right = {"authorization": f"Bearer {signed(world, secret)}"}
        assert world.http.get(url + path, headers=right).status_code == 200
        answer = world.http.get(url + path, headers={"authorization": f"Bearer {TOKENS[kind](world, secret)}"})
        if kind == "for another audience" and path == GOOD_ANSWER:
            # PostgREST asks for an audience only where `jwt-aud` is set; the hosted service leaves it open, too.
            assert answer.status_code == 200
            continue
        assert answer.status_code == 401, (url, answer.text)
        assert world.ids["user"] not in answer.text


@pytest.mark.parametrize("role", ["postgres", "supabase_admin", "authenticator", "pg_read_all_data", "nobody", ""])
def test_whoever_signs_a_role_gets_no_more_than_postgrest_may_be(world: World, role: str) -> None:
    """The secret in the wrong hands is the worst there is; still, PostgREST cannot be more than its own role may be."""
    token = signed(world, world.api.keys.jwt_secret, role=role)
    answer = world.http.get(world.api.direct_url + GOOD_ANSWER, headers={"authorization": f"Bearer {token}"})
    assert answer.status_code in (400, 401, 403), answer.text


@pytest.mark.parametrize("sub", ["", "x", "' or '1'='1", "00000000-0000-0000-0000-000000000000", None, 1, [], {}])
def test_a_user_who_is_nobody_sees_nothing(world: World, sub: Any) -> None:
    token = signed_by_hand(world, world.api.keys.jwt_secret, sub)
    headers = {"authorization": f"Bearer {token}"}
    answer = world.http.get(world.api.direct_url + GOOD_ANSWER, headers=headers)
    assert answer.status_code in (400, 401) or answer.json() == [], answer.text
    # The app has no answer for a user whose id it cannot read, and none for one who is gone.
    there = world.http.get(
        f"{world.site.url}/api/usage",
        headers={"authorization": f"Bearer {signed_by_hand(world, SITE_KEYS.jwt_secret, sub)}"},
    )
    assert there.status_code in (401, 404), there.text


def signed_by_hand(world: World, secret: str, sub: Any) -> str:
    """PyJWT refuses to sign a subject that is no text; an attacker's tool does not."""
    token = unsigned(claims(world, sub=sub), {"alg": "HS256", "typ": "JWT"})
    body = token.rpartition(".")[0]
    signature = hmac.new(secret.encode(), body.encode(), hashlib.sha256).digest()
    return f"{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@pytest.mark.parametrize("claim", ["user_metadata", "app_metadata", "user_role", "roles"])
def test_a_role_in_a_claim_that_users_can_write_is_no_role(world: World, claim: str) -> None:
    token = signed(world, world.api.keys.jwt_secret, **{claim: {"role": "service_role"}})
    headers = {"authorization": f"Bearer {token}"}
    answer = world.http.post(
        f"{world.api.direct_url}/rpc/grant_credits",
        headers=headers,
        json=world.fill({"p_user_id": "{user}", "p_credit_type": "message", "p_amount": 5}),
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "42501")


def no_balance(_: World, answer: httpx.Response) -> bool:
    return "account_id" not in answer.text


@those_of
def family() -> None:
    gate = {"on": "gateway"}
    add("the gateway without any key", "anon", f"GET {GOOD_ANSWER}", 401, sees=no_balance, **gate)
    add(
        "a secret key that is made up", "anon", f"GET {GOOD_ANSWER}", 401, headers={"apikey": "sb_secret_guess"}, **gate
    )
    add("a secret key in the address", "anon", f"GET {GOOD_ANSWER}&apikey=sb_secret_guess", 401, **gate)
    add("a prefix of a key", "anon", f"GET {GOOD_ANSWER}", 401, headers={"apikey": "sb_secret_"}, **gate)
    add("a key that is a role's name", "anon", f"GET {GOOD_ANSWER}", 401, headers={"apikey": "service_role"}, **gate)
    add("a key in another alphabet", "anon", f"GET {GOOD_ANSWER}&apikey=sb_secret_%C3%A4", 401, **gate)
    add("a user's token beside a made-up key", "other", "GET /usage?account_id=eq.{user}", 200,
        headers={"apikey": "sb_secret_guess"}, sees=nothing_of_others, **gate)  # fmt: skip
    add("a token under another scheme", "anon", "GET /api/usage", 401, headers={"authorization": "Basic dXNlcjpwYXNz"},
        on="site")  # fmt: skip
    add("a token in a cookie", "anon", "GET /api/usage", 401, headers={"cookie": "access_token=x; sb-access-token=x"},
        on="site")  # fmt: skip
    add("a token in the address", "anon", "GET /api/usage?access_token=x&apikey=x", 401, on="site")
    add("claims in a header of PostgREST's own", "anon", f"GET {GOOD_ANSWER}", 401, "42501",
        headers={"request.jwt.claims": '{"role":"service_role"}', "role": "service_role"})  # fmt: skip
    add("a role in a header of a proxy", "user", "POST /rpc/verify_books", 403, "42501", body={},
        headers={"x-client-info": "service_role", "x-forwarded-user": "postgres"})  # fmt: skip


@family
def test_a_key_opens_nothing(world: World, attack: Attack) -> None:
    attack.run(world)


def test_the_publishable_key_is_nobody(world: World) -> None:
    headers = {"apikey": world.api.keys.publishable_key}
    answer = world.http.get(f"{world.api.url}/rest/v1{GOOD_ANSWER}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "42501")
    secret = {"apikey": world.api.keys.secret_key, "authorization": f"Bearer {world.token('other')}"}
    answer = world.http.get(f"{world.api.url}/rest/v1/usage?account_id=eq.{world.ids['user']}", headers=secret)
    assert answer.json() == [], "a user's token beside the secret key is the user's"


def test_keys_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both keys are compared for every request, as a whole, whatever they have in common with what was sent."""
    compared: list[tuple[bytes, bytes]] = []
    in_constant_time = secrets.compare_digest

    def compare(known: bytes, given: bytes) -> bool:
        compared.append((known, given))
        return in_constant_time(known, given)

    keys = Keys.make()
    monkeypatch.setattr("sonas_supabase.local.keys.secrets.compare_digest", compare)
    assert keys.role_of(keys.secret_key[:-1] + "!") is None
    assert [known for known, _ in compared] == [keys.secret_key.encode(), keys.publishable_key.encode()]


def test_looking_up_somebody_takes_as_long_as_looking_up_nobody(world: World) -> None:
    """Another's account, hold, operation and key: what is there is refused before anything is looked up."""
    times: dict[str, list[float]] = {"user": [], "nobody": []}
    headers = {"authorization": f"Bearer {world.token('other')}"}
    with httpx.Client(base_url=world.api.direct_url, headers=headers) as http:
        for nth in range(120):
            for who in ("user", "nobody") if nth % 2 else ("nobody", "user"):
                started = time.perf_counter()
                answer = http.post("/rpc/get_credit_summary", json={"p_user_id": world.ids[who]})
                times[who].append(time.perf_counter() - started)
                assert answer.status_code == 404
    somebody, nobody = (statistics.median(seen[20:]) for seen in (times["user"], times["nobody"]))
    assert abs(somebody - nobody) < 0.25 * nobody, f"{somebody * 1e6:.0f} µs against {nobody * 1e6:.0f} µs"


def test_a_look_up_that_is_refused_reads_no_table_of_the_books(world: World) -> None:
    """What the clock can only suggest: Postgres has not touched a row of the other account."""
    with world.database.connect(autocommit=False) as connection:
        connection.execute(
            "select set_config('request.jwt.claims', %s, true)", [json.dumps({"sub": world.ids["other"]})]
        )
        connection.execute("set local role authenticated")
        connection.execute("savepoint before")
        with pytest.raises(Exception, match="account_not_found"):
            connection.execute("select public.get_credit_summary(%s)", [world.ids["user"]])
        connection.execute("rollback to before")
        connection.execute("reset role")
        touched = connection.execute(
            "select relname from pg_stat_xact_user_tables where seq_scan + coalesce(idx_scan, 0) > 0"
        ).fetchall()
        connection.rollback()
    assert touched == []
