"""Models of a run that play through a server: adapters loaded by name, played, unloaded."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("httpx2")
pytest.importorskip("matplotlib")

from support.chat_server import Handler, serving
from support.demonstrated import TREASURE, experiment
from support.experiments import METHODS, run, smallest
from support.lora_server import lora_server
from support.tiny_models import tiny_model, tiny_tokenizer
from support.treasure_hunters import EXAMPLE, hunts

from w2stree import InvalidInput, read_trajectories, write_trajectories
from w2stree.experiment.checks import check
from w2stree.experiment.config import load_config
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.play import GREEDY
from w2stree.experiment.stages.players import Players
from w2stree.policies.served.adapters import served_adapters
from w2stree.rollouts.exploration import plan_episodes
from w2stree.training.models import Architecture, build_model, save_model, train_tokenizer

# ruff: noqa: SIM117 (the server is not what is expected to raise)
pytestmark = pytest.mark.train

KEPT = {"lora": {"r": 4, "alpha": 8, "merge": False}}


def saved(folder: Path) -> Path:
    tokenizer = tiny_tokenizer()
    save_model(folder, tiny_model(tokenizer), tokenizer)
    return folder


@pytest.mark.usefixtures("the_example_s_folder")
@pytest.mark.parametrize("merges", ["weak.sft", "tree_dpo.optimisation"])
def test_what_a_server_cannot_load_is_refused_by_its_key(tmp_path: Path, merges: str) -> None:
    path = str(saved(tmp_path / "base"))
    served = {"path": path, "served": {}, "sft": {"num_epochs": 1, "learning_rate": 1e-3, **KEPT}}
    changes: dict[str, Any] = {"weak": served, "strong": {**served}, "max_length": 500}
    once = {"optimisation": {"num_epochs": 1, "learning_rate": 1e-3, **KEPT}}
    changes |= dict.fromkeys(("tree_dpo", "mcts_sft", "ceiling"), once)
    with experiment(tmp_path, hunts(range(9)), **changes) as context:
        record = context.config.model_dump(mode="json")
    section: Any = record
    for key in merges.split("."):
        section = section[key]
    section["lora"] = None
    file = tmp_path / "merges.yaml"
    file.write_text(json.dumps(record))
    with experiment(tmp_path, hunts(range(9)), **changes) as context:
        context.config = load_config(file)
        role = merges.partition(".")[0] if merges.startswith("weak") else "strong"
        with pytest.raises(InvalidInput, match=rf"^{role}.served: .* and {merges} makes a whole"):
            check(context)


def test_served_is_of_a_directory(tmp_path: Path) -> None:
    config = smallest(TREASURE, {"demonstrations": 2, "explore": 2, "test": 2})
    config["weak"]["served"] = {}
    file = tmp_path / "smallest.yaml"
    file.write_text(json.dumps(config))
    with pytest.raises(InvalidInput, match=r"weak: served is for a model of a directory \(path\)"):
        load_config(file)
    with pytest.raises(InvalidInput, match=r"weak.served.base_url: .*password"):
        load_config(file, ["weak.served.base_url=http://a:secret@b/v1"])


def refuses(status: int, message: str) -> Any:
    def answer(handler: Handler, body: dict[str, Any]) -> None:
        handler.send(json.dumps({"error": {"message": message}}).encode(), status)

    return answer


def loads(handler: Handler, body: dict[str, Any]) -> None:
    handler.send(b"Success: LoRA adapter added successfully.")


def test_the_server_s_words_are_told(tmp_path: Path) -> None:
    with serving(refuses(404, "Not Found")) as server:
        with pytest.raises(InvalidInput, match=r"Not Found \(404\); start it with --enable-lora"):
            with served_adapters(tmp_path, "n", base_url=server.url):
                pass
    with serving(refuses(400, "LoRA rank 64 is greater than 16")) as server:
        with pytest.raises(InvalidInput, match=r"rank 64 .*\(400\); it has to see the path"):
            with served_adapters(tmp_path, "n", base_url=server.url):
                pass
    there = "The lora adapter 'n' has already been loaded. If you want"
    with serving(refuses(400, there), refuses(404, "cannot be found")) as server:
        with served_adapters(tmp_path, "n", base_url=server.url):
            pass
    with serving(refuses(503, "busy"), loads) as server:
        with served_adapters(tmp_path, "n", base_url=server.url):
            pass
    orders = [{"lora_name": "n", "lora_path": str(tmp_path)}] * 2 + [{"lora_name": "n"}]
    assert server.requests == orders


def test_a_run_plays_through_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(EXAMPLE, tmp_path)
    shown = hunts(range(500, 506))
    write_trajectories(tmp_path / "shown.jsonl", shown)
    texts = [text for t in shown for s in t.steps for text in (s.response, s.observation)]
    tokenizer = train_tokenizer(texts, vocab_size=400, phrase_min_count=3)
    size = Architecture(48, 2, 2, 96)
    save_model(tmp_path / "base", build_model(size, tokenizer, seed=0), tokenizer)

    often = {"num_epochs": 15, "learning_rate": 2e-2, "batch_size": 4, **KEPT}
    once = {"optimisation": {"num_epochs": 1, "learning_rate": 1e-3, **KEPT}}
    tasks = {"demonstrations": 3, "explore": 3, "test": 1}
    game = {**TREASURE, "max_steps": 5, "num_processes": 2}
    config = smallest(game, tasks, demonstrations="shown.jsonl")
    config |= {"tree_dpo": {"max_rows": 6, **once}, "decoding": {"thought": False}}
    del config["mcts_sft"], config["ceiling"]
    warm = [{"temperature": t} for t in (0, 1.0, 1.5)]
    config["explore"]["samplings"] = [*warm, {"temperature": 1.0, "model": "base"}]
    with lora_server(tmp_path / "base", tmp_path) as url:
        section = {"path": "base", "sft": often, "served": {"base_url": url}}
        ran = run({**config, "weak": section, "strong": section}, tmp_path)
        assert ran.returncode == 0, ran.stderr[-4000:]
        asked = [json.loads(x) for x in (tmp_path / "requests.jsonl").read_text().splitlines()]
    run_dir = tmp_path / "runs" / "smallest"
    orders = [what for what, _ in asked if what != "completions"]
    assert orders == ["load_lora_adapter", "unload_lora_adapter"] * 4  # explored, three evaluated
    loaded = {name for what, name in asked if what == "load_lora_adapter"}
    assert len(loaded) == 3, "one name for each model"
    assert {name for what, name in asked if what == "completions"} == {*loaded, "base"}
    explored = read_trajectories(run_dir / "explore" / "trajectories.jsonl")
    assert {t.status for t in explored} <= {"done", "truncated"}
    assert all(step.token_ids and step.logprobs for t in explored for step in t.steps)
    assert len({t.origin.tokenizer for t in explored}) == 1
    assert None not in {t.origin.tokenizer for t in explored}
    report = json.loads((run_dir / "report" / "report.json").read_text(encoding="utf-8"))
    assert tuple(row["method"] for row in report["rows"]) == METHODS[:4]
    config_of = json.loads((run_dir / "tree_dpo" / "model" / "adapter_config.json").read_text())
    assert config_of["r"] == 8, "what TreeDPO learned lies beside what it started from"
    assert config_of["base_model_name_or_path"] == str(tmp_path / "base")

    monkeypatch.chdir(tmp_path)
    here = load_config("smallest.yaml", ["weak.served=null", "strong.served=null"])
    with closing(Context(here, run_dir)) as context, closing(Players(context)) as players:
        for stage in ("sft_weak", "tree_dpo"):
            served = read_trajectories(run_dir / f"evaluate_{stage}" / "trajectories.jsonl")
            plans = plan_episodes([t.task_id for t in served], [GREEDY], seed=0)
            played = context.play(stage, context.pool(), players.trained(stage)(), plans)
            said = {t.task_id: [step.response for step in t.steps] for t in played}
            assert said == {t.task_id: [step.response for step in t.steps] for t in served}
