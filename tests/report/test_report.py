"""The report: three files that agree and repeat to the byte, for any environment."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from support.cooking_runs import play
from support.page_sources import needs_browser, needs_packages, node
from support.small_report import Page, small_report

from w2stree import Trajectory, build_forest, write_trajectories
from w2stree.environments.kinds import KINDS, Kind
from w2stree.environments.options import Options
from w2stree.errors import RunDirectoryError
from w2stree.experiment.config import load_config
from w2stree.experiment.parts import Parts
from w2stree.experiment.report_again import report_again
from w2stree.experiment.run_directory import RunDirectory, StageSpec, StageWriter
from w2stree.experiment.run_json import write_json
from w2stree.experiment.run_lock import LOCK, holding
from w2stree.experiment.stages import choose, shown_trees
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.measure import report as report_stage
from w2stree.experiment.stages.tree import tree as tree_stage
from w2stree.report.report import html_page, json_record, markdown
from w2stree.report.text import DASH, MINUS, percent, signed
from w2stree.rollouts.task_choice import Chosen
from w2stree.viewer.packing import unpacked
from w2stree.viewer.page import data_of

METHODS = [method.name for method in load_config("quickstart").methods()]
SKILLS = dict(zip(METHODS, (0.25, 0.82, 0.86, 0.86, 0.93, 0.96), strict=True))


class Run(Context):
    """A run whose tasks no environment has to name."""

    def parts(self) -> Parts:
        tasks = self.config.tasks
        return Parts(
            made_up("demonstrations", tasks.demonstrations),
            made_up("explore", tasks.explore),
            {name: made_up(name, panel.count) for name, panel in tasks.test.items()},
            tasks.dev and made_up("dev", tasks.dev.count),
        )


def made_up(part: str, count: int) -> Chosen:
    return Chosen({f"{part}/{i}": f"{part} {i}" for i in range(count)}, num_repeated=1)


def make_run(
    folder: Path,
    *,
    num_tasks: int = 40,
    environment: Options | None = None,
    search: Mapping[str, int] | None = None,
    **skills: float,
) -> Context:
    """A run directory with the stages that the report reads, played by `cook`."""
    overrides = [
        f"tasks.test={num_tasks}",
        "tasks.dev=9",
        "tasks.explore=40",
        "evaluate.num_bootstrap=400",
        *(f"search.{key}={value}" for key, value in (search or {}).items()),
    ]
    config = load_config("quickstart", overrides)
    if environment:
        config = config.model_copy(update={"environment": environment})
    directory = RunDirectory(folder, config.model_dump(mode="json"))
    context = Run(config, folder)

    def write(name: str, needs: tuple[str, ...], trajectories: list[Trajectory], **metrics: Any):
        with directory.write(StageSpec(name, needs), seed=0) as writer:
            if name == "tasks":
                choose.tasks(context, writer)
            if trajectories:
                write_trajectories(writer.folder / "trajectories.jsonl", trajectories)
            writer.metrics.update(metrics)
            if name == "tree":
                tree_stage(context, writer)
                write_json(writer.folder / "forest.json", statistics(explored))

    explored = play(context.parts().explore.task_ids, 0.82, num_runs=6, seed=1)
    write("tasks", (), [])
    write("demonstrations", (), [], num_trajectories=60)
    write(
        "sft_weak",
        ("demonstrations",),
        [],
        num_parameters=840_000,
        tokens_per_s=6800.4,
        first_loss=math.nan,
    )
    write("sft_strong", (), [], num_parameters=5_100_000, tokens_per_s=1750.0)
    write("explore", ("sft_weak",), explored, generated_tokens_per_s=812.3)
    write("tree", ("explore",), [])
    for i, method in enumerate(METHODS):
        skill = {**SKILLS, **skills}[method]
        needs = ("tasks", method) if method in ("sft_weak", "sft_strong") else ("tasks",)
        write(
            f"evaluate_{method}", needs, play(context.parts().evaluated, skill, num_runs=1, seed=i)
        )
    return context


def statistics(explored: list[Trajectory]) -> dict[str, Any]:
    forest = build_forest(explored)
    best = forest.search().best_trajectories()
    return {
        **asdict(forest.summary()),
        "mean_return": sum(t.total_return for t in explored) / len(explored),
        "best_path_mean_return": sum(t.total_return for t in best) / len(best),
    }


def run_stage(context: Context, folder: Path) -> dict[str, str]:
    folder.mkdir()
    report_stage(context, StageWriter(folder))
    return {file.name: file.read_text() for file in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("run")
    return run_stage(make_run(folder / "run"), folder / "report")


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
    assert [r["method"] for r in record["dev_rows"]] == list(METHODS)
    assert {r["num_tasks"] for r in record["dev_rows"]} == {9}
    assert "9 dev tasks, not in the table" in files["report.md"]
    assert record["tasks"]["tasks.test.test"] == {
        "num_tasks": 40, "num_repeated": 1, "num_shared": 0
    }  # fmt: skip
    assert record["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert record["config"]["environment"]["game"] == load_config("quickstart").environment.game


def test_stages_are_in_the_order_of_the_story_and_hold_no_nan(files: dict[str, str]) -> None:
    stages = json.loads(files["report.json"])["stages"]
    names = [s["stage"] for s in stages]
    assert names[:4] == ["tasks", "evaluate_random", "demonstrations", "sft_weak"]
    assert names[-2:] == ["explore", "tree"]
    assert stages[3]["metrics"]["first_loss"] is None
    assert '"first_loss": null' in files["report.json"]
    page = re.sub(r'srcdoc=".*?"', "", files["report.html"], flags=re.DOTALL)
    assert "NaN" not in page + files["report.md"] + files["report.json"]


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


def test_the_report_says_why_and_what_next(files: dict[str, str]) -> None:
    record = json.loads(files["report.json"])
    why = record["why"]
    contests = {(c["method"], c["other"]): c for c in why["contests"]}
    assert set(contests) == {(m, o) for m in ("tree_dpo", "mcts_sft") for o in METHODS if o != m}
    one, back = contests["tree_dpo", "mcts_sft"], contests["mcts_sft", "tree_dpo"]
    assert (one["num_won"], one["num_lost"]) == (back["num_lost"], back["num_won"])
    assert all(c["num_won"] + c["num_lost"] + c["num_even"] == 40 for c in why["contests"])
    for example in why["examples"]:
        returns = [example[side]["total_return"] for side in ("before", "after")]
        assert (returns[0] < returns[1]) == (example["outcome"] == "won")
    assert len(why["rows"]["rows"]) == 5
    assert why["rows"]["num_found"] == record["forest"]["num_preference_rows"]
    by_rows, by_runs = why["failures"]
    assert by_rows["num_all"] == record["forest"]["num_preference_rows"]
    assert by_runs["num_all"] == record["forest"]["num_kept_paths"]
    assert by_runs["num_failed"] == record["forest"]["num_kept_failures"]
    commands = [one["command"] for one in record["next"]]
    assert any("seed=1" in c for c in commands)
    assert any(c.startswith("w2stree analyse assumption") for c in commands)


def test_causes_that_are_not_measured_yet_are_left_out(tmp_path: Path) -> None:
    make_run(tmp_path / "run", num_tasks=20)
    file = tmp_path / "run" / "config.json"
    config = json.loads(file.read_text())
    optimisation = config["tree_dpo"]["optimisation"]
    write_json(file, {**config, "verified_dpo": {"optimisation": optimisation}})
    out = report_again(tmp_path / "run", tmp_path / "out")
    record = json.loads((out / "report.json").read_text())
    assert {row["method"] for row in record["rows"]} == set(METHODS)
    assert record["why"]["causes"] is None


def test_a_report_of_what_has_finished_leaves_the_run_as_it_is(tmp_path: Path) -> None:
    context = make_run(tmp_path / "run", num_tasks=20)
    before = {file: file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()}
    with pytest.raises(RunDirectoryError, match=r"tree_dpo, mcts_sft, .*not finished.*--out DIR"):
        report_again(tmp_path / "run")
    (tmp_path / "run" / "evaluate_ceiling" / "manifest.json").unlink()
    with holding(tmp_path / "run"):  # as another process in it does
        before[tmp_path / "run" / LOCK] = (tmp_path / "run" / LOCK).read_bytes()
        out = report_again(tmp_path / "run", tmp_path / "out")
    rows = json.loads((out / "report.json").read_text())["rows"]
    assert [row["method"] for row in rows] == [m for m in METHODS if m != "ceiling"]
    assert all(row["pgr"] is None for row in rows)
    (tmp_path / "run" / "evaluate_sft_strong" / "manifest.json").unlink()
    with pytest.raises(RunDirectoryError, match="evaluate_sft_strong: not finished"):
        report_again(tmp_path / "run", tmp_path / "out")
    del before[tmp_path / "run" / "evaluate_ceiling" / "manifest.json"]
    del before[tmp_path / "run" / "evaluate_sft_strong" / "manifest.json"]
    assert (
        before.items()
        <= {
            file: file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()
        }.items()
    )
    assert context.manifest("report") is None


def test_same_input_same_bytes(tmp_path: Path) -> None:
    context = make_run(tmp_path / "run", num_tasks=20)
    assert run_stage(context, tmp_path / "one") == run_stage(context, tmp_path / "two")


def test_page_is_self_contained(files: dict[str, str]) -> None:
    page = Page(files["report.html"])
    assert not {tag for tag, _ in page.tags} & {"link", "img", "image"}
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            if name in ("href", "xlink:href", "src") or (value or "").startswith("url("):
                assert re.match(r"#|url\(#", value or ""), (tag, name, value)
            assert name != "style" or "http" not in (value or "")
    assert "@import" not in files["report.html"]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def framed_view(page: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the columns of the view in a page."""
    (frame,) = [attributes for tag, attributes in Page(page).tags if tag == "iframe"]
    assert frame["sandbox"] == "allow-scripts"
    return unpacked(data_of((frame["srcdoc"] or "").encode()))


def test_the_page_has_a_view_of_all_trees(files: dict[str, str]) -> None:
    tags = Page(files["report.html"]).tags
    assert [attributes.get("class") for _, attributes in tags].count("chart") == 2
    header, columns = framed_view(files["report.html"])
    assert header["in_frame"] is True
    assert len(columns["task"]) == 40
    assert len(columns["run"]) == 40 * 6
    rows = json.loads(files["report.json"])["why"]["rows"]["rows"]
    assert columns["row_node"].tolist() == [row["node"] for row in rows]
    assert [columns["depth"][row["node"]] for row in rows] == [row["depth"] for row in rows]
    places = [attributes["data-place"] for _, attributes in tags if "data-place" in attributes]
    assert places[:5] == [f"node={row['node']}" for row in rows]
    assert len(places) == 5 + 4  # and the trees that show most
    assert header["open_at"] == places[5]


def test_the_view_has_the_best_paths_of_the_run(tmp_path: Path) -> None:
    """Those of its own search, whatever its settings."""
    context = make_run(tmp_path / "run", search={"num_simulations": 3, "num_paths": 2})
    page = run_stage(context, tmp_path / "report")["report.html"]
    record = json.loads((tmp_path / "run" / "tree" / "best_paths.json").read_text())
    assert framed_view(page)[1]["best_node"].tolist() == [path["end_node"] for path in record]
    assert len(record) > 40


def test_trees_stand_as_text_where_no_view_can_be_opened(files: dict[str, str]) -> None:
    trees = files["report.md"].split("## Some of the trees\n")[1].split("\n## ")[0]
    assert trees.count("decision divergence") == 4
    assert trees.replace("\n    ", "\n").count("\n|- ") >= 4
    text = "".join(Page(files["report.html"]).text)
    for line in trees.splitlines():
        if line.startswith("    "):
            assert line[4:] in text


def test_too_much_text_for_a_page_is_left_to_the_view(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make_run(tmp_path / "run", num_tasks=20)
    monkeypatch.setattr(shown_trees, "_MOST_CHARACTERS", 1_000)
    page = Page(run_stage(context, tmp_path / "report")["report.html"])
    assert not {"iframe", "script"} & {tag for tag, _ in page.tags}
    assert "data-place" not in {name for _, attributes in page.tags for name in attributes}
    assert f"w2stree view {tmp_path / 'run'} -o trees.html" in "".join(page.text)


@needs_packages
@needs_browser
def test_a_reader_goes_from_a_row_to_its_tree(files: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(files["report.html"])
    rows = json.loads(files["report.json"])["why"]["rows"]["rows"]
    places = json.dumps([row["node"] for row in rows])
    assert node("report.mjs", str(tmp_path / "report.html"), places).strip() == "read"


def svgs(page: str) -> Iterator[ElementTree.Element]:
    for svg in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        yield ElementTree.fromstring(svg)


def test_pictures_are_well_formed_svg(files: dict[str, str]) -> None:
    assert len(list(svgs(files["report.html"]))) == 2


def test_undefined_pgr_is_null_and_a_dash() -> None:
    report = small_report()
    assert [r["pgr"] for r in json_record(report)["rows"]] == [None, None]
    assert f"| {DASH} |" in markdown(report)
    assert "PGR is undefined here" in markdown(report)
    assert "PGR is undefined here" in html_page(report)
    broken = dataclasses.replace(report.panels[0].rows[0], pgr=math.nan, mean_steps=math.inf)
    first = json_record(small_report(rows=[broken]))["rows"][0]
    assert first["pgr"] is first["mean_steps"] is None


def test_a_ceiling_below_the_weak_model_gives_null(tmp_path: Path) -> None:
    context = make_run(tmp_path / "run", num_tasks=20, ceiling=0.3)
    with pytest.warns(UserWarning, match="PGR is undefined"):
        files = run_stage(context, tmp_path / "report")
    assert [r["pgr"] for r in json.loads(files["report.json"])["rows"]] == [None] * len(METHODS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_any_environment_gets_its_report(tmp_path: Path, kind: Kind) -> None:
    name = kind.name
    options = {"textworld_express": {"game": "coin"}, "gymnasium": {"make": "games:chess"}}
    environment = kind.options(**options.get(name, {}))
    context = make_run(tmp_path / "run", num_tasks=20, environment=environment)
    files = run_stage(context, tmp_path / "report")
    title, settings, played = {
        "textworld_express": (
            "coin",
            "the game's own settings",
            "the text game coin (Coin Collector: a coin is to be found among rooms)",
        ),
        "scienceworld": ("ScienceWorld", "simplification easy", "the text game ScienceWorld"),
        "alfworld": ("ALFWorld", "stored expert", "the text game ALFWorld"),
        "webshop": ("WebShop", "synthetic goals", "the web shop WebShop"),
        "gymnasium": (
            "games:chess",
            "the environment's own settings",
            "the environment games:chess",
        ),
    }[name]
    steps = environment.max_steps
    limit = "each task's own step limit" if steps is None else f"at most {steps} steps an episode"
    assert files["report.md"].startswith(
        f"# Weak-to-strong on {title}\n\nconfiguration quickstart, seed 0; {settings}; {limit}; 60 "
    )
    assert f") learned {played} from 60 expert demonstrations" in files["report.html"]
    assert json.loads(files["report.json"])["config"]["environment"]["name"] == name
