"""ScienceWorld: elementary-school experiments in a text world of ten places.

Wang, Jansen, Côté & Ammanabrolu, "ScienceWorld: Is your Agent Smarter than a 5th Grader?",
EMNLP 2022. Task ids read `scienceworld/task/variation`, for example `scienceworld/boil/21`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from w2stree.environments.java import small_jvm, token_guarded
from w2stree.environments.protocol import ExpertTurn, Info
from w2stree.environments.scienceworld.tasks import (
    DEFAULT_MAX_STEPS,
    SPLITS,
    TASKS,
    Pair,
    pairs_by_rule,
    read_split_file,
    refuse_unknown_variation,
)
from w2stree.errors import EnvironmentFailure, InvalidInput, MissingDependency

# The engine walks over hash sets of objects: with hashes from memory addresses, the same actions
# are answered differently in one JVM and the next. A constant hash keeps insertion order.
_DETERMINISTIC = "-XX:+UnlockExperimentalVMOptions -XX:hashCode=2"

SIMPLIFICATIONS = (
    "easy", "noElectricalAction", "openContainers", "openDoors", "selfWateringFlowerPots",
    "teleportAction",
)  # fmt: skip


class ScienceWorld:
    """Every task of the engine, one at a time. Not thread-safe; run it in `EnvironmentProcess`.

    `simplification`: the engine's names, joined by commas, or "easy" for all that a task allows.
    `split_file`: the user's own pairs for `tasks` (`read_split_file`); without it the paper's 24
    tasks by rule. `max_steps`: one limit for all tasks; without it each task's own (10 to 120).
    `list_actions`: fill `info["admissible_actions"]`, which costs several times the step itself;
    without it they are [] always.

    The score is the engine's; a wrong `focus on` (-1 there) ends the episode with score 0. What
    the engine does not understand is a step, answered with the engine's words; after "Ambiguous
    request" the next action is read as the number of a choice.

    Raises `InvalidInput` for an option the engine does not know, `MissingDependency` without the
    `scienceworld` package or a Java runtime.
    """

    def __init__(
        self,
        *,
        simplification: str = "easy",
        split_file: Path | None = None,
        max_steps: int | None = None,
        list_actions: bool = False,
    ) -> None:
        if max_steps is not None and max_steps < 1:
            raise InvalidInput(f"max_steps is {max_steps}; give at least 1")
        _refuse_unknown_simplification(simplification)
        self._splits = None if split_file is None else read_split_file(Path(split_file))
        self._own_max_steps = max_steps
        self._list_actions = list_actions
        self._simplification = simplification
        self._pair: Pair | None = None
        self._num_steps = self._max_steps = 0
        self._score = 0.0
        self._engine = _start_engine()

    def tasks(self, split: str) -> list[str]:
        """The split file's pairs in its order, or the rule's (`pairs_by_rule`)."""
        if split not in SPLITS:
            raise InvalidInput(f"split is {split!r}; use one of {', '.join(SPLITS)}")
        pairs = pairs_by_rule(split) if self._splits is None else self._splits[split]
        return [f"scienceworld/{name}/{variation}" for name, variation in pairs]

    def reset(self, task_id: str) -> tuple[str, Info]:
        """The statement is the engine's task description, then the room."""
        self._pair = _parse(task_id)
        self._max_steps = self._own_max_steps or TASKS[self._pair[0]].max_steps or DEFAULT_MAX_STEPS
        with _engine_errors():
            self._load()
            server = self._engine.server
            statement = f"{server.getTaskDescription().strip()}\n{server.freeActionLook().strip()}"
            return statement, self._info(0.0)

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        # The engine's own Python step also looks around, takes stock and lists every valid
        # action, each time: three quarters of its time.
        with _engine_errors():
            server = self._engine.server
            observation = server.step(action).strip()
            raw_score = server.getScore()
            terminated = raw_score < 0 or server.getCompleted()
            info = self._info(raw_score)
        self._num_steps += 1
        reward = info["score"] - self._score
        self._score = info["score"]
        truncated = not terminated and self._num_steps >= self._max_steps
        return observation, reward, terminated, truncated, info

    def expert(self) -> list[ExpertTurn]:
        """The engine's gold path, without thoughts.

        It may go on for a few actions after the one that ends the task, and it is longer than
        some tasks' step limit. Takes seconds: the engine plays the task to find it.
        """
        with _engine_errors():
            self._load(gold=True)
            actions = list(self._engine.server.getGoldActionSequence())
            self._load()
        return [ExpertTurn("", action) for action in actions]

    def close(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def _load(self, *, gold: bool = False) -> None:
        # Loading is a start state already; the engine's reset would build the same one again.
        if self._pair is None:
            raise EnvironmentFailure("no task is loaded; call reset(task_id) first")
        name, variation = self._pair
        self._refuse_contradiction(name)
        self._engine.server.load(name, variation, self._simplification, gold)
        # Not getScore(): until the first step it still tells the score of the episode before.
        self._num_steps, self._score = 0, 0.0

    def _info(self, raw_score: float) -> Info:
        actions = []
        if self._list_actions:
            actions = sorted(self._engine.server.getValidActionObjectCombinations())
        return Info(score=min(1.0, max(0.0, raw_score)), admissible_actions=actions)

    def _refuse_contradiction(self, name: str) -> None:
        is_electrical = "power-component" in name or "conductivity" in name
        if is_electrical and "noElectricalAction" in self._simplification:
            raise InvalidInput(
                f"simplification {self._simplification!r} leaves {name} without the actions it "
                "needs; use 'easy', which keeps them"
            )


def _start_engine() -> Any:
    try:
        from scienceworld import scienceworld as engine
    except ModuleNotFoundError:
        raise MissingDependency(
            "ScienceWorld is not installed: pip install 'w2stree[scienceworld]'"
        ) from None
    with small_jvm(heap="256m", required=_DETERMINISTIC), token_guarded(engine):
        return engine.ScienceWorldEnv()


def _refuse_unknown_simplification(simplification: str) -> None:
    for name in filter(None, simplification.split(",")):
        if name not in SIMPLIFICATIONS:
            raise InvalidInput(
                f"simplification {name!r}; ScienceWorld has {', '.join(SIMPLIFICATIONS)}, "
                "joined by commas without spaces"
            )


def _parse(task_id: str) -> Pair:
    match task_id.split("/"):
        case ["scienceworld", name, variation] if name in TASKS and variation.isdecimal():
            refuse_unknown_variation(name, int(variation), f"task id {task_id!r}")
            return name, int(variation)
    raise InvalidInput(f"task id {task_id!r}; expected 'scienceworld/<task>/<variation>'")


@contextlib.contextmanager
def _engine_errors() -> Iterator[None]:
    """The engine's exceptions and a dead JVM as `EnvironmentFailure`."""
    from py4j.protocol import Py4JError

    try:
        yield
    except (Py4JError, OSError) as error:
        raise EnvironmentFailure(f"ScienceWorld failed: {error}") from error
