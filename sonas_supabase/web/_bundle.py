"""The scripts of a page as one file: a slow line pays for every request, so a page asks for one script.

No build step and no tool: the modules are ours and few, and the forms of ``import`` and ``export`` that they use are
these. A module becomes a function that answers what it exports::

    const $api = (() => { …; return { send, ask }; })();

A module that is imported when it is needed (``import("./chart.js")``) is a file of its own, with what it imports.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

_IMPORT = re.compile(r'^import (?:(\w+)|\{([^}]*)\}) from "(\./[^"]+|\.\./[^"]+)";\n|^import "(\./[^"]+)";\n', re.M)
_LATER = re.compile(r'\bimport\("(\./[^"]+)"\)')
_EXPORT = re.compile(r"^export (?:async )?(?:const|class|function\*?) (\w+)", re.M)
_EXPORTED = re.compile(r"^export \{([^}]*)\};\n", re.M)
_DEFAULT = re.compile(r"^export default ", re.M)
_COMMENT = re.compile(r"^\s*//.*\n", re.M)
# No text of ours has a line that begins with spaces of its own, or an empty one.
_INDENT = re.compile(r"^\s+", re.M)
_STYLE_COMMENT = re.compile(r"/\*.*?\*/", re.S)
_STYLE_SPACE = re.compile(r"(?<=[{};,])\s+| +(?=\{)")


class CannotBundle(ValueError):
    """A module is written in a form that is not known here."""


def bundle(entry: Path, later: Callable[[Path], str]) -> str:
    """The text of a module with all that it imports. ``later`` says where a module is that is imported when needed."""
    done: dict[Path, str] = {}
    texts: list[str] = []

    def add(path: Path, way: tuple[Path, ...]) -> str:
        if path in way:
            raise CannotBundle(f"{path.name} imports itself, by way of {way[-1].name}")
        if path not in done:
            done[path] = f"${len(done)}"
            texts.append(_wrapped(path, done[path], lambda other: add(other, (*way, path)), later))
        return done[path]

    name = add(entry, ())
    exported = _exported(_COMMENT.sub("", entry.read_text("utf-8")))
    return "".join(texts) + (f"export const {{ {', '.join(exported)} }} = {name};\n" if exported else "")


def style(path: Path) -> str:
    """The text of a style sheet without what is for readers."""
    return _STYLE_SPACE.sub("", _STYLE_COMMENT.sub("", path.read_text("utf-8")))


def _exported(text: str) -> list[str]:
    listed = [one.strip() for names in _EXPORTED.findall(text) for one in names.split(",")]
    return _EXPORT.findall(text) + [name for name in listed if name]


def _wrapped(path: Path, name: str, add: Callable[[Path], str], later: Callable[[Path], str]) -> str:
    text = _INDENT.sub("", _COMMENT.sub("", path.read_text("utf-8")))

    def imported(match: re.Match[str]) -> str:
        default, names, source, alone = match.groups()
        other = add((path.parent / (source or alone)).resolve())
        if alone:
            return ""
        if default:
            return f"const {default} = {other}.default;\n"
        return f"const {{ {names.strip().replace(' as ', ': ')} }} = {other};\n"

    text = _IMPORT.sub(imported, text)
    text = _LATER.sub(lambda match: f'import("{later((path.parent / match[1]).resolve())}")', text)
    exported = _exported(text)
    text = _DEFAULT.sub("const $default = ", _EXPORTED.sub("", _EXPORT.sub(lambda found: found[0][7:], text)))
    if "$default = " in text:
        exported.append("default: $default")
    if left := re.search(r"^(?:import|export)\b.*", text, re.M):
        raise CannotBundle(f"{path.name}: {left[0]}")
    return f"const {name} = (() => {{\n{text}\nreturn {{ {', '.join(exported)} }};\n}})();\n"
