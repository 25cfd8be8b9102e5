"""Made-up but realistic runs of a cooking game, for the report's tests: no model, no Java."""

from __future__ import annotations

import random
from dataclasses import replace

from w2stree import Message, Step, Trajectory
from w2stree.trajectories.origin import Origin

FOODS = ("green hot pepper", "yellow bell pepper", "raw white tuna", "some flour", "carrot")


def cook(task_id: str, rng: random.Random, skill: float) -> Trajectory:
    """An episode as a player of that skill has it: detours, lost time, and spoilt food."""
    task = random.Random(task_id)
    food, other = task.sample(FOODS, 2)
    plan = ["look around", "take cookbook", "read cookbook", "open fridge", f"take {food}"]
    plan += [f"cook {food} in oven", "prepare meal", "eat meal"]
    idle = [f"take {other}", "examine counter", "inventory", f"cook {food} in stove"]
    steps: list[Step] = []
    done = 0
    while done < len(plan) and len(steps) < 25:
        action = plan[done] if rng.random() < skill else rng.choice(idle)
        answer = f"You {action}." if not action.startswith("examine") else "Nothing special."
        steps.append(Step(action, answer, f"Action: {action}"))
        if action.startswith("cook") and action.endswith("stove"):
            break  # the recipe asks for the oven: the meal is spoilt
        done += action == plan[done]
    status = "done" if len(steps) < 25 else "truncated"
    statement = (
        "You are hungry! Let's cook a delicious meal. Check the cookbook in the kitchen for the "
        "recipe. Once done, enjoy your meal!\nYou are in the kitchen. In one part of the room you "
        f"see a stove. There is also an oven. You also see a fridge that is closed, {other}."
    )
    score = done / len(plan)
    return Trajectory(task_id, (Message("user", statement),), tuple(steps), score, status)  # type: ignore[arg-type]


def play(tasks: list[str], skill: float, *, num_runs: int, seed: int) -> list[Trajectory]:
    rng = random.Random(seed)
    return [
        replace(cook(task, rng, skill), origin=Origin(seed=seed, sample_index=sample))
        for task in tasks
        for sample in range(num_runs)
    ]
