"""What a user's game may look like, made one: something to reset and to step.

object       reset(seed=…) -> observation, info    step(action) -> 5-tuple     Gymnasium
generator    def game(seed): action = yield observation, score, actions; …
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from w2stree.environments.gymnasium.observations import text_of
from w2stree.errors import EnvironmentFailure, InvalidInput
from w2stree.trajectories.fields import shown

# Where environments put what can be done now: TextWorld and ALFWorld, ours, ScienceWorld.
_ACTION_KEYS = ("admissible_commands", "admissible_actions", "valid_actions")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a game says: `total` is the sum of its rewards since the reset."""

    observation: str
    total: float
    actions: Sequence[str]
    is_terminated: bool = False
    is_truncated: bool = False


class Game(Protocol):
    def tasks(self, split: str) -> list[str] | None:
        """The game's own task ids; None where its tasks are seeds."""

    def reset(self, task: int | str) -> Answer:
        """Start a seed, or one of its own tasks."""

    def step(self, action: str) -> Answer: ...

    def close(self) -> None: ...


class SteppedGame:
    """An object with `reset` and `step`.

    Text observations are taken as they are; of others, what `render()` writes in render mode
    "ansi", else `text_of` them. Actions are passed as text, but for a Discrete space: there they
    have names (`names`, else the environment's own action meanings, else "0", "1", …), and a
    name it does not have is answered here and not passed on.
    """

    def __init__(self, engine: Any, names: Sequence[str] = ()) -> None:
        for method in ("reset", "step"):
            if not callable(getattr(engine, method, None)):
                raise InvalidInput(f"{type(engine).__name__} has no method {method!r}")
        self._engine = engine
        self._parameters = inspect.signature(engine.reset).parameters
        self._values = _discrete_actions(engine, names)
        self._last = Answer("", 0.0, ())

    def tasks(self, split: str) -> list[str] | None:
        own = getattr(getattr(self._engine, "unwrapped", self._engine), "tasks", None)
        return [str(task) for task in own(split)] if callable(own) else None

    def reset(self, task: int | str) -> Answer:
        observation, info = self._start(task)
        self._last = Answer(self._text(observation), 0.0, self._actions(info))
        return self._last

    def step(self, action: str) -> Answer:
        last = self._last
        if self._values and action not in self._values:
            known = ", ".join(self._values)
            return Answer(f"Unknown action. The actions are: {known}", last.total, last.actions)
        reply = self._engine.step(self._values.get(action, action))
        if len(reply) != 5:
            # Guessing would be wrong in silence: the second of four is a reward in Gym before
            # 0.26, and the score so far in TextWorld's own interface.
            raise EnvironmentFailure(
                f"step returned {len(reply)} values; expected observation, reward, terminated, "
                "truncated, info: wrap the environment as Gymnasium has it"
            )
        observation, reward, terminated, truncated, info = reply
        self._last = Answer(
            self._text(observation),
            last.total + float(reward),
            self._actions(info),
            _truth(terminated, "terminated"),
            _truth(truncated, "truncated"),
        )
        return self._last

    def close(self) -> None:
        if callable(getattr(self._engine, "close", None)):
            self._engine.close()

    def _start(self, task: int | str) -> tuple[Any, Mapping[str, Any]]:
        name = type(self._engine).__name__
        takes = self._parameters.keys()
        takes_any = any(p.kind is p.VAR_KEYWORD for p in self._parameters.values())
        reply: Any
        if isinstance(task, str):
            reply = self._engine.reset(options={"task": task})
        else:
            if not ("seed" in takes or takes_any):
                raise InvalidInput(
                    f"{name}: every task would be the same: give reset a parameter 'seed', or the "
                    "class a method 'tasks'"
                )
            reply = self._engine.reset(seed=task)
        if not _has_info(reply):
            raise EnvironmentFailure(
                f"{name}.reset returned {type(reply).__name__}; expected observation and info"
            )
        observation, info = reply
        return observation, info

    def _text(self, observation: Any) -> str:
        if isinstance(observation, str):
            return observation
        if getattr(self._engine, "render_mode", None) == "ansi":
            return str(self._engine.render())
        return text_of(observation)

    def _actions(self, info: Mapping[str, Any]) -> Sequence[str]:
        for key in _ACTION_KEYS:
            if info.get(key) is not None:
                return _listed(info[key])
        names = list(self._values)
        mask = info.get("action_mask")
        return names if mask is None else [n for n, is_on in zip(names, mask, strict=True) if is_on]


class TalkedGame:
    """A generator function `game(seed, **options)`.

    It yields (observation, score so far, actions that can be taken) and is sent the action; it
    ends the episode by returning (observation, score).
    """

    def __init__(self, play: Callable[..., Any], options: Mapping[str, Any]) -> None:
        self._play, self._options = play, options
        self._talk: Generator[Any, str, Any] | None = None

    def tasks(self, split: str) -> list[str] | None:
        return None

    def reset(self, task: int | str) -> Answer:
        self._talk = self._play(task, **self._options)
        return self._answer(lambda talk: next(talk))

    def step(self, action: str) -> Answer:
        return self._answer(lambda talk: talk.send(action))

    def close(self) -> None:
        if self._talk is not None:
            self._talk.close()

    def _answer(self, ask: Callable[[Generator[Any, str, Any]], Any]) -> Answer:
        if self._talk is None:
            raise EnvironmentFailure("no task is loaded; call reset(task_id) first")
        try:
            observation, score, actions = ask(self._talk)
        except StopIteration as end:
            if not isinstance(end.value, tuple) or len(end.value) != 2:
                raise EnvironmentFailure(
                    f"the game returned {end.value!r}; expected (observation, score)"
                ) from None
            return Answer(text_of(end.value[0]), float(end.value[1]), (), is_terminated=True)
        return Answer(text_of(observation), float(score), _listed(actions))


def _listed(actions: Any) -> list[str]:
    if isinstance(actions, str | bytes):  # would be taken for its letters
        raise EnvironmentFailure(f"the actions are {shown(actions)}; expected a list of texts")
    return [str(action) for action in actions]


def _truth(value: Any, name: str) -> bool:
    """Whatever Python counts as true or false, but for what would be the wrong way round: "no"."""
    if value is None or isinstance(value, str | bytes):
        raise EnvironmentFailure(f"{name} is {shown(value)}; expected true or false")
    return bool(value)


def _has_info(reply: Any) -> bool:
    return isinstance(reply, tuple) and len(reply) == 2 and isinstance(reply[1], Mapping)


def _discrete_actions(engine: Any, names: Sequence[str]) -> dict[str, Any]:
    """The actions of a Discrete space by name; empty where actions are text."""
    space = getattr(engine, "action_space", None)
    kind = type(space).__name__
    if space is None or kind == "Text":
        if names:
            raise InvalidInput("action_names are for Discrete action spaces; this one takes text")
        return {}
    if kind != "Discrete":
        raise InvalidInput(
            f"the action space is {kind}: text cannot be passed to it; wrap the environment in "
            "one whose step takes text, or a Discrete space"
        )
    meanings = getattr(getattr(engine, "unwrapped", engine), "get_action_meanings", None)
    given = names or (meanings() if callable(meanings) else [str(i) for i in range(space.n)])
    if len(given) != space.n or len(set(given)) != space.n:
        raise InvalidInput(f"{space.n} actions, but the names are {list(given)}; give one for each")
    return {str(name): int(getattr(space, "start", 0)) + i for i, name in enumerate(given)}
