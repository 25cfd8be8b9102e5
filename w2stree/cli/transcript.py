"""A run in full, to be read from top to bottom.

user
  You are in the middle of a room. …
  Your task is to: clean a mug.
1. go to shelf 1
  Thought: mugs are on shelves.
  Action: go to shelf 1
= On the shelf 1, you see a mug 1.
2. take mug 1
  …
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from w2stree.cli.say import counted
from w2stree.trajectories.origin import making
from w2stree.trajectories.trajectory import Step, Trajectory

NO_ACTION = "(no action)"


def transcript(trajectory: Trajectory) -> Iterator[str]:
    """Lines of prompt and steps, every text whole."""
    for message in trajectory.prompt:
        yield message.role
        yield from indented(message.content)
    for number, step in enumerate(trajectory.steps, start=1):
        yield from step_lines(number, step)


def step_lines(number: int, step: Step) -> Iterator[str]:
    """The action, what the agent said where it said more than that, and the answer."""
    action, *more = (step.action or NO_ACTION).split("\n")
    paid = "" if step.reward is None else f"  [reward {step.reward:g}]"
    cut = "  [cut off at its limit]" if step.is_cut else ""
    yield f"{number}. {action}{paid}{cut}"
    yield from (f"   {line}" for line in more)
    if step.response.strip() not in ("", step.action.strip()):
        yield from indented(step.response)
    yield from (f"= {line}".rstrip(" ") for line in step.observation.split("\n"))


def indented(text: str) -> Sequence[str]:
    """No line of it can be taken for one of ours."""
    return [f"  {line}".rstrip(" ") for line in text.split("\n")]


def described(trajectory: Trajectory) -> str:
    """return 1, done after 12 steps, policy expert, sample 3, seed 0"""
    origin = trajectory.origin
    by = f" by {origin.truncated_by}" if origin.truncated_by else ""
    known = {
        **making(origin),
        "steps of another run before its own": origin.prefix_length or None,
        "return before it was cut": origin.raw_return,
    }
    return ", ".join(
        [
            f"return {trajectory.total_return:g}",
            f"{trajectory.status}{by} after {counted(len(trajectory.steps), 'step')}",
            *(f"{name} {value}" for name, value in known.items() if value is not None),
            *([f"error: {origin.error}"] if origin.error else []),
        ]
    )
