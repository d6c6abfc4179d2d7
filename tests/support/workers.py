"""Which tests stay together when several workers share a run: those of one file, and those of one Postgres version."""

from __future__ import annotations

import re

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]


class Units(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out the files in their order, so that what a module shares is made once.

    The contract tests share more than a module does: a server per version and a project per kind of host on it.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        if file.startswith("tests/contract/") and (version := re.search(r"\[(15|17|18)[-\]]", nodeid)):
            return f"tests/contract/ on {version[1]}"
        return file
