"""One world for all tables of attacks: none of them may change it, and each of them sees to that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sonas_supabase import local
from tests.attacks.world import World, make_world
from tests.support.api import start_api
from tests.support.database import copied_database
from tests.support.server import Server
from tests.web.conftest import browser, visit  # noqa: F401 - fixtures
from tests.web.support import make_app, serving


@pytest.fixture(scope="session")
def world(server: Server, postgrest: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with copied_database(server) as database:
        local.seed(database.url)
        with (
            start_api(database, tmp_path_factory.mktemp("attacks")) as api,
            serving(make_app(database), database) as site,
            httpx.Client(timeout=30, limits=httpx.Limits(max_keepalive_connections=0)) as http,
        ):
            yield make_world(database, api, site, http)
