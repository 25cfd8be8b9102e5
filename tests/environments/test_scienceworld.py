"""ScienceWorld: tasks, splits and step limits; the real engine behind its process."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.environments.scienceworld import ScienceWorld
from w2stree.environments.scienceworld.environment import SIMPLIFICATIONS
from w2stree.environments.scienceworld.tasks import (
    PAPER_TASKS,
    TASKS,
    pairs_by_rule,
    read_split_file,
)
from w2stree.errors import InvalidInput

PLANT = "scienceworld/find-plant/0"
LIFESPAN = "scienceworld/lifespan-longest-lived/93"
SHORT = [
    ("power-component", "dev"),
    ("lifespan-longest-lived", "test"),
    ("find-non-living-thing", "train"),
]


@pytest.fixture(scope="module")
def engine() -> Iterator[EnvironmentProcess]:
    pytest.importorskip("scienceworld", reason="pip install 'w2stree[scienceworld]'")
    # Long enough for every gold path: some are longer than their task's own limit.
    with EnvironmentProcess(functools.partial(ScienceWorld, max_steps=300)) as process:
        yield process


@pytest.fixture(scope="module")
def listing() -> Iterator[EnvironmentProcess]:
    pytest.importorskip("scienceworld", reason="pip install 'w2stree[scienceworld]'")
    factory = functools.partial(
        ScienceWorld, simplification="teleportAction,noElectricalAction", list_actions=True
    )
    with EnvironmentProcess(factory) as process:
        yield process


def play(process: EnvironmentProcess, task_id: str, actions: list[str]) -> list[Any]:
    """Everything the environment says, up to the episode's end."""
    log = [process.call("reset", task_id)]
    for action in actions:
        log.append(process.call("step", action))
        if log[-1][2] or log[-1][3]:
            break
    return log


def gold(process: EnvironmentProcess, task_id: str) -> list[str]:
    process.call("reset", task_id)
    return [turn.action for turn in process.call("expert")]


def test_the_paper_s_tasks_and_their_limits() -> None:
    assert len(PAPER_TASKS) == 24
    limits = {TASKS[name].max_steps for name in PAPER_TASKS}
    assert (min(limits), max(limits)) == (10, 120)
    assert sum(task.num_variations for task in TASKS.values()) == 7207


@pytest.mark.parametrize(("split", "count"), [("train", 1408), ("dev", 199), ("test", 211)])
def test_the_rule_takes_the_first_variations_of_each_fold(split: str, count: int) -> None:
    pairs = pairs_by_rule(split)
    assert len(set(pairs)) == len(pairs) == count
    # Any beginning covers all tasks alike.
    assert {name for name, _ in pairs[:24]} == set(PAPER_TASKS)
    by_task = {name: [v for n, v in pairs if n == name] for name in PAPER_TASKS}
    for name, variations in by_task.items():
        assert variations == list(TASKS[name].fold(split))[: len(variations)]
    if split == "test":
        assert by_task["boil"] == list(range(21, 30))
        assert by_task["use-thermometer"] == list(range(405, 415))


def split_file(path: Path, **changes: Any) -> Path:
    file = path / "split.json"
    splits = {"train": [["task-2a-test-conductivity", 5]], "dev": [["boil", 14]], "test": []}
    file.write_text(json.dumps({**splits, **changes}))
    return file


def test_a_split_file_may_use_the_first_release_s_names(tmp_path: Path) -> None:
    names = ["task-6-lifespan-(longest-lived)", "task-9-mendellian-genetics-(known-plant)"]
    file = split_file(tmp_path, test=[[name, 1] for name in names])
    assert read_split_file(file) == {
        "train": [("test-conductivity", 5)],
        "dev": [("boil", 14)],
        "test": [("lifespan-longest-lived", 1), ("mendelian-genetics-known-plant", 1)],
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"valid": []}, r'split.json: expected an object with "train", "dev" and "test"'),
        ({"dev": {}}, r"split.json: dev is dict; expected \[\["),
        ({"dev": [["boil", 1], "boil"]}, r"split.json: dev\[1\] is 'boil'; expected a pair"),
        ({"dev": [["boil", "1"]]}, r"split.json: dev\[0\] is \['boil', '1'\]; expected a pair"),
        ({"dev": [["boil", True]]}, r"dev\[0\] is .*expected a pair"),
        ({"dev": [["fry", 1]]}, r"split.json: dev\[0\]: no task 'fry'; ScienceWorld has boil"),
        ({"dev": [["boil", 30]]}, r"dev\[0\]: boil has variations 0 to 29, not 30"),
        ({"dev": [["boil", -1]]}, r"dev\[0\]: boil has variations 0 to 29, not -1"),
        ({"dev": [["boil", 1], ["task-1-boil", 1]]}, r"dev\[1\] is .*which is there before"),
        ({"test": [["boil", 14]]}, r"split.json: test\[0\], \['boil', 14\], is in train or dev"),
    ],
)
def test_bad_split_files_name_the_entry(tmp_path: Path, changes: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        ScienceWorld(split_file=split_file(tmp_path, **changes))


def test_split_files_that_are_no_json_or_absent_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InvalidInput, match=r"bad.json: not valid JSON"):
        read_split_file(tmp_path / "bad.json")
    with pytest.raises(InvalidInput, match=r"absent.json: cannot be read"):
        read_split_file(tmp_path / "absent.json")


def test_pairs_shared_by_train_and_dev_are_told(tmp_path: Path) -> None:
    file = split_file(tmp_path, train=[["boil", 14], ["boil", 2]])
    with pytest.warns(UserWarning, match="train and dev share 1 pairs"):
        assert len(read_split_file(file)["train"]) == 2


@pytest.mark.java
def test_the_table_is_the_engine_s() -> None:
    pytest.importorskip("scienceworld", reason="pip install 'w2stree[scienceworld]'")
    from w2stree.environments.scienceworld.environment import _start_engine

    started = _start_engine()
    try:
        counts = {n: started.server.getTaskMaxVariations(n) for n in started.get_task_names()}
        started.server.load("boil", 0, "easy", False)
        simplifications = started.get_possible_simplifications()
        folds = [started.get_variations_train(), started.get_variations_dev()]
    finally:
        started.close()
        java = started._gateway.java_process
        java.wait()
        java.stdin.close()  # its own `close` leaves this and a folder to the collector
        started._obj_tree_tempdir.cleanup()
    assert ["easy", *simplifications] == list(SIMPLIFICATIONS)
    assert counts == {name: task.num_variations for name, task in TASKS.items()}
    assert folds == [list(TASKS["boil"].fold("train")), list(TASKS["boil"].fold("dev"))]


@pytest.mark.java
@pytest.mark.parametrize(("name", "split"), SHORT)
def test_gold_reaches_full_score(engine: EnvironmentProcess, name: str, split: str) -> None:
    task_id = f"scienceworld/{name}/{TASKS[name].fold(split)[0]}"
    log = play(engine, task_id, gold(engine, task_id))
    assert log[-1][2:] == (True, False, {"score": 1.0, "admissible_actions": []})
    assert sum(reward for _, reward, *_ in log[1:]) == pytest.approx(1.0)


@pytest.mark.java
@pytest.mark.slow
@pytest.mark.parametrize("name", PAPER_TASKS)
@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_gold_reaches_full_score_in_every_task(
    engine: EnvironmentProcess, name: str, split: str
) -> None:
    test_gold_reaches_full_score(engine, name, split)


@pytest.mark.java
def test_answers_depend_on_nothing_that_was_played_before(engine: EnvironmentProcess) -> None:
    # Without the hash flag these rooms list their things in another order, as the JVM's earlier
    # episodes left its source of hashes.
    rooms = {
        "chemistry-mix-paint-secondary-color": "art studio",
        "identify-life-stages-2": "outside",
        "inclined-plane-determine-angle": "workshop",
    }

    def look(process: EnvironmentProcess, name: str) -> list[Any]:
        actions = [f"teleport to {rooms[name]}", "look around"]
        return play(process, f"scienceworld/{name}/0", actions)

    seen = {name: look(engine, name) for name in rooms}
    with EnvironmentProcess(functools.partial(ScienceWorld, max_steps=300)) as other:
        assert {name: look(other, name) for name in reversed(rooms)} == seen


@pytest.mark.java
def test_a_new_episode_knows_nothing_of_the_last(engine: EnvironmentProcess) -> None:
    first = play(engine, PLANT, ["teleport to greenhouse", "inventory"])
    play(engine, LIFESPAN, gold(engine, LIFESPAN))  # ends at score 1
    assert play(engine, PLANT, ["teleport to greenhouse", "inventory"]) == first
    statement, info = first[0]
    assert statement.startswith("Your task is to find a(n) plant.")
    assert "\nThis room is called the hallway." in statement
    assert info == {"score": 0.0, "admissible_actions": []}


@pytest.mark.java
def test_a_wrong_focus_is_a_failure(engine: EnvironmentProcess) -> None:
    log = play(engine, PLANT, ["teleport to kitchen", "focus on thermometer", "look around"])
    assert len(log) == 3
    assert log[1][4]["score"] > 0
    observation, reward, terminated, truncated, info = log[2]
    assert observation == "You focus on the thermometer."
    assert (terminated, truncated, info["score"]) == (True, False, 0.0)
    assert reward == -log[1][4]["score"]


@pytest.mark.java
def test_unknown_actions_are_steps_and_limits_truncate(listing: EnvironmentProcess) -> None:
    log = play(listing, LIFESPAN, ["fly to the moon", ""] + ["look around"] * 20)
    assert log[1][0] == log[2][0] == "No known action matches that input."
    assert len(log) == 1 + TASKS["lifespan-longest-lived"].max_steps
    assert log[-1][2:4] == (False, True)


@pytest.mark.java
def test_admissible_actions_are_listed_on_request(listing: EnvironmentProcess) -> None:
    _, info = listing.call("reset", LIFESPAN)
    actions = info["admissible_actions"]
    assert actions == sorted(actions)
    assert {"look around", "look at bee hive"} <= set(actions)
    assert listing.call("step", "look around")[4]["admissible_actions"] == actions


@pytest.mark.java
def test_a_task_without_the_actions_it_needs_is_refused(listing: EnvironmentProcess) -> None:
    with pytest.raises(InvalidInput, match="leaves power-component without the actions it needs"):
        listing.call("reset", "scienceworld/power-component/0")


@pytest.mark.java
@pytest.mark.parametrize(
    "task_id",
    ["scienceworld/boil", "scienceworld/fry/1", "coin/train/1", "scienceworld/boil/-1"],
)
def test_foreign_task_ids_are_refused(engine: EnvironmentProcess, task_id: str) -> None:
    with pytest.raises(InvalidInput, match="expected 'scienceworld/<task>/<variation>'"):
        engine.call("reset", task_id)


@pytest.mark.java
def test_variations_beyond_the_last_are_refused(engine: EnvironmentProcess) -> None:
    with pytest.raises(InvalidInput, match="boil has variations 0 to 29, not 30"):
        engine.call("reset", "scienceworld/boil/30")


@pytest.mark.parametrize("simplification", ["hard", "openDoors, openContainers"])
def test_unknown_simplifications_are_named(simplification: str) -> None:
    with pytest.raises(InvalidInput, match=r"simplification .*; ScienceWorld has easy, "):
        ScienceWorld(simplification=simplification)
