"""A real Prometheus, which reads an app of this process and is asked what it has seen."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from sonas_supabase.local import free_port
from tests.support.parts import require


def tool(name: str) -> Path:
    """Where `prometheus` or `promtool` is."""
    return require(name)


class Told:
    """An app that tells when it is called: a scrape that begins says that the one before has been stored."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._calls = threading.Semaphore(0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/metrics":
            self._calls.release()
        await self._app(scope, receive, send)

    def until(self, seen: Callable[[], Any]) -> Any:
        """Looks again after each scrape, 60 times at most."""
        for _ in range(60):
            assert self._calls.acquire(timeout=30), "Prometheus does not come by"
            if found := seen():
                return found
        raise AssertionError("Prometheus has seen nothing of it")


class Prometheus:
    """What its HTTP API answers."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=f"{url}/api/v1", transport=httpx.HTTPTransport(retries=10), timeout=30)

    def get(self, path: str, **parameters: str) -> Any:
        answer = self._http.get(path, params=parameters)
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return {}
        body = answer.json()
        assert body["status"] == "success", body
        return body["data"]

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The labels and the value of each series now."""
        found = self.get("/query", query=expression).get("result", [])
        return [(one["metric"], float(one["value"][1])) for one in found]

    def names(self) -> set[str]:
        return set(self.get("/label/__name__/values"))

    def rules(self) -> dict[str, dict[str, Any]]:
        return {rule["name"]: rule for group in self.get("/rules").get("groups", []) for rule in group["rules"]}

    def close(self) -> None:
        self._http.close()


@contextmanager
def running(config: str, folder: Path) -> Iterator[Prometheus]:
    """Starts it on loopback with a configuration, and stops it."""
    (folder / "prometheus.yml").write_text(config)
    address = f"127.0.0.1:{free_port()}"
    command: list[str | Path] = [
        tool("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, cwd=folder) as process:
        prometheus = Prometheus(f"http://{address}")
        try:
            yield prometheus
            assert process.poll() is None, (folder / "log").read_text()
        finally:
            prometheus.close()
            process.terminate()
            process.wait(30)
