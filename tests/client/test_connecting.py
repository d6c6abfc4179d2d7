"""Where a client connects to, and what it says when it cannot."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from supabase import ClientOptions, create_client

from sonas_supabase import (
    AccessDenied,
    AsyncCreditsClient,
    CreditsClient,
    NotConfigured,
    NotInstalled,
    PoolTimeout,
    Settings,
)
from tests.support.api import Api
from tests.support.database import Database

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
heavy = {"psycopg", "supabase", "postgrest", "httpx", "fastapi", "typer"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_is_no_address_is_said_at_once() -> None:
    connects: list[Callable[[], CreditsClient]] = [
        lambda: CreditsClient.from_supabase("not an address", "key"),
        lambda: CreditsClient.from_supabase("https://project.supabase.co", ""),
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
