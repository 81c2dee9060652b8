"""Make Markdown of the habits of our docstrings: doctests, tables of Sphinx, and roles such as ``:func:``."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`~?([^`]+)`")
# Both go from their first line, a prompt or a rule of equal signs, to the next empty line.
EXAMPLE = re.compile(r"^ *>>>.*\n?(?:^ *\S.*\n?)*", re.MULTILINE)
TABLE = re.compile(r"^ *=+(?: +=+)+\n(?:^ *\S.*\n?)*", re.MULTILINE)


class MarkdownDocstrings(Extension):
    """Rewrite each docstring before it is read."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(docstring: str) -> str:
    """Put examples into fences, tables between bars, and names in plain code.

    >>> print(as_markdown(":func:`add` adds."))
    `add` adds.
    """
    text = ROLE.sub(r"`\1`", docstring)
    text = EXAMPLE.sub(lambda match: _fenced(match[0], "pycon"), text)
    return TABLE.sub(lambda match: _markdown_table(match[0]), text)


def _fenced(block: str, language: str) -> str:
    indent = re.match(" *", block)[0]  # type: ignore[index]
    return f"\n{indent}```{language}\n{block.rstrip()}\n{indent}```\n"


def _markdown_table(block: str) -> str:
    """Cut the rows where the first rule's columns begin. Rows above a rule in the middle are the header."""
    rule, *lines = block.splitlines()
    starts = [match.start() for match in re.finditer("=+", rule)]
    rows: list[str] = []
    middle = "|" + "---|" * len(starts)
    for line in lines:
        if line.lstrip().startswith("==="):
            rows.append(middle)
        else:
            cells = [line[start:end].strip() for start, end in zip(starts, [*starts[1:], None])]
            rows.append("| " + " | ".join(cells) + " |")
    rows.pop()  # the last rule ends the table
    if middle not in rows:
        rows = ["| " * len(starts) + "|", middle, *rows]
    indent = " " * starts[0]
    return "\n" + "".join(f"{indent}{row}\n" for row in rows)
