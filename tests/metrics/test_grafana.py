"""The dashboard is what Grafana takes it for: what its published types do not know would be dropped without a word."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

DASHBOARD = Path(__file__).resolve().parents[2] / "docs/operations/grafana-dashboard.json"


def as_understood(text: dict[str, Any]) -> dict[str, Any]:
    """What is left of a dashboard after the types have read it."""
    register_default_plugins()
    understood: dict[str, Any] = json.loads(JSONEncoder().encode(Dashboard.from_json(copy.deepcopy(text))))
    return understood


def lost(written: Any, understood: Any, place: str = "") -> Iterator[str]:
    """Where something written is not what is understood. Defaults that were filled in are no loss."""
    if isinstance(written, dict) and isinstance(understood, dict):
        for name, value in written.items():
            yield from lost(value, understood.get(name), f"{place}.{name}")
    elif isinstance(written, list) and isinstance(understood, list) and len(written) == len(understood):
        for number, (one, other) in enumerate(zip(written, understood, strict=True)):
            yield from lost(one, other, f"{place}[{number}]")
    elif written != understood:
        yield place


def test_nothing_of_the_dashboard_is_lost() -> None:
    written = json.loads(DASHBOARD.read_text())
    assert list(lost(written, as_understood(written))) == []


@pytest.mark.parametrize("place", ["options.reduceOptions.calc", "fieldConfig.defaults.units", "targets.0.legend"])
def test_a_name_that_grafana_does_not_know_is_lost(place: str) -> None:
    written = json.loads(DASHBOARD.read_text())
    *path, last = place.split(".")
    here = written["panels"][2]
    for step in path:
        here = here[int(step) if step.isdigit() else step]
    here[last] = "anything"
    [found] = lost(written, as_understood(written))
    assert found.endswith(f".{last}")


def test_panels_stand_side_by_side() -> None:
    panels = [panel["gridPos"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    taken = [(x, y) for p in panels for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24
