"""Which tasks are demonstrated, explored and tested on; demonstrations are read from a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("matplotlib")

from support.demonstrated import doors, experiment
from support.treasure_hunters import hunts

from w2stree.errors import InvalidInput
from w2stree.experiment.checks import check
from w2stree.experiment.parts import Parts
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.stages import choose
from w2stree.rollouts.task_choice import Chosen

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("the_example_s_folder")]


def numbers(tasks: Sequence[str]) -> list[int]:
    return [int(task.rpartition("/")[2]) for task in tasks]


def test_parts_are_drawn_and_share_nothing(tmp_path: Path) -> None:
    with experiment(tmp_path, hunts([9, 7, 3, 1, 0]), ceiling=None) as context:
        check(context)
        parts = context.parts()
        assert set(numbers(parts.demonstrations.task_ids)) < {9, 7, 3, 1, 0}
        (test,) = parts.test.values()
        assert all(number >= 20_000 for number in numbers(test.task_ids))
        assert all(number < 1000 for number in numbers(parts.explore.task_ids))
        assert [len(part.openings) for part in parts.by_name().values()] == [2, 2, 2]
        assert len(parts.taken()) == 6


def test_tasks_are_the_tasks_seed_s_alone(tmp_path: Path) -> None:
    def drawn(**changes: Any) -> Parts:
        with experiment(tmp_path, hunts(range(8)), **changes) as context:
            return context.parts()

    assert drawn() == drawn(seed=5)
    assert drawn() != drawn(tasks={"seed": 1})
    more = drawn(tasks={"demonstrations": 3, "explore": 4})
    assert more.test == drawn().test, "whatever is learned from, the same is tested"


@pytest.mark.parametrize(
    "record", [None, [], {}, {"demonstrations": 1, "explore": {}, "test": {}}, {"test": []}]
)
def test_what_is_no_record_of_tasks_is_named(record: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^tasks\.json: not a record of chosen tasks"):
        Parts.from_record(record, "tasks.json")
    with pytest.raises(InvalidInput, match=r"^tasks\.json: not a record of chosen tasks"):
        Chosen.from_record(record, "tasks.json")


def test_dev_tasks_are_kept_apart_too(tmp_path: Path) -> None:
    with experiment(tmp_path, hunts(range(9)), tasks={"dev": 3}) as context:
        parts = context.parts()
        assert Parts.from_record(json.loads(json.dumps(context.parts_record())), "") == parts
    assert parts.dev is not None
    assert all(10_000 <= number < 20_000 for number in numbers(parts.dev.task_ids))
    assert parts.evaluated[-3:] == parts.dev.task_ids
    assert len(parts.taken()) == 2 + 2 + 2 + 3


def test_tasks_that_are_tested_on_are_not_demonstrated(tmp_path: Path) -> None:
    tasks = {"test_split": "train", "demonstrations": 1, "explore": 1, "test": 4}
    same = {"name": "gymnasium", "make": "support.games:Circular"}
    shown = [replace(doors(i), task_id=f"round/{i}") for i in range(6)]
    with experiment(tmp_path, shown, same, tasks) as context:
        parts = context.parts()
    used = [*parts.demonstrations.task_ids, *parts.explore.task_ids, *parts.evaluated]
    assert sorted(numbers(used)) == [0, 1, 2, 3, 4, 5]


def test_what_was_chosen_is_recorded_and_read_again(tmp_path: Path) -> None:
    with experiment(tmp_path, hunts([9, 7, 3, 1, 0])) as context:
        out = StageWriter(tmp_path / "run" / "tasks")
        out.folder.mkdir(parents=True)
        choose.tasks(context, out)
        chosen = context.parts()
    assert out.metrics["tasks.explore"]["num_tasks"] == 2
    with experiment(tmp_path, hunts([9, 7, 3, 1, 0])) as context:
        assert context.parts() == chosen
        assert context._pool is None, "no environment was asked"
    with experiment(tmp_path, hunts([9, 7, 3, 1, 0])) as context:
        context.chooses_anew = True  # `--force tasks`
        assert context.parts() == chosen
        assert context._pool is not None, "the record does not count"
    with experiment(tmp_path, hunts([17, 15])) as context:
        context.chooses_anew = True  # another file, other demonstrations
        assert set(numbers(context.parts().demonstrations.task_ids)) == {17, 15}


def test_panels_of_test_tasks_are_chosen_each_from_its_fold(tmp_path: Path) -> None:
    panels = {"new": {"split": "train", "count": 3}, "unseen": {"count": 2}}
    with experiment(tmp_path, hunts(range(9)), tasks={"test": panels}) as context:
        parts = context.parts()
    assert [len(parts.test[name].openings) for name in ("new", "unseen")] == [3, 2]
    assert all(number < 1000 for number in numbers(parts.test["new"].task_ids))
    assert all(number >= 20_000 for number in numbers(parts.test["unseen"].task_ids))
    assert parts.dev is None
    assert parts.evaluated == [*parts.test["new"].task_ids, *parts.test["unseen"].task_ids]
