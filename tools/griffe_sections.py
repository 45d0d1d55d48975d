"""Shows the sections of our docstrings that Google's style does not know.

`Call arguments:` and `Returns:` hold entries `name: words`, or words alone; here they
become a heading and a list, or a heading and a paragraph.
"""

import inspect
import re

import griffe

_SECTION = re.compile(
    r"^(Call arguments|Returns|Reference):\n((?:(?: {4}.*)?\n)*(?: {4}.*)?)",
    re.MULTILINE,
)
_ENTRY = re.compile(r"^`?[\w*, ]+`?: ")


class Sections(griffe.Extension):
    """Rewrites docstrings before they are parsed."""

    def on_object(self, *, obj, **_):
        if obj.docstring is not None:
            obj.docstring.value = _SECTION.sub(_write, obj.docstring.value)


def _write(match):
    title, body = match.groups()
    lines = inspect.cleandoc(body).splitlines()
    entries = [line for line in lines if line and not line.startswith(" ")]
    if lines and all(_ENTRY.match(line) for line in entries):
        lines = [
            re.sub(r"^`?([\w*, ]+?)`?: ", r"- `\1`: ", line)
            if not line.startswith(" ")
            else f"  {line.strip()}"
            for line in lines
        ]
    return "\n".join([f"**{title}**", "", *lines, "", ""])
