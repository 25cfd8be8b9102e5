"""The stage `random_play`: games of other parameters have tasks of the same ids."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("trl")
pytest.importorskip("textworld_express")

from w2stree.experiment.config import load_config
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.play import random_play
from w2stree.policies.protocol import Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.exploration import plan_episodes
from w2stree.trajectories.files import read_trajectories

pytestmark = [pytest.mark.java, pytest.mark.train]

GAMES = """[
  {game: twc, params: {numLocations: 1, numItemsToPutAway: 1, includeDoors: 0}, episodes: 12},
  {game: twc, params: {numLocations: 1, numItemsToPutAway: 2, includeDoors: 0}, episodes: 12}]"""


def test_no_two_of_its_rows_are_one_sample_and_each_draws_as_its_task_s_first(
    tmp_path: Path,
) -> None:
    config = load_config("miniature", [f"strong.pretrain.games={GAMES}"])
    with closing(Context(config, tmp_path)) as context:
        out = StageWriter(tmp_path / "random_play")
        out.folder.mkdir()
        random_play(context, out)
        # Warnings are errors: of two rows of one sample with other contents it would warn.
        read = read_trajectories(out.folder / "trajectories.jsonl")
        seed = context.seed("random_play")
        assert config.strong.pretrain is not None
        _, second = config.strong.pretrain.games
        late = {t.task_id: t for t in read if t.origin.sample_index}
        with second.options(config.strong.pretrain.max_steps).pool() as pool:
            plans = plan_episodes(late, [Sampling()], seed=seed)
            first = context.play("again", pool, RandomPolicy(by_verb=True), plans)
    tasks = Counter(t.task_id for t in read)
    assert late, "else nothing is tried here"
    assert {(t.task_id, t.origin.sample_index) for t in read} == {
        (task, sample) for task, count in tasks.items() for sample in range(count)
    }
    for trajectory in first:
        assert trajectory == replace(late[trajectory.task_id], origin=trajectory.origin)
