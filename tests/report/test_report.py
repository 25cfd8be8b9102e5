"""The report: three files that agree and repeat to the byte, for any environment."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.reported_run import METHODS, make_run, run_stage
from support.small_report import Page, small_report

from w2stree import read_trajectories, write_trajectories
from w2stree.environments.kinds import KINDS, Kind
from w2stree.errors import RunDirectoryError
from w2stree.experiment.config import load_config
from w2stree.experiment.report_again import report_again
from w2stree.experiment.run_json import write_json
from w2stree.experiment.run_lock import LOCK, holding
from w2stree.report.report import html_page, json_record, markdown
from w2stree.report.text import DASH, MINUS, percent, signed


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
    (doctor,) = [one for one in record["next"] if one["command"].startswith("w2stree doctor")]
    assert doctor["why"].startswith("No failure signature was found (errors, ")
    assert any(c.startswith("w2stree analyse assumption") for c in commands)


def test_the_report_says_what_the_doctor_does(tmp_path: Path) -> None:
    """Of the stages that led to it: another one may be of an earlier configuration."""
    context = make_run(tmp_path / "run", num_tasks=20)
    shutil.copytree(tmp_path / "run" / "evaluate_random", tmp_path / "run" / "evaluate_gone")
    for stage, num_broken in (("random", 3), ("gone", 9)):
        file = tmp_path / "run" / f"evaluate_{stage}" / "trajectories.jsonl"
        runs = read_trajectories(file)
        broken = [dataclasses.replace(t, status="error") for t in runs[:num_broken]]
        write_trajectories(file, [*broken, *runs[num_broken:]])
    told = json.loads(run_stage(context, tmp_path / "report")["report.json"])["next"]
    (found,) = [one for one in told if one["command"].startswith("w2stree stats")]
    assert found["why"].startswith("errors in evaluate_random: 10.3% > 2.0%. 10.3% of the episodes")
    assert found["command"].endswith("/run/evaluate_random")
    assert not [one for one in told if one["command"].startswith("w2stree doctor")]


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
