"""The pages and their files as they are delivered: compressed once, and under names that say what is in them.

A file whose name has the hash of its content never changes, so a browser keeps it for a year. A page is asked for
anew each time and names the files it goes with.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from sonas_supabase.web._bundle import Part, bundle, part, style
from sonas_supabase.web.errors import NOT_MODIFIED

STATIC = Path(__file__).parent / "static"
FOR_EVER = "public, max-age=31536000, immutable"
EACH_TIME = "no-cache"
_LINK = re.compile(r'(src|href)="static/([\w.-]+\.(?:js|css|svg))"')
_NAMED = re.compile(r"([\w-]+)\.[0-9a-f]{16}\.(js|css|svg)")
_TEXT = ("text/", "application/javascript", "image/svg+xml")


@dataclass(frozen=True)
class Asset:
    """A file with its media type; ``packed`` is the same compressed, where that makes it smaller."""

    content: bytes
    media_type: str

    @cached_property
    def packed(self) -> bytes | None:
        """The content compressed with gzip."""
        if not self.media_type.startswith(_TEXT):
            return None
        packed = gzip.compress(self.content, 9, mtime=0)
        return packed if len(packed) < len(self.content) else None

    @cached_property
    def digest(self) -> str:
        """The first letters of its hash."""
        return hashlib.sha256(self.content).hexdigest()[:16]

    def respond(self, request: Request, cache: str, **headers: str) -> Response:
        """The file, or 304 where the browser has it."""
        tag = f'W/"{self.digest}"'
        headers |= {"cache-control": cache, "etag": tag, "vary": "accept-encoding"}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=NOT_MODIFIED, headers=headers)
        content = self.content
        if self.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            content, headers = self.packed, headers | {"content-encoding": "gzip"}
        return Response(content, media_type=self.media_type, headers=headers)


class Assets:
    """What a folder of pages delivers. Files are read when they are first asked for."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._folder = folder
        self._pages: dict[tuple[str, str | None], Asset] = {}
        self._named: dict[str, Asset] = {}
        self._names: dict[Path, str] = {}
        self._has_pages = False

    def page(self, name: str, language: str | None = None) -> Asset:
        """One of the HTML pages, with the names of its files; ``language`` is the one that everybody reads it in."""
        if (name, language) not in self._pages:
            text = (self._folder / name).read_text("utf-8")
            text = _LINK.sub(lambda link: f'{link[1]}="static/{self.name_of(self._folder / link[2])}"', text)
            if language:
                text = text.replace("<html ", f'<html data-lang="{language}" ', 1)
            self._pages[name, language] = Asset(text.encode(), "text/html; charset=utf-8")
        return self._pages[name, language]

    def file(self, name: str) -> Asset | None:
        """A file by a name with its hash, as :meth:`name_of` has given it."""
        if name not in self._named:
            # Another process of the same app may have delivered the page that names it.
            stem, _, suffix = name.partition(".")
            path = self._folder / f"{stem}.{suffix.partition('.')[2]}"
            if (
                suffix.partition(".")[2] in ("js", "css", "svg")
                and stem
                and path.parent == self._folder
                and path.is_file()
            ):
                self.name_of(path)
                # The parts of a script are named after what the page has beside them.
                self.prepare()
        return self._named.get(name)

    def prepare(self) -> None:
        """Makes all pages with their files, so that nobody waits for that."""
        if not self._has_pages:
            for path in self._folder.glob("*.html"):
                self.page(path.name)
            for asset in (*self._pages.values(), *self._named.values()):
                _ = asset.packed
            self._has_pages = True

    def name_of(self, path: Path) -> str:
        """The name with its hash; of a script, all that it imports is in the file."""
        if path not in self._names:
            if path.suffix == ".js":
                content = bundle(path, self._part).encode()
            elif path.suffix == ".css":
                content = style(path).encode()
            else:
                content = path.read_bytes()
            self._names[path] = self._keep(path, content)
        return self._names[path]

    def _part(self, path: Path, there: frozenset[Path]) -> Part:
        made = part(path, self._part, there)
        return Part(f"./{self._keep(path, made.text.encode())}", made.needs)

    def _keep(self, path: Path, content: bytes) -> str:
        media_type = "text/javascript" if path.suffix == ".js" else mimetypes.guess_type(path.name)[0]
        if (media_type or "").startswith("text/"):
            media_type = f"{media_type}; charset=utf-8"
        asset = Asset(content, media_type or "application/octet-stream")
        name = f"{path.stem}.{asset.digest}{path.suffix}"
        self._named[name] = asset
        return name
