"""The real vLLM: whole TextWorldExpress episodes through its server and in process.

W2STREE_VLLM_PYTHON=DIR/bin/python pytest -m slow tests/policies/test_vllm.py, DIR made by
`bash bench/policies/vllm_venv.sh DIR`.
"""

from __future__ import annotations

import copy
import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("httpx2")
pytest.importorskip("textworld_express")
pytest.importorskip("torch")

import torch

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.textworld_express import TextWorldExpress
from w2stree.policies.openai import OpenAIPolicy
from w2stree.policies.protocol import Sampling
from w2stree.policies.transformers import TransformersPolicy
from w2stree.rollouts.rollout import EpisodePlan, rollout
from w2stree.training.models import load_model
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.trajectory import Trajectory
from w2stree.turns.chat import ChatFormat
from w2stree.turns.decoding import Decoding
from w2stree.turns.grammar import TurnGrammar

PYTHON = os.environ.get("W2STREE_VLLM_PYTHON", "")
ROOT = Path(__file__).parents[2]
DECODING = Decoding(max_new_tokens=24)
GAME = {"numLocations": 1, "numIngredients": 1, "includeDoors": 0}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.java,
    pytest.mark.skipif(not PYTHON, reason="W2STREE_VLLM_PYTHON names no interpreter with vLLM"),
]


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weak model of the miniature, wide enough for vLLM's attention kernels on the CPU."""
    run_dir = tmp_path_factory.mktemp("run")
    width = (
        "weak.architecture={hidden_size: 64, num_layers: 2, num_heads: 2, intermediate_size: 64}"
    )
    command = [sys.executable, "-m", "w2stree", "run", "miniature", "--run-dir", str(run_dir)]
    # So small a run may find no pairs to go on with: the weak model is there by then.
    ran = subprocess.run([*command, width], capture_output=True, text=True)
    model = run_dir / "sft_weak" / "model"
    assert model.is_dir(), ran.stderr
    return model


@pytest.fixture(scope="module")
def url(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from bench.policies.vllm_server import vllm_server

    log = tmp_path_factory.mktemp("server") / "log"
    with vllm_server(PYTHON, model_dir, log=log) as base_url:
        yield base_url


@pytest.fixture(scope="module")
def pool() -> Iterator[EnvironmentPool]:
    factory = functools.partial(TextWorldExpress, "cookingworld", GAME, max_steps=6)
    with EnvironmentPool(factory, 3) as processes:
        yield processes


def play(
    pool: EnvironmentPool,
    policy: Any,
    *,
    num_tasks: int = 2,
    num_samples: int = 2,
    temperature: float = 1.0,
    top_p: float = 0.95,
) -> list[Trajectory]:
    plans = [
        EpisodePlan(f"cookingworld/train/{task}", sample, Sampling(temperature, top_p), 11)
        for task in range(num_tasks)
        for sample in range(num_samples)
    ]
    played = list(rollout(pool, policy, plans, instruction="Cook."))
    return sorted(played, key=lambda t: (t.task_id, t.origin.sample_index))


def openai_policy(url: str, model_dir: Path, **settings: Any) -> OpenAIPolicy:
    _, tokenizer = load_model(model_dir)
    return OpenAIPolicy(
        "tuned", base_url=url, **{"tokenizer": tokenizer, "decoding": DECODING, **settings}
    )


def test_sent_token_ids_the_server_samples_what_the_model_means(
    url: str, model_dir: Path, pool: EnvironmentPool
) -> None:
    played = play(pool, openai_policy(url, model_dir))
    assert len(played) == 4
    check_sampled(played, model_dir)


def test_an_adapter_is_asked_for_by_name(
    model_dir: Path, pool: EnvironmentPool, tmp_path: Path
) -> None:
    from bench.policies.vllm_server import vllm_server

    model, tokenizer = load_model(model_dir)
    torch.manual_seed(3)
    tuned = adapted(model)
    tuned.save_pretrained(tmp_path / "adapter")
    with vllm_server(
        PYTHON, model_dir, log=tmp_path / "log", adapters={"tuned": tmp_path / "adapter"}
    ) as url:
        by_name = {
            name: play(
                pool, OpenAIPolicy(name, base_url=url, tokenizer=tokenizer, decoding=DECODING)
            )
            for name in ("base", "tuned")
        }
    check_sampled(by_name["base"], model_dir)
    check_sampled(by_name["tuned"], model_dir, model=tuned.merge_and_unload())


def adapted(model: Any) -> Any:
    """The model with a LoRA adapter that changes it: neither of its matrices is zero."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=8, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM"
    )
    return get_peft_model(copy.deepcopy(model), config)


def check_sampled(played: list[Trajectory], model_dir: Path, *, model: Any = None) -> None:
    """Whole episodes, whose ids say the text and whose logprobs are the model's own."""
    own_model, tokenizer = load_model(model_dir)
    model = model or own_model
    chat = ChatFormat(tokenizer)
    for trajectory in played:
        assert trajectory.status in ("done", "truncated"), trajectory.origin
        assert trajectory.origin.tokenizer == chat.fingerprint()
        for number, step in enumerate(trajectory.steps):
            assert step.token_ids is not None
            assert step.logprobs is not None
            text, end = step.token_ids[: -len(chat.end_ids)], step.token_ids[-len(chat.end_ids) :]
            assert tokenizer.decode(text) == step.response
            assert list(end) == chat.end_ids
            history = chat.history_ids(trajectory.prompt, trajectory.steps[:number])
            expected = nucleus_logprobs(model, history, list(step.token_ids), top_p=0.95)
            kept = np.array(step.logprobs)
            sampled = kept != 0.0  # also what had no alternative, and an end that was forced
            np.testing.assert_allclose(kept[sampled], expected[sampled], atol=1e-3)


def nucleus_logprobs(model: Any, history: list[int], said: list[int], *, top_p: float) -> Any:
    with torch.inference_mode():
        logits = model(torch.tensor([history + said])).logits[0, len(history) - 1 : -1].double()
    logprobs = []
    for row, token in zip(torch.softmax(logits, dim=-1), said, strict=True):
        ordered = row.sort(descending=True).values
        size = int((ordered.cumsum(0) < top_p).sum()) + 1
        logprobs.append(float((row[token] / ordered[:size].sum()).log()))
    return np.array(logprobs)


def test_the_same_seed_gives_the_same_actions(
    url: str, model_dir: Path, pool: EnvironmentPool
) -> None:
    first, second = (play(pool, openai_policy(url, model_dir)) for _ in range(2))
    assert first == second
    assert first[0].steps != first[1].steps, "samples of one task draw differently"


def test_as_chat_messages_any_server_s_way(
    url: str, model_dir: Path, pool: EnvironmentPool
) -> None:
    played = play(pool, openai_policy(url, model_dir, tokenizer=None))
    for trajectory in played:
        assert trajectory.status in ("done", "truncated"), trajectory.origin
        assert trajectory.origin.tokenizer is None
        assert all(s.token_ids and s.logprobs for s in trajectory.steps)


@pytest.mark.parametrize("has_thought", [False, True])
def test_admissible_actions_have_the_probabilities_of_the_model_s_own_logits(
    url: str, model_dir: Path, pool: EnvironmentPool, has_thought: bool
) -> None:
    """Token by token: what may come next, and how likely each of it was."""
    decoding = admissible(has_thought)
    model, tokenizer = load_model(model_dir)
    chat = ChatFormat(tokenizer)
    grammar = TurnGrammar(chat, decoding)
    played = play(pool, openai_policy(url, model_dir, decoding=decoding), temperature=0.8, top_p=1)
    num_choices = 0
    for trajectory, listed in zip(played, listings(pool, played), strict=True):
        for number, step in enumerate(trajectory.steps):
            assert step.action in listed[number]
            assert step.token_ids is not None
            assert step.logprobs is not None
            history = chat.history_ids(trajectory.prompt, trajectory.steps[:number])
            with torch.inference_mode():
                logits = model(torch.tensor([[*history, *step.token_ids]])).logits[0].double() / 0.8
            turn = grammar.start(listed[number])
            while not turn.is_done:
                place = len(turn.ids)
                row, token = logits[len(history) + place - 1], step.token_ids[place]
                if turn.allowed is not None:
                    num_choices += 1
                    assert token in turn.allowed
                    row = torch.full_like(row, -torch.inf).index_copy(
                        0, torch.from_numpy(turn.allowed.copy()), row[turn.allowed.tolist()]
                    )
                if step.logprobs[place]:  # 0: of a mark of the model's own, which became this one
                    expected = float(row.log_softmax(-1)[token])
                    assert step.logprobs[place] == pytest.approx(expected, abs=1e-3)
                turn.push(token, step.logprobs[place])
            assert tuple(turn.ids) == step.token_ids
    assert num_choices > 20


def listings(pool: EnvironmentPool, played: list[Trajectory]) -> list[list[list[str]]]:
    """The actions that the game listed before each step of each trajectory."""
    found = []
    for trajectory in played:
        _, info = pool[0].call("reset", trajectory.task_id)
        found.append([info["admissible_actions"]])
        for step in trajectory.steps:
            *_, info = pool[0].call("step", step.action)
            found[-1].append(info["admissible_actions"])
    return found


def admissible(has_thought: bool) -> Decoding:
    return Decoding("admissible", thought=has_thought, max_new_tokens=16)


IN_PROCESS = """
import functools, json, sys
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.textworld_express import TextWorldExpress
from w2stree.policies.vllm import VllmPolicy
from w2stree.policies.protocol import Sampling
from w2stree.rollouts.rollout import EpisodePlan, rollout
from w2stree.trajectories.files import write_trajectories
from w2stree.turns.decoding import Decoding

if __name__ == "__main__":
    model_dir, out, game, decoding, tasks, samples, sampling = sys.argv[1:]
    policy = VllmPolicy(
        model_dir, decoding=Decoding(**json.loads(decoding)), memory_fraction=0.1
    )
    factory = functools.partial(TextWorldExpress, "cookingworld", json.loads(game), max_steps=6)
    plans = [EpisodePlan(f"cookingworld/train/{t}", s, Sampling(*json.loads(sampling)), 11)
             for t in range(int(tasks)) for s in range(int(samples))]
    with EnvironmentPool(factory, 3) as pool:
        write_trajectories(out, rollout(pool, policy, plans, instruction="Cook."))
"""


def play_in_process(
    folder: Path,
    model_dir: Path,
    decoding: Decoding,
    *,
    num_tasks: int = 2,
    num_samples: int = 2,
    temperature: float = 1.0,
) -> list[Trajectory]:
    script, out = folder / "play.py", folder / "played.jsonl"
    script.write_text(IN_PROCESS)
    arguments = [
        *(str(model_dir), str(out), json.dumps(GAME), json.dumps(asdict(decoding))),
        *(str(num_tasks), str(num_samples), json.dumps([temperature, 0.95])),
    ]
    subprocess.run([PYTHON, str(script), *arguments], check=True)
    return sorted(read_trajectories(out), key=lambda t: (t.task_id, t.origin.sample_index))


@pytest.mark.parametrize("has_thought", [False, True])
def test_greedy_play_takes_the_same_actions_whoever_runs_the_model(
    url: str, model_dir: Path, pool: EnvironmentPool, tmp_path: Path, has_thought: bool
) -> None:
    decoding = admissible(has_thought)
    policies = {
        "transformers": TransformersPolicy(*load_model(model_dir), decoding=decoding),
        "server": openai_policy(url, model_dir, decoding=decoding),
    }
    played = {
        name: play(pool, policy, temperature=0.0, num_tasks=20, num_samples=1)
        for name, policy in policies.items()
    }
    played["vllm"] = play_in_process(
        tmp_path, model_dir, decoding, num_tasks=20, num_samples=1, temperature=0.0
    )
    said = {
        name: [[(s.action, s.token_ids, s.logprobs) for s in t.steps] for t in trajectories]
        for name, trajectories in played.items()
    }
    assert said["transformers"] == said["server"] == said["vllm"]
    assert len({s.action for t in played["vllm"] for s in t.steps}) > 3


@pytest.mark.parametrize("decoding", [DECODING, admissible(True)], ids=["free", "admissible"])
def test_vllm_in_process_plays_the_server_s_episodes(
    url: str, model_dir: Path, pool: EnvironmentPool, tmp_path: Path, decoding: Decoding
) -> None:
    played = play_in_process(tmp_path, model_dir, decoding)
    if decoding is DECODING:
        check_sampled(played, model_dir)
    served = play(pool, openai_policy(url, model_dir, decoding=decoding))
    assert [[s.token_ids for s in t.steps] for t in played] == [
        [s.token_ids for s in t.steps] for t in served
    ]
