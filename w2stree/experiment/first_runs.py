"""The first M runs of every task, of those explored: what a smaller exploration would have had.

    samplings     A B C D E F       M = 1    2      3
    task 0        0 1 2 3 4 5           A    A B    A B C
    task 1        5 0 1 2 3 4           B    B C    B C D      each task begins one further on

So M = 3 does not always mean the same three samplings, every sampling is taken by about as many
tasks as another, and the runs for one M are among those for every larger one.
"""

from __future__ import annotations

from collections.abc import Sequence

from w2stree.trajectories.trajectory import Trajectory


def first_runs(explored: Sequence[Trajectory], num_runs: int | None) -> list[Trajectory]:
    """At most `num_runs` of each task, in the order given; all for None.

    Tasks are counted by their first runs, and a task's runs by their sample, or where one has none
    by their place. A run that ended in an error counts as one. With another number of samples, or
    other tasks, other runs are the first.
    """
    if num_runs is None:
        return list(explored)
    of_task: dict[str, list[int]] = {}
    for i, run in enumerate(explored):
        of_task.setdefault(run.task_id, []).append(i)
    kept: set[int] = set()
    for number, places in enumerate(of_task.values()):
        samples = [explored[i].origin.sample_index for i in places]
        if None not in samples:
            places = [i for _, i in sorted(zip(samples, places, strict=True))]
        begin = number % len(places)
        kept.update((places[begin:] + places[:begin])[:num_runs])
    return [run for i, run in enumerate(explored) if i in kept]
