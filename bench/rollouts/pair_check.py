"""Whether informative pairs are right: the same policy plays on from both actions, many times more.

Runs by which a pair was found cannot confirm it: it was found because of them. These are new ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from bench.rollouts.outcomes import PairKey, num_shared_with
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.policies.protocol import Policy, Sampling
from w2stree.rollouts.episode import EpisodePlan
from w2stree.rollouts.rollout import rollout
from w2stree.trajectories.returns import is_same
from w2stree.trajectories.trajectory import Trajectory

Side = tuple[str, tuple[tuple[str, str], ...], str]
"""The task, the history, and an action taken after it."""


class PairCheck:
    """Plays `num_runs` runs from after each action that is asked for, the samplings that draw in
    turn. An action is played once, whoever asks: what the runs draw depends on nothing else."""

    def __init__(
        self,
        pool: EnvironmentPool,
        policy: Policy,
        samplings: Sequence[Sampling],
        *,
        num_runs: int,
        instruction: str = "",
    ) -> None:
        self._pool, self._policy, self._instruction = pool, policy, instruction
        self._drawing = [sampling for sampling in samplings if sampling.temperature > 0]
        self._num_runs = num_runs
        self._mean: dict[Side, float] = {}

    def play(self, asked: Iterable[tuple[PairKey, Sequence[Trajectory]]]) -> None:
        """Both actions of each pair, of the task whose runs (they found it) are given."""
        plans: list[EpisodePlan] = []
        side_of: dict[tuple[str, int], Side] = {}
        for (history, *actions), runs in asked:
            for action in actions:
                side = runs[0].task_id, history, action
                if side in self._mean:
                    continue
                run, depth = _run_through(runs, history, action), len(history)
                self._mean[side] = run.total_return  # where it ended there
                if len(run.steps) > depth + 1:
                    own = self._plans(side, run)
                    side_of[own[0].task_id, own[0].seed] = side
                    plans += own
        seed_of = {(p.task_id, p.sample_index): p.seed for p in plans}
        returns: dict[Side, list[float]] = {}
        for episode in rollout(self._pool, self._policy, plans, instruction=self._instruction):
            seed = seed_of[episode.task_id, episode.origin.sample_index or 0]
            returns.setdefault(side_of[episode.task_id, seed], []).append(episode.total_return)
        self._mean |= {side: float(np.mean(of)) for side, of in returns.items()}

    def verdict(self, task_id: str, pair: PairKey) -> int:
        """1 where the better action's runs have the greater mean, -1 where the other's have, 0
        where both are equal."""
        history, *actions = pair
        better, other = (self._mean[task_id, history, action] for action in actions)
        return 0 if is_same(better, other) else 1 if better > other else -1

    def _plans(self, side: Side, run: Trajectory) -> list[EpisodePlan]:
        digest = hashlib.sha256(repr(side).encode("utf-8", "surrogatepass")).digest()
        number = int.from_bytes(digest[:6], "little")
        return [
            EpisodePlan(
                run.task_id,
                number * self._num_runs + index,
                self._drawing[index % len(self._drawing)],
                number,
                prefix=run.steps[: len(side[1]) + 1],
                prefix_tokenizer=run.origin.tokenizer,
            )
            for index in range(self._num_runs)
        ]


def _run_through(
    runs: Sequence[Trajectory], history: Sequence[tuple[str, str]], action: str
) -> Trajectory:
    depth = len(history)
    for run in runs:
        goes_on = len(run.steps) > depth and num_shared_with(run, history) == depth
        if goes_on and run.steps[depth].action == action:
            return run
    raise AssertionError("no run took the pair's action")
