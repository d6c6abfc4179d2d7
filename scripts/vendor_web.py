"""Brings the chart library of the dashboard out of the npm registry: `vendor_web.py`, or `--check` in CI.

The browser loads it as a module and inside a shadow root, so the script gains an export and the style sheet
becomes one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

PACKAGE = "uplot"
VERSION = "1.6.32"
INTEGRITY = "sha512-KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw=="
TO = Path(__file__).resolve().parents[1] / "sonas_supabase" / "web" / "static" / "vendor"


def package_files(folder: Path) -> dict[str, str]:
    """What the package has in it. npm is asked for one version and its checksum is compared."""
    packed = subprocess.run(
        ["npm", "pack", f"{PACKAGE}@{VERSION}", "--json", "--loglevel=error"],
        cwd=folder, check=True, capture_output=True, text=True,
    )  # fmt: skip
    [info] = json.loads(packed.stdout)
    if info["integrity"] != INTEGRITY:
        raise SystemExit(f"{PACKAGE} {VERSION} is not what it was: {info['integrity']}")
    with tarfile.open(folder / info["filename"]) as archive:
        wanted = ["dist/uPlot.iife.min.js", "dist/uPlot.min.css", "LICENSE"]
        return {name: archive.extractfile(f"package/{name}").read().decode() for name in wanted}  # type: ignore[union-attr]


def vendored() -> dict[str, str]:
    """The files as they belong into the static folder."""
    with TemporaryDirectory() as folder:
        files = package_files(Path(folder))
    script = files["dist/uPlot.iife.min.js"].rstrip()
    style = json.dumps(files["dist/uPlot.min.css"].strip())
    return {
        "uplot.js": f"{script}\nexport default uPlot;\n",
        "uplot.css.js": f"export default {style};\n",
        "uplot.LICENSE": files["LICENSE"],
    }


def main() -> int:
    """Writes the files, or with --check says which of them differ."""
    files = vendored()
    if "--check" in sys.argv[1:]:
        stale = [name for name, text in files.items() if not (TO / name).exists() or (TO / name).read_text() != text]
        if stale:
            sys.stderr.write(f"Not what {PACKAGE} {VERSION} has: {', '.join(stale)}. Run scripts/vendor_web.py.\n")
        return 1 if stale else 0
    TO.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (TO / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
