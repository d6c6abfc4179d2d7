"""The endpoint: Prometheus' text format over HTTP."""

from __future__ import annotations

from hmac import compare_digest
from http import HTTPStatus

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sonas_supabase import CreditsClient
from sonas_supabase.metrics._instruments import CallMetrics, HealthCollector


def metrics_routes(
    client: CreditsClient,
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
    """
    own = registry or CollectorRegistry()
    CallMetrics(own)
    own.register(HealthCollector(client, patience=patience))

    # Not a coroutine: the database is asked in a thread.
    def scrape(request: Request) -> Response:
        given = request.headers.get("authorization", "")
        if token is not None and not compare_digest(given.encode(), f"Bearer {token}".encode()):
            raise HTTPException(HTTPStatus.UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"})
        return Response(generate_latest(own), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return [Route(path, scrape)]


def metrics_app(
    client: CreditsClient,
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
