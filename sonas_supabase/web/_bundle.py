"""The scripts of a page as one file: a slow line pays for every request, so a page asks for one script.

No build step and no tool: the modules are ours and few, and the forms of ``import`` and ``export`` that they use are
these. A module becomes a function that answers what it exports::

    const $api = (() => { …; return { send, ask }; })();

A module that is imported when it is needed (``import("./chart.js")``) is a file of its own, a part. It has what it
imports but for what is there already, which it is given::

    export default ($api) => …          // the part
    import("./chart.js").then(($part) => $part.default($api))
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

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


class Part(NamedTuple):
    """A module that is imported when it is needed: its address or its text, and what it is given, in that order."""

    text: str
    needs: tuple[Path, ...]


# Says where a module is that is imported when needed, by those that are there before it.
Later = Callable[[Path, frozenset[Path]], Part]


def bundle(entry: Path, later: Later) -> str:
    """The text of a module with all that it imports."""
    modules = _Modules(entry, later, frozenset())
    exported = _exported(_COMMENT.sub("", entry.read_text("utf-8")))
    tail = f"export const {{ {', '.join(exported)} }} = {modules.entry};\n" if exported else ""
    return modules.text + tail


def part(entry: Path, later: Later, there: frozenset[Path]) -> Part:
    """A module that is imported when it is needed, with what it imports that is not ``there``."""
    modules = _Modules(entry, later, there)
    given = ", ".join(modules.name_of(path) for path in modules.needs)
    made = f"(() => {{\n{modules.text}return {modules.entry};\n}})()"
    return Part(f"let $made;\nexport default ({given}) => ($made ??= {made});\n", tuple(modules.needs))


def style(path: Path) -> str:
    """The text of a style sheet without what is for readers."""
    return _STYLE_SPACE.sub("", _STYLE_COMMENT.sub("", path.read_text("utf-8")))


def _exported(text: str) -> list[str]:
    listed = [one.strip() for names in _EXPORTED.findall(text) for one in names.split(",")]
    return _EXPORT.findall(text) + [name for name in listed if name]


class _Modules:
    """A module and those that it imports, each a constant, in an order in which none uses a later one."""

    def __init__(self, entry: Path, later: Later, there: frozenset[Path]) -> None:
        self._later = later
        self._there = there
        self.needs: list[Path] = []
        order: dict[Path, str] = {}
        entry = entry.resolve()
        _follow(entry, (), there, order)
        self._own = {path: f"${n}" for n, path in enumerate(order)}
        self.entry = self._own[entry]
        self.text = "".join(self._wrapped(path, text) for path, text in order.items())

    def name_of(self, path: Path) -> str:
        """What a module is called here: one of these, or one that is given."""
        if path in self._own:
            return self._own[path]
        if path not in self.needs:
            self.needs.append(path)
        return f"$given{self.needs.index(path)}"

    def _imported(self, path: Path, match: re.Match[str]) -> str:
        default, names, source, alone = match.groups()
        if alone:
            return ""
        other = self.name_of((path.parent / source).resolve())
        if default:
            return f"const {default} = {other}.default;\n"
        return f"const {{ {names.strip().replace(' as ', ': ')} }} = {other};\n"

    def _imported_later(self, path: Path) -> str:
        if path in self._own or path in self._there:
            return f"Promise.resolve({self.name_of(path)})"
        address, needs = self._later(path, self._there | self._own.keys())
        given = ", ".join(map(self.name_of, needs))
        return f'import("{address}").then(($part) => $part.default({given}))'

    def _wrapped(self, path: Path, text: str) -> str:
        text = _IMPORT.sub(lambda match: self._imported(path, match), text)
        text = _LATER.sub(lambda match: self._imported_later((path.parent / match[1]).resolve()), text)
        exported = _exported(text)
        text = _DEFAULT.sub("const $default = ", _EXPORTED.sub("", _EXPORT.sub(lambda found: found[0][7:], text)))
        if "$default = " in text:
            exported.append("default: $default")
        if left := re.search(r"^(?:import\b(?!\()|export\b).*", text, re.M):
            raise CannotBundle(f"{path.name}: {left[0]}")
        return f"const {self._own[path]} = (() => {{\n{text}\nreturn {{ {', '.join(exported)} }};\n}})();\n"


def _follow(path: Path, way: tuple[Path, ...], there: frozenset[Path], order: dict[Path, str]) -> None:
    """Adds a module behind all that it imports, with its text."""
    if path in way:
        raise CannotBundle(f"{path.name} imports itself, by way of {way[-1].name}")
    if path in order or path in there:
        return
    text = _INDENT.sub("", _COMMENT.sub("", path.read_text("utf-8")))
    for _, _, source, alone in _IMPORT.findall(text):
        _follow((path.parent / (source or alone)).resolve(), (*way, path), there, order)
    order[path] = text
