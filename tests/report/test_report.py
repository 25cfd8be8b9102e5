"""The report: three files that agree, escape their text and repeat to the byte."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from support.cooking_runs import play

from w2stree import MissingDependency, Step, Trajectory, build_forest, write_trajectories
from w2stree.evaluation import Estimate, MethodResult
from w2stree.experiment.config import load_config
from w2stree.experiment.methods import METHODS as ALL_METHODS
from w2stree.experiment.run_directory import RunDirectory, StageSpec, StageWriter, write_json
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.measure import report as report_stage
from w2stree.experiment.stages.tree import tree as tree_stage
from w2stree.report.page import html_page
from w2stree.report.report import Report, TreePicture, json_record, markdown, write_report
from w2stree.report.text import DASH, MINUS, percent, signed, verdict, verdict_sentence
from w2stree.report.tree_drawing import draw_tree

METHODS = [method.name for method in ALL_METHODS]
SKILLS = dict(zip(METHODS, (0.25, 0.82, 0.86, 0.86, 0.93, 0.96), strict=True))


def make_run(folder: Path, *, num_tasks: int = 40, **skills: float) -> Context:
    """A run directory with the stages that the report reads, played by `cook`."""
    overrides = [f"tasks.test={num_tasks}", "tasks.explore=40", "evaluate.num_bootstrap=400"]
    config = load_config("quickstart", overrides)
    directory = RunDirectory(folder, config.model_dump(mode="json"))
    context = Context(config, folder)

    def write(name: str, needs: tuple[str, ...], trajectories: list[Trajectory], **metrics: Any):
        with directory.write(StageSpec(name, needs), seed=0) as writer:
            if trajectories:
                write_trajectories(writer.folder / "trajectories.jsonl", trajectories)
            writer.metrics.update(metrics)
            if name == "tree":
                tree_stage(context, writer)
                write_json(writer.folder / "forest.json", statistics(explored))

    explored = play(context.tasks("explore"), 0.82, num_runs=6, seed=1)
    write("sft_weak", (), [], num_parameters=840_000, tokens_per_s=6800.4, first_loss=math.nan)
    write("sft_strong", (), [], num_parameters=5_100_000, tokens_per_s=1750.0)
    write("explore", ("sft_weak",), explored, generated_tokens_per_s=812.3)
    write("tree", ("explore",), [])
    for i, method in enumerate(METHODS):
        skill = {**SKILLS, **skills}[method]
        needs = (method,) if method in ("sft_weak", "sft_strong") else ()
        write(f"evaluate_{method}", needs, play(context.tasks("test"), skill, num_runs=1, seed=i))
    return context


def statistics(explored: list[Trajectory]) -> dict[str, Any]:
    forest = build_forest(explored)
    best = forest.search().best_trajectories()
    return {
        **asdict(forest.summary()),
        "mean_return": sum(t.total_return for t in explored) / len(explored),
        "best_path_mean_return": sum(t.total_return for t in best) / len(best),
        "num_preference_rows": 77,
    }


def run_stage(context: Context, folder: Path) -> dict[str, str]:
    folder.mkdir()
    report_stage(context, StageWriter(folder))
    return {file.name: file.read_text() for file in sorted(folder.iterdir())}


class Page(HTMLParser):
    """What a browser would make of a page: text of cells, tags, and whether it is balanced."""

    VOID = ("meta", "stop", "br")

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.rows: list[str] = []
        self.feed(source)
        self.close()
        assert not self.open, f"unclosed {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if "tr" in self.open:
            self.rows[-1] += f" {data}"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("run")
    return run_stage(make_run(folder / "run"), folder / "report")


def row(method: str, mean: float, *, weak: Estimate, strong: Estimate) -> MethodResult:
    low, high = mean - 0.05, mean + 0.05
    differences = {"sft_weak": weak, "sft_strong": strong}
    return MethodResult(method, mean, (low, high), 0.5, (0.4, 0.6), None, 40, 0, 9.5, differences)


NOTHING = Estimate(0.0, (0.0, 0.0))
GAIN, LOSS = Estimate(0.1, (0.02, 0.18)), Estimate(-0.1, (-0.18, -0.02))


def small_report(**changes: Any) -> Report:
    report = Report(
        config=load_config("quickstart").model_dump(mode="json"),
        rows=[
            row("sft_weak", 0.4, weak=NOTHING, strong=LOSS),
            row("mcts_sft", 0.5, weak=GAIN, strong=NOTHING),
        ],
        forest={"num_trees": 3, "merge_rate": 0.25},
        stages=[{"stage": "explore", "seconds": 1.5, "peak_memory_mb": 100.0, "metrics": {}}],
        versions={"python": "3.11"},
    )
    return dataclasses.replace(report, **changes)


def numbers(text: str) -> list[str]:
    return re.findall(rf"[+{MINUS}]?\d+\.\d+", text)


def test_json_has_the_promised_shape(files: dict[str, str]) -> None:
    record = json.loads(files["report.json"], parse_constant=pytest.fail)
    assert [r["method"] for r in record["rows"]] == list(METHODS)
    for r in record["rows"]:
        assert r["ci95"][0] <= r["avg_reward"] <= r["ci95"][1]
        assert set(r["diff_to_sft_weak"]) == {"mean", "ci95"}
        assert r["num_tasks"] == 40
    by_method = {r["method"]: r for r in record["rows"]}
    difference = by_method["mcts_sft"]["avg_reward"] - by_method["sft_weak"]["avg_reward"]
    assert by_method["mcts_sft"]["diff_to_sft_weak"]["mean"] == pytest.approx(difference)
    assert record["forest"]["num_trees"] == 40
    assert record["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert record["config"]["environment"]["game"] == load_config("quickstart").environment.game


def test_stages_are_in_the_order_of_the_story_and_hold_no_nan(files: dict[str, str]) -> None:
    stages = json.loads(files["report.json"])["stages"]
    names = [s["stage"] for s in stages]
    assert names[:3] == ["evaluate_random", "sft_weak", "evaluate_sft_weak"]
    assert names[-2:] == ["explore", "tree"]
    assert stages[1]["metrics"]["first_loss"] is None
    assert '"first_loss": null' in files["report.json"]
    assert "NaN" not in files["report.html"] + files["report.md"] + files["report.json"]


def test_numbers_agree_in_all_three_files(files: dict[str, str]) -> None:
    record = json.loads(files["report.json"])
    page, lines = Page(files["report.html"]), files["report.md"].splitlines()
    for r in record["rows"]:
        md = next(line for line in lines if f"(`{r['method']}`)" in line)
        html = next(text for text in page.rows if f" {r['method']} " in text)
        expected = [f"{v:.3f}" for v in (r["avg_reward"], *r["ci95"])]
        expected += [f"{100 * r['success_rate']:.1f}", f"{100 * r['pgr']:.1f}".replace("-", MINUS)]
        for other in ("weak", "strong"):
            difference = r[f"diff_to_sft_{other}"]
            figures = [signed(v) for v in (difference["mean"], *difference["ci95"])]
            assert figures[0].lstrip(f"+{MINUS}") == f"{abs(difference['mean']):.3f}"
            expected += figures
        assert numbers(md) == expected
        own = {"sft_weak": slice(5, 8), "sft_strong": slice(8, 11)}.get(r["method"])
        if own:  # the page has a dash where a model is compared with itself
            del expected[own]
        assert numbers(html) == expected
    total = sum(s["seconds"] for s in record["stages"])
    assert any(f"total {total:,.1f}" in text for text in page.rows)
    merge_rate = percent(record["forest"]["merge_rate"])
    assert merge_rate.startswith(f"{100 * record['forest']['merge_rate']:.1f}")
    assert any("Merge rate" in text and merge_rate in text for text in page.rows)
    assert merge_rate.replace("\N{NO-BREAK SPACE}", " ") in files["report.md"]


def test_same_input_same_bytes(tmp_path: Path) -> None:
    context = make_run(tmp_path / "run", num_tasks=20)
    assert run_stage(context, tmp_path / "one") == run_stage(context, tmp_path / "two")


def test_page_is_self_contained(files: dict[str, str]) -> None:
    page = Page(files["report.html"])
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "image"}
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            if name in ("href", "xlink:href", "src") or (value or "").startswith("url("):
                assert re.match(r"#|url\(#", value or ""), (tag, name, value)
            assert name != "style" or "http" not in (value or "")
    assert "@import" not in files["report.html"]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_page_holds_both_charts_and_four_trees(files: dict[str, str]) -> None:
    classes = [attributes.get("class") for tag, attributes in Page(files["report.html"]).tags]
    assert classes.count("chart") == 2
    assert classes.count("tree") == 4
    assert "edge best" in classes
    assert "node decision" in classes


def svgs(page: str) -> Iterator[ElementTree.Element]:
    for svg in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        yield ElementTree.fromstring(svg)


def test_pictures_are_well_formed_svg(files: dict[str, str]) -> None:
    assert len(list(svgs(files["report.html"]))) == 7  # charts, trees, the colour scale


HOSTILE = "<script>alert('x')</script>|& \"q\""


def test_text_is_escaped() -> None:
    forest = build_forest(
        [
            Trajectory(HOSTILE, (), (Step(HOSTILE, HOSTILE),), 1.0, "done"),
            Trajectory(HOSTILE, (), (Step("b", HOSTILE),), 0.0, "done"),
        ]
    )
    tree = forest[HOSTILE]
    picture = TreePicture(
        HOSTILE, HOSTILE, HOSTILE, draw_tree(tree, int(forest.search().best_end_node[tree.tree_id]))
    )
    hostile_row = dataclasses.replace(small_report().rows[1], method=HOSTILE)
    config = {**small_report().config, "name": HOSTILE}
    config["environment"] = {**config["environment"], "game": HOSTILE}
    stage = {**small_report().stages[0], "stage": HOSTILE, "metrics": {HOSTILE: HOSTILE}}
    report = small_report(
        config=config,
        rows=[*small_report().rows, hostile_row],
        stages=[stage],
        versions={HOSTILE: HOSTILE},
        trees=[picture],
    )
    page = Page(html_page(report))
    assert "script" not in {tag for tag, _ in page.tags}
    assert "".join(page.text).count(HOSTILE) >= 10  # and it reads as it was written
    assert "<script" not in markdown(report)
    table = [line for line in markdown(report).splitlines() if line.startswith("| &lt;script")]
    assert len(table) == 1
    assert len(re.findall(r"(?<!\\)\|", table[0])) == 7  # no cell was split by its "|"


def test_undefined_pgr_is_null_and_a_dash() -> None:
    report = small_report()
    assert [r["pgr"] for r in json_record(report)["rows"]] == [None, None]
    assert f"| {DASH} |" in markdown(report)
    assert "PGR is undefined here" in markdown(report)
    assert "PGR is undefined here" in html_page(report)
    broken = dataclasses.replace(report.rows[0], pgr=math.nan, mean_steps=math.inf)
    first = json_record(small_report(rows=[broken]))["rows"][0]
    assert first["pgr"] is first["mean_steps"] is None


def test_a_ceiling_below_the_weak_model_gives_null(tmp_path: Path) -> None:
    context = make_run(tmp_path / "run", num_tasks=20, ceiling=0.3)
    with pytest.warns(UserWarning, match="PGR is undefined"):
        files = run_stage(context, tmp_path / "report")
    assert [r["pgr"] for r in json.loads(files["report.json"])["rows"]] == [None] * len(METHODS)


@pytest.mark.parametrize(
    ("ci95", "expected"),
    [
        ((0.001, 0.2), "gains"),
        ((0.0, 0.2), "no difference shown"),
        ((-0.1, 0.2), "no difference shown"),
        ((-0.2, 0.0), "no difference shown"),
        ((-0.2, -0.001), "loses"),
    ],
)
def test_verdicts_follow_the_interval(ci95: tuple[float, float], expected: str) -> None:
    assert verdict(Estimate(0.1, ci95)) == expected


def test_sentences_are_honest() -> None:
    gains = verdict_sentence(row("tree_dpo", 0.5, weak=GAIN, strong=LOSS))
    assert gains == (
        "Strong + TreeDPO gains over the weak model (+0.100 [+0.020, +0.180], above zero); "
        f"it loses to the strong model ({MINUS}0.100 [{MINUS}0.180, {MINUS}0.020], below zero)."
    )
    page = html_page(small_report())
    assert "it shows no difference to the strong model (0.000 [0.000, 0.000], zero incl" in page
    assert json_record(small_report())["verdicts"] == {
        "mcts_sft": {"to_sft_weak": "gains", "to_sft_strong": "no difference shown"}
    }


def test_signed_has_no_negative_zero() -> None:
    values = [signed(v) for v in (-0.0001, 0.0, 0.0001, -0.5, 0.5)]
    assert values == ["0.000", "0.000", "0.000", f"{MINUS}0.500", "+0.500"]


def test_the_report_names_how_actions_are_decoded() -> None:
    config = {**small_report().config}
    assert "decoding.actions: admissible" in markdown(small_report())
    config["decoding"] = {**config["decoding"], "actions": "free"}
    assert "would accept" not in markdown(small_report(config=config))


def test_caveats_name_errors_and_the_dev_fold() -> None:
    rows = [dataclasses.replace(small_report().rows[0], num_errors=3)]
    config = {**small_report().config}
    config["tasks"] = {**config["tasks"], "test_split": "dev"}
    text = markdown(small_report(rows=rows, config=config))
    assert "3 episodes of Weak model ended in an error" in text
    assert "dev fold, on which choices are made" in text
    assert "made: final" not in markdown(small_report())


def test_nothing_is_written_without_matplotlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependency, match=r"pip install 'w2stree\[report\]'"):
        write_report(tmp_path, small_report())
    assert not list(tmp_path.iterdir())
