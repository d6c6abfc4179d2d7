"""Who sent a request: good tokens, and every way for one to be bad."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sonas_supabase import CreditsUnavailable, NotConfigured
from sonas_supabase.fastapi import NotAuthenticated, SupabaseAuth
from sonas_supabase.fastapi._jwks import KeySet
from tests.client.test_deadlines import silent_server
from tests.fastapi.support import bearer, serving, until

SECRET = "a secret that is long enough to be one, really"
USER = uuid4()


class Project:
    """The signing keys of a project, and the server that publishes them."""

    def __init__(self) -> None:
        self.published: dict[str, Any] = {}
        self.private: dict[str, Any] = {}
        self.fetched = 0
        self.broken = False
        self.silent: asyncio.Event | None = None
        self.url = ""
        self.app = Starlette(routes=[Route("/auth/v1/.well-known/jwks.json", self.serve)])

    async def serve(self, request: Request) -> Response:
        self.fetched += 1
        while self.silent is not None and not self.silent.is_set():  # noqa: ASYNC110 - an event of another loop
            await asyncio.sleep(0.01)
        if self.broken:
            return Response(status_code=503)
        return JSONResponse({"keys": list(self.published.values())})

    def add(self, kid: str, algorithm: str = "ES256") -> None:
        makers: dict[str, Callable[[], tuple[Any, Any]]] = {
            "ES256": lambda: (ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
            "RS256": lambda: (rsa.generate_private_key(65537, 2048), RSAAlgorithm),
            "EdDSA": lambda: (ed25519.Ed25519PrivateKey.generate(), OKPAlgorithm),
        }
        key, writer = makers[algorithm]()
        self.private[kid] = key
        self.published[kid] = {
            **json.loads(writer.to_jwk(key.public_key())), "kid": kid, "alg": algorithm, "use": "sig",
        }  # fmt: skip

    def sign(self, kid: str, algorithm: str = "ES256", **changes: Any) -> str:
        return "Bearer " + jwt.encode(claims(**changes), self.private[kid], algorithm, headers={"kid": kid})


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    given = {
        "sub": str(USER),
        "aud": "authenticated",
        "role": "authenticated",
        "iat": now,
        "exp": now + 3600,
        **changes,
    }
    return {name: value for name, value in given.items() if value is not None}


def legacy(secret: str = SECRET, **changes: Any) -> str:
    return "Bearer " + jwt.encode(claims(**changes), secret, "HS256")


@pytest.fixture
def project() -> Iterator[Project]:
    started = Project()
    with serving(started.app) as server:
        started.url = server.url
        started.fetched = 0
        yield started


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
async def test_tokens_of_every_kind_of_key_are_good(project: Project, algorithm: str) -> None:
    project.add("k", algorithm)
    user = await SupabaseAuth(project.url).user(project.sign("k", algorithm, email="a@b.c", is_anonymous=True))
    assert (user.id, user.email, user.is_anonymous) == (USER, "a@b.c", True)
    assert user.claims["role"] == "authenticated"


async def test_legacy_tokens_are_good_where_there_is_a_secret(project: Project) -> None:
    assert (await SupabaseAuth(project.url, jwt_secret=SECRET).user(legacy())).id == USER
    with pytest.raises(NotAuthenticated, match="not accepted"):
        await SupabaseAuth(project.url).user(legacy())


async def test_keys_are_fetched_once_whoever_asks(project: Project) -> None:
    project.add("k")
    auth = SupabaseAuth(project.url)
    await asyncio.gather(*(auth.user(project.sign("k")) for _ in range(50)))
    assert project.fetched == 1


async def test_a_rotated_key_is_found_and_an_old_one_is_dropped(project: Project) -> None:
    project.add("old")
    auth = SupabaseAuth(project.url, jwks_min_interval=0)
    await auth.user(project.sign("old"))
    project.add("new")
    await auth.user(project.sign("new"))
    await auth.user(project.sign("old"))
    assert project.fetched == 2
    del project.published["old"]
    project.add("newer")
    await auth.user(project.sign("newer"))
    with pytest.raises(NotAuthenticated, match="not known"):
        await auth.user(project.sign("old"))


async def test_made_up_key_ids_fetch_nothing(project: Project) -> None:
    project.add("k")
    auth = SupabaseAuth(project.url)
    for number in range(20):
        project.private[f"made up {number}"] = project.private["k"]
        with pytest.raises(NotAuthenticated, match="not known"):
            await auth.user(project.sign(f"made up {number}"))
    assert project.fetched == 1


async def test_known_keys_outlive_an_outage_for_a_while(project: Project) -> None:
    project.add("k")
    now = 0.0
    keys = KeySet(
        f"{project.url}/auth/v1/.well-known/jwks.json", ttl=600, min_interval=30, stale_for=3600, clock=lambda: now
    )
    assert await keys.find("k")
    now = 599.0
    assert await keys.find("k")
    assert project.fetched == 1
    project.broken = True
    now = 601.0
    assert await keys.find("k")
    assert await keys.find("k")
    assert project.fetched == 2, "a failed fetch is not repeated at once"
    with pytest.raises(CreditsUnavailable):
        await keys.find("perhaps a new one")
    now = 600 + 3600 + 1.0
    with pytest.raises(CreditsUnavailable):
        await keys.find("k")
    project.broken = False
    now += 2
    assert await keys.find("k")


async def test_keys_that_do_not_come_hold_up_nobody_who_has_a_known_one(project: Project) -> None:
    project.add("k")
    auth = SupabaseAuth(project.url, jwks_ttl=0)
    assert await auth.user(project.sign("k"))
    project.silent = asyncio.Event()
    waits = asyncio.create_task(auth.user(project.sign("k")))
    await until(lambda: project.fetched == 2)
    assert (await asyncio.wait_for(auth.user(project.sign("k")), 2)).id == USER
    assert not waits.done()
    project.silent.set()
    assert (await waits).id == USER


@pytest.mark.parametrize("drips", [False, True])
async def test_keys_are_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch, drips: bool) -> None:
    monkeypatch.setattr("sonas_supabase.fastapi._jwks._TIMEOUT", 0.3)
    with silent_server(drips=drips) as port:
        auth, token = SupabaseAuth(f"http://127.0.0.1:{port}"), made_up('{"alg":"ES256","kid":"k"}', "{}")
        began = time.monotonic()
        for _ in range(20):
            with pytest.raises(CreditsUnavailable):
                await auth.user(token)
        assert time.monotonic() - began < 4, "and not by request after request"


def test_one_object_serves_one_loop_after_the_other(project: Project) -> None:
    project.add("k")
    auth = SupabaseAuth(project.url, jwks_ttl=0)

    async def ask() -> None:
        await asyncio.gather(*(auth.user(project.sign("k")) for _ in range(3)))

    for _ in range(2):
        asyncio.run(ask())


async def test_without_keys_nobody_can_tell(project: Project) -> None:
    project.broken = True
    project.add("k")
    with pytest.raises(CreditsUnavailable):
        await SupabaseAuth(project.url).user(project.sign("k"))


async def test_what_else_is_published_is_left_alone(project: Project) -> None:
    project.add("k")
    project.published["secret"] = {
        "kty": "oct", "kid": "secret", "alg": "HS256", "k": base64.urlsafe_b64encode(SECRET.encode()).decode(),
    }  # fmt: skip
    project.published["enc"] = {**project.published["k"], "kid": "enc", "use": "enc"}
    project.published["odd"] = {"kty": "nobody knows", "kid": "odd"}
    auth = SupabaseAuth(project.url)
    assert await auth.user(project.sign("k"))
    for kid in ("secret", "enc", "odd"):
        project.private[kid] = project.private["k"]
        with pytest.raises(NotAuthenticated):
            await auth.user(project.sign(kid))
    token = jwt.encode(claims(), SECRET, "HS256", headers={"kid": "secret"})
    with pytest.raises(NotAuthenticated):
        await auth.user(f"Bearer {token}")


async def test_a_public_key_is_no_secret(project: Project) -> None:
    project.add("k", "RS256")
    public = project.private["k"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, body = (_b64(part) for part in ({"alg": "HS256", "kid": "k", "typ": "JWT"}, claims()))
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
        f"{head}.{body}".encode(), public
    )
    forged = f"Bearer {head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    for auth in (SupabaseAuth(project.url), SupabaseAuth(project.url, jwt_secret=SECRET)):
        with pytest.raises(NotAuthenticated):
            await auth.user(forged)


async def test_a_key_serves_its_own_algorithm_only(project: Project) -> None:
    project.add("k", "RS256")
    project.private["other"] = ec.generate_private_key(ec.SECP256R1())
    token = jwt.encode(claims(), project.private["other"], "ES256", headers={"kid": "k"})
    with pytest.raises(NotAuthenticated, match="not accepted"):
        await SupabaseAuth(project.url).user(f"Bearer {token}")


def _b64(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


NONE_ALGORITHM = f"{_b64({'alg': 'none', 'typ': 'JWT'})}.{_b64(claims())}."


def made_up(head: str, claims: str) -> str:
    parts = (base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in (head, claims, "signed"))
    return f"Bearer {'.'.join(parts)}"


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        (None, None),
        ("", None),
        ("Basic dXNlcjpwYXNz", None),
        ("Bearer", "cannot be read"),
        ("Bearer ", "cannot be read"),
        ("Bearer nonsense", "cannot be read"),
        ("Bearer a.b.c", "cannot be read"),
        (f"Bearer {NONE_ALGORITHM}", "not accepted"),
        (made_up('{"alg":"HS256","x":' + "[" * 9000 + "]" * 9000 + "}", "{}"), "cannot be read"),
        (made_up('{"alg":"HS256"}', '{"x":' + "[" * 9000 + "]" * 9000 + "}"), "cannot be read"),
        (made_up('{"alg":"HS256"}', '{"iat":1' + "0" * 400 + "}"), "signature"),
        (made_up('{"alg":"HS256"}', '{"iat":1' + "0" * 5000 + "}"), "cannot be read"),
        (made_up('{"alg":["HS256"]}', "{}"), "not accepted"),
        (made_up('{"alg":"HS256","crit":["exp"]}', "{}"), "cannot be read"),
        (made_up('{"alg":"HS256","b64":false}', "{}"), "cannot be read"),
        (made_up("[]", "{}"), "cannot be read"),
        (made_up('{"alg":"HS256"}', "null"), "cannot be read"),
        (legacy("another secret that is long enough to be one"), "signature"),
        (legacy(exp=int(time.time()) - 11), "expired"),
        (legacy(exp=None), "lacks a claim"),
        (legacy(sub=None), "lacks a claim"),
        (legacy(aud=None), "lacks a claim|audience"),
        (legacy(aud="somebody else"), "audience"),
        (legacy(nbf=int(time.time()) + 1800), "not valid yet"),
        (legacy(role="anon"), "not a signed-in user"),
        (legacy(role="service_role"), "not a signed-in user"),
        (legacy(role=None), "not a signed-in user"),
        (legacy(sub="not a uuid"), "does not name a user"),
        (legacy(sub=""), "does not name a user"),
    ],
)
async def test_bad_tokens_are_refused(authorization: str | None, reason: str | None) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        await SupabaseAuth(jwt_secret=SECRET).user(authorization)
    if reason is None:
        assert refused.value.reason is None
    else:
        assert refused.match(reason)


@pytest.mark.parametrize("place", ["head", "claims"])
async def test_a_deep_token_is_refused_whatever_python_would_recurse_to(place: str) -> None:
    """Another package may have raised the limit, with which PyJWT's reader would go on until the stack is over."""
    deep = '{"alg":"HS256","x":' + "[" * 9000 + "]" * 9000 + "}"
    token = made_up(deep, "{}") if place == "head" else made_up('{"alg":"HS256"}', deep)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        with pytest.raises(NotAuthenticated, match="cannot be read"):
            await SupabaseAuth(jwt_secret=SECRET).user(token)
    finally:
        sys.setrecursionlimit(before)


async def test_clocks_may_differ_a_little() -> None:
    assert await SupabaseAuth(jwt_secret=SECRET).user(legacy(exp=int(time.time()) - 2))
    with pytest.raises(NotAuthenticated, match="expired"):
        await SupabaseAuth(jwt_secret=SECRET, leeway=0).user(legacy(exp=int(time.time()) - 2))


async def test_an_issuer_is_held_to_where_it_is_named() -> None:
    auth = SupabaseAuth(jwt_secret=SECRET, issuer="https://us.example/auth/v1")
    assert await auth.user(legacy(iss="https://us.example/auth/v1"))
    with pytest.raises(NotAuthenticated, match="issuer"):
        await auth.user(legacy(iss="https://them.example/auth/v1"))


async def test_a_token_of_another_project_is_refused(project: Project) -> None:
    project.add("k")
    for auth in (SupabaseAuth(project.url), SupabaseAuth(f"{project.url}/", jwt_secret=SECRET)):
        assert await auth.user(project.sign("k", iss=f"{project.url}/auth/v1"))
        assert await auth.user(project.sign("k")), "a token need not say"
        with pytest.raises(NotAuthenticated, match="issuer"):
            await auth.user(project.sign("k", iss="https://them.example/auth/v1"))
    with pytest.raises(NotAuthenticated, match="issuer"):
        await SupabaseAuth(project.url, jwt_secret=SECRET).user(legacy(iss="https://them.example/auth/v1"))


async def test_anonymous_users_are_refused_where_it_says_so() -> None:
    auth = SupabaseAuth(jwt_secret=SECRET, allow_anonymous=False)
    assert await auth.user(legacy(is_anonymous=False))
    with pytest.raises(NotAuthenticated, match="sign up"):
        await auth.user(legacy(is_anonymous=True))
    assert (await SupabaseAuth(jwt_secret=SECRET).user(legacy(is_anonymous=True))).is_anonymous


async def test_a_second_factor_is_asked_for_where_it_says_so() -> None:
    auth = SupabaseAuth(jwt_secret=SECRET, assurance_level="aal2")
    assert await auth.user(legacy(aal="aal2"))
    for level in ("aal1", None, "aal3", 2):
        with pytest.raises(NotAuthenticated, match="second factor"):
            await auth.user(legacy(aal=level))
    with pytest.raises(NotConfigured, match="aal2"):
        SupabaseAuth(jwt_secret=SECRET, assurance_level="2")  # type: ignore[arg-type]


async def test_a_missing_legacy_secret_is_named_to_the_operator(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    auth = SupabaseAuth(project.url)
    for _ in range(3):
        with pytest.raises(NotAuthenticated, match="not accepted"):
            await auth.user(legacy())
    assert caplog.text.count("SUPABASE_JWT_SECRET") == 1


async def test_a_key_that_is_newer_than_what_was_fetched_is_asked_for_at_once(project: Project) -> None:
    project.add("old")
    now = time.monotonic()
    keys = KeySet(
        f"{project.url}/auth/v1/.well-known/jwks.json", ttl=600, min_interval=30, stale_for=3600, clock=lambda: now
    )
    assert await keys.find("old")
    project.add("new")
    now += 2
    assert await keys.find("new", time.time() - 3600) is None, "a token from before is of no new key"
    assert await keys.find("new", time.time())
    assert project.fetched == 2
    for number in range(20):
        assert await keys.find(f"made up {number}", time.time() + 9) is None
    assert project.fetched == 2, "at most once a second"


@pytest.mark.parametrize("options", [{}, {"jwt_secret": ""}, {"jwt_secret": "short"}])
def test_what_cannot_verify_is_not_made(options: dict[str, Any]) -> None:
    with pytest.raises(NotConfigured):
        SupabaseAuth(**options)


def test_the_environment_names_the_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SUPABASE_URL", raising=False)
    monkeypatch.delenv("SUPABASE_JWT_SECRET", raising=False)
    with pytest.raises(NotConfigured):
        SupabaseAuth.from_env()
    (tmp_path / ".env").write_text("SUPABASE_URL=http://127.0.0.1:1\n")
    assert SupabaseAuth.from_env()


async def test_the_answer_is_a_challenge(http: httpx.AsyncClient) -> None:
    missing = await http.get("/me")
    assert (missing.status_code, missing.headers["www-authenticate"]) == (401, "Bearer")
    wrong = await http.get("/me", headers={"authorization": legacy()})
    assert wrong.status_code == 401
    assert wrong.headers["www-authenticate"] == (
        'Bearer error="invalid_token", error_description="The signature is not right."'
    )
    assert wrong.headers["content-type"] == "application/problem+json"
    assert wrong.json()["code"] == "not_authenticated"


async def test_two_tokens_are_none(http: httpx.AsyncClient, user: UUID) -> None:
    [good] = bearer(user).items()
    assert (await http.get("/me", headers=[good])).status_code == 200
    assert (await http.get("/me", headers=[good, good])).status_code == 401
