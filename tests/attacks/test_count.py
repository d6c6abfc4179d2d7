"""How many named attacks there are, beside those that the catalog makes."""

from __future__ import annotations

from tests.attacks import test_functions, test_http, test_inputs, test_tables, test_tokens, test_web
from tests.attacks.attack import ATTACKS


def test_there_are_at_least_75_named_attacks_by_everybody() -> None:
    assert all((test_functions, test_http, test_inputs, test_tables, test_tokens, test_web)), "their tables are read"
    assert len(ATTACKS) >= 200
    assert {attack.actor for attack in ATTACKS.values()} >= {
        "anon", "user", "other", "colleague", "forged", "expired", "service"
    }  # fmt: skip
    assert all(attack.status >= 400 or attack.sees or attack.writes for attack in ATTACKS.values())
