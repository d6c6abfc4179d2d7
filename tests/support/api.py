"""The HTTP side of a test database: PostgREST behind the gateway of the local stack."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import uvicorn

from sonas_supabase.local import Keys, PostgREST, free_port, gateway
from tests.support.database import Database
from tests.support.parts import require


@dataclass(frozen=True)
class Api:
    """`url` is what SUPABASE_URL would be; `direct_url` is PostgREST itself."""

    url: str
    direct_url: str
    keys: Keys
    postgrest: PostgREST

    def user_token(self, user_id: UUID, **claims: Any) -> str:
        return self.keys.token(role="authenticated", user_id=str(user_id), **claims)

    def client(self, token: str | None = None) -> httpx.Client:
        """A client of PostgREST with a token of a user, of the service role, or of nobody (anon)."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.direct_url, headers=headers, timeout=30)

    def service(self) -> httpx.Client:
        return self.client(self.keys.token(role="service_role"))


@contextmanager
def start_api(database: Database, folder: Path) -> Iterator[Api]:
    keys = Keys.make()
    postgrest = PostgREST(
        require("postgrest"),
        database_url=database.server.url(database.name, user="authenticator"),
        jwt_secret=keys.jwt_secret,
        log=folder / "postgrest.log",
    )
    postgrest.start()
    port = free_port()
    config = uvicorn.Config(gateway(postgrest.url, keys), host="127.0.0.1", port=port, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=10)) as client:
            client.get(f"http://127.0.0.1:{port}/rest/v1/")
        yield Api(f"http://127.0.0.1:{port}", postgrest.url, keys, postgrest)
    finally:
        server.should_exit = True
        thread.join(10)
        postgrest.stop()
