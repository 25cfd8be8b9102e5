"""Small real pieces the training tests share: a tokenizer, models and trajectories."""

from __future__ import annotations

from typing import Any

from w2stree.training.models import Architecture, build_model, train_tokenizer
from w2stree.trajectories.trajectory import Message, Step, Trajectory
from w2stree.turns.react import render_turn

TINY = Architecture(hidden_size=32, num_layers=2, num_heads=2, intermediate_size=64, max_length=512)


def trajectory(task_id: str, turns: list[tuple[str, str]], total_return: float) -> Trajectory:
    """`turns` are (action, observation); every turn has a thought."""
    return Trajectory(
        task_id=task_id,
        prompt=(Message("user", "Cook the meal.\nYou are in the kitchen."),),
        steps=tuple(Step(a, o, render_turn(f"I should {a}.", a)) for a, o in turns),
        total_return=total_return,
        status="done",
    )


GOOD = trajectory(
    "task-1",
    [
        ("take knife", "You take the knife."),
        ("slice carrot", "You slice the carrot. It looks tasty."),
        ("eat carrot", "You eat the carrot. It is delicious."),
    ],
    1.0,
)
BAD = trajectory(
    "task-1",
    [
        ("take knife", "You take the knife."),
        ("chop carrot", "You chop the carrot into very small and ugly pieces."),
        ("eat carrot", "That is not how the recipe goes."),
    ],
    0.0,
)


WORSE = trajectory("task-1", [("take knife", "You take the knife."), ("drop knife", "Ouch.")], 0.1)


def tiny_tokenizer() -> Any:
    texts = [m.content for t in (GOOD, BAD) for m in t.prompt]
    texts += [text for t in (GOOD, BAD) for s in t.steps for text in (s.response, s.observation)]
    return train_tokenizer(texts, vocab_size=400, phrase_min_count=2)


def tiny_model(tokenizer: Any, *, seed: int = 0) -> Any:
    return build_model(TINY, tokenizer, seed=seed)
