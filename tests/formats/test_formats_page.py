"""docs/formats.md has every format, and the names by which returns and tasks are found."""

from pathlib import Path

from w2stree.formats import FORMATS
from w2stree.formats.messages import REWARDS, TASKS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text("utf-8")


def test_every_format_and_name_is_on_the_page() -> None:
    names = [known.name for known in FORMATS if known.name != "w2stree"]  # columns.md has ours
    assert [name for name in names if f"`{name}`" not in PAGE] == []
    for looked_at in (REWARDS, TASKS):
        assert ", ".join(f"`{name}`" for name in looked_at) in PAGE
