"""Tokens a second of rollouts, by policy, on the same greedy episodes of a real game.

    python -m bench.policies.rollouts [MODEL_DIR] [--vllm PYTHON] [--episodes 16] [--rounds 3]

Bare batched `generate` is given the very prompts the rollout's turns had, all of a turn in one
batch, and must say the same. `--vllm` names an interpreter with vLLM and w2stree
(bench/policies/vllm_venv.sh): the same episodes are then played through a vLLM server and with
vLLM in process. Without MODEL_DIR the model is one of the quickstart's size, untrained.

Wall-clock time, the best of some rounds; environments are started before and stay. Tokens are
those the model said, end marks that were forced left out.
"""

from __future__ import annotations

import argparse
import functools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.equality import DifferentResultsError
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.textworld_express import TextWorldExpress
from w2stree.policies.protocol import Episode, Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.rollout import EpisodePlan, rollout
from w2stree.trajectories.trajectory import Trajectory
from w2stree.turns.decoding import Decoding

GAME = {"numLocations": 1, "numIngredients": 1, "numDistractorItems": 1, "includeDoors": 0}
MAX_STEPS, MAX_NEW_TOKENS = 12, 24
DECODING = Decoding(max_new_tokens=MAX_NEW_TOKENS)
GREEDY = Sampling(temperature=0.0)


def main() -> int:
    options = _arguments()
    factory = functools.partial(TextWorldExpress, "cookingworld", GAME, max_steps=MAX_STEPS)
    plans = [
        EpisodePlan(f"cookingworld/train/{seed}", 0, GREEDY, 0) for seed in range(options.episodes)
    ]
    with (
        EnvironmentPool(factory, options.episodes) as pool,
        tempfile.TemporaryDirectory() as scratch,
    ):
        randomly = list(rollout(pool, RandomPolicy(), plans, instruction=""))
        if options.in_process:
            _play_vllm(pool, plans, options)
            return 0
        model_dir = options.model or _untrained(randomly, Path(scratch) / "model")
        print(f"{model_dir}, load {os.getloadavg()[0]:.1f}")
        print(f"{'':<34}{'tokens':>8}{'seconds':>9}{'tokens/s':>10}{'steps/s':>9}", flush=True)
        played = _transformers(pool, plans, model_dir, options.rounds)
        if options.vllm:
            _through_server(pool, plans, model_dir, options, played)
            command = [
                options.vllm,
                "-m",
                "bench.policies.rollouts",
                str(model_dir),
                "--in-process",
            ]
            command += ["--episodes", str(options.episodes), "--rounds", str(options.rounds)]
            subprocess.run(command, check=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.policies.rollouts")
    parser.add_argument("model", nargs="?", type=Path, help="a model directory")
    parser.add_argument("--vllm", metavar="PYTHON", help="an interpreter that has vLLM")
    parser.add_argument("--episodes", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _transformers(
    pool: EnvironmentPool, plans: Sequence[EpisodePlan], model_dir: Path, rounds: int
) -> list[Trajectory]:
    """Rollouts against bare generate, taken in turn."""
    import torch

    from w2stree.policies.transformers import TransformersPolicy
    from w2stree.training.models import load_model

    torch.set_num_threads(2)
    model, tokenizer = load_model(model_dir)
    policy = TransformersPolicy(model, tokenizer, decoding=DECODING)
    chat = policy._chat
    played = _play(pool, policy, plans)
    said = {t.task_id: [_said(chat, s.token_ids) for s in t.steps] for t in played}
    turns = [  # the prompts of every turn, and what was said
        [
            (chat.history_ids(t.prompt, t.steps[:turn]), said[t.task_id][turn])
            for t in played
            if turn < len(t.steps)
        ]
        for turn in range(max(len(t.steps) for t in played))
    ]

    def generate(batches: Sequence[Sequence[tuple[list[int], list[int]]]]) -> None:
        for batch in batches:
            _check_equal(_generate(model, chat, [p for p, _ in batch]), [s for _, s in batch])

    def first_turns() -> None:
        episodes = [Episode(i, t.prompt, GREEDY, plans[0].rng(), []) for i, t in enumerate(played)]
        answers = [_said(chat, turn.token_ids) for turn in policy.act(episodes)]
        _check_equal(answers, [s for _, s in turns[0]])

    num_first = sum(len(s) for _, s in turns[0])
    num_tokens = sum(len(s) for batch in turns for _, s in batch)
    num_steps = sum(len(batch) for batch in turns)
    seconds = _best(
        rounds,
        lambda: generate(turns[:1]),
        first_turns,
        lambda: generate(turns),
        lambda: _play(pool, policy, plans),
    )
    _line("first turns: bare generate", num_first, seconds[0])
    _line("first turns: TransformersPolicy", num_first, seconds[1], ratio=seconds[0] / seconds[1])
    _line("episodes: bare generate", num_tokens, seconds[2])
    _line(
        "episodes: TransformersPolicy",
        num_tokens,
        seconds[3],
        num_steps,
        ratio=seconds[2] / seconds[3],
    )
    return played


def _through_server(
    pool: EnvironmentPool,
    plans: Sequence[EpisodePlan],
    model_dir: Path,
    options: argparse.Namespace,
    expected: Sequence[Trajectory],
) -> None:
    from transformers import AutoTokenizer

    from bench.policies.vllm_server import vllm_server
    from w2stree.policies.openai import OpenAIPolicy

    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    with (
        tempfile.TemporaryDirectory() as scratch,
        vllm_server(options.vllm, model_dir, log=Path(scratch) / "log") as url,
    ):
        policy = OpenAIPolicy("tuned", base_url=url, tokenizer=tokenizer, decoding=DECODING)
        _report("episodes: vLLM server, OpenAIPolicy", pool, plans, policy, options.rounds)
        same = {t.task_id: t.steps for t in _play(pool, policy, plans)}
    equal = sum(
        [s.token_ids for s in same[t.task_id]] == [s.token_ids for s in t.steps] for t in expected
    )
    print(f"{equal} of {len(expected)} episodes are token by token those of TransformersPolicy")


def _play_vllm(
    pool: EnvironmentPool, plans: Sequence[EpisodePlan], options: argparse.Namespace
) -> None:
    from w2stree.policies.vllm import VllmPolicy

    policy = VllmPolicy(options.model, decoding=DECODING, memory_fraction=0.1)
    _report("episodes: vLLM in process", pool, plans, policy, options.rounds)


def _report(
    name: str, pool: EnvironmentPool, plans: Sequence[EpisodePlan], policy: Any, rounds: int
) -> None:
    played = _play(pool, policy, plans)
    before = policy.num_generated_tokens
    _play(pool, policy, plans)
    num_tokens = policy.num_generated_tokens - before
    (seconds,) = _best(rounds, lambda: _play(pool, policy, plans))
    _line(name, num_tokens, seconds, sum(len(t.steps) for t in played))


def _play(pool: EnvironmentPool, policy: Any, plans: Sequence[EpisodePlan]) -> list[Trajectory]:
    played = list(rollout(pool, policy, plans, instruction=""))
    errors = [t.origin.error for t in played if t.status == "error"]
    if errors:
        raise RuntimeError(f"{len(errors)} episodes failed: {errors[0]}")
    return sorted(played, key=lambda t: t.task_id)


def _generate(model: Any, chat: Any, prompts: Sequence[list[int]]) -> list[list[int]]:
    """What a plain batched call says, end mark included."""
    import torch

    width = max(len(prompt) for prompt in prompts)
    pad = chat.tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (width - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    output = model.generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=MAX_NEW_TOKENS,
        do_sample=False,
        pad_token_id=pad,
        eos_token_id=chat.end_ids[-1],
    )
    answers = []
    for row in output[:, width:].tolist():
        end = row.index(chat.end_ids[-1]) + 1 if chat.end_ids[-1] in row else len(row)
        answers.append(row[:end])
    return answers


def _said(chat: Any, ids: Any) -> list[int]:
    """A turn's ids without an end mark that was forced at the limit."""
    return list(ids[:MAX_NEW_TOKENS])


def _check_equal(ours: Sequence[list[int]], theirs: Sequence[list[int]]) -> None:
    if list(ours) != list(theirs):
        raise DifferentResultsError("greedy tokens differ between the rollout and generate")


def _best(rounds: int, *works: Callable[[], Any]) -> list[float]:
    """Least seconds of each work, the works taken in turn."""
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, taken in zip(works, seconds, strict=True):
            start = time.perf_counter()
            work()
            taken.append(time.perf_counter() - start)
    return [min(taken) for taken in seconds]


def _line(
    name: str, num_tokens: int, seconds: float, num_steps: int = 0, ratio: float | None = None
) -> None:
    steps = f"{num_steps / seconds:>9.1f}" if num_steps else " " * 9
    against = f"   {ratio:.2f} x generate" if ratio else ""
    print(
        f"{name:<34}{num_tokens:>8}{seconds:>9.2f}{num_tokens / seconds:>10.0f}{steps}{against}",
        flush=True,
    )


def _untrained(trajectories: Sequence[Trajectory], target: Path) -> Path:
    """A model directory of the quickstart's weak model's size, its tokenizer from random play."""
    from w2stree.training.models import Architecture, build_model, save_model, train_tokenizer

    texts = [m.content for t in trajectories for m in t.prompt]
    texts += [text for t in trajectories for s in t.steps for text in (s.response, s.observation)]
    tokenizer = train_tokenizer(texts, vocab_size=1024, phrase_min_count=100)
    architecture = Architecture(
        hidden_size=128, num_layers=3, num_heads=4, intermediate_size=384, max_length=2048
    )
    save_model(target, build_model(architecture, tokenizer, seed=0), tokenizer)
    return target


if __name__ == "__main__":
    sys.exit(main())
