"""Other PostgreSQL versions, wherever the environment says they are."""

from __future__ import annotations

from pathlib import Path

from sonas_supabase.local import Cluster
from tests.support.parts import require

VERSIONS = ("15", "17", "18")


def require_postgres(version: str) -> Path:
    return require(f"postgres_{version}")


class VersionedCluster(Cluster):
    """A cluster of another PostgreSQL than the embedded one."""

    def __init__(self, directory: Path, *, port: int, settings: dict[str, str], binaries: Path) -> None:
        super().__init__(directory, port=port, settings=settings)
        self._bin = binaries
