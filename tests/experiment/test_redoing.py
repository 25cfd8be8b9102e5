"""Which stages another configuration redoes, and what is said of it before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.kitchen import Kitchen

from w2stree.errors import InvalidInput, RunDirectoryError
from w2stree.experiment.changes import Change
from w2stree.experiment.run_directory import RunDirectory, StageSpec, StageWriter
from w2stree.experiment.running import run_stages


def test_a_setting_redoes_what_reads_it(tmp_path: Path) -> None:
    ran: list[str] = []

    asked: list[list[str]] = []

    def run(**config: Any) -> list[str]:
        def stage(name: str) -> Any:
            def fill(out: StageWriter) -> None:
                ran.append(name)
                (out.folder / "result").write_text(name)

            return fill

        def accept(_: RunDirectory, differing: Sequence[Change]) -> None:
            asked.append([str(change) for change in differing])

        ran.clear()
        directory = RunDirectory(tmp_path, config, may_change=("limits",), accept=accept)
        specs = [
            StageSpec("explore", ()),
            StageSpec("dpo", ("explore",), reads=("dpo",)),
            StageSpec("report", ("dpo",), reads=("dpo.beta", "evaluate", "limits")),
        ]
        stages = [(spec, stage(spec.name)) for spec in specs]
        run_stages(directory, stages, seed=0, announce=lambda *_: None)
        return list(ran)

    first = {"seed": 1, "dpo": {"beta": 0.1}, "evaluate": {"draws": 10}}
    assert run(**first) == ["explore", "dpo", "report"]
    assert run(**first) == []
    assert run(**{**first, "evaluate": {"draws": 20}}) == ["report"]
    assert run(**first | {"dpo": {"beta": 0.5}}) == ["dpo", "report"]
    assert json.loads((tmp_path / "config.json").read_text())["dpo"] == {"beta": 0.5}
    assert run(**first | {"dpo": {"beta": 0.5, "rows": 3}}) == ["dpo"], "its result is the same"
    assert run(**{**first, "dpo": {"beta": 0.5, "rows": 3}, "seed": 2}) == [], "nothing reads it"
    assert asked == [
        ["evaluate.draws: 10 there, 20 now"],
        ["dpo.beta: 0.1 there, 0.5 now", "evaluate.draws: 20 there, 10 now"],
        ["dpo.rows: None there, 3 now"],
        ["seed: 1 there, 2 now"],
    ]
    assert run(**{**first, "dpo": {"beta": 0.5, "rows": 3}, "limits": 7}) == []
    assert len(asked) == 5, "the seed; of what may change nobody is asked"


def test_a_setting_may_change_and_the_newest_is_kept(tmp_path: Path) -> None:
    def opened(budget: int) -> None:
        RunDirectory(tmp_path, {"seed": 1, "budget": budget}, may_change=("budget",))
        assert json.loads((tmp_path / "config.json").read_text())["budget"] == budget

    opened(1)
    (tmp_path / "episodes.journal").write_text("played")
    opened(2)
    with pytest.raises(RunDirectoryError, match="seed: 1 there, 0 now"):
        RunDirectory(tmp_path, {"seed": 0, "budget": 3}, may_change=("budget",))
    assert json.loads((tmp_path / "config.json").read_text()) == {"seed": 1, "budget": 2}


def test_what_is_redone_is_said_before_and_why(tmp_path: Path) -> None:
    outside = tmp_path / "words"
    outside.write_text("one")
    specs = [
        StageSpec("a", (), reads=("epochs", "seeds.a")),
        StageSpec("b", ("a",)),
        StageSpec("c", (), external=(outside,)),
        StageSpec("d", ("c",)),
    ]

    def run(config: dict[str, Any]) -> list[str]:
        said: list[str] = []

        def fill(out: StageWriter) -> None:
            (out.folder / "result").write_text(str(config))

        run_stages(
            RunDirectory(tmp_path / "run", config, accept=lambda *_: None),
            [(spec, fill) for spec in specs],
            seed=0,
            announce=lambda stage, what: said.append(f"{stage} {what}"),
        )
        return said

    first = run({"epochs": 1, "seed": 0})
    assert [line for line in first if "redone" in line] == []
    assert run({"epochs": 1, "seed": 0}) == [f"{name} done before" for name in "abcd"]
    outside.write_text("two")
    words = f"{outside}: another than it was made from"
    assert run({"epochs": 3, "seed": 0, "seeds": {"a": 5}})[:5] == [
        "a to be redone: epochs: 1 there, 3 now; seeds.a: 0 there, 5 now (took 0 s)",
        "b to be redone: if a comes out different (took 0 s)",
        f"c to be redone: {words} (took 0 s)",
        "d to be redone: if c comes out different (took 0 s)",
        "a running, epochs: 1 there, 3 now; seeds.a: 0 there, 5 now",
    ]
    assert run({"epochs": 3, "seed": 9, "seeds": {"a": 5}})[0] == "a done before"


def test_a_result_whose_configuration_is_not_read_is_not_redone_unasked(kitchen: Kitchen) -> None:
    kitchen.run()
    manifest = kitchen.directory.stage("a") / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"config": {"old": 1}}))

    def read(recorded: Any) -> Any:
        if "old" in recorded:
            raise InvalidInput("config.json: old: no such key")
        return recorded

    directory = RunDirectory(kitchen.directory.path, {"seed": 1}, read=read)
    assert directory.is_current(StageSpec("a", ())), "it reads nothing of it"
    spec = StageSpec("a", (), reads=("seed",))
    assert directory.changed(spec) == []
    with pytest.raises(RunDirectoryError, match=r"run/a was made by .*no such key\).*--force a"):
        directory.why_redo(spec)
    other = RunDirectory(kitchen.directory.path.with_name("other"), {"seed": 1}, read=read)
    assert not other.take(spec, directory.stage("a"))


def test_a_file_that_an_older_version_did_not_write_down_redoes_nothing(tmp_path: Path) -> None:
    template = tmp_path / "chat.jinja"
    template.write_text("one")
    directory = RunDirectory(tmp_path / "run", {})
    older, newer = StageSpec("a", ()), StageSpec("a", (), external=(template,))
    with directory.write(older, 0):
        pass
    assert directory.is_current(newer)
    other = RunDirectory(tmp_path / "other", {})
    assert not other.take(newer, directory.stage("a")), "of which file it came is not known"
    assert other.take(older, directory.stage("a"))
