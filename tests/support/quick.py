"""What `bootstrap.py test --quick` runs: a little of every chapter of the SQL and of every folder of tests."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]

# Chapter of supabase/schemas -> the tests that try it: a file, or a file and a pattern for the names of its tests.
CHAPTERS: dict[str, list[str]] = {
    "accounts": ["database/test_sign_up.py"],
    "billing": ["billing/test_create_billing_order.py", "billing/test_reader.py"],
    "budgets": ["budgets/test_set_credit_budget.py"],
    "calendar": ["database/test_plans.py", "database/test_reset.py"],
    "certainty": ["certainty/test_why.py"],
    "completion": ["contract/test_names.py"],
    "doctor": ["certainty/test_doctor_installation.py::test_nothing_is_wrong"],
    "holds": ["database/test_holds.py"],
    "http": ["http/test_claim_http_request.py"],
    "installation": ["database/test_privileges.py"],
    "keys": ["keys/test_find_api_key.py"],
    "ledger": ["database/test_refunds.py", "database/test_burn_order.py"],
    "messages": ["messages/test_announce.py"],
    "metering": ["database/test_meter_table.py"],
    "metrics": ["metrics/test_grafana.py"],
    "moving": ["certainty/test_leaving.py::test_the_export"],
    "plans": ["database/test_plans.py"],
    "workspaces": ["workspaces/test_leave_workspace.py"],
    "prices": ["prices/test_quote_operation.py", "prices/test_priced_refunds.py"],
    "spending": ["database/test_denials.py", "database/test_idempotency.py", "database/test_guide_lines.py"],
}

# Folder of tests -> what of it runs. Of a folder that neither list has, its smallest file runs.
FOLDERS: dict[str, list[str]] = {
    "attacks": ["attacks/test_count.py"],
    "cli": ["cli/test_migrations.py::test_(init|migrate_applies)", "cli/test_migration_text.py"],
    "client": ["client/test_errors.py", "client/test_holds.py"],
    "contract": ["contract/test_push.py::test_the_push_applies.*18-exposed-empty"],
    "fastapi": ["fastapi/test_asgi.py"],
    "faults": ["faults/test_together.py::test_migrations_applied_by"],
    "local": ["local/test_stack.py::test_a_second_start"],
    "web": ["web/test_usage.py"],
    "": ["test_layers.py", "test_packaging.py", "test_generated.py", "test_quick.py"],
}


@cache
def chosen() -> list[str]:
    """Everything that is chosen, each once."""
    every = [entry for entries in (*CHAPTERS.values(), *FOLDERS.values()) for entry in entries]
    taken = {entry.partition("/")[0] for entry in every}
    for folder in sorted(path for path in TESTS.iterdir() if path.is_dir() and path.name not in taken):
        files = sorted(folder.glob("test_*.py"), key=lambda path: path.stat().st_size)
        every += [file.relative_to(TESTS).as_posix() for file in files[:1]]
    return list(dict.fromkeys(every))


def is_quick(path: Path, name: str | None = None) -> bool:
    """Whether a file has something that is chosen; with a test's name, whether that test is."""
    if path.name in ("__init__.py", "conftest.py"):
        return True
    try:
        inside = path.relative_to(TESTS).as_posix()
    except ValueError:
        return True
    for entry in chosen():
        file, _, pattern = entry.partition("::")
        if file == inside and (name is None or not pattern or re.match(pattern, name)):
            return True
    return False
