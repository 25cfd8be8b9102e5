"""The commands and the Python of docs/rows.md, "Rows on disk", as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

import w2stree as w2s
from w2stree.cli.app import main
from w2stree.rows.presets import PRESETS

DOCS = Path(__file__).parents[2] / "docs" / "rows.md"


def runs() -> list[w2s.Trajectory]:
    return [
        w2s.Trajectory(
            f"task {task}",
            (w2s.Message("user", f"Task {task}."),),
            (w2s.Step(first, "Well.", f"Action: {first}"), w2s.Step("stop", "", "Action: stop")),
            total_return,
            "done",
        )
        for task in range(12)
        for first, total_return in (("left", 1.0), ("right", 0.0))
    ]


@pytest.mark.filterwarnings("ignore::w2stree.errors.RowWarning")
def test_what_it_shows_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = DOCS.read_text(encoding="utf-8")
    commands = re.findall(r"^    w2stree ((?:pairs|paths|advantages) [^#\n]*)", text, re.MULTILINE)
    assert len(commands) == 10
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    w2s.write_trajectories("runs/runs.jsonl", runs())
    written = set()
    for command in commands:
        words = shlex.split(command)
        if "--tokenizer" not in words:  # which test_rows_in_trainers.py gives
            assert main(words) == 0, command
            written.add(words[words.index("-o") + 1])
    assert all(Path(name).exists() for name in written)
    block = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[1]
    exec(compile(block, str(DOCS), "exec"), {"w2s": w2s, "forest": w2s.build_forest(runs())})
    assert Path("dpo.test.parquet").exists()


def test_the_table_has_every_trainer() -> None:
    text = DOCS.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (.*) \|$", text, re.MULTILINE))
    for name, preset in PRESETS.items():
        for kind, layout in preset.layouts.items():
            if kind != "preference_tokens":
                for column in layout.own:
                    if not column.name.endswith("_mask") or column.name == "attention_mask":
                        assert f"`{column.name}`" in rows[name], (name, kind, column.name)
