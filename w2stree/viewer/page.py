"""The page around the data: nothing is fetched, and no text can become a program.

Its policy allows one script and one style sheet, by their hashes, and nothing else: no address is
asked for anything. The data is base64 in a block that no browser runs.
"""

from __future__ import annotations

import base64
import hashlib
import html
import zlib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from w2stree.errors import InvalidInput
from w2stree.shorten import visible

FIRST_LINE = b"<!doctype html><!-- a view of w2stree -->\n"
_MOST_BYTES = 400_000_000  # a browser's longest text has 2**29 characters
_LEVEL = 6
_PIECE = 3 << 20  # a multiple of 3: pieces of base64 join without padding


def page(data: bytes, *, title: str) -> Iterator[bytes]:
    """The file, piece by piece. Raises `InvalidInput` where it is too large to be opened."""
    script, style = page_script(), _part("page.css")
    policy = (
        f"default-src 'none'; script-src {named(script)}; style-src {named(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    small = zlib.compress(data, _LEVEL)
    if len(small) > _MOST_BYTES:
        raise InvalidInput(
            f"the view comes to {len(small) / 1e6:,.0f} MB, more than a browser opens: look at "
            "fewer tasks"
        )
    shown = html.escape(visible(title))
    yield FIRST_LINE
    yield (
        '<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{shown}</title>\n<style>"
    ).encode()
    yield style
    yield (
        b"</style></head>\n<body><noscript>This view is drawn by a script of its own; nothing is "
        b'fetched. Please allow scripts.</noscript>\n<script id="data" type="text/plain">'
    )
    for begin in range(0, len(small), _PIECE):
        yield base64.b64encode(small[begin : begin + _PIECE])
    yield b"</script>\n<script>"
    yield script
    yield b"</script></body></html>\n"


def is_view(path: Path) -> bool:
    """Whether a file begins as a view does."""
    with path.open("rb") as file:
        return file.read(len(FIRST_LINE)) == FIRST_LINE


def data_of(content: bytes) -> bytes:
    """The data of a page, as it was given."""
    begin = content.index(b'type="text/plain">') + len(b'type="text/plain">')
    return zlib.decompress(base64.b64decode(content[begin : content.index(b"<", begin)]))


def page_script() -> bytes:
    """What a page runs: a page with a view in a frame has to allow it too (`named`)."""
    return _part("page.js")


def named(content: bytes) -> str:
    """A script or a style sheet, as a policy names it: by its hash."""
    digest = hashlib.sha256(content).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _part(name: str) -> bytes:
    return (files("w2stree.viewer") / name).read_bytes()
