"""A job over many rows that may be interrupted and run again: each row is charged once."""

from __future__ import annotations

import sys

from sonas_supabase import CreditsClient, InsufficientCredits

ROWS = {"row-1": "first text", "row-2": "second text", "row-3": "third text"}


def main(user_id: str) -> None:
    """Work through the rows, until they or the credits are used up."""
    with CreditsClient.from_env() as credits:
        for row_id, text in ROWS.items():
            try:
                # The key names the work, not the attempt.
                answer = credits.consume_credits(user_id, "integration", 1, idempotency_key=f"summary:{row_id}")
            except InsufficientCredits as denied:
                print(f"stopped at {row_id}: {denied} More at {denied.upgrade_url}")
                return
            again = " (charged before)" if answer.replayed else ""
            print(f"{row_id}: {text.upper()}, {answer.remaining} left{again}")


if __name__ == "__main__":
    main(sys.argv[1])
