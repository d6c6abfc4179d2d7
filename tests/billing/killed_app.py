"""The app as a process of its own, which dies after an event has taken effect and before that is answered.

`python -m tests.billing.killed_app 200` kills it that often. With `--serve PORT DATABASE_URL FLAG` it is that process,
which dies while FLAG is there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import httpx

from sonas_supabase import AsyncCreditsClient
from sonas_supabase.local import free_port
from tests.billing.events import SECRET, Json, message

ROOT = Path(__file__).resolve().parents[2]


class Dying(AsyncCreditsClient):
    """A client whose process is killed once an event is applied, while a file is there."""

    flag = Path()

    async def apply_billing_event(self, *args: Any, **options: Any) -> Any:
        """Applies, and dies."""
        done = await super().apply_billing_event(*args, **options)
        if self.flag.exists():
            self.flag.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return done


def serve(port: int, database_url: str, flag: str) -> None:
    """Serves the app until it is killed."""
    import uvicorn

    from sonas_supabase.billing import BillingSettings
    from sonas_supabase.fastapi import SupabaseAuth
    from sonas_supabase.web import create_app

    Dying.flag = Path(flag)
    app = create_app(
        database_url,
        auth=SupabaseAuth(jwt_secret="x" * 32),
        credits=Dying.from_url(database_url, pool_size=2),
        billing=BillingSettings(webhook_secrets=(SECRET,)),
    )
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")


@contextmanager
def process(port: int, database_url: str, flag: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The app as a process, when it answers."""
    command = [sys.executable, "-m", "tests.billing.killed_app", "--serve", str(port), database_url, str(flag)]
    with subprocess.Popen(command, cwd=ROOT) as started:
        try:
            while started.poll() is None:
                try:
                    httpx.get(f"http://127.0.0.1:{port}/api/plans", timeout=5)
                    break
                except httpx.TransportError:
                    time.sleep(0.05)
            yield started
        finally:
            started.kill()


def deliver_and_kill(database_url: str, flag: Path, event: Json) -> None:
    """Sends an event to a process that dies when it has taken effect."""
    body, headers = message(event)
    port = free_port()
    url = f"http://127.0.0.1:{port}/api/billing/webhook"
    flag.touch()
    with process(port, database_url, flag) as dying:
        try:
            httpx.post(url, content=body, headers=headers)
        except httpx.TransportError:
            dying.wait(10)
        else:
            raise AssertionError("it has answered")


def main(times: int) -> None:
    """Kills that often, on a database of its own, and compares the balance."""
    from tests.billing.support import served
    from tests.billing.test_webhook import SETTINGS, paid_pack, tell
    from tests.support.database import copied_database, make_template
    from tests.support.server import start_server
    from tests.web.support import make_app

    with TemporaryDirectory(prefix="sonas-kills-") as name:
        Path(name).chmod(0o755)
        with start_server(Path(name) / "cluster") as server:
            make_template(server)
            with copied_database(server) as database:
                user = database.new_user()
                with served(make_app(database, billing=SETTINGS)) as url:
                    for turn in range(1, times + 1):
                        event = paid_pack(database, user)
                        deliver_and_kill(database.url, Path(name) / f"die-{uuid4().hex}", event)
                        again = tell(f"{url}/api/billing/webhook", event)
                        assert again.json()["outcome"] == "replayed"
                        assert database.balance(user)["remaining"] == 10 + 100 * turn
                        sys.stdout.write(f"\r{turn} of {times}")
                        sys.stdout.flush()
                database.verify(user)
    sys.stdout.write(": each event took effect once\n")


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(int(sys.argv[2]), sys.argv[3], sys.argv[4])
    else:
        main(int(sys.argv[1]))
