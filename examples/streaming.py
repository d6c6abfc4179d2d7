"""A hold around a stream: at most five credits, charged by what was really produced."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from sonas_supabase import CreditsClient


def tokens() -> Iterator[str]:
    """Stands for a model that answers word by word."""
    yield from ["Once", "upon", "a", "time"]


def main(user_id: str) -> None:
    """Charge one credit for every two words."""
    with CreditsClient.from_env() as credits, credits.reserve(user_id, "message", 5) as hold:
        words = 0
        for word in tokens():
            print(word)
            words += 1
        captured = hold.capture(-(-words // 2))
        print(f"{words} words, {captured.captured} credits, {captured.released} went back")


if __name__ == "__main__":
    main(sys.argv[1])
