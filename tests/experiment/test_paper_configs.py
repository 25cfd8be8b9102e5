"""The paper's Table 1 with its own models, dry: the shipped experiment by its command, on each of
the paper's environments, with tiny random weights of its models' families.

    pytest -m slow tests/experiment/test_paper_configs.py
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")

from support.experiments import w2stree
from support.webshop_data import REAL, needs_real_shop

from w2stree import Message, Step, Trajectory, read_trajectories, write_trajectories
from w2stree.environments.options import (
    AlfworldOptions,
    Options,
    ScienceWorldOptions,
    WebShopOptions,
)
from w2stree.experiment.grid.plan import read_plan
from w2stree.trajectories.trajectory import Status
from w2stree.turns.react import render_turn

PAGE = Path(__file__).parents[2] / "docs" / "results" / "paper.md"
GAMES = Path(
    os.environ.get("ALFWORLD_DATA") or Path(__file__).parents[2] / "../shared/data/alfworld"
)
WORLDS = ("paper_webshop", "paper_scienceworld", "paper_alfworld")
IN_THE_PAPER = (
    *("sft_weak", "tree_dpo_suffix", "mcts_sft", "sft_strong", "eto", "best_of_n"),
    "ceiling_preferences",
)


def test_the_experiment_asks_what_the_paper_s_table_has() -> None:
    given = ("weak.path=small", "strong.path=large", "paper_webshop:environment.data=shop")
    plan = read_plan("paper_table1", overrides=given)
    assert tuple(plan.sources) == WORLDS
    assert set(plan.grid.methods) == {*IN_THE_PAPER, "ceiling"}
    assert not plan.left_out()
    for config in plan.variants.values():
        assert (str(config.weak.path), str(config.strong.path)) == ("small", "large")
        assert config.max_length == 4096
        assert (config.decoding.actions, config.decoding.thought) == ("free", True)
        assert (config.merge.min_similarity, config.merge.guard) == (0.9, None)
        assert config.explore.samplings is not None
        assert [s.model for s in config.explore.samplings] == ["tuned"] * 5 + ["base"]
        for name in plan.grid.methods:
            (method,) = (m for m in config.known_methods if m.name == name)
            trained = getattr(config.settings(method), "optimisation", config.settings(method))
            if method.train is not None:
                assert (trained.lora.r, trained.lora.alpha) == (64, 128)
                assert trained.num_epochs == 3
                assert trained.learning_rate == 2e-5
        suffixes = config.settings(next(m for m in config.methods() if m.name == "tree_dpo_suffix"))
        assert (suffixes.beta, suffixes.reference, suffixes.max_rows) == (0.1, "weak", None)
    limits = [plan.variants[world, "base"].environment.max_steps for world in WORLDS]
    assert limits == [10, None, 40]


def test_the_page_has_the_paper_s_numbers_and_a_place_for_ours() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for method in IN_THE_PAPER:
        (row,) = re.findall(rf"^\| `{method}` \|.*\|$", page, flags=re.MULTILINE)
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 7
        assert all(re.match(r"\d\d\.\d", cell) for cell in cells[1::2]), row
    assert "w2stree experiment paper_table1 \\\n        weak.path=" in page


def llama(folder: Path, *, hidden_size: int) -> None:
    """Llama 2 as its directories have it, with its chat template: two layers, random, bfloat16."""
    import torch
    from support.chat_models import TEMPLATES, sentencepiece
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = sentencepiece(TEMPLATES["llama2"], legacy=True)
    torch.manual_seed(0)
    config = LlamaConfig(**_sizes(tokenizer, hidden_size), num_key_value_heads=4)
    _saved(folder, LlamaForCausalLM(config), tokenizer)


def qwen(folder: Path, *, hidden_size: int) -> None:
    """Qwen2 as Qwen2.5's directories have it."""
    import torch
    from support.chat_models import byte_level
    from transformers import Qwen2Config, Qwen2ForCausalLM

    template = files("trl") / "chat_templates" / "qwen2_5.jinja"
    tokenizer = byte_level(template.read_text(encoding="utf-8"))
    torch.manual_seed(0)
    config = Qwen2Config(**_sizes(tokenizer, hidden_size), num_key_value_heads=2)
    _saved(folder, Qwen2ForCausalLM(config), tokenizer)


def _sizes(tokenizer: Any, hidden_size: int) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": hidden_size,
        "intermediate_size": 2 * hidden_size,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 16384,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _saved(folder: Path, model: Any, tokenizer: Any) -> None:
    from w2stree.training.models import save_model

    save_model(folder, model.bfloat16(), tokenizer)


def solved_and_given_up(options: Options, num_tasks: int) -> list[Trajectory]:
    """Of each train task the expert's run, and one that stops helping after its first action:
    random weights come to no return by themselves, and without any nothing is preferred."""
    played = []
    with replace(options, num_processes=1).pool() as pool:
        environment = pool[0]
        for task_id in environment.call("tasks", "train")[:num_tasks]:
            environment.call("reset", task_id)
            shown = [turn.action for turn in environment.call("expert")]
            for actions in (shown, [shown[0], *["inventory"] * 3]):
                statement, _ = environment.call("reset", task_id)
                steps, score, terminated = [], 0.0, False
                for action in actions:
                    answer = environment.call("step", action)
                    observation, _, terminated, truncated, info = answer
                    steps.append(Step(action, observation, render_turn("", action)))
                    score = info["score"]
                    if terminated or truncated:
                        break
                status: Status = "done" if terminated else "truncated"
                prompt = (Message("user", statement),)
                played.append(Trajectory(task_id, prompt, tuple(steps), score, status))
    return played


def dry_run(
    world: str,
    family: Callable[..., None],
    cwd: Path,
    *overrides: str,
    methods: Sequence[str] = (*IN_THE_PAPER, "ceiling"),
) -> dict[str, Any]:
    """The results of the methods in the world, by the command that the page has."""
    family(cwd / "small", hidden_size=32)
    family(cwd / "large", hidden_size=64)
    given = (
        *("weak.path=small", "strong.path=large", "environment.num_processes=2"),
        "decoding={actions: admissible, max_new_tokens: 6}",  # random weights say no action
        "max_length=12000",  # tokens of small vocabularies
        "search.num_simulations=20",
        "evaluate.num_bootstrap=100",
        "best_of_n.num_samples=2",
        *(() if _merges_by_similarity() else ("merge={}",)),
        *(f"{world}:{override}" for override in overrides),
    )
    command = ("experiment", "paper_table1", *given, "--worlds", world)
    alone = ("--seeds", "1", "--processes", "1", "--methods", ",".join(methods))
    ran = w2stree(*command, *alone, cwd=cwd)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    results = {
        file.stem: json.loads(file.read_text(encoding="utf-8"))
        for file in (cwd / "results" / "paper_table1" / world / "base" / "seed-0").glob("*.json")
    }
    assert set(results) == set(methods)
    for record in results.values():
        assert all(panel["num_errors"] == 0 for panel in record["panels"].values())
        assert record["changes"]["weak.path"] == "small"
    summary = json.loads((cwd / "results" / "paper_table1" / "summary.json").read_text("utf-8"))
    assert "weak.path=small" in summary["overrides"][world]
    return results


def _merges_by_similarity() -> bool:
    try:
        import sentence_transformers  # noqa: F401
    except ImportError:
        return False
    return True


both_families = pytest.mark.parametrize("family", [llama, qwen])


SMALL_SHOP = (
    f"environment.data={REAL}",
    "environment.goals=synthetic",
    "environment.max_steps=7",
    "tasks={demonstrations: 3, explore: 3, test: 2}",
)


@pytest.mark.slow
@pytest.mark.train
@both_families
@needs_real_shop
def test_on_webshop(tmp_path: Path, family: Callable[..., None]) -> None:
    for package in ("trl", "matplotlib", "snowballstemmer"):
        pytest.importorskip(package)
    runs = solved_and_given_up(WebShopOptions(data=REAL, max_steps=7), 6)
    write_trajectories(tmp_path / "explored.jsonl", runs)
    played = "explore={trajectories: explored.jsonl}"
    dry_run("paper_webshop", family, tmp_path, *SMALL_SHOP, played)


@pytest.mark.slow
@pytest.mark.train
@both_families
@needs_real_shop
def test_the_weak_model_explores_as_the_paper_s(
    tmp_path: Path, family: Callable[..., None]
) -> None:
    for package in ("trl", "matplotlib", "snowballstemmer"):
        pytest.importorskip(package)
    results = dry_run("paper_webshop", family, tmp_path, *SMALL_SHOP, methods=["mcts_sft"])
    runs = tmp_path / "runs" / "experiments" / "paper_webshop--seed-0"
    explored = read_trajectories(runs / "explore" / "trajectories.jsonl")
    assert len(explored) == 3 * 6
    assert results["mcts_sft"]["stages"]["explore"]["num_trajectories"] == 3 * 6


@pytest.mark.slow
@pytest.mark.train
@pytest.mark.java
@both_families
def test_on_scienceworld(tmp_path: Path, family: Callable[..., None]) -> None:
    for package in ("trl", "matplotlib", "scienceworld"):
        pytest.importorskip(package)
    longest, shortest = "lifespan-longest-lived", "lifespan-shortest-lived"
    splits = {
        "train": [[longest, 0], [shortest, 0], [longest, 4], [shortest, 4]],
        "dev": [],
        "test": [[longest, 100], [shortest, 100]],
    }
    split = tmp_path / "split.json"
    split.write_text(json.dumps(splits), encoding="utf-8")
    runs = solved_and_given_up(ScienceWorldOptions(split_file=split, max_steps=7), 2)
    write_trajectories(tmp_path / "explored.jsonl", runs)
    dry_run(
        "paper_scienceworld",
        family,
        tmp_path,
        "environment.split_file=split.json",
        "environment.max_steps=7",
        "environment.list_actions=true",
        "explore={trajectories: explored.jsonl}",
        "tasks={demonstrations: 2, explore: 2, test: 2, distinct: false}",
    )


@pytest.mark.slow
@pytest.mark.train
@both_families
def test_on_alfworld(tmp_path: Path, family: Callable[..., None]) -> None:
    for package in ("trl", "matplotlib"):
        pytest.importorskip(package)
    pytest.importorskip("textworld", reason="ALFWorld's engine: pip install 'w2stree[alfworld]'")
    if not GAMES.is_dir():
        pytest.skip("no ALFWorld games: set $ALFWORLD_DATA")
    write_trajectories(
        tmp_path / "explored.jsonl", solved_and_given_up(AlfworldOptions(data=GAMES), 4)
    )
    dry_run(
        "paper_alfworld",
        family,
        tmp_path,
        f"environment.data={GAMES}",
        "environment.max_steps=20",
        "explore={trajectories: explored.jsonl}",
        "tasks={demonstrations: 3, explore: 2, test: {seen: {split: valid_seen, count: 2}}}",
    )
