"""A spend that is handed to a queue: the folder is the broker, and the process that works on a job charges it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from sonas_supabase import CreditsClient, Hold


def enqueue(queue: Path, user_id: str, texts: list[str]) -> None:
    """What a web process does: hold the credits, and send the token along with the job."""
    with CreditsClient.from_env() as credits:
        for number, text in enumerate(texts):
            with credits.reserve(user_id, "message", 2, description="Translation") as hold:
                job = {"text": text, "token": hold.detach()}
            (queue / f"job-{number}.json").write_text(json.dumps(job))


def work(queue: Path) -> None:
    """What a worker does: take the hold up, charge what the job cost; a job that fails gives its credits back."""
    with CreditsClient.from_env() as credits:
        for path in sorted(queue.glob("job-*.json")):
            job = json.loads(path.read_text())
            try:
                with Hold.from_token(job["token"], credits) as hold:
                    print(f"{path.stem}: {translate(job['text'])}")
                    hold.capture(1)
            except ValueError as error:
                print(f"{path.stem}: {error}, nothing charged")
            path.unlink()


def translate(text: str) -> str:
    """Stands for the work."""
    if not text:
        raise ValueError("there is nothing to translate")
    return text.upper()


def main(user_id: str) -> None:
    """Enqueue three jobs, and have another process work on them."""
    with tempfile.TemporaryDirectory() as folder:
        enqueue(Path(folder), user_id, ["one", "", "three"])
        worked = subprocess.run([sys.executable, __file__, "work", folder], check=True, capture_output=True, text=True)
        print(worked.stdout, end="")
    with CreditsClient.from_env() as credits:
        print(f"{credits.check_credits(user_id, 'message').remaining} left")


if __name__ == "__main__":
    if sys.argv[1] == "work":
        work(Path(sys.argv[2]))
    else:
        main(sys.argv[1])
