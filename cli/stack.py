"""up, down, status, token: the local stack."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import _selling
from ._connect import DATA_DIR, AsJson, DbUrl, connect
from ._dashboard import is_installed, local_app, serves_metrics
from ._guard import CHECK_FAILED, Stop
from ._output import Output, sonas, table
from ._people import account_named
from ._register import DataDir
from ._register import register as _register
from ._versions import as_data, as_line, read_state

if TYPE_CHECKING:
    from sonas_supabase.local import LocalStack
    from sonas_supabase.migrations import State

DEMO_USERS = {
    "free@example.com": "00000000-0000-4000-8000-000000000001",
    "pro@example.com": "00000000-0000-4000-8000-000000000002",
}

DbPort = Annotated[int, typer.Option("--db-port", help="Port of Postgres.", min=1, max=65535)]
ApiPort = Annotated[int, typer.Option("--api-port", help="Port of the HTTP API.", min=1, max=65535)]


def up(
    data_dir: DataDir = None,
    db_port: DbPort = 15422,
    api_port: ApiPort = 15421,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when it answers; stop it with `down`.")
    ] = False,
    worker: Annotated[
        bool, typer.Option("--worker", help="Deliver messages, too, as `sonas worker` does; mails are caught.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start everything here: Postgres, the migrations, demo users, PostgREST. Ctrl-C stops it, data stays.

    Example: sonas up
    """
    from sonas_supabase.local import LocalStack

    output = Output(as_json)
    stack = LocalStack(data_dir, db_port=db_port, api_port=api_port)
    running = stack.running()
    if running and running.api_port:
        stack.cluster.port, stack.api_port = running.db_port, running.api_port
        output.answer(_described(stack), "It is running already.", *_welcome(stack, data_dir, with_rest=True))
    elif detach:
        _start_detached(stack, *(["--worker"] if worker else []))
        output.answer(_described(stack), *_welcome(stack, data_dir, with_rest=True))
    else:
        if os.geteuid() == 0:
            output.note(f"You are root, which Postgres refuses; it runs as {stack.cluster.runs_as}.")
        stack.serve(
            (lambda: local_app(stack, worker=worker)) if is_installed() else None,
            step=lambda text: output.note(f"{text} …"),
            ready=lambda with_rest: output.answer(
                _described(stack), *_welcome(stack, data_dir, with_rest=with_rest), "Ctrl-C stops it."
            ),
        )


def down(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Stop the stack of this folder. Data stays.

    Example: sonas down
    """
    from sonas_supabase.local import LocalStack

    stopped = LocalStack(data_dir).stop()
    Output(as_json).answer(
        {"success": True, "code": "ok", "stopped": stopped}, "Stopped." if stopped else "Nothing was running here."
    )


def status(
    env: Annotated[bool, typer.Option("--env", help="Print what goes into an app's .env for the local stack.")] = False,
    db_url: DbUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show what runs, which migrations it has, and how much has fallen due.

    Exit code 5 where the database has another text of the migrations than this library, with what to do about it.

    Example: sonas status
    """
    output = Output(as_json)
    if env:
        stack = _running_stack()
        environment = stack.environment() | (_selling.environment_of(stack) if _selling.is_installed() else {})
        output.answer(environment)
        if not as_json:
            for name, value in environment.items():
                output.line(f"{name}={value}")
        return
    with connect(db_url) as client:
        system = client.system_status()
    found = _state(db_url)
    rows = [
        ("Postgres", system.server_version),
        ("migrations", "not known without a Postgres URL" if found is None else as_line(found)),
        ("accounts", system.accounts),
        ("renewals to book", system.due),
        ("open holds", system.open_reservations),
        ("ledger rows", f"about {system.transactions_estimate:,}"),
        ("scheduler", system.scheduler or "none: `sonas reset --all` books renewals, balances are right without"),
    ]
    problem = found.problem if found else None
    output.answer(
        {
            "success": problem is None,
            "code": problem.code if problem else "ok",
            "pending_migrations": as_data(found)["pending"] if found else None,
            "migrations": as_data(found) if found else None,
            "system": system,
        },
        table(("", ""), rows),
    )
    if problem:
        output.show("", str(problem), problem.hint)
        raise typer.Exit(CHECK_FAILED)


def token(
    user: Annotated[str | None, typer.Argument(metavar="USER", help="Whose token.", show_default=False)] = None,
    role: Annotated[str, typer.Option("--role", help="authenticated, anon or service_role.")] = "authenticated",
    admin: Annotated[bool, typer.Option("--admin", help="For the operators' page, /admin.")] = False,
    lifetime: Annotated[int, typer.Option("--lifetime", metavar="SECONDS", help="How long it is valid.", min=1)] = 3600,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Sign a token (JWT) for the local stack, to call its API as a user.

    Example: sonas token free@example.com
    """
    from sonas_supabase.local import LocalStack

    if role not in ("authenticated", "anon", "service_role"):
        raise Stop(f"There is no role {role}.", "Pass authenticated, anon or service_role.", code="usage")
    if role == "authenticated" and user is None:
        raise Stop("Whose token?", "Pass a user's e-mail or id, such as free@example.com.", code="usage")
    stack = LocalStack(data_dir)
    if user is not None and "@" in user:
        user = DEMO_USERS.get(user) or _user_of(stack, user)
    signed = stack.keys.token(
        role=role, user_id=user, lifetime=lifetime, app_metadata={"role": "credits_admin"} if admin else None
    )
    output = Output(as_json)
    if as_json:
        output.json({"success": True, "code": "ok", "token": signed, "role": role, "lifetime": lifetime})
    else:
        output.line(signed)


def _user_of(stack: LocalStack, email: str) -> str:
    """Whose address it is, in the stack that runs."""
    reset = DATA_DIR.set(stack.directory)
    try:
        with connect(None) as client:
            return str(account_named(client, email))
    finally:
        DATA_DIR.reset(reset)


def _running_stack() -> LocalStack:
    from sonas_supabase.local import LocalStack

    stack = LocalStack(DATA_DIR.get())
    running = stack.running()
    if running is None:
        raise Stop("No stack runs here.", "Start one with `sonas up`.", code="not_running")
    stack.cluster.port = running.db_port
    stack.api_port = running.api_port or stack.api_port
    return stack


def _start_detached(stack: LocalStack, *more: str) -> None:
    """Starts `sonas up` as a process of its own and waits until it answers."""
    stack.directory.mkdir(parents=True, exist_ok=True)
    log = stack.directory / "up.log"
    with log.open("wb") as file:
        child = subprocess.Popen(
            [sys.executable, "-m", "sonas_cli", "up", "--data-dir", str(stack.directory),
             "--db-port", str(stack.cluster.port), "--api-port", str(stack.api_port), "--json", *more],
            stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    while (running := stack.running()) is None or running.pid != child.pid:
        if child.poll() is not None:
            import json

            try:
                # Notes for people stand before what is for programs.
                told: dict[str, Any] = json.loads("{" + log.read_text().partition("{")[2])
            except ValueError:
                told = {"message": "It ended before it answered."}
            raise Stop(told["message"], told.get("hint") or f"The whole story is in {log}.", code="local")
        time.sleep(0.05)


def _described(stack: LocalStack) -> dict[str, Any]:
    return {
        "success": True,
        "code": "ok",
        "api_url": stack.api_url,
        "database_url": stack.database_url,
        "data_dir": str(stack.directory),
        "mail_url": f"{stack.api_url}/mail",
        "smtp_url": stack.environment()["SMTP_URL"],
        "demo_users": DEMO_USERS,
    }


def _welcome(stack: LocalStack, data_dir: Path | None, *, with_rest: bool) -> list[Any]:
    # What is printed works as it stands there: it names the data where that was named.
    named = "" if data_dir is None or os.environ.get("SONAS_DATA_DIR") else f" --data-dir {shlex.quote(str(data_dir))}"
    rest = f"{stack.api_url}/rest/v1" if with_rest else "not here: install Node.js, or put `postgrest` on the PATH"
    rows = [
        ("Dashboard", stack.api_url) if is_installed() else ("Dashboard", "not installed here"),
        ("REST API", rest),
        *([("Plans and packs", f"{stack.api_url}/pricing (simulated checkout)")] if is_installed() else []),
        *([("For founders", f"{stack.api_url}/admin")] if is_installed() else []),
        *([("For Prometheus", f"{stack.api_url}/metrics")] if serves_metrics() else []),
        ("Mails", f"{stack.api_url}/mail"),
        ("Postgres", stack.database_url),
        ("Data", stack.directory),
        *((f"{email}", user) for email, user in DEMO_USERS.items()),
    ]
    return [
        "[bold green]It is up.[/]",
        table(("", ""), rows),
        "\nTry, in another terminal:\n"
        f"  {sonas()} balance free@example.com{named}\n"
        f"  {sonas()} consume free@example.com message 1{named}\n"
        f"  {sonas()} verify{named}\n"
        f"  {sonas()} token free@example.com --admin{named}     what /admin asks for\n"
        f"  {sonas()} status --env{named}     what goes into your app's .env",
    ]


def _state(db_url: str | None) -> State | None:
    try:
        return read_state(db_url)
    except Stop:
        return None


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    _register(app, "Local stack", {"up": up, "down": down, "status": status, "token": token})
