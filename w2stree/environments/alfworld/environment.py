"""ALFWorld: household tasks in text, the paper's third environment.

Shridhar et al., "ALFWorld: Aligning Text and Embodied Environments for Interactive Learning",
ICLR 2021. Task ids read `<split>/<task>/<trial>`, as the games' folders are called, for example
`valid_seen/pick_and_place_simple-Mug-None-Desk-308/trial_T20190909_210238_431966`.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal, get_args

from w2stree.environments.alfworld.engine import start_engine
from w2stree.environments.alfworld.games import open_games
from w2stree.environments.protocol import ExpertTurn, Info
from w2stree.errors import EnvironmentFailure, InvalidInput

Expert = Literal["stored", "planner"]

# "You arrive at loc 12. On the desk 1, you see …": the number names nothing the agent can use.
_ARRIVAL = re.compile(r"^You arrive at loc \d+\. ")


class Alfworld:
    """The games of `data` (see `open_games`). Not thread-safe; run it through `EnvironmentProcess`.

    Splits: train; dev, the benchmark's valid_seen (rooms of train); test, its valid_unseen (new
    rooms). The score is 1 once the goal holds, which ends the episode, else 0. An unknown
    command answers "Nothing happens." and costs a step. The same commands get the same answers.

    `expert`: `stored` plays the demonstration recorded with the game, `planner` a plan that
    Fast Downward finds, which knows where everything is and so never looks around.
    """

    def __init__(
        self,
        data: str | os.PathLike[str] | None = None,
        *,
        expert: Expert = "stored",
        max_steps: int = 40,
    ) -> None:
        if expert not in get_args(Expert):
            raise InvalidInput(f"expert is {expert!r}; use one of {', '.join(get_args(Expert))}")
        if max_steps < 1:
            raise InvalidInput(f"max_steps is {max_steps}; give at least 1")
        self._games = open_games(data)
        self._expert = expert
        self._max_steps = max_steps
        self._engine = start_engine()
        self._task_id: str | None = None
        self._demonstration: tuple[str, ...] | None = None
        self._num_steps = 0
        self._score = 0.0

    def tasks(self, split: str) -> list[str]:
        """Sorted; `valid_seen` and `valid_unseen` are accepted as split names too."""
        return self._games.ids(split)

    def reset(self, task_id: str) -> tuple[str, Info]:
        if task_id != self._task_id:
            self._load(task_id)
        state = self._engine.reset()
        self._num_steps, self._score = 0, 0.0
        _, room, task = state["feedback"].split("\n\n", 2)
        return f"{room}\n{task}", _info(state)

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        if self._task_id is None:
            raise EnvironmentFailure("no task is loaded; call reset(task_id) first")
        state, _, _ = self._engine.step(action)
        self._num_steps += 1
        info = _info(state)
        reward = info["score"] - self._score
        self._score = info["score"]
        terminated = bool(state["won"])
        truncated = not terminated and self._num_steps >= self._max_steps
        return _ARRIVAL.sub("", state["feedback"]), reward, terminated, truncated, info

    def expert(self) -> list[ExpertTurn]:
        """The current task's solution; its turns have no thoughts. May exceed `max_steps`.

        Raises `EnvironmentFailure` for a game without one: it costs this game, and not the run.
        """
        if self._task_id is None:
            raise EnvironmentFailure("no task is loaded; call reset(task_id) first")
        self.reset(self._task_id)
        commands = self._plan() if self._expert == "planner" else self._stored(self._task_id)
        return [ExpertTurn("", command) for command in commands]

    def close(self) -> None:
        # The planner's library stays loaded until the process ends: unloading it crashes the
        # process when another one has been loaded beside it (fast-downward-textworld 20.6.4).
        self._engine, self._task_id = None, None

    def _load(self, task_id: str) -> None:
        self._task_id = None
        game = self._games.game(task_id)
        self._engine.load(
            {
                "pddl_domain": game.pddl_domain,
                "grammar": game.grammar,
                "pddl_problem": game.pddl_problem,
            }
        )
        entities = self._engine._entity_infos
        for entity_id, name in entity_names(entities).items():
            entities[entity_id].name = name
        self._task_id, self._demonstration = task_id, game.demonstration

    def _plan(self) -> list[str]:
        plan = self._engine._pddl_state.replan(self._engine._entity_infos)
        if not plan:
            raise EnvironmentFailure(f"the planner finds no plan for {self._task_id}")
        return list(plan)

    def _stored(self, task_id: str) -> tuple[str, ...]:
        if self._demonstration is None:
            raise EnvironmentFailure(f"{task_id} records no demonstration; use expert='planner'")
        return self._demonstration


def entity_names(ids: Iterable[str]) -> dict[str, str]:
    """The benchmark's names of a game's entities: `Drawer_bar_…` ids become `drawer 1`, ….

    Entities of a kind are numbered downwards in the order of their ids, as ALFWorld's own
    `Demangler` does it. Ids of one part (the agent's) are left out: no text names them.
    """
    kinds = {}
    for entity_id in sorted(ids):
        kind, is_placed, _ = entity_id.partition("_bar_")
        if is_placed:
            kinds[entity_id] = kind + "basin" * ("basin" in entity_id)
    left = Counter(kinds.values())
    names = {}
    for entity_id, kind in kinds.items():
        names[entity_id] = f"{kind} {left[kind]}"
        left[kind] -= 1
    return names


def _info(state: Any) -> Info:
    return Info(
        score=1.0 if state["won"] else 0.0,
        admissible_actions=sorted(state["admissible_commands"]),
    )
