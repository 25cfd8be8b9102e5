"""A text game of one's own, played at random into trajectory trees, or through the whole method.

    python examples/own_environment.py

The game is the function `treasure`: a generator that yields what is seen, the score so far and
the actions that can be taken, and is sent an action. In a configuration:

    environment: {name: gymnasium, make: "own_environment:treasure", max_steps: 12}

`w2stree run` needs demonstrations too: from a function that solves a task (`environment.expert`),
or from a file of trajectories (one JSON object a line, or a journal of `w2stree explore`), of which
the successful ones count:

    tasks: {demonstrations: 20, explore: 40, test: 40}
    demonstrations: hunts.jsonl

docs/environments.md has the rest of the configuration.
"""

import functools
import random
from collections.abc import Generator

import w2stree as w2s
from w2stree.environments.gymnasium import GymnasiumEnvironment
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.policies.protocol import Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.rollout import EpisodePlan, rollout

ROOMS = ("attic", "cellar", "garden", "kitchen", "library", "nursery", "pantry", "studio", "tower")


def treasure(
    seed: int, num_rooms: int = 3
) -> Generator[tuple[str, float, list[str]], str, tuple[str, float]]:
    """Find the key in one room and open the chest in another; both are where the seed puts them.

    What is seen first tells houses apart: an experiment takes tasks that open alike for one.
    """
    rng = random.Random(seed)
    rooms = sorted(rng.sample(ROOMS, num_rooms))
    metal, (key, chest) = rng.choice(("brass", "copper", "silver")), rng.sample(rooms, 2)
    here, has_key = "hall", False
    seen = (
        f"You are in the hall. You can go to the {', '.join(rooms)}. Somewhere is a {metal} key, "
        "and elsewhere the chest that it opens."
    )
    while True:
        actions = [f"go {room}" for room in rooms if room != here]
        actions += ["take key"] if here == key and not has_key else []
        actions += ["open chest"] if here == chest and has_key else []
        action = yield seen, 0.5 if has_key else 0.0, actions
        if action not in actions:
            seen = "You cannot do that."
        elif action == "open chest":
            return "The chest is full of gold.", 1.0
        elif action == "take key":
            has_key, seen = True, f"You have the {metal} key."
        else:
            here = action.removeprefix("go ")
            things = {chest: "a chest", key: "nothing" if has_key else f"a {metal} key"}
            seen = f"You are in the {here}. You see {things.get(here, 'nothing')}."


if __name__ == "__main__":
    factory = functools.partial(GymnasiumEnvironment, "own_environment:treasure", max_steps=12)
    tasks = factory().tasks("train")[:3]
    plans = [EpisodePlan(task, i, Sampling(), seed=0) for task in tasks for i in range(8)]
    with EnvironmentPool(factory, size=2) as pool:
        played = list(rollout(pool, RandomPolicy(), plans, instruction="Open the chest."))
    forest = w2s.build_forest(played)
    print(forest.summary())
    print(forest[tasks[0]])
