"""Files go out small, and under a name that says what is in them: kept for a year, and never old."""

from __future__ import annotations

import asyncio
import gzip
import re
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from playwright.async_api import Request, Route, expect

from sonas_supabase.web import _assets, _pages
from sonas_supabase.web._assets import Assets
from sonas_supabase.web._bundle import CannotBundle, Part, bundle
from tests.support.database import Database
from tests.web.conftest import Visit
from tests.web.pages import come_in
from tests.web.support import Site, make_app

NAMED = re.compile(r'(?:src|href)="(static/[\w-]+\.[0-9a-f]{16}\.(?:js|css|svg))"')


@pytest.mark.parametrize("path", ["/", "/pricing", "/admin"])
async def test_a_page_names_files_that_are_kept_for_a_year(http: httpx.AsyncClient, path: str) -> None:
    page = await http.get(path)
    assert page.headers["cache-control"] == "no-cache"
    named = NAMED.findall(page.text)
    assert {name.rpartition(".")[2] for name in named} >= {"js", "css", "svg"}
    assert "static/" not in NAMED.sub("", page.text)
    for name in named:
        file = await http.get(f"/{name}")
        assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert file.headers["access-control-allow-origin"] == "*"
        again = await http.get(f"/{name}", headers={"if-none-match": file.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_one_script_brings_all_that_it_imports(http: httpx.AsyncClient) -> None:
    [script] = re.findall(r'src="(static/app\.[^"]+)"', (await http.get("/")).text)
    text = (await http.get(f"/{script}")).text
    assert not re.search(r"^import ", text, re.M)
    # But for what is not seen at once, and for the chart, which is not seen at all until somebody looks for it.
    for part, has in (("usage-panel", "SonasUsage"), ("usage-chart", "uPlot")):
        assert has not in text
        [later] = {name for name in re.findall(r'import\("\./([^"]+)"\)', text) if name.startswith(part)}
        text = (await http.get(f"/static/{later}")).text
        assert has in text


async def test_files_and_answers_are_compressed_for_those_who_can_read_it(http: httpx.AsyncClient) -> None:
    [script] = re.findall(r'src="(static/app\.[^"]+)"', (await http.get("/")).text)
    for path, part in ((f"/{script}", 0.4), ("/", 0.7), ("/api/openapi.json", 0.3)):
        sizes = {}
        for encoding in ("gzip", "identity"):
            async with http.stream("GET", path, headers={"accept-encoding": encoding}) as answer:
                body = b"".join([piece async for piece in answer.aiter_raw()])
            assert answer.headers.get("content-encoding") == ("gzip" if encoding == "gzip" else None)
            assert "accept-encoding" in answer.headers["vary"].lower()
            sizes[encoding] = len(body)
            whole = gzip.decompress(body) if encoding == "gzip" else body
            assert len(whole) == len((await http.get(path)).content)
        assert sizes["gzip"] < part * sizes["identity"]


async def test_what_is_shown_first_is_asked_for_before_the_script_is_there(
    site: Site, visit: Visit, database: Database, user: UUID
) -> None:
    database.run("insert into public.projects (owner_id, name) values (%s, 'The first')", user)
    wanted = {"/": ("/api/projects", ".projects li"), "/pricing": ("/api/usage?days=1", ".plan.mine")}
    async with visit(site) as page:
        asked: list[str] = []
        is_asked = asyncio.Event()

        def hear(request: Request) -> None:
            asked.append(request.url.removeprefix(site.url))
            if asked[-1] == path:
                is_asked.set()

        async def hold(route: Route) -> None:
            await asyncio.wait_for(is_asked.wait(), 10)
            await route.continue_()

        page.on("request", hear)
        await page.route(re.compile(r"/static/(app|pricing)\."), hold)
        for where, (path, shown) in wanted.items():
            asked.clear()
            is_asked.clear()
            await come_in(page, site, user, where)
            await expect(page.locator(shown)).to_have_count(1)
            assert asked.count(path) == 1
            assert asked.count("/api/setup") == 1


async def test_a_name_of_something_else_is_not_found(http: httpx.AsyncClient) -> None:
    for name in ("app.0123456789abcdef.js", "nothing.0123456789abcdef.js", "..%2fapp.py", "words/../../_app.py"):
        assert (await http.get(f"/static/{name}")).status_code == 404
    own = await http.get("/static/app.js")
    assert (own.status_code, own.headers["cache-control"]) == (200, "no-cache")


def write(folder: Path, **modules: str) -> Path:
    for name, text in modules.items():
        (folder / f"{name}.js").write_text(text)
    return folder / "a.js"


def test_a_module_that_imports_itself_is_refused(tmp_path: Path) -> None:
    entry = write(tmp_path, a='import { b } from "./b.js";\n', b='import "./a.js";\nexport const b = 1;\n')
    with pytest.raises(CannotBundle, match="imports itself"):
        bundle(entry, lambda path, _: Part(path.name, ()))


@pytest.mark.parametrize("line", ['import * as b from "./b.js";', "export let b = 1;", 'export * from "./b.js";'])
def test_a_form_that_is_not_known_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(CannotBundle, match=re.escape(line.partition(" b")[0])):
        bundle(write(tmp_path, a=f"{line}\n"), lambda path, _: Part(path.name, ()))


async def test_a_part_is_given_what_is_there_already(http: httpx.AsyncClient) -> None:
    names = re.findall(r'src="(static/app\.[^"]+)"', (await http.get("/")).text)
    texts = {name: (await http.get(f"/{name}")).text for name in names}
    for name in names:
        for later in re.findall(r'import\("\./([^"]+)"\)', texts[name]):
            if (part := f"static/{later}") not in texts:
                names.append(part)
                texts[part] = (await http.get(f"/{part}")).text
    assert {name.split(".")[0].removeprefix("static/") for name in names} >= {"app", "usage-panel", "usage-chart"}
    for once in ("class Problem extends", "async function* events", "class Feed", "customElements.define("):
        assert sum(text.count(once) for text in texts.values()) == 1, once
    # Another process has delivered the page: this one has made nothing yet.
    assert all(Assets().file(name.removeprefix("static/")) for name in names)


async def test_what_is_seen_first_does_not_wait_for_the_figures(
    site: Site, visit: Visit, database: Database, user: UUID
) -> None:
    database.run("insert into public.projects (owner_id, name) values (%s, 'The first')", user)
    async with visit(site) as page:
        is_seen = asyncio.Event()

        async def hold(route: Route) -> None:
            await asyncio.wait_for(is_seen.wait(), 10)
            await route.continue_()

        await page.route(re.compile(r"/static/usage-panel\."), hold)
        async with page.expect_request("**/api/usage/events?*"):
            await come_in(page, site, user, "/#projects")
            await expect(page.locator(".projects li")).to_have_count(1)
        await expect(page.locator("#usage-side .balances")).to_have_count(0)
        is_seen.set()
        await expect(page.locator("#usage-side .balances li").first).to_be_visible()
        await expect(page.locator(".chip")).to_have_text("10 messages left")


async def test_an_app_that_has_started_has_its_files_ready(monkeypatch: pytest.MonkeyPatch, database: Database) -> None:
    assets = Assets()
    monkeypatch.setattr(_pages, "_assets", assets)
    app = make_app(database)
    async with app.router.lifespan_context(app):
        monkeypatch.setattr(_assets, "bundle", None)
        monkeypatch.setattr(_assets, "style", None)
        names = [NAMED.findall(assets.page(path.name).content.decode()) for path in _assets.STATIC.glob("*.html")]
        assert all(assets.file(name.removeprefix("static/")) for found in names for name in found)
