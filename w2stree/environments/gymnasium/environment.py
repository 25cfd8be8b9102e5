"""A user's own environment: Gymnasium's, or a generator function.

    make: module:callable ──called with options──> an object with reset and step   (`SteppedGame`)
                                                   or a generator                  (`TalkedGame`)

docs/environments.md has the recipe; examples/own_environment.py a whole game.
"""

from __future__ import annotations

import importlib
import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from w2stree.environments.gymnasium.game import Answer, Game, SteppedGame, TalkedGame
from w2stree.environments.protocol import ExpertTurn, Info
from w2stree.errors import EnvironmentFailure, InvalidInput, MissingDependency
from w2stree.trajectories.returns import at_least

SPLIT_START = {"train": 0, "dev": 10_000, "test": 20_000}
SPLIT_SIZE = 1_000


class GymnasiumEnvironment:
    """The environment that `make` makes, behind `w2stree.environments.protocol.Environment`.

    `make` is a callable or its name, `module:callable`, looked up in the working directory too;
    `options` are its keyword arguments. `score_range`: what the sum of an episode's rewards can
    be, worst and best, put on [0, 1]; sums beyond are cut, and told as `raw_score`. `action_names`
    name the actions of a Discrete space in its order. `multi_line`: an action may have several
    lines. `expert`, a `module:callable` too, is called with the task (its seed, or the id where
    the object has its own) and `options`, and returns the actions of a solution, or (thought,
    action) pairs.

    A task is a seed, `<name>/<split>/<seed>`, unless the object has `tasks(split)`: then those
    are the ids, and a reset gets `options={"task": id}`. Raises `InvalidInput` for what cannot
    be made or played; errors of the environment's own code are left as they are, for the
    process around it to report as `EnvironmentFailure`.
    """

    def __init__(
        self,
        make: str | Callable[..., Any],
        options: Mapping[str, Any] | None = None,
        *,
        max_steps: int = 50,
        score_range: tuple[float, float] = (0.0, 1.0),
        action_names: Sequence[str] = (),
        multi_line: bool = False,
        expert: str | None = None,
    ) -> None:
        if max_steps < 1:
            raise InvalidInput(f"max_steps is {max_steps}; give at least 1")
        if not -float("inf") < score_range[0] < score_range[1] < float("inf"):
            raise InvalidInput(f"score_range is {score_range}; give worst, then best")
        arguments = dict(options or {})
        name = make if isinstance(make, str) else getattr(make, "__name__", type(make).__name__)
        self._name = str(arguments.get("id", name.rpartition(":")[2]))
        found = _find(make) if isinstance(make, str) else make
        self._game = _game(name, found, arguments, action_names)
        self._max_steps = max_steps
        self._score_range = score_range
        self._multi_line = multi_line
        self._make, self._options = make, arguments
        self._expert = None if expert is None else _find(expert, "expert")
        self._task: int | str | None = None
        self._num_steps, self._score = 0, 0.0

    def tasks(self, split: str) -> list[str]:
        """The object's own tasks, else 1,000 seeds a split that no other split has."""
        if split not in SPLIT_START:
            raise InvalidInput(f"split is {split!r}; use one of {', '.join(SPLIT_START)}")
        own = self._game.tasks(split)
        if own is not None:
            return own
        start = SPLIT_START[split]
        return [f"{self._name}/{split}/{seed}" for seed in range(start, start + SPLIT_SIZE)]

    def reset(self, task_id: str) -> tuple[str, Info]:
        has_own_tasks = self._game.tasks("train") is not None
        task = task_id if has_own_tasks else self._seed(task_id)
        self._task = None  # a reset that fails leaves no task to solve
        answer = self._game.reset(task)
        self._task = task
        info = self._info(answer)
        self._num_steps, self._score = 0, info["score"]
        return answer.observation, info

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        answer = self._game.step(action)
        self._num_steps += 1
        info = self._info(answer)
        before, self._score = self._score, info["score"]
        is_cut = answer.is_truncated or self._num_steps >= self._max_steps
        return (
            answer.observation,
            self._score - before,
            answer.is_terminated,
            is_cut and not answer.is_terminated,
            info,
        )

    def expert(self) -> list[ExpertTurn]:
        """What the expert says of the current task; `InvalidInput` where none was given."""
        if self._expert is None:
            raise InvalidInput(
                f"{self._make} has no expert: set environment.expert to a module:callable that "
                "returns a task's actions (docs/environments.md), or play by another policy"
            )
        if self._task is None:
            raise EnvironmentFailure("no task is loaded; call reset(task_id) first")
        return [_turn(said) for said in self._expert(self._task, **self._options)]

    def close(self) -> None:
        self._game.close()

    def _info(self, answer: Answer) -> Info:
        if not math.isfinite(answer.total):
            raise EnvironmentFailure(
                f"{self._name}: the sum of rewards is {answer.total}; expected a finite number"
            )
        worst, best = self._score_range
        share = (answer.total - worst) / (best - worst)
        score = min(1.0, max(0.0, share))
        info = Info(score=score, admissible_actions=sorted(answer.actions))
        if not (at_least(share, 0.0) and at_least(1.0, share)):
            info["raw_score"] = answer.total
        if self._multi_line:
            info["multi_line"] = True
        return info

    def _seed(self, task_id: str) -> int:
        rest, _, seed = task_id.rpartition("/")
        name, _, split = rest.rpartition("/")
        if name != self._name or split not in SPLIT_START or not seed.isdecimal():
            raise InvalidInput(f"task id {task_id!r}; expected '{self._name}/<split>/<seed>'")
        return int(seed)


def _turn(said: Any) -> ExpertTurn:
    """An action alone, or with the thought before it."""
    match said:
        case str(action):
            return ExpertTurn("", action)
        case (str(thought), str(action)):
            return ExpertTurn(thought, action)
    raise EnvironmentFailure(f"the expert says {said!r}; expected an action, or (thought, action)")


def _find(make: str, key: str = "make") -> Callable[..., Any]:
    module_name, colon, name = make.partition(":")
    if not (module_name and colon and name):
        raise InvalidInput(f"{key} is {make!r}; write module:callable")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module_name), name)
    except ModuleNotFoundError as error:
        if error.name == "gymnasium":
            raise MissingDependency(
                f"{error.name} is not installed: pip install 'w2stree[gymnasium]'"
            ) from None
        raise InvalidInput(f"{key} is {make!r}: {error}") from None
    except AttributeError:
        raise InvalidInput(f"{key} is {make!r}: {module_name} has no {name}") from None
    if not callable(found):
        raise InvalidInput(f"{key} is {make!r}, which is no callable but {type(found).__name__}")
    return found  # type: ignore[no-any-return]


def _game(
    name: str, make: Callable[..., Any], options: dict[str, Any], action_names: Sequence[str]
) -> Game:
    if inspect.isgeneratorfunction(make):
        _refuse_unknown_options(name, make, (0,), options)
        return TalkedGame(make, options)
    _refuse_unknown_options(name, make, (), options)
    return SteppedGame(make(**options), action_names)


def _refuse_unknown_options(
    make: str, callable_: Callable[..., Any], seed: tuple[int, ...], options: Mapping[str, Any]
) -> None:
    try:
        signature = inspect.signature(callable_)
    except ValueError:  # a built-in callable has none to check
        return
    try:
        signature.bind(*seed, **options)
    except TypeError as error:
        raise InvalidInput(f"{make}: options {sorted(options)}: {error}") from None
