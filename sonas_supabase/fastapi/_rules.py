"""What a request to an application without dependencies costs."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sonas_supabase.charging import WrongDeclaration
from sonas_supabase.fastapi._spend import Spend

WEBSOCKET = "WEBSOCKET"
# The registered methods. One that is misspelt would never match, and what it was to guard would be free.
_METHODS = {
    *("*", WEBSOCKET, "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"),
    *("ACL", "BASELINE-CONTROL", "BIND", "CHECKIN", "CHECKOUT", "COPY", "LABEL", "LINK", "LOCK", "MERGE"),
    *("MKACTIVITY", "MKCALENDAR", "MKCOL", "MKREDIRECTREF", "MKWORKSPACE", "MOVE", "M-SEARCH", "NOTIFY"),
    *("ORDERPATCH", "PROPFIND", "PROPPATCH", "PURGE", "REBIND", "REPORT", "SEARCH", "SOURCE", "SUBSCRIBE", "UNBIND"),
    *("UNCHECKOUT", "UNLINK", "UNLOCK", "UNSUBSCRIBE", "UPDATE", "UPDATEREDIRECTREF", "VERSION-CONTROL"),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One price. A request that several rules cover pays all of them.

    Attributes:
        method: the HTTP method, in any case; ``*`` for any, ``WEBSOCKET`` for a WebSocket. What costs on GET costs on
            HEAD and as a WebSocket, whose handshake is a GET.
        path: the path inside the wrapped application, whatever that is mounted under. ``*`` stands for anything.
        spend: what :func:`spend` made.

    Raises:
        WrongDeclaration: no request can ever match.
    """

    method: str
    path: str
    spend: Callable[..., Awaitable[Spend]]
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        method = self.method.strip().upper() if isinstance(self.method, str) else self.method
        if method not in _METHODS:
            raise _never(f"{self.method!r} is no HTTP method", "Name a method, * for any, or WEBSOCKET.")
        if not isinstance(self.path, str) or not self.path.startswith(("/", "*")):
            raise _never(f"{self.path!r} is no path", "A path begins with / or *.")
        if re.search(r"[?#]|%[0-9A-Fa-f]{2}|\s$", self.path):
            raise _never(
                f"no path looks like {self.path!r}", "A path is decoded here, and has no query and no fragment."
            )
        if not callable(self.spend):
            raise _never(f"{self.spend!r} costs nothing", "Pass what spend(...) answers.")
        object.__setattr__(self, "method", method)
        object.__setattr__(self, "_pattern", _pattern(self.path))

    def applies(self, scope: Mapping[str, Any]) -> bool:
        """Whether this request has to pay."""
        if scope["type"] == "websocket":
            paying = self.method in ("*", WEBSOCKET, "GET")
        else:
            method = scope["method"].upper()
            paying = self.method in ("*", method) or (self.method, method) == ("GET", "HEAD")
        return paying and self._pattern.fullmatch(_path_inside(scope)) is not None


def _pattern(path: str) -> re.Pattern[str]:
    first, *parts = map(re.escape, re.sub(r"\*+", "*", path).split("*"))
    # Each part stands at its first place, for good: a path that was made to match late costs no more than any other.
    between = "".join(f"(?>.*?{part})" for part in parts[:-1])
    last = f".*{parts[-1]}" if parts else ""
    return re.compile(first + between + last, re.DOTALL)


def _path_inside(scope: Mapping[str, Any]) -> str:
    """The path as the wrapped application sees it: servers and mounts put a prefix before it."""
    path: str = scope["path"]
    prefix = scope.get("root_path", "").rstrip("/")
    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
        return path[len(prefix) :] or "/"
    return path


def _never(message: str, hint: str) -> WrongDeclaration:
    return WrongDeclaration(f"This rule would never match: {message}.", hint=hint)
