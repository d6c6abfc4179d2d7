"""An embedded Postgres in a data directory: made once, started and stopped as often as one likes."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from sonas_supabase.local._binaries import choose_runner, postgres_binaries
from sonas_supabase.local._problems import LocalProblem, explain_output, file_problems

SUPERUSER = "supabase_admin"
PASSWORD = "postgres"  # noqa: S105 - as on every local Supabase stack; the server listens on loopback only


class Cluster:
    """One Postgres data directory and the server that runs on it."""

    def __init__(self, directory: Path, *, port: int, settings: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self.port = port
        self.log = directory / "postgres.log"
        self._data = directory / "data"
        self._settings = dict(settings or {})
        self._runner = choose_runner()
        self._bin = postgres_binaries(self._runner)

    @property
    def runs_as(self) -> str:
        """The user that the server runs as; another than the current one when that is root."""
        return self._runner.name

    @property
    def binaries(self) -> Path:
        """The folder with this server's programs: psql, pg_dump, pgbench, …"""
        return self._bin

    def url(self, database: str = "postgres", *, user: str = "postgres", password: str = PASSWORD) -> str:
        """A libpq URL of a database of this server."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def is_running(self) -> bool:
        """Whether a server runs on this data directory."""
        return self._server_pid() is not None

    def running_port(self) -> int | None:
        """The port of the server that runs on this data directory; None when none does."""
        if not self.is_running():
            return None
        lines = (self._data / "postmaster.pid").read_text().splitlines()
        return int(lines[3])

    def start(self) -> bool:
        """Starts the server, making the data directory first when there is none.

        False when it was running already: then `port` is the one that it listens on.
        """
        running = self.running_port()
        if running is not None:
            self.port = running
            return False
        self._make()
        self._drop_stale_lock()
        refuse_taken_port(self.port)
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "wal_level": "logical",
            **self._settings,
        }
        options = " ".join(f"-c {name}={value or chr(39) * 2}" for name, value in settings.items())
        told = self.log.stat().st_size if self.log.exists() else 0
        done = self._run("pg_ctl", "start", "-w", "-t", "60", "-l", str(self.log), "-o", options)
        if done.returncode != 0:
            raise explain_output(self._logged(told), "start Postgres", self.log)
        return True

    def stop(self, *, mode: str = "fast") -> bool:
        """Stops the server. False when none was running. Data stays."""
        if not self.is_running():
            return False
        done = self._run("pg_ctl", "stop", "-w", "-m", mode)
        if done.returncode != 0:
            raise explain_output(self._logged(0), "stop Postgres", self.log)
        return True

    def remove(self) -> None:
        """Stops the server and deletes its data."""
        self.stop(mode="immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    def _logged(self, since: int) -> str:
        """What the server wrote into its log from the byte `since` on."""
        with suppress(OSError), self.log.open("rb") as log:
            log.seek(since)
            return log.read().decode(errors="replace")
        return ""

    def _make(self) -> None:
        if (self._data / "PG_VERSION").exists():
            return
        with file_problems(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            # An initdb that was interrupted leaves a directory that no later one accepts.
            shutil.rmtree(self._data, ignore_errors=True)
            password_file = self.directory / "superuser-password"
            password_file.write_text(PASSWORD)
            if self._runner.is_borrowed:
                for path in (self.directory, password_file):
                    os.chown(path, self._runner.uid, self._runner.gid)
        done = self._run(
            "initdb",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8" if os.name == "posix" and os.uname().sysname == "Linux" else "--no-locale",
            "--no-sync",
            "--no-instructions",
        )
        password_file.unlink(missing_ok=True)
        if done.returncode != 0:
            shutil.rmtree(self._data, ignore_errors=True)
            raise explain_output(done.stderr, f"make a database in {self._data}")

    def _drop_stale_lock(self) -> None:
        """A killed machine leaves postmaster.pid behind, and Postgres believes it if another program has the number."""
        with file_problems(self.directory):
            if self._server_pid() is None:
                (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _server_pid(self) -> int | None:
        try:
            pid = int((self._data / "postmaster.pid").read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return None
        return pid if str(self._data) in command_of(pid) else None

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        borrowed = self._runner.is_borrowed
        # The server that pg_ctl leaves behind would keep a pipe open; what it has to say is in the log.
        with file_problems(self.directory):
            return subprocess.run(
                [str(self._bin / program), "-D", str(self._data), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if program == "pg_ctl" else subprocess.PIPE,
                stderr=subprocess.DEVNULL if program == "pg_ctl" else subprocess.PIPE,
                text=True,
                check=False,
                cwd="/",
                env={**os.environ, "LC_ALL": "C"},
                user=self._runner.uid if borrowed else None,
                group=self._runner.gid if borrowed else None,
                extra_groups=[] if borrowed else None,
                start_new_session=True,
            )


def command_of(pid: int) -> str:
    """The command line of a process; empty when there is none."""
    try:
        return subprocess.run(
            ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
    except FileNotFoundError:  # no ps in a slim container
        try:
            return Path(f"/proc/{pid}/cmdline").read_text()
        except OSError:
            return ""


def refuse_taken_port(port: int) -> None:
    """Raises LocalProblem when `port` of the loopback interface cannot be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError as error:
            raise LocalProblem(f"Port {port} is reserved for the system.", "Choose one above 1023.") from error
        except OSError as error:
            raise LocalProblem(
                f"Port {port} is in use by another program.",
                "Choose another port (see --help), or stop that program.",
            ) from error


def free_port() -> int:
    """A port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
