"""Recorded runs of examples/own_environment.py: a player who knows where key and chest are."""

from __future__ import annotations

import functools
import importlib.util
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from w2stree import Message, Step, Trajectory

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own_environment.py"


def hunts(seeds: Iterable[int]) -> list[Trajectory]:
    """Of each seed a failure, a detour and the shortest way, as another program would log them."""
    played = []
    for seed in seeds:
        key, chest = places(seed)
        short = [f"go {key}", "take key", f"go {chest}", "open chest"]
        detour = [f"go {chest}", *short]
        played += [hunt(seed, actions) for actions in (short[:2], detour, short)]
    return played


def places(seed: int) -> tuple[str, str]:
    """Where key and chest are, as `treasure` draws it."""
    rng = random.Random(seed)
    rooms = sorted(rng.sample(_example().ROOMS, 3))
    rng.choice("abc")  # the key's metal
    key, chest = rng.sample(rooms, 2)
    return key, chest


def hunt(seed: int, actions: Sequence[str]) -> Trajectory:
    """The actions in the game, under an instruction of the player's own."""
    game = _example().treasure(seed)
    seen, score, _ = next(game)
    prompt = (Message("system", "You hunt treasures."), Message("user", f"Find it!\n{seen}"))
    steps, status = [], "truncated"
    for action in actions:
        thought = "The key first." if score < 0.5 else "Now the chest."
        try:
            observation, score, _ = game.send(action)
        except StopIteration as end:
            (observation, score), status = end.value, "done"
        steps.append(Step(action, observation, f"Thought: {thought}\nAction: {action}"))
    return Trajectory(f"treasure/train/{seed}", prompt, tuple(steps), score, status)  # type: ignore[arg-type]


@functools.cache
def _example() -> Any:
    spec = importlib.util.spec_from_file_location("own_environment", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
