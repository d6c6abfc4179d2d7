"""`sonas up` as a process of its own: it stays, it comes back with its data, and what goes wrong is a sentence."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sonas_supabase.local import LocalStack, free_port

FREE = "00000000-0000-4000-8000-000000000001"


class Stack:
    """A stack in a folder of its own, driven by the command line alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.db_port, self.api_port = free_port(), free_port()
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("DATABASE_URL", "SUPABASE_URL", "SUPABASE_SECRET_KEY")
        } | {"SONAS_DATA_DIR": str(folder), "COLUMNS": "200"}

    def command(self, *words: object) -> list[str]:
        return [sys.executable, "-m", "sonas_cli", *map(str, words)]

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            env=self.environment,
            cwd=self.folder.parent,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def up(self, *words: object) -> subprocess.CompletedProcess[str]:
        return self.run("up", "--db-port", self.db_port, "--api-port", self.api_port, *words)

    @contextmanager
    def up_in_foreground(self) -> Iterator[subprocess.Popen[str]]:
        """Starts it as in a terminal, and goes on when it says that it is up."""
        with subprocess.Popen(
            self.command("up", "--db-port", self.db_port, "--api-port", self.api_port),
            env=self.environment,
            cwd=self.folder.parent,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout
            assert any("Ctrl-C stops it" in line for line in process.stdout), process.wait()
            yield process

    def answer(self, *words: object) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def remaining(self) -> int:
        balances = self.answer("balance", FREE)["balances"]
        return next(int(row["remaining"]) for row in balances if row["credit_type"] == "message")


@pytest.fixture
def stack() -> Iterator[Stack]:
    """Nothing runs yet. Whatever a test leaves running is stopped."""
    with tempfile.TemporaryDirectory(prefix="sonas-stack-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        made = Stack(folder / "data")
        yield made
        made.run("down")


def test_data_survives_ctrl_c_and_a_restart(stack: Stack) -> None:
    with stack.up_in_foreground() as process:
        before = stack.remaining()
        stack.answer("consume", FREE, "message", 2)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", stack.db_port), timeout=1)

    with stack.up_in_foreground() as process:
        assert stack.remaining() == before - 2
        assert stack.answer("verify")["success"] is True
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_a_start_that_fails_leaves_no_postgres_behind(stack: Stack) -> None:
    local = LocalStack(stack.folder, db_port=stack.db_port, api_port=stack.api_port)

    def interrupted(what: str) -> None:
        if what == "Applying migrations":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        local.prepare(interrupted)
    assert not local.cluster.is_running()


def test_a_second_start_finds_the_first(stack: Stack) -> None:
    first = json.loads(stack.up("--detach", "--json").stdout)
    second = stack.up("--json")
    assert second.returncode == 0
    assert json.loads(second.stdout) == first
    assert stack.answer("down")["stopped"] is True
    assert stack.answer("down")["stopped"] is False


@pytest.mark.needs("postgrest")
def test_the_rest_api_takes_the_keys_of_a_hosted_project(stack: Stack) -> None:
    started = json.loads(stack.up("--detach", "--json").stdout)
    environment = stack.answer("status", "--env")
    assert environment["STRIPE_API_BASE"] == f"{started['api_url']}/simulated-stripe"
    url = f"{started['api_url']}/rest/v1/rpc/consume_credits"
    body = {"p_user_id": FREE, "p_credit_type": "message", "p_amount": 1}

    def status(key: str, bearer: str | None = None) -> int:
        headers = {"apikey": key} if key else {}
        if bearer:
            headers["authorization"] = f"Bearer {bearer}"
        return httpx.post(url, json=body, headers=headers).status_code

    assert status(environment["SUPABASE_SECRET_KEY"]) == 200
    assert status(environment["SUPABASE_PUBLISHABLE_KEY"]) in (401, 403)
    assert status("") == 401
    assert status("sb_secret_forged") == 401
    token = stack.run("token", FREE).stdout.strip()
    assert status(environment["SUPABASE_PUBLISHABLE_KEY"], token) in (401, 403)
    summary = httpx.post(
        f"{started['api_url']}/rest/v1/rpc/get_credit_summary", json={}, headers={"authorization": f"Bearer {token}"}
    )
    assert summary.json()["user_id"] == FREE


def test_it_serves_the_dashboard_and_the_metrics(stack: Stack) -> None:
    started = json.loads(stack.up("--detach", "--json").stdout)
    assert "sonas-usage" in httpx.get(started["api_url"]).text
    assert "sonas_accounts 2.0" in httpx.get(f"{started['api_url']}/metrics").text
    checklist = stack.answer("verify")["checklist"]
    assert [line["ok"] for line in checklist] == [True] * 10


def test_after_a_kill_the_next_start_clears_up(stack: Stack) -> None:
    stack.up("--detach")
    stack.answer("consume", FREE, "message", 1)
    before = stack.remaining()
    running = json.loads((stack.folder / "running.json").read_text())
    server = int((stack.folder / "data" / "postmaster.pid").read_text().splitlines()[0])
    for pid in (running["pid"], server):
        os.kill(pid, signal.SIGKILL)
    # The number of a dead server may belong to another program by the next start.
    lock = stack.folder / "data" / "postmaster.pid"
    lock.write_text(lock.read_text().replace(str(server), str(os.getpid()), 1))
    again = stack.up("--detach")
    assert again.returncode == 0, again.stderr
    assert stack.remaining() == before
    assert not Path(f"/proc/{running['postgrest_pid']}/exe").exists()


@pytest.mark.parametrize("which", ["db_port", "api_port"])
def test_a_port_in_use_is_a_sentence(stack: Stack, which: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", getattr(stack, which)))
        other.listen()
        done = stack.up()
    assert done.returncode == 2
    assert f"Port {getattr(stack, which)} is in use by another program." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_in_the_way_is_a_sentence(stack: Stack) -> None:
    shutil.rmtree(stack.folder, ignore_errors=True)
    stack.folder.write_text("mine")
    done = stack.up()
    assert done.returncode == 2
    assert "is not a directory" in done.stderr
    stack.folder.unlink()


def test_a_directory_that_may_not_be_written_is_a_sentence(stack: Stack) -> None:
    closed = stack.folder.parent / "closed"
    closed.mkdir(mode=0o500)
    # Root may write anywhere but to where nothing can be made.
    target = Path("/proc/sonas") if os.geteuid() == 0 else closed / "data"
    done = stack.run("up", "--data-dir", target)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "--data-dir" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk that is too small")
@pytest.mark.parametrize("flag", ["size=6m", "ro"])
def test_a_full_or_read_only_disk_is_a_sentence(stack: Stack, flag: str) -> None:
    disk = stack.folder.parent / "disk"
    disk.mkdir(mode=0o755)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"{flag},mode=777", "tmpfs", str(disk)], check=False)
    assert mounted.returncode == 0
    try:
        done = stack.run("up", "--data-dir", disk / "data")
    finally:
        subprocess.run(["umount", str(disk)], check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert ("The disk is full." if flag.startswith("size") else "read-only") in done.stderr


def test_root_is_told_who_runs_postgres(stack: Stack) -> None:
    with stack.up_in_foreground() as process:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    owner = (stack.folder / "data").owner()
    assert owner != "root"
    if os.geteuid() == 0:
        assert owner in ("postgres", "nobody")


def test_keys_are_readable_by_their_owner_alone(stack: Stack) -> None:
    stack.run("token", FREE)
    assert (stack.folder / "keys.json").stat().st_mode & 0o777 == 0o600


def test_a_detached_start_that_fails_says_why(stack: Stack) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", stack.api_port))
        other.listen()
        done = stack.up("--detach")
    assert done.returncode == 2
    assert f"Port {stack.api_port} is in use by another program." in done.stderr
