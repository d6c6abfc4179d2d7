"""The Postgres server of a test run: a container where Docker answers, the embedded one elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sonas_supabase.local import PASSWORD, SUPERUSER, Cluster, free_port

IMAGE = os.environ.get("SONAS_TEST_IMAGE", "supabase/postgres:17.6.1.054")


@dataclass(frozen=True)
class Server:
    """Where a server is. Its superuser is supabase_admin, as on the hosted service."""

    host: str
    port: int
    kind: str

    def url(self, database: str, *, user: str = "postgres") -> str:
        return f"postgresql://{user}:{PASSWORD}@{self.host}:{self.port}/{database}"

    def superuser_url(self, database: str) -> str:
        return self.url(database, user=SUPERUSER)


def docker_answers() -> bool:
    """Whether a Docker engine answers. Docker the command alone is not enough."""
    if os.environ.get("SONAS_TEST_SERVER") == "embedded" or not shutil.which("docker"):
        return False
    return _docker("info")


def use_embedded_server_without_image(say: Callable[[str], None]) -> None:
    """Where Docker answers and has no image of Supabase's Postgres, the embedded server serves, for every worker."""
    if docker_answers() and not _docker("image", "inspect", IMAGE):
        os.environ["SONAS_TEST_SERVER"] = "embedded"
        say(f"Docker has no image {IMAGE}: the embedded Postgres is used (`docker pull {IMAGE}` for the other).")


def _docker(*words: str) -> bool:
    try:
        return subprocess.run(["docker", *words], capture_output=True, check=False, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@contextmanager
def start_server(folder: Path) -> Iterator[Server]:
    if docker_answers():
        with _container() as server:
            yield server
    else:
        with _embedded(folder) as server:
            yield server


# Nothing that a test writes has to survive the machine, and locks, not disks, are what the tests are about.
QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}


@contextmanager
def _embedded(folder: Path) -> Iterator[Server]:
    cluster = Cluster(folder, port=free_port(), settings=QUICK)
    cluster.start()
    try:
        yield Server("127.0.0.1", cluster.port, "embedded")
    finally:
        cluster.remove()


@contextmanager
def _container() -> Iterator[Server]:
    from testcontainers.community.postgres import PostgresContainer

    settings = [argument for name, value in QUICK.items() for argument in ("-c", f"{name}={value}")]
    container = PostgresContainer(
        IMAGE, username=SUPERUSER, password=PASSWORD, dbname="postgres", driver=None
    ).with_command(["postgres", *settings])
    with container as started:
        yield Server(started.get_container_host_ip(), int(started.get_exposed_port(5432)), "container")
