"""What a machine may lack and CI may not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest


def require(variable: str, what: str) -> Path:
    """Where a part is that the environment names."""
    path = os.environ.get(variable)
    if path and Path(path).exists():
        return Path(path)
    missing(f"{variable} names no {what}. `.ci/run` brings it and sets the variable.")


def missing(sentence: str) -> NoReturn:
    """Leaves the test out and says how to get what it needs; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)
