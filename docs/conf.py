"""The documentation site: `make docs` builds it, offline; a warning fails.

    docs/*.md ──MyST──┐
    docstrings ───────┼──> pages ──furo──> build/docs/index.html
    ../CHANGELOG.md … ┘

Docstrings are Markdown, as the pages are: `.. markdown::` is where autodoc hands them over. What is
built depends on neither the machine, the day nor a network: no index of another project is asked.
"""

from __future__ import annotations

import re
from importlib.metadata import version as version_of
from typing import Any

from docutils.nodes import Node
from docutils.utils import new_document
from myst_parser.parsers.sphinx_ import MystParser
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

project = "w2stree"
release = version = version_of("w2stree")

extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = f"w2stree {version}"
html_copy_source = False
html_show_sphinx = False

myst_heading_anchors = 4  # headings are linked as on a page of a repository: rows.md#rows-on-disk
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88

ELSEWHERE = {
    "../CONTRIBUTING.md": "contributing.md",
    "../CHANGELOG.md": "changelog.md",
    "results/": "results/README.md",
}
"""What pages link to in the repository, and where that stands in the site."""

CALLED_AS_A_FILE = re.compile(r"\[[\w./]*(?:\.md|/)\]\(([\w./]+\.md(?:#[\w-]+)?)\)")


class Markdown(SphinxDirective):
    """Its content is Markdown."""

    has_content = True

    def run(self) -> list[Node]:
        document = new_document(self.get_source_info()[0], self.state.document.settings)
        MystParser().parse("\n".join(self.content), document)
        return list(document.children)


def as_markdown(*told: Any) -> None:
    """autodoc's last argument are the docstring's lines, to be changed in place."""
    lines: list[str] = told[-1]
    lines[:] = [".. markdown::", "", *(f"   {line}" for line in lines), ""]


def with_links_of_the_site(_app: Sphinx, _page: str, source: list[str]) -> None:
    """A link that is called as its file gets the title of the page; Sphinx puts it in."""
    for before, now in ELSEWHERE.items():
        source[0] = source[0].replace(f"]({before})", f"]({now})")
    source[0] = CALLED_AS_A_FILE.sub(r"[](\1)", source[0])


def with_defaults_that_parse(*told: Any) -> tuple[str, str] | None:
    """A field's default that is made anew has no name; without it Sphinx reads the signature."""
    *_, signature, returns = told
    return (signature.replace("<factory>", "..."), returns) if signature else None


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("markdown", Markdown)
    app.connect("autodoc-process-docstring", as_markdown)
    app.connect("source-read", with_links_of_the_site)
    app.connect("autodoc-process-signature", with_defaults_that_parse)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
