"""What asyncio and threads do differently. This file has a hand-written twin in ``_async``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

pause = time.sleep


def see_through(work: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
    """Do the work. A thread cannot be cancelled, so there is nothing to undo."""
    return work()
