"""Runs pytest again and again, each time in a fork that has what the tests import from elsewhere.

A line of JSON in, a line of JSON out: `{"tests", "paths", "options", "plugin", "report", "log", "timeout", "environment"}`, and
`{"code"}`, which is pytest's exit code or `timeout`. It runs in a copy of the sources, which it never imports itself:
a fork sees them as they are at that moment.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

WARM = ("psycopg", "psycopg_pool", "hypothesis", "hypothesis.stateful", "httpx", "supabase", "uvicorn", "starlette")
WARM += ("starlette.applications", "jwt", "cryptography.hazmat.primitives.asymmetric.ec", "rich")
# What is imported already runs as it is.
QUIET = ("-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")


def main() -> None:
    for name in WARM:
        import_module(name)
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        sys.stdout.write(json.dumps({"code": _forked(order)}) + "\n")
        sys.stdout.flush()


def _forked(order: dict[str, Any]) -> int | str:
    # The fork holds one end and never writes: the other end is readable once it is gone.
    gone, held = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(gone)
        os.setsid()
        _in_fork(order)
    os.close(held)
    try:
        ended, _, _ = select.select([gone], [], [], order["timeout"])
        # Also what pytest started and could not stop.
        _kill_group(pid)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(gone)
    return code if ended else "timeout"


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _in_fork(order: dict[str, Any]) -> None:
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    code = 70
    try:
        os.environ.update(order["environment"])
        report = Path(order["report"])
        if order["plugin"] == "reach":
            from mutation.reach import Reach

            plugin: object = Reach(report)
        else:
            from mutation.chosen import Chosen

            plugin = Chosen(order["tests"], report)
        paths = list(dict.fromkeys(test.split("::")[0] for test in order["tests"])) or order["paths"]
        code = int(pytest.main([*QUIET, *order["options"], *paths], plugins=[plugin]))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
