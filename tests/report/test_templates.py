"""The templates: they write what they always wrote, escape all they are given, need jinja2."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import unicodedata
from pathlib import Path

import jinja2
import pytest
from support.small_report import GAIN, NOTHING, Page, row, small_report

from w2stree import Step, Trajectory, build_forest
from w2stree.environments.options import WebShopOptions
from w2stree.errors import MissingDependency
from w2stree.experiment import pipeline
from w2stree.experiment.config import load_config
from w2stree.report.charts import Bar, difference_chart
from w2stree.report.report import html_page, markdown, write_report
from w2stree.report.templates import cell, packaged, plain, render
from w2stree.report.text import MethodText, Report, ShownTree
from w2stree.report.trees import still
from w2stree.shorten import shorten
from w2stree.viewer.view import Shown, framed

MARKDOWN = Path(__file__).with_name("small_report.md")


def test_markdown_to_the_byte() -> None:
    assert markdown(small_report()) == MARKDOWN.read_text(encoding="utf-8")


def test_the_page_is_a_document_of_five_parts() -> None:
    page = html_page(small_report())
    assert page.startswith('<!doctype html>\n<html lang="en">\n<head>\n')
    assert page.endswith("</main>\n</body>\n</html>\n")
    tags = [tag for tag, _ in Page(page).tags]
    assert [tags.count(tag) for tag in ("header", "section", "details")] == [1, 4, 1]
    assert not {"iframe", "script"} & set(tags)  # there is no view in it
    assert tags.count("h2") == 4


HOSTILE = "<script>alert('x')</script>|& \"q\" {{ 7*7 }} {% raw %} {# gone #} $x$"

LABEL = "<script>|&'\"{{ 7*7 }}$x$"  # short, as it stands in a chart


def hostile(field: str) -> str:
    return f"{HOSTILE} in {field}"


# A title for the window, colour, C1, bidirectional, zero width, line breaks, half an emoji.
HIDDEN = "\x1b]0;t\x07\x1b[31m\x9b2J\x7f\u202egnp\u2066\u200b\u2028\ud83d"


@pytest.fixture(scope="module")
def attacked() -> Report:
    return attacked_by(HOSTILE, LABEL)


def attacked_by(text: str, label: str) -> Report:
    """A report with hostile text wherever text can come from outside."""

    def hostile(field: str) -> str:
        return f"{text} in {field}"

    forest = build_forest(
        [
            Trajectory(
                hostile("task"), (), (Step(hostile("action"), hostile("answer")),), 1.0, "done"
            ),
            Trajectory(hostile("task"), (), (Step("b", hostile("answer b")),), 0.0, "done"),
        ]
    )
    tree = forest[hostile("task")]
    shown = ShownTree(hostile("id"), hostile("statement"), hostile("caption"), 0, still(tree))
    stage = {
        "stage": hostile("stage"),
        "seconds": 1.0,
        "peak_memory_mb": 1.0,
        "metrics": {"metric": [hostile("metrics").replace('"', "'")]},
    }
    config = {**small_report().config, "name": hostile("config").replace('"', "'")}
    method = hostile("method")
    return small_report(
        title=hostile("title"),
        settings=[hostile("settings")],
        environment=hostile("environment"),
        noun=hostile("noun"),
        methods={
            **small_report().methods,
            method: MethodText(label, hostile("explanation"), True),
        },
        config=config,
        rows=[
            *small_report().panels[0].rows,
            dataclasses.replace(row(method, 0.5, weak=GAIN, strong=NOTHING), num_errors=1),
        ],
        stages=[stage],
        versions={hostile("package"): hostile("version")},
        trees=[shown],
        view=framed(forest, Shown(title=hostile("view"))),
    )


def test_the_page_shows_hostile_text_as_it_was_written(attacked: Report) -> None:
    source = html_page(attacked)
    page = Page(source)
    assert [tag for tag, _ in page.tags if tag in ("script", "iframe")] == ["iframe", "script"]
    assert packaged("report.js") in page.text  # of the one script
    assert not {name for _, attributes in page.tags for name in attributes} & {"q", "onclick"}
    text = "".join(page.text)
    fields = "task title settings environment noun explanation method stage package"
    for field in f"{fields} version id statement caption".split():
        assert hostile(field) in text, field
    assert shorten(hostile("action"), 40) in text
    assert shorten(hostile("answer b"), 60) in text
    assert text.count(LABEL) >= 5  # sentences, the table, two charts
    for field in ("metrics", "config"):  # inside JSON, where a quote has a backslash
        assert f"{HOSTILE} in {field}".replace('"', "'") in text, field
    assert "49" not in re.sub(r'<svg.*?</svg>|srcdoc=".*?"', "", source, flags=re.DOTALL)


def test_nothing_in_a_report_is_out_of_sight(tmp_path: Path) -> None:
    attacked = attacked_by(HIDDEN, "\x1b[2J\u202e\ud83d")
    panels = [dataclasses.replace(attacked.panels[0], name=f"{HIDDEN} {i}") for i in range(2)]
    attacked = dataclasses.replace(attacked, panels=panels)
    write_report(tmp_path, attacked)
    for name in ("report.html", "report.md"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        hidden = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
        assert hidden == {"\n"}, (name, hidden)
        assert r"\x1b]0;t\x07\x1b[31m\x9b2J\x7f\u202egnp\u2066\u200b" in text
    record = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert record["config"]["name"] == f"{HIDDEN} in config"


def test_a_name_cannot_leave_its_attribute() -> None:
    chart = Page(difference_chart([Bar("Strong", 0.1, (0.0, 0.2))], to=HOSTILE))
    (attributes,) = [attributes for tag, attributes in chart.tags if tag == "svg"]
    assert attributes["aria-label"] == f"Paired differences to {HOSTILE} with 95 % intervals"


def test_markdown_shows_hostile_text_as_it_was_written(attacked: Report) -> None:
    text = markdown(attacked)
    spans_of_code = r"^    .*$|`[^`]*`"
    assert "<script" not in re.sub(spans_of_code, "", text, flags=re.MULTILINE)
    assert f"# {plain(hostile('title'))}\n" in text
    assert f"{plain(LABEL)} gains over" in text
    (line,) = [line for line in text.splitlines() if line.startswith("| &lt;script")]
    assert plain(cell(LABEL)) in line
    assert len(re.findall(r"(?<!\\)\|", line)) == 7  # no cell was split by its "|"
    (line,) = [line for line in text.splitlines() if line.startswith("| `&lt;script")]
    assert len(re.findall(r"(?<!\\)\|", line)) == 5


def test_text_for_markdown_is_on_one_line_and_no_html() -> None:
    assert plain("a\n b\t<i>&amp;") == "a b &lt;i>&amp;amp;"
    assert cell("a|b") == "a\\|b"


def test_a_value_that_nobody_gave_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="'report' is undefined"):
        render("report.md.j2")


@pytest.mark.parametrize("module", ["matplotlib", "jinja2"])
def test_nothing_is_written_without_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependency, match=rf"{module}: pip install 'w2stree\[report\]'"):
        write_report(tmp_path, small_report())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", ["matplotlib", "jinja2"])
def test_no_stage_runs_without_a_library_of_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    config = load_config("quickstart")
    strong = config.strong.model_copy(update={"pretrain": None})  # no Java asked for
    environment = WebShopOptions()
    config = config.model_copy(update={"environment": environment, "strong": strong})
    with pytest.raises(MissingDependency, match=rf"{module}: pip install 'w2stree\[report\]'"):
        pipeline.run_experiment(config, tmp_path / "run", announce=lambda *_: None)
    assert not list(tmp_path.iterdir())
