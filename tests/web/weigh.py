"""What each page weighs on the line, and how long it takes to see the first project on a slow one.

``python -m tests.web.weigh`` weighs; ``python -m tests.web.weigh --times`` also opens the dashboard of a signed-in user
in Chromium, at 400 kbit/s and 400 ms for each request: with an empty cache, and again with what the first visit left.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import time
from pathlib import Path

from playwright.async_api import async_playwright

from sonas_supabase import local
from sonas_supabase.web._assets import STATIC, Assets
from tests.support.database import copied_database, make_template
from tests.support.parts import require
from tests.support.server import start_server
from tests.web.support import Site, make_app, serving, token

KBITS, LATENCY = 400, 400
RUNS = 5


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


async def first_project(site: Site) -> tuple[list[float], list[float]]:
    """Seconds from the address to the first project: with an empty cache, and at the second visit."""
    user = site.database.new_user()
    site.database.run("insert into public.projects (owner_id, name) values (%s, 'The first')", user)
    session = {"access_token": token(user), "user_id": str(user), "email": "somebody@example.com"}
    took: tuple[list[float], list[float]] = [], []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(require("chromium")), args=["--no-sandbox"])
        for _ in range(RUNS):
            context = await browser.new_context(base_url=site.url)
            await context.add_init_script(f"localStorage.setItem('sonas-session', JSON.stringify({session}))")
            page = await context.new_page()
            line = await context.new_cdp_session(page)
            await line.send("Network.enable")
            speed = KBITS * 1000 // 8
            await line.send(
                "Network.emulateNetworkConditions",
                {"offline": False, "latency": LATENCY, "downloadThroughput": speed, "uploadThroughput": speed},
            )
            for visit in took:
                began = time.perf_counter()
                await page.goto("/", wait_until="commit")
                await page.locator(".projects li").first.wait_for(timeout=60_000)
                visit.append(time.perf_counter() - began)
                await page.goto("about:blank")
            await context.close()
        await browser.close()
    return took


def main() -> None:
    """Prints."""
    for name, (files, weight) in weights().items():
        sys.stdout.write(f"{name:16} {files} files  {weight / 1000:6.1f} kB\n")
    if "--times" not in sys.argv[1:]:
        return
    with tempfile.TemporaryDirectory(prefix="sonas-weigh-") as folder:
        # Root's Postgres runs as another user.
        Path(folder).chmod(0o755)
        with start_server(Path(folder) / "cluster") as server:
            make_template(server)
            with copied_database(server) as database:
                local.seed(database.url)
                with serving(make_app(database), database) as site:
                    took = asyncio.run(first_project(site))
    sys.stdout.write(f"first project at {KBITS} kbit/s and {LATENCY} ms\n")
    for visit, times in zip(("empty cache", "second visit"), took, strict=True):
        sys.stdout.write(f"  {visit:12} {', '.join(f'{one:.2f}' for one in times)} s\n")


if __name__ == "__main__":
    main()
