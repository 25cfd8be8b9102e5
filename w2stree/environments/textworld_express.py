"""TextWorldExpress: eight published text games (coin, cookingworld, twc, …), simulated fast.

Jansen & Côté, "TextWorldExpress: Simulating Text Games at One Million Steps Per Second",
EACL 2023. Task ids read `game/fold/seed`, for example `cookingworld/train/17`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from w2stree.environments.java import small_jvm, token_guarded
from w2stree.environments.protocol import ExpertTurn, Info
from w2stree.errors import EnvironmentFailure, InvalidInput, MissingDependency

# The names the engine gives its folds and its settings; a user's typo is caught without a JVM.
GAMES = (
    "cookingworld", "coin", "twc", "mapreader",
    "arithmetic", "sorting", "simonsays", "peckingorder",
)  # fmt: skip
FOLD_START = {"train": 0, "dev": 10_000, "test": 20_000}
FOLD_SIZE = 1_000

# The actions that make progress; others (moving, opening, closing) are on the way to them.
_GOAL = re.compile(r"^(take|read|slice|dice|chop|cook|put) (.+?)(?: (in|on) (.+))?$")


class TextWorldExpress:
    """One game with one setting. Not thread-safe; run it through `EnvironmentProcess`.

    `params` are the game's own generation settings, for example
    `{"numLocations": 1, "numIngredients": 2}`; a name the game does not know raises
    `InvalidInput`. The score is the game's, negative scores (a lost game) count as 0.
    """

    def __init__(
        self, game: str, params: Mapping[str, int] | None = None, *, max_steps: int = 50
    ) -> None:
        refuse_unknown_game(game)
        if max_steps < 1:
            raise InvalidInput(f"max_steps is {max_steps}; give at least 1")
        self._game = game
        self._params = ", ".join(f"{name}={value}" for name, value in (params or {}).items())
        self._max_steps = max_steps
        self._engine = _start_engine()
        self._fold_and_seed: tuple[str, int] | None = None
        self._infos: Mapping[str, Any] = {}
        self._num_steps = 0
        self._score = 0.0
        try:
            self._engine.load(game, self._params)
        except ValueError as error:
            raise InvalidInput(f"{game} params {self._params!r}: {error}") from None

    def tasks(self, split: str) -> list[str]:
        """1,000 tasks a split; dev and test share no seed with train."""
        start = FOLD_START.get(split)
        if start is None:
            raise InvalidInput(f"split is {split!r}; use one of {', '.join(FOLD_START)}")
        return [f"{self._game}/{split}/{seed}" for seed in range(start, start + FOLD_SIZE)]

    def reset(self, task_id: str) -> tuple[str, Info]:
        self._fold_and_seed = self._parse(task_id)
        infos = self._generate(gold=False)
        statement = f"{_tidy(infos['taskDescription'])}\n{_tidy(infos['observation'])}"
        return statement, _info(infos)

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        infos = self._infos
        if action == "help":  # the engine's Python answers this one, without a step of the game
            observation = self._engine.getTaskDescription()
        else:
            # The engine's own step asks the JVM for the task's description too, each time: half
            # of its time.
            infos = self._infos = json.loads(self._engine.server.stepJSON(action))
            observation = infos["observation"]
        self._num_steps += 1
        info = _info(infos)
        reward = info["score"] - self._score
        self._score = info["score"]
        terminated = bool(infos["tasksuccess"] or infos["taskfailure"] or infos["score"] >= 1.0)
        truncated = not terminated and self._num_steps >= self._max_steps
        return _tidy(observation), reward, terminated, truncated, info

    def expert(self) -> list[ExpertTurn]:
        """The game's gold path, each action with a thought naming what it works towards.

        The thought is hindsight: the path's next taking, reading, cutting, cooking or putting.
        Simon says what to do: there is nothing to think in simonsays, and thoughts are empty.
        """
        self._generate(gold=True)
        actions = self._engine.getGoldActionSequence()
        self._generate(gold=False)
        has_thought = self._game != "simonsays"
        return [
            ExpertTurn(_thought(actions[i:]) if has_thought else "", action)
            for i, action in enumerate(actions)
        ]

    def close(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def _generate(self, *, gold: bool) -> Mapping[str, Any]:
        if self._fold_and_seed is None:
            raise EnvironmentFailure("no task is loaded; call reset(task_id) first")
        fold, seed = self._fold_and_seed
        self._num_steps, self._score = 0, 0.0
        _, self._infos = self._engine.reset(seed=seed, gameFold=fold, generateGoldPath=gold)
        return self._infos

    def _parse(self, task_id: str) -> tuple[str, int]:
        game, _, rest = task_id.partition("/")
        fold, _, seed = rest.partition("/")
        if game != self._game or fold not in FOLD_START or not seed.isdigit():
            raise InvalidInput(f"task id {task_id!r}; expected '{self._game}/<split>/<seed>'")
        return fold, int(seed)


def refuse_unknown_game(game: str) -> None:
    """Raises `InvalidInput` for a game that TextWorldExpress does not have."""
    if game not in GAMES:
        raise InvalidInput(f"game is {game!r}; TextWorldExpress has {', '.join(GAMES)}")


def _start_engine() -> Any:
    try:
        from textworld_express import textworld_express as engine
    except ModuleNotFoundError:
        raise MissingDependency(
            "TextWorldExpress is not installed: pip install 'w2stree[textworld-express]'"
        ) from None
    with small_jvm(heap="128m", is_quick=True), token_guarded(engine):
        # The engine's own limit is one step late; ours is the one that counts.
        return engine.TextWorldExpressEnv(envStepLimit=1_000_000)


def _info(infos: Mapping[str, Any]) -> Info:
    return Info(
        score=min(1.0, max(0.0, float(infos["score"]))),
        # The engine lists them in hash order, another one each call.
        admissible_actions=sorted(infos["validActions"]),
    )


def _tidy(text: str) -> str:
    # One space of an indent stays: a recipe's " carrot" is then the same token as in "take carrot".
    lines = (" " * line.startswith(" ") + " ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line.strip())


def _thought(remaining: list[str]) -> str:
    for action in remaining:
        if match := _GOAL.match(action):
            verb, thing, preposition, place = match.groups()
            where = f" {preposition} the {place}" if place else ""
            return f"I need to {verb} the {thing}{where}."
    return "I finish the task."
