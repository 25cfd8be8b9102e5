"""python -m bench.rollouts.merge_rules [--engines 4]: which rule merges one state, and no two?

ScienceWorld's engine lists things in the order of its hashes. Without the option that fixes them
(`environments/scienceworld`), the same actions are answered in other words in another JVM:

    one state      the same task and actions, two JVMs, two answers     a rule should merge them
    two states     the same task and action, one JVM, other actions before, answers whose words
                   differ, not only their order                         it should not

Where two JVMs answer with other words, and not only in another order, the states may differ; from
there on their runs are not compared. So `sort_words` is what tells the two kinds apart, and is no
rule that is tried. Needs `w2stree[scienceworld,similarity]`.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator, Sequence
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from w2stree.environments.scienceworld import environment
from w2stree.environments.scienceworld.tasks import PAPER_TASKS
from w2stree.forest.distinctions import distinctions
from w2stree.forest.embedding import embed_sentences
from w2stree.forest.normalizers import sort_words

Run = list[tuple[str, str]]
"""Actions and their answers, the task's own text first, under no action."""
TextPair = tuple[str, str]

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.rollouts.merge_rules")
    parser.add_argument("--engines", type=int, default=4, help="JVMs that play the same actions")
    options = parser.parse_args()
    if options.engines < 2:
        parser.error("--engines: at least 2, whose answers are compared")
    task_ids = [f"scienceworld/{name}/0" for name in PAPER_TASKS]
    paths = {task_id: demonstrated(task_id) for task_id in task_ids}
    plays = [played(paths) for _ in range(options.engines)]
    one, num_compared, num_parted = one_state(plays)
    two = two_states(plays[0])
    print(
        f"{len(task_ids)} tasks, {options.engines} JVMs: {num_compared:,} pairs of answers to the "
        f"same actions, {len(one):,} in another order; {num_parted} pairs of runs part by other "
        f"words. Merged, of distinct pairs:\n"
    )
    kinds = [sorted(set(one)), sorted(set(two))]
    print(f"{'':28}{'one state':>12}{'two states':>12}")
    print(f"{'pairs':28}{len(kinds[0]):>12,}{len(kinds[1]):>12,}")
    for name, of_one, of_two in rates(*kinds):
        print(f"{name:28}{of_one:>12.1%}{of_two:>12.1%}")


def demonstrated(task_id: str) -> list[str]:
    """The gold path with a look around after every third action: most of what an engine lists."""
    engine = environment.ScienceWorld()
    try:
        engine.reset(task_id)
        gold = [turn.action for turn in engine.expert()]
    finally:
        engine.close()
    return [action for i in range(0, len(gold), 3) for action in (*gold[i : i + 3], "look around")]


def played(paths: dict[str, list[str]]) -> dict[str, Run]:
    """Each task's actions in a JVM of its own hashes, to the episode's end."""
    with mock.patch.object(environment, "_DETERMINISTIC", ""):
        engine = environment.ScienceWorld(max_steps=10_000)
    try:
        return {task_id: run(engine, task_id, actions) for task_id, actions in paths.items()}
    finally:
        engine.close()


def run(engine: environment.ScienceWorld, task_id: str, actions: Sequence[str]) -> Run:
    steps = [("", engine.reset(task_id)[0])]
    for action in actions:
        observation, _, terminated, _, _ = engine.step(action)
        steps.append((action, observation))
        if terminated:
            break
    return steps


def one_state(plays: Sequence[dict[str, Run]]) -> tuple[list[TextPair], int, int]:
    """Unequal answers of two JVMs to the same actions; of how many; and runs that part."""
    unequal, num_compared, num_parted = [], 0, 0
    for task_id in plays[0]:
        for one, other in itertools.combinations([play[task_id] for play in plays], 2):
            for (_, text), (_, text_there) in zip(one, other, strict=False):
                if sort_words(text) != sort_words(text_there):
                    num_parted += 1
                    break
                num_compared += 1
                if text != text_there:
                    unequal.append((text, text_there))
    return unequal, num_compared, num_parted


def two_states(play: dict[str, Run]) -> list[TextPair]:
    """Answers to the same action in one run whose words differ."""
    return [
        (text, text_later)
        for steps in play.values()
        for (action, text), (action_later, text_later) in itertools.combinations(steps[1:], 2)
        if action == action_later and sort_words(text) != sort_words(text_later)
    ]


def rates(one: list[TextPair], two: list[TextPair]) -> Iterator[tuple[str, float, float]]:
    """Of a rule: the shares of both kinds that it merges."""
    cosines = [cosines_of(pairs) for pairs in (one, two)]
    guarded = [equal(pairs, distinctions) for pairs in (one, two)]
    for threshold in THRESHOLDS:
        alike = [cosine >= threshold for cosine in cosines]
        yield f"cosine >= {threshold}", share(alike[0]), share(alike[1])
        kept = [near & same for near, same in zip(alike, guarded, strict=True)]
        yield f"cosine >= {threshold}, guarded", share(kept[0]), share(kept[1])


def equal(pairs: Sequence[TextPair], of: Callable[[str], object]) -> NDArray[np.bool_]:
    return np.array([of(one) == of(other) for one, other in pairs], bool)


def cosines_of(pairs: Sequence[TextPair]) -> NDArray[np.float64]:
    texts = sorted({text for pair in pairs for text in pair})
    row = {text: i for i, text in enumerate(texts)}
    vectors = embed_sentences(texts).astype(np.float64)
    return np.array([vectors[row[one]] @ vectors[row[other]] for one, other in pairs])


def share(of: NDArray[np.bool_]) -> float:
    return float(of.mean()) if of.size else float("nan")


if __name__ == "__main__":
    main()
