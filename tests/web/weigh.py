"""What each page weighs on the line: ``python -m tests.web.weigh``."""

from __future__ import annotations

import re
import sys

from sonas_supabase.web._assets import STATIC, Assets


def weights() -> dict[str, tuple[int, int]]:
    """Files and compressed bytes of each page, with what it names."""
    assets = Assets()
    found = {}
    for path in sorted(STATIC.glob("*.html")):
        page = assets.page(path.name)
        named = re.findall(r'"static/([\w.-]+)"', page.content.decode())
        files = [page, *filter(None, map(assets.file, named))]
        found[path.name] = len(files), sum(len(file.packed or file.content) for file in files)
    return found


if __name__ == "__main__":
    for name, (files, weight) in weights().items():
        sys.stdout.write(f"{name:16} {files} files  {weight / 1000:6.1f} kB\n")
