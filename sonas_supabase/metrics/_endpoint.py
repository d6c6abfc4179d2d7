"""The endpoint: Prometheus' text format over HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from hmac import compare_digest
from http import HTTPStatus

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sonas_supabase import AsyncCreditsClient, CreditsClient
from sonas_supabase.metrics._instruments import CallMetrics, Found, HealthCollector, health_metrics
from sonas_supabase.metrics._patience import AsyncPatience


def metrics_routes(
    client: CreditsClient | AsyncCreditsClient,
    *,
    path: str = "/metrics",
    token: str | None = None,
    registry: CollectorRegistry | None = None,
    patience: float = 5,
) -> list[Route]:
    """The route of the endpoint, for an app of yours.

    From here on the calls of this process are counted. With a ``token`` only ``Authorization: Bearer <token>`` may
    read. Pass a ``registry`` to expose metrics of your own beside these. A database that has not answered after
    ``patience`` seconds counts as down; let that be less than Prometheus' ``scrape_timeout``.

    With several worker processes set ``PROMETHEUS_MULTIPROC_DIR`` to an empty directory before they start: every worker
    then answers for all of them.
    """
    own = registry or CollectorRegistry()
    CallMetrics(own)
    counted = partial(_counted, own)
    if isinstance(client, AsyncCreditsClient):
        asked = AsyncPatience(client.metrics_health, patience)

        async def scrape_async(request: Request) -> Response:
            _admit(request, token)
            return _answer(counted(), health_metrics(await asked.ask()))

        return [Route(path, scrape_async)]
    collector = HealthCollector(client, patience=patience)

    # Not a coroutine: the database is asked in a thread.
    def scrape(request: Request) -> Response:
        _admit(request, token)
        return _answer(counted(), collector.collect())

    return [Route(path, scrape)]


def _admit(request: Request, token: str | None) -> None:
    given = request.headers.get("authorization", "")
    if token is not None and not compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise HTTPException(HTTPStatus.UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"})


def _counted(own: CollectorRegistry) -> bytes:
    """What this process has counted, or all workers of this application together."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(own)
    shared = CollectorRegistry()
    MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
    return generate_latest(shared)


def _answer(counted: bytes, health: Iterable[Metric]) -> Response:
    registry = CollectorRegistry()
    registry.register(Found(health))
    return Response(counted + generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def metrics_app(
    client: CreditsClient | AsyncCreditsClient,
    *,
    token: str | None = None,
    registry: CollectorRegistry | None = None,
    patience: float = 5,
) -> Starlette:
    """An ASGI app with the endpoint alone, at ``/metrics``."""
    return Starlette(routes=metrics_routes(client, token=token, registry=registry, patience=patience))


def exposition(client: CreditsClient) -> str:
    """The state of the database in Prometheus' text format, once: for a textfile collector."""
    registry = CollectorRegistry()
    registry.register(HealthCollector(client))
    return generate_latest(registry).decode()
