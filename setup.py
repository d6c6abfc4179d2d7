"""An index page has no files beside the README, so its links become absolute when a wheel is built."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def index_page() -> str:
    """README.md as an index shows it: links and pictures lead to the repository, at the tag of this version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    repository = f"{project['urls']['Repository']}/{{}}/v{project['version']}"

    def absolute(link: re.Match[str]) -> str:
        kind = "raw" if link[1] else "blob"
        return f"{link[1]}[{link[2]}]({repository.format(kind)}/{link[3]})"

    return re.sub(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)]+)\)", absolute, (ROOT / "README.md").read_text("utf-8"))


if __name__ == "__main__":
    from setuptools import setup

    setup(long_description=index_page(), long_description_content_type="text/markdown")
