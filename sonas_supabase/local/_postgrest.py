"""PostgREST as a child process: the HTTP API of the local stack."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from sonas_supabase.local._cluster import command_of, free_port
from sonas_supabase.local._problems import LocalProblem


class PostgREST:
    """One PostgREST on one database. `url` answers once `start` has returned.

    `settings` are further variables of its own (PGRST_…).
    """

    def __init__(
        self,
        binary: Path,
        *,
        database_url: str,
        jwt_secret: str,
        log: Path,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self.admin_port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._binary = binary
        self._log = log
        self._environment = {
            "PGRST_DB_URI": database_url,
            "PGRST_DB_SCHEMAS": "public",
            "PGRST_DB_ANON_ROLE": "anon",
            "PGRST_DB_EXTRA_SEARCH_PATH": "public,extensions",
            # A secret that is a JWKS comes as JSON; both kinds are what the hosted service accepts.
            "PGRST_JWT_SECRET": jwt_secret,
            "PGRST_SERVER_HOST": "127.0.0.1",
            "PGRST_SERVER_PORT": str(self.port),
            "PGRST_ADMIN_SERVER_PORT": str(self.admin_port),
            "PGRST_LOG_LEVEL": "warn",
            **(settings or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and waits until it has read the schema."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._binary)], stdout=log, stderr=log, env=self._environment, start_new_session=True
            )
        deadline = time.monotonic() + 30
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                last = self._log.read_text(errors="replace").strip().splitlines()[-1:]
                raise LocalProblem(
                    f"PostgREST did not start: {' '.join(last) or 'it said nothing'}",
                    f"The whole story is in {self._log}.",
                )
            time.sleep(0.02)

    @property
    def pid(self) -> int | None:
        """Its process, while it runs."""
        return self._process.pid if self._process else None

    def is_alive(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Stops it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/ready", timeout=1):
                return True
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return False


def stop_stray(pid: int | None) -> None:
    """Stops the PostgREST with this process id, if that is what has it."""
    if pid and "postgrest" in command_of(pid):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)
