"""Where a client connects to, and what it says when it cannot."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest
from psycopg.conninfo import make_conninfo
from supabase import ClientOptions, create_client

from sonas_supabase import (
    AccessDenied,
    AsyncCreditsClient,
    CreditsClient,
    CreditsError,
    CreditsUnavailable,
    NotConfigured,
    NotInstalled,
    PoolTimeout,
    Settings,
)
from sonas_supabase._addresses import connection_parameters
from tests.support.api import Api
from tests.support.clients import COLOURS, TRANSPORTS, make_client
from tests.support.database import Database
from tests.support.proxy import proxy_to

VARIABLES = ("DATABASE_URL", "SUPABASE_URL", "SUPABASE_SECRET_KEY")


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A working directory without a .env file, and an environment without our variables."""
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_from_env_takes_the_database_first(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, database: Database, user: UUID
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.url)
    monkeypatch.setenv("SUPABASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("SUPABASE_SECRET_KEY", "sb_secret_x")
    with CreditsClient.from_env() as credits:
        assert credits.consume_credits(user, "message").remaining == 9


async def test_from_env_takes_supabase_else(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, api: Api, user: UUID
) -> None:
    monkeypatch.setenv("SUPABASE_URL", api.url)
    monkeypatch.setenv("SUPABASE_SECRET_KEY", api.keys.secret_key)
    with CreditsClient.from_env() as credits:
        assert credits.consume_credits(user, "message").remaining == 9
    async with AsyncCreditsClient.from_env() as async_credits:
        assert (await async_credits.consume_credits(user, "message")).remaining == 8


def test_a_dotenv_file_fills_in_what_the_environment_does_not_say(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nowhere / ".env").write_text("SUPABASE_URL=http://file\nSUPABASE_SECRET_KEY=from-file\nDATABASE_URL=\n")
    inside = nowhere / "app"
    inside.mkdir()
    monkeypatch.chdir(inside)
    monkeypatch.setenv("SUPABASE_SECRET_KEY", "from-environment")
    settings = Settings.from_env()
    assert settings == Settings(supabase_url="http://file", supabase_secret_key="from-environment")
    assert "from-environment" not in repr(settings)


def test_without_settings_it_names_them(nowhere: Path) -> None:
    with pytest.raises(NotConfigured) as missing:
        CreditsClient.from_env()
    assert "DATABASE_URL" in str(missing.value)
    assert ".env.example" in missing.value.hint


def test_a_supabase_client_of_ones_own(api: Api, user: UUID) -> None:
    with httpx.Client() as http:
        own = create_client(api.url, api.keys.secret_key, ClientOptions(httpx_client=http))
        with CreditsClient.from_supabase_client(own) as credits:
            credits.list_plans()
        assert not http.is_closed
        credits = CreditsClient.from_supabase_client(own)
        assert credits.consume_credits(user, "message").remaining == 9


@pytest.mark.parametrize("key", ["publishable", "wrong", "user"])
def test_only_the_secret_key_moves_credits(api: Api, user: UUID, key: str) -> None:
    keys = {
        "publishable": api.keys.publishable_key,
        "wrong": "sb_secret_wrong",
        "user": api.user_token(user),
    }
    with CreditsClient.from_supabase(api.url, keys[key]) as credits, pytest.raises(AccessDenied) as denied:
        credits.consume_credits(user, "message")
    assert "secret key" in denied.value.hint
    assert not denied.value.retryable


def test_a_wrong_password_or_role_is_said(database: Database, user: UUID) -> None:
    url = database.server.url(database.name, user="authenticator")
    with CreditsClient.from_url(url) as credits, pytest.raises(AccessDenied):
        credits.consume_credits(user, "message")


def test_a_database_without_the_migrations_is_said(database: Database) -> None:
    with (
        CreditsClient.from_url(database.server.url("postgres")) as credits,
        pytest.raises(NotInstalled) as missing,
    ):
        credits.list_plans()
    assert "sonas migrate" in missing.value.hint


def test_without_psycopg_the_library_imports_and_names_the_extra() -> None:
    program = """
import sys
sys.modules["psycopg"] = sys.modules["psycopg_pool"] = None
from sonas_supabase import CreditsClient, NotConfigured
for connect in (lambda: CreditsClient.from_url("x"), lambda: CreditsClient.from_connection(None)):
    try:
        connect()
    except NotConfigured as missing:
        assert "sonas-supabase[postgres]" in missing.hint
    else:
        raise SystemExit("nothing was missed")
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_importing_is_light() -> None:
    program = """
import sys
import sonas_supabase
heavy = {"psycopg", "supabase", "postgrest", "httpx", "fastapi", "typer", "rich", "pydantic"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_is_no_address_is_said_at_once() -> None:
    connects: list[Callable[[], CreditsClient]] = [
        lambda: CreditsClient.from_supabase("not an address", "key"),
        lambda: CreditsClient.from_supabase("https://project.supabase.co", ""),
        lambda: CreditsClient.from_supabase("https://project.supabase.co", "Bearer secret"),
        lambda: CreditsClient.from_supabase("https://project.supabase.co", "sécret"),
        lambda: CreditsClient.from_supabase("http://127.0.0.1:99999", "key"),
        lambda: CreditsClient.from_supabase("http://[::1", "key"),
        lambda: CreditsClient.from_url("postgresql:secret@@"),
    ]
    for connect in connects:
        with pytest.raises(NotConfigured) as wrong:
            connect()
        assert "secret" not in str(wrong.value)
        assert wrong.value.hint


def test_nobody_at_an_address_is_said_in_time() -> None:
    url = "postgresql://nobody:x@127.0.0.1:1/x"
    with CreditsClient.from_url(url, timeout=0.5) as credits, pytest.raises(PoolTimeout, match="could not be reached"):
        credits.list_plans()


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"password": "wrong"}, AccessDenied, "user or the password"),
        ({"user": "nobody_of_this_name"}, AccessDenied, "user"),
        ({"dbname": "no_such_database"}, NotConfigured, "no such database"),
        ({"host": "no-such-host.invalid"}, NotConfigured, "no such host"),
        ({"sslmode": "required"}, NotConfigured, "sslmode"),
        ({"port": "543x"}, NotConfigured, "port"),
        ({"port": "99999"}, NotConfigured, "port"),
        ({"connect_timeout": "soon"}, NotConfigured, "connect_timeout"),
    ],
)
@pytest.mark.parametrize("colour", COLOURS)
async def test_what_waiting_does_not_mend_is_said_at_once(
    database: Database, colour: str, change: dict[str, str], kind: type[CreditsError], said: str
) -> None:
    url = make_conninfo(database.url, **change)
    async with make_client("postgres", colour, url=url) as credits:
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(kind, match=said) as wrong:
                await credits.list_plans()
            assert time.monotonic() - began < 5
            assert not wrong.value.retryable
            assert wrong.value.hint


@pytest.mark.parametrize("colour", COLOURS)
async def test_no_such_host_is_said_over_https_too(colour: str) -> None:
    async with make_client("rpc", colour, url="http://no-such-host.invalid", secret_key="sb_secret_x") as credits:
        with pytest.raises(NotConfigured, match="no such host") as wrong:
            await credits.list_plans()
        assert not wrong.value.retryable


@pytest.mark.parametrize("suffix", ["/rest/v1", "/rest/v1/", "/auth/v1", "/", "/rest/v1/rpc/consume_credits", "  "])
def test_the_address_of_a_service_is_that_of_its_project(api: Api, user: UUID, suffix: str) -> None:
    with CreditsClient.from_supabase(api.url + suffix, f'"{api.keys.secret_key}"\n') as credits:
        assert credits.consume_credits(user, "message").remaining == 9


@pytest.mark.parametrize(
    "write",
    [
        "{url}?pgbouncer=true",
        "{url}?pgbouncer=true&connection_limit=1&schema=public&application_name=mine",
        "{driver}",
        '"{url}"\n',
        "jdbc:{url}",
    ],
)
def test_strings_of_other_drivers_are_understood(database: Database, user: UUID, write: str) -> None:
    for driver in ("asyncpg", "psycopg", "psycopg2"):
        written = write.format(
            url=database.url, driver=database.url.replace("postgresql://", f"postgresql+{driver}://")
        )
        with CreditsClient.from_url(written) as credits:
            credits.list_plans()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:p@h/d?colour=red", "colour"),
        ("https://project.supabase.co", "SUPABASE_URL"),
        ("mysql://u:p@h/d", "mysql"),
        ("postgresql://postgres:[YOUR-PASSWORD]@db.x.supabase.co:5432/postgres", "YOUR-PASSWORD"),
    ],
)
def test_a_string_that_is_not_understood_says_which_part(url: str, said: str) -> None:
    with pytest.raises(NotConfigured) as wrong:
        CreditsClient.from_url(url)
    assert said in f"{wrong.value} {wrong.value.hint}"


def test_what_node_calls_no_verify_is_to_require() -> None:
    parameters = connection_parameters("postgresql://u:p@h/d?sslmode=no-verify")
    assert parameters["sslmode"] == "require"


def test_special_characters_of_a_password_may_stand_as_they_are() -> None:
    for password in ("p@ss/w#rd?", "a[b]c%", "50%ä:x@"):
        assert connection_parameters(f"postgresql://u:{password}@h:5432/d")["password"] == password
    encoded = connection_parameters("postgresql://u:p%40ss@h/d?ssl=true")
    assert (encoded["password"], encoded["sslmode"]) == ("p@ss", "require")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("colour", COLOURS)
async def test_while_the_database_is_away_calls_fail_at_once_until_it_is_back(
    transport: str, colour: str, database: Database, api: Api
) -> None:
    target = urlsplit(database.url if transport == "postgres" else api.url)
    assert target.hostname
    assert target.port
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    url = target._replace(netloc=target.netloc.replace(str(target.port), str(port))).geturl()
    async with make_client(transport, colour, url=url, secret_key=api.keys.secret_key, timeout=2) as credits:
        with pytest.raises(CreditsUnavailable):
            await credits.list_plans()
        began = time.monotonic()
        for _ in range(20):
            with pytest.raises(CreditsUnavailable) as away:
                await credits.list_plans()
            assert away.value.retryable
            assert not away.value.may_have_taken_effect
        assert time.monotonic() - began < 5
        with proxy_to(target.hostname, target.port, port=port):
            assert (await credits.list_plans())[0].id == "free"
