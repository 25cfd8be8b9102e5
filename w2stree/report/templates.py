"""The report's templates: where they are, what they escape, the filters they write values with.

A template holds the words and tags; `text.py` and `caveats.py` have the sentences and numbers.
Whatever a template prints is escaped unless it says `safe`: in HTML by jinja2, in Markdown by
`plain`, and what a reader would not see (`visible`) in both. Values are never read as templates.
"""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any

from w2stree.errors import MissingDependency
from w2stree.report import text, why
from w2stree.shorten import visible


def require_jinja2() -> Any:
    """The module; raises `MissingDependency` with the command that installs it."""
    try:
        import jinja2
    except ModuleNotFoundError:
        raise MissingDependency(
            "the report's templates need jinja2: pip install 'w2stree[report]'"
        ) from None
    return jinja2


def render(name: str, **values: Any) -> str:
    """The package's template `name` with these values, beside the modules `text` and `why` and
    `FILTERS`.

    A name that the template uses and nobody gives is an error, not an empty text.
    """
    jinja2 = require_jinja2()
    is_html = name.endswith(".html.j2")
    environment = jinja2.Environment(
        # As the style sheet is read: works in a wheel and in an editable install.
        loader=jinja2.FunctionLoader(packaged),
        autoescape=is_html,
        finalize=shown if is_html else plain,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(FILTERS)
    return str(environment.get_template(name).render(text=text, why=why, **values))


def packaged(name: str) -> str:
    """A text file of this package."""
    return resources.files("w2stree.report").joinpath(name).read_text(encoding="utf-8")


def shown(value: object) -> object:
    """For HTML, which escapes it afterwards: nothing in it turns the page's text around."""
    is_ours = hasattr(value, "__html__")  # what a template calls safe
    return visible(value, keep_lines=True) if isinstance(value, str) and not is_ours else value


def plain(value: object) -> str:
    """On one line, all of it to be seen, and no HTML where Markdown would let it through."""
    if isinstance(value, Written):
        return value
    return visible(" ".join(str(value).split())).replace("&", "&amp;").replace("<", "&lt;")


def cell(value: str) -> str:
    """For a cell of a Markdown table, which "|" would end."""
    return value.replace("|", "\\|")


class Written(str):
    """Markdown that a filter made: it is printed as it is."""


def block(value: str) -> Written:
    """A block of Markdown, in which everything is as it stands."""
    lines = visible(value, keep_lines=True).split("\n")
    return Written("\n".join(f"    {line}".rstrip() for line in lines))


def code(value: str) -> Written:
    """A span of code of one line, for what a run said: links, pictures and tags in it are text.
    Nothing of nothing."""
    line = visible(" ".join(value.split()))
    longest = max(map(len, re.findall("`+", line)), default=0)
    fence, space = "`" * (longest + 1), " " if longest else ""
    return Written(f"{fence}{space}{line}{space}{fence}" if line else "")


def sentence(value: str) -> str:
    """With a capital and a full stop; nothing of nothing."""
    return f"{value[0].upper()}{value[1:]}." if value else ""


def record(value: Any) -> str:
    """Configuration or metrics as indented JSON."""
    return json.dumps(text.finite(value), indent=2, ensure_ascii=False, default=str)


FILTERS = {
    "number": text.number,
    "signed": text.signed,
    "percent": text.percent,
    "interval": text.interval,
    "verdict": text.verdict,
    "cell": cell,
    "block": block,
    "code": code,
    "sentence": sentence,
    "record": record,
}
