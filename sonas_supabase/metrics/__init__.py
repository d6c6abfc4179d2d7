"""A Prometheus endpoint: the calls of this process, and the state of the database.

::

    app = FastAPI(routes=[*metrics_routes(credits), *your_routes])  # or Starlette, or any ASGI app that mounts one

It needs the extra ``metrics``. What it says is for operators: serve it where users cannot reach it, or with a token.
``docs/operations`` has a Grafana dashboard and alert rules for it.
"""

from __future__ import annotations

from sonas_supabase.metrics._endpoint import exposition, metrics_app, metrics_routes
from sonas_supabase.metrics._instruments import CallMetrics, HealthCollector

__all__ = ["CallMetrics", "HealthCollector", "exposition", "metrics_app", "metrics_routes"]
