"""The command line against a real database."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sonas_cli import app
from tests.support.database import Database

Sonas = Callable[..., Result]


@pytest.fixture
def sonas(database: Database) -> Sonas:
    """Runs a command on the test database."""

    def run(*words: object) -> Result:
        return CliRunner().invoke(app, [*map(str, words), "--db-url", database.url])

    return run


@pytest.fixture
def answer(sonas: Sonas) -> Callable[..., Any]:
    """Runs a command with --json and reads what it prints; the exit code is expected to be 0 unless said."""

    def run(*words: object, exit_code: int = 0) -> Any:
        result = sonas(*words, "--json")
        assert result.exit_code == exit_code, result.output
        return json.loads(result.stdout)

    return run
