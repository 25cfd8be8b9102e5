"""TRL's GRPO, online, with credit from the tree: a turn's tokens weigh what that turn gained.

    python examples/grpo.py            # needs w2stree[train,gymnasium]; about a minute on a CPU

    prompts of a batch ──play──> runs ──forest.add──> advantage of each turn, over the other runs
         ▲                                            that acted where it was taken
    GRPOTrainer <── ids, masks, advantages by token ──┘

GRPO gives all tokens of a run one advantage: its return minus the mean of its group. A wrong turn
in a run that was saved is then praised, and so is every turn of a lucky run. Where runs of a task
meet in a tree, turns are told apart.

TRL reads no advantages from a data set. Its `rollout_func` returns the ids of runs that were played
elsewhere, and any other fields beside; its loss takes advantages of shape (batch, tokens) from a
subclass, which is `TreeCreditTrainer`. The model is made from a configuration and hears random play
first, so that it says actions at all: this shows the way, and no result.
"""

import functools
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # of rollout_func, which may change
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

import w2stree as w2s
from w2stree.environments.gymnasium import GymnasiumEnvironment
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.policies.protocol import Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.policies.transformers import TransformersPolicy
from w2stree.rollouts.rollout import EpisodePlan, rollout
from w2stree.rows.credit import run_credits, weighed_ids
from w2stree.training.models import Architecture, build_model, load_model, train_tokenizer
from w2stree.turns.chat import ChatFormat
from w2stree.turns.decoding import Decoding

INSTRUCTION = "Open the chest. Answer with a line Action: ..."
SMALL = Architecture(
    hidden_size=48, num_layers=2, num_heads=2, intermediate_size=96, max_length=768
)


class TreePlayer:
    """A `rollout_func`: plays a batch with the model as it is, and adds it to the tree."""

    def __init__(self, pool: EnvironmentPool, tokenizer: Any, task_of: dict[Any, str]) -> None:
        self.pool, self.tokenizer, self.task_of = pool, tokenizer, task_of
        self.chat = ChatFormat(tokenizer)
        self.forest: w2s.Forest | None = None
        self.mean_returns: list[float] = []

    def __call__(self, prompts: list[list[dict[str, str]]], trainer: GRPOTrainer) -> dict[str, Any]:
        first = len(self.forest.trajectories) if self.forest else 0
        runs = self.play([self.task_of[spoken(prompt)] for prompt in prompts], first, trainer)
        self.forest = self.forest.add(runs) if self.forest else w2s.build_forest(runs)
        self.mean_returns.append(sum(run.total_return for run in runs) / len(runs))
        credits = list(run_credits(self.forest, baseline="leave_one_out"))[first:]
        ids = [weighed_ids(credit.run, credit.values, self.chat) for credit in credits]
        return {
            "prompt_ids": [i.prompt for i in ids],
            "completion_ids": [i.completion for i in ids],
            "logprobs": None,  # the trainer's own are those of sampling: no step lies between
            "env_mask": [i.is_agent for i in ids],
            "advantages": [i.advantage for i in ids],
            "total_return": [run.total_return for run in runs],
        }

    def play(self, tasks: list[str], first: int, trainer: GRPOTrainer) -> list[w2s.Trajectory]:
        """A run for each task, in their order; `first` numbers them."""
        sampling, seed = Sampling(), trainer.args.seed
        plans = [EpisodePlan(t, first + i, sampling, seed=seed) for i, t in enumerate(tasks)]
        model = trainer.accelerator.unwrap_model(trainer.model)
        was_training = model.training
        policy = TransformersPolicy(model, self.tokenizer, decoding=Decoding(max_new_tokens=12))
        played = list(rollout(self.pool, policy, plans, instruction=INSTRUCTION))
        model.train(was_training)
        if errors := [run for run in played if run.status == "error" or not run.steps]:
            raise RuntimeError(f"{len(errors)} runs have nothing to learn; {errors[0].origin}")
        return sorted(played, key=lambda run: run.origin.sample_index or 0)


class TreeCreditTrainer(GRPOTrainer):
    """GRPO with the advantages that `rollout_func` gave, instead of one a run."""

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        batch = super()._generate_and_score_completions(inputs)
        by_token = torch.zeros(batch["completion_ids"].shape)
        for row, example in zip(by_token, inputs, strict=True):
            row[: len(example["advantages"])] = torch.tensor(example["advantages"])
        return {**batch, "advantages": by_token.to(batch["advantages"].device)}


def spoken(messages: Any) -> tuple[w2s.Message, ...]:
    return tuple(w2s.Message(m["role"], m["content"]) for m in messages)


def returned(total_return: list[float], **_: Any) -> list[float]:
    """A reward function: TRL shows its mean; the advantages made of it are replaced."""
    return total_return


def speaker(heard: list[w2s.Trajectory], folder: Path) -> tuple[Any, Any]:
    """A tiny model that says what it heard, right or wrong."""
    texts = [message.content for run in heard for message in run.prompt]
    texts += [text for run in heard for s in run.steps for text in (s.response, s.observation)]
    tokenizer = train_tokenizer(texts, vocab_size=400, phrase_min_count=8)
    new = build_model(SMALL, tokenizer, seed=0)
    args = {"max_steps": 60, "learning_rate": 5e-3, "per_device_train_batch_size": 8}
    w2s.train_sft(heard, model=(new, tokenizer), output_dir=folder / "new", args=args, holdout=0)
    return load_model(folder / "new")


def train(folder: Path, *, num_steps: int, trainer_class: type = TreeCreditTrainer) -> TreePlayer:
    """`num_steps` steps, each on four runs of two tasks."""
    factory = functools.partial(GymnasiumEnvironment, "own_environment:treasure", max_steps=8)
    tasks = factory().tasks("train")[:4]
    plans = [EpisodePlan(task, i, Sampling(), seed=0) for task in tasks for i in range(8)]
    with EnvironmentPool(factory, size=4) as pool:
        heard = list(rollout(pool, RandomPolicy(), plans, instruction=INSTRUCTION))
        model, tokenizer = speaker(heard, folder)
        player = TreePlayer(pool, tokenizer, {run.prompt: run.task_id for run in heard})
        asked = [
            {"prompt": [{"role": m.role, "content": m.content} for m in prompt]}
            for prompt in player.task_of
        ]
        trainer = trainer_class(
            model,
            reward_funcs=returned,
            args=GRPOConfig(
                output_dir=str(folder / "grpo"),
                max_steps=num_steps,
                learning_rate=3e-4,
                per_device_train_batch_size=8,
                num_generations=4,
                logging_steps=1,
                use_cpu=True,
                bf16=False,
                gradient_checkpointing=False,
                save_strategy="no",
                report_to=[],
            ),
            train_dataset=Dataset.from_list(asked),
            processing_class=tokenizer,
            rollout_func=player,
        )
        trainer.train()
    return player


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        player = train(Path(name), num_steps=12)
    print(player.forest.summary())
    print("mean return by step:", ", ".join(f"{mean:.2f}" for mean in player.mean_returns))
