"""docs/tutorial_logs.md, as a reader would follow it: its logs, its commands, in its order."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from w2stree.cli.app import main

PAGE = Path(__file__).parents[1] / "docs" / "tutorial_logs.md"


def blocks(language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )


DRINKS = ("tea", "mate", "coffee", "cocoa", "broth")


@pytest.fixture(params=[1, 5])
def num_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> int:
    """The page's two runs, and the same of four more tasks."""
    count: int = request.param
    monkeypatch.chdir(tmp_path)
    (page,) = blocks("json")
    runs = [json.loads(line) for line in page.splitlines()]
    folder = tmp_path / "logs"
    folder.mkdir()
    for drink in DRINKS[:count]:
        lines = (json.dumps(run).replace("tea", drink).replace("Tea", drink) for run in runs)
        (folder / f"{drink}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return count


@pytest.mark.train
@pytest.mark.filterwarnings("ignore::w2stree.errors.LikelihoodDisplaced")
def test_its_commands_lead_to_rows_and_to_a_model(
    num_tasks: int, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("trl")
    datasets = pytest.importorskip("datasets")
    from support.tiny_models import tiny_model, tiny_tokenizer

    from w2stree.training.models import save_model

    tokenizer = tiny_tokenizer()
    save_model("models/strong", tiny_model(tokenizer), tokenizer)
    told = {}
    for line in "".join(blocks("console")).splitlines():
        program, *arguments = shlex.split(line)
        assert program == "w2stree"
        status = main(arguments)
        told[arguments[0]] = capsys.readouterr()
        assert status == 0, (line, told[arguments[0]])
    num_runs = 2 * num_tasks
    assert f"{num_runs} runs read = {num_runs} used" in told["convert"].out
    assert f"reward: won ({num_runs})" in told["convert"].err
    assert "boil water" in told["tree"].out
    assert f"trained on {num_tasks} rows" in told["train"].out
    assert f"{num_runs} runs read" in told["train"].out
    assert Path("models/preferred/model.safetensors").is_file()
    rows = list(datasets.load_dataset("dpo")["train"])  # as trl dpo does
    assert len(rows) == num_tasks
    for row in rows:
        assert row["chosen"][0]["content"] == "Action: pour water on the leaves"
        assert row["rejected"][0]["content"] == "Action: drink water"
        assert [m["role"] for m in row["prompt"]] == ["system", "user", "assistant", "user"]
