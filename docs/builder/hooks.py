"""What MkDocs does beyond its own for this site: the reference's pages, links to source files, formulas, no network.

MkDocs calls the functions named ``on_...`` by their names.
"""

from __future__ import annotations

import posixpath
import re
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "minitorch"
LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(#[^)\s]*)?(?=\))")
# Arithmatex marks formulas so, inside a line and on lines of their own.
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
# What a browser would fetch while it shows a page; a link that somebody may click is none of it.
FETCHED = re.compile(
    r'<(?:script|img|iframe)\b[^>]*\ssrc="?https?:|<link\b[^>]*rel="?(?:stylesheet|preconnect)[^>]*https?:'
)


def module_pages() -> dict[str, str]:
    """Give the page of each module, by the module's path in the repository.

    >>> module_pages()["minitorch/autodiff.py"]
    'reference/minitorch.autodiff.md'
    """
    pages = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if parts[-1] != "__main__":
            pages[path.relative_to(ROOT).as_posix()] = f"reference/{name}.md"
    return pages


def file_page(path: str) -> str:
    """Name the page that shows a file of the repository: a module's is its reference."""
    return module_pages().get(path) or f"source/{path}.md"


def outside(target: str, page: str) -> str | None:
    """Give the path in the repository that a page's link leads to, if it is outside docs/.

    >>> outside("../../project/app.py", "guides/module0.md"), outside("../data.md", "guides/module0.md")
    ('project/app.py', None)
    """
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), target))
    return None if path.startswith("docs/") else path


def on_config(config: MkDocsConfig) -> None:
    """Put the reference behind the other pages, a section for each package."""
    modules: list[Any] = []
    packages: dict[str, list[Any]] = {}
    for path, page in module_pages().items():
        _, *inside, _ = path.split("/")
        section = packages.setdefault(inside[0], []) if inside else modules
        section.append({posixpath.basename(page).removesuffix(".md"): page})
    config.nav.append({"API reference": [*modules, *({name: pages} for name, pages in packages.items())]})


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that no file in docs/ holds: of the modules, and of other files that pages link to."""
    for page in module_pages().values():
        name = posixpath.basename(page).removesuffix(".md")
        options = "    options:\n      members: false\n" if name == "minitorch" else ""
        files.append(File.generated(config, page, content=f"::: {name}\n{options}"))
    linked = {
        path
        for file in list(files.documentation_pages())
        for target, _ in LINK.findall(file.content_string)
        if (path := outside(target, file.src_uri)) and (ROOT / path).is_file()
    }
    for path in sorted(linked - module_pages().keys()):
        language = {".py": "python", ".md": "markdown"}.get(Path(path).suffix, "text")
        text = (ROOT / path).read_text(encoding="utf-8")
        content = f"# {path}\n\n~~~~{language}\n{text}\n~~~~\n"
        files.append(File.generated(config, file_page(path), content=content, inclusion=InclusionLevel.NOT_IN_NAV))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Lead links to files outside docs/ to the pages that show them, at the top: their headings are not there."""

    def lead(match: re.Match[str]) -> str:
        path = outside(match[1], page.file.src_uri)
        if path is None or not (ROOT / path).is_file():
            return match[0]
        return posixpath.relpath(file_page(path), posixpath.dirname(page.file.src_uri) or ".")

    return LINK.sub(lead, markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Turn formulas into MathML, which browsers show by themselves."""
    return FORMULA.sub(lambda m: convert(unescape(m[3]), display="inline" if m[2] == "(" else "block"), html)


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse a site whose pages load anything from another machine, or show a formula's source."""
    for path in sorted(Path(config.site_dir).rglob("*.html")):
        html = path.read_text(encoding="utf-8")
        if found := FETCHED.search(html):
            raise PluginError(f"{path.name} would load something from the network: {found[0]}")
        if 'class="arithmatex"' in html:
            raise PluginError(f"{path.name} has a formula that was not converted")
