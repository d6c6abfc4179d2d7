"""Whatever is made up out of the app's own OpenAPI document is answered as the document says, and never with a 5xx."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from tests.support.database import Database
from tests.web.support import Site, token

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
TOOL = Path(sys.executable).with_name("schemathesis")


@pytest.mark.parametrize("signed_in", [True, False], ids=["signed-in", "signed-out"])
def test_schemathesis_finds_nothing(
    site: Site, database: Database, user: UUID, tmp_path: Path, signed_in: bool
) -> None:
    database.call("change_plan", user, "elite")
    # A fixed seed: a red run can be repeated, and a green one does not depend on luck.
    command = [str(TOOL), "run", f"{site.url}/api/openapi.json", "--no-color", "--seed=20261123", f"--checks={CHECKS}"]
    command += ["--max-examples=6", "--phases=coverage,fuzzing,stateful" if signed_in else "--phases=fuzzing"]
    if signed_in:
        command += ["--header", f"Authorization: Bearer {token(user)}"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 0, done.stdout
    paths = httpx.get(f"{site.url}/api/openapi.json").json()["paths"]
    operations = sum(len(ways) for ways in paths.values())
    assert f"{operations} selected / {operations} total" in done.stdout
    assert " passed" in done.stdout
    database.verify()
    if signed_in:
        assert database.balance(user)["used"] > 0, "no request got as far as spending"
    assert database.balance(user)["reserved"] == 0
