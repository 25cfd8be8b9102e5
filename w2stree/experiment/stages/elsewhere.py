"""Stages that the machines of a cluster play: explorations, and evaluations plan by plan.

plans ──> executor of the cluster ──> the stage's journal ──> trajectories.jsonl, by task
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace

from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.journals import journal_of
from w2stree.experiment.stages.makers import Maker, MakersElsewhere
from w2stree.policies.protocol import ModelName
from w2stree.rollouts.episode import EpisodePlan, Unplayed
from w2stree.rollouts.executor import Equipped, Executor
from w2stree.rollouts.samples import Sample
from w2stree.trajectories.journal import Journal, key_of
from w2stree.trajectories.trajectory import Trajectory


@contextmanager
def elsewhere(
    context: Context, journal: Journal, makers: Mapping[ModelName, Maker]
) -> Iterator[Executor]:
    """The run's cluster, for a stage that plays into this journal, within the block."""
    assert context.cluster is not None
    environment = context.config.environment
    equipped = Equipped(
        environment.pool,
        MakersElsewhere.of(makers),
        num_processes=environment.num_processes,
        on_gpus=any(maker.is_in_process for maker in makers.values()),
        instruction=context.config.prompt.instruction,
    )
    # Of run, stage and key, so that a killed driver's next finds what machines still have.
    name = hashlib.sha256(str(journal.path.resolve()).encode()).hexdigest()[:32]
    context.rest()
    with context.cluster.executor(equipped, journal, run=name) as executor:
        yield executor


def evaluated_elsewhere(
    context: Context, out: StageWriter, stage: str, maker: Maker, plans: Sequence[EpisodePlan]
) -> list[Trajectory]:
    """The plans' episodes, as `Context.play` has them, kept in a journal: a killed run goes on with
    those that were played, and tries again what had ended in an error."""
    # One model plays all, whichever one a sampling names.
    makers: dict[ModelName, Maker] = {"tuned": maker}
    with (
        Journal(journal_of(context, out, stage)) as journal,
        elsewhere(context, journal, makers) as executor,
        closing(_episodes(executor, journal, plans)) as episodes,
    ):
        return context.told(stage, episodes, len(plans))


def _episodes(
    executor: Executor, journal: Journal, plans: Sequence[EpisodePlan]
) -> Generator[Trajectory, None, None]:
    """One of each plan."""
    open_ones = {(plan.task_id, plan.sample_index): plan for plan in plans}
    num_attempts: Counter[Sample] = Counter()
    for played in journal.episodes():
        sample = key_of(played)[:2]
        num_attempts[sample] += 1
        if played.status != "error" and open_ones.pop(sample, None) is not None:
            yield played
    missing = [replace(plan, attempt=num_attempts[s]) for s, plan in open_ones.items()]
    play = executor.part("tuned", count_tokens=False)
    with closing(play(missing)) as ended:
        for episode in ended:
            if isinstance(episode, Unplayed):  # nobody was there: told as an error, and not kept
                yield episode.trajectory
            else:
                journal.append(episode)
                journal.commit()
                yield episode
