"""The real parts, wherever the environment says they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sonas_supabase.local import Cluster

VERSIONS = ("15", "17", "18")


def require(variable: str, what: str) -> Path:
    """Where a part is. Without it the test is left out, and says how to get it; in CI that is a failure."""
    path = os.environ.get(variable)
    if path and Path(path).exists():
        return Path(path)
    sentence = f"{variable} names no {what}. `.ci/run` brings it and sets the variable."
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


def require_postgres(version: str) -> Path:
    return require(
        f"SONAS_PG{version}_BIN", f"folder of programs of PostgreSQL {version}, with pgTAP and plpgsql_check"
    )


class VersionedCluster(Cluster):
    """A cluster of another PostgreSQL than the embedded one."""

    def __init__(self, directory: Path, *, port: int, settings: dict[str, str], binaries: Path) -> None:
        super().__init__(directory, port=port, settings=settings)
        self._bin = binaries
