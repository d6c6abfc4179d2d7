"""The Supabase CLI on one database."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sonas_supabase.migrations import sql_folder


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str

    def succeeded(self) -> Said:
        assert self.code == 0, self.out
        return self


@dataclass(frozen=True)
class SupabaseCli:
    """Runs `supabase <command> --remote=<database>` in a folder with a copy of our supabase folder."""

    binary: Path
    folder: Path
    url: str

    @classmethod
    def make(cls, binary: Path, folder: Path, url: str) -> SupabaseCli:
        target = folder / "supabase"
        target.mkdir(parents=True)
        for name in ("config.toml", "seed.sql"):
            shutil.copy(sql_folder() / name, target)
        shutil.copytree(sql_folder() / "migrations", target / "migrations")
        return cls(binary, folder, url)

    def run(self, *words: str) -> Said:
        command = [str(self.binary), "--agent", "no", "--yes", "--workdir", str(self.folder), *words]
        done = subprocess.run(
            [*command, f"--remote={self.url}?sslmode=disable"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=180,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "DO_NOT_TRACK": "1",
                "SUPABASE_NO_UPDATE_NOTIFIER": "1",
            },
        )
        return Said(done.returncode, done.stdout)

    def push(self) -> Said:
        return self.run("db", "push")

    def history(self) -> list[tuple[str, str]]:
        """`migration list`: the version in the folder beside the version in the database."""
        said = self.run("migration", "list").succeeded()
        return re.findall(r"^\s*`?(\d*)`?\s*\|\s*`?(\d*)`?\s*\|", said.out, flags=re.MULTILINE)
