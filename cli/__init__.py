"""The command `sonas`: a newcomer's way in, and the tool of whoever is on call.

One module per group of commands: `stack` (up, down, status, token), `demo`, `project` (init, migrate), `spending`
(consume, reserve, capture, release, refund), `accounts` (plans, balance, history, explain, grant, reset, plan) and
`proof` (verify). What a command prints goes through `_output`, what it connects to comes from `_connect`, and how
it ends (sentence and exit code) is settled in `_guard`.
"""

from .app import app


def main() -> None:
    """Runs the command line."""
    app()


__all__ = ["app", "main"]
