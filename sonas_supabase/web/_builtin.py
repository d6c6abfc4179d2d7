"""The built-in work: a small page from a prompt, and answers out of a project's files. No model, and it says so."""

from __future__ import annotations

import asyncio
import html
import re
import textwrap
from collections.abc import AsyncIterator

from sonas_supabase.web._work import Draft, Project

_PAUSE = 0.015
_SHORT = 3
_NAME_WORDS = 6
_NAME_LENGTH = 48
_FILLERS = frozenset(
    re.findall(
        r"\w+",
        """
        a an and any are can could does file files for from have how into is make me my of on please project show tell
        that the there this to what where which with build create write
        """,
    )
)

_STYLE = """:root { color-scheme: light dark; font-family: system-ui, sans-serif; }
body { max-width: 40rem; margin: 4rem auto; padding: 0 1rem; line-height: 1.6; }
li { padding: 0.35rem 0; }
li.done { text-decoration: line-through; opacity: 0.6; }
"""

_SCRIPT = """// A click, or Enter, ticks an item off; the browser remembers which.
const list = document.querySelector("ul");
const done = new Set(JSON.parse(localStorage.getItem("done") ?? "[]"));

function paint() {
  [...list.children].forEach((item, at) => item.classList.toggle("done", done.has(at)));
}

function toggle(item) {
  const at = [...list.children].indexOf(item);
  if (!done.delete(at)) done.add(at);
  localStorage.setItem("done", JSON.stringify([...done]));
  paint();
}

list.addEventListener("click", (event) => event.target.closest("li") && toggle(event.target.closest("li")));
list.addEventListener("keydown", (event) => event.key === "Enter" && toggle(event.target));
paint();
"""


async def generate(prompt: str) -> Draft:
    """A page with a checklist of what the prompt asks for."""
    await asyncio.sleep(0)
    name = _name(prompt)
    wishes = [wish for part in re.split(r"[\n.;,]| and | with ", prompt) if (wish := part.strip())]
    items = "\n".join(f'      <li tabindex="0">{html.escape(wish)}</li>' for wish in wishes)
    page = f"""<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>{html.escape(name)}</title>
    <link rel="stylesheet" href="style.css">
    <script type="module" src="app.js"></script>
  </head>
  <body>
    <h1>{html.escape(name)}</h1>
    <ul>
{items}
    </ul>
  </body>
</html>
"""
    readme = f"# {name}\n\n{prompt}\n\nOpen `index.html` in a browser: a checklist of what was asked for.\n"
    return Draft(name=name, files={"README.md": readme, "index.html": page, "style.css": _STYLE, "app.js": _SCRIPT})


async def chat(project: Project, message: str) -> AsyncIterator[str]:
    """What the project's files say about the words of the message."""
    for word in _answer(project, message).split(" "):
        await asyncio.sleep(_PAUSE)
        yield word + " "


def _answer(project: Project, message: str) -> str:
    words = {word for word in re.findall(r"\w+", message.lower()) if len(word) >= _SHORT} - _FILLERS
    found = [
        f"{path}, line {number}: {line.strip()}"
        for path, text in project.files.items()
        for number, line in enumerate(text.splitlines(), 1)
        if words & set(re.findall(r"\w+", f"{path} {line}".lower()))
    ]
    about = ", ".join(f"{path} ({len(text.splitlines())} lines)" for path, text in project.files.items())
    intro = "I am the built-in assistant: I read this project's files and understand nothing else."
    if not found:
        return f"{intro}\n\n“{project.name}” has {about}. None of them mentions what you ask for."
    quoted = "\n".join(f"• {line}" for line in found[:6])
    more = f"\n… and {len(found) - 6} more lines." if len(found) > 6 else ""
    return f"{intro}\n\n“{project.name}” has {about}. This is where they mention it:\n{quoted}{more}"


def _name(prompt: str) -> str:
    words = re.split(r"[\n.;:,!?]", prompt)[0].split()
    while words and words[0].lower() in _FILLERS:
        words.pop(0)
    name = textwrap.shorten(" ".join(words[:_NAME_WORDS]), _NAME_LENGTH, placeholder=" …") or "Untitled"
    return name[0].upper() + name[1:]
