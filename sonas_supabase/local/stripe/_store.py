"""What the simulated Stripe remembers, in a file: objects, events, and answers by idempotency key."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sonas_supabase.local.stripe import _objects
from sonas_supabase.local.stripe._objects import Json

_KEPT_EVENTS = 1000


class Missing(Exception):
    """There is no such object."""


class Store:
    """The objects by their id, the events in their order."""

    def __init__(self, path: Path | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self.objects: dict[str, Json] = {}
        self.events: list[Json] = []
        self.answers: dict[str, list[Any]] = {}
        self._heard: list[Callable[[Json], None]] = []
        if path and path.exists():
            kept = json.loads(path.read_text())
            self.objects, self.events, self.answers = kept["objects"], kept["events"], kept["answers"]

    def now(self) -> int:
        """The time, in seconds."""
        return int(self._clock())

    def moment(self) -> float:
        """The time, in seconds and parts of one."""
        return self._clock()

    def on_event(self, hear: Callable[[Json], None]) -> None:
        """Has each new event told."""
        self._heard.append(hear)

    def keep(self, made: Json) -> Json:
        """Remembers a new object."""
        self.objects[made["id"]] = made
        return made

    def get(self, object_id: str, kind: str | None = None) -> Json:
        """An object that must be there."""
        found = self.objects.get(object_id)
        if found is None or (kind and found["object"] != kind):
            raise Missing(object_id)
        return found

    def all(self, kind: str, **wanted: Any) -> list[Json]:
        """The objects of a kind, the newest first; those fields that are given must be equal."""
        found = [
            one
            for one in self.objects.values()
            if one["object"] == kind and all(one.get(name) == value for name, value in wanted.items())
        ]
        return found[::-1]

    def tell(self, event_type: str, of: Json, before: Json | None = None) -> Json:
        """Something has happened to an object: everybody hears of it as it is now."""
        told = _objects.event(event_type, json.loads(json.dumps(of)), created=self.now(), before=before)
        self.events = [*self.events[1 - _KEPT_EVENTS :], told]
        for hear in self._heard:
            hear(told)
        return told

    def clear(self) -> None:
        """Forgets everything."""
        for kept in (self.objects, self.events, self.answers):
            kept.clear()

    def save(self) -> None:
        """Writes everything down."""
        if self._path is None:
            return
        beside = self._path.with_suffix(".new")
        beside.write_text(json.dumps({"objects": self.objects, "events": self.events, "answers": self.answers}))
        beside.chmod(0o600)
        beside.replace(self._path)
