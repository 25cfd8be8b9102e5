"""What a game answers, checked once: plain values become typed ones, or an `EnvironmentFailure`.

    asked             plain                                typed
    reset, restore    [text, info]                         (str, Info)
    step              [text, number, truth, truth, info]   (str, float, bool, bool, Info)
    expert            [{thought, action}, …]               list of ExpertTurn
    tasks             [text, …], each once                 list of str
    snapshot          {task_id, actions, observations}     Snapshot
    info              {score, admissible_actions, …}       Info, without what `Info` does not have

Texts and numbers are as in `trajectories.fields`: whatever passes can be written into a trajectory
and read again. The driver asks this of every answer, whoever plays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from w2stree.environments.protocol import ExpertTurn, Info, Snapshot
from w2stree.errors import EnvironmentFailure, InvalidInput
from w2stree.trajectories import fields
from w2stree.trajectories.returns import at_least

_STEP = ("observation", "reward", "terminated", "truncated", "info")


def checked(method: str, answer: Any) -> Any:
    """The typed answer to a method of `Environment`; that of any other method as it is.

    Raises `EnvironmentFailure` naming the method, what is wrong in its answer, and where.
    """
    check = _CHECKS.get(method)
    if check is None:
        return answer
    try:
        return check(answer)
    except InvalidInput as error:
        raise EnvironmentFailure(f"{method}: {error}") from None


def _opening(answer: Any, first: str) -> tuple[str, Info]:
    text, info = _values(answer, (first, "info"))
    return fields.text(text, first), _info(info)


def _step(answer: Any) -> tuple[str, float, bool, bool, Info]:
    observation, reward, terminated, truncated, info = _values(answer, _STEP)
    return (
        fields.text(observation, "observation"),
        fields.number(reward, "reward"),
        fields.truth(terminated, "terminated"),
        fields.truth(truncated, "truncated"),
        _info(info),
    )


def _values(answer: Any, names: Sequence[str]) -> Sequence[Any]:
    expected = f"expected {', '.join(names[:-1])} and {names[-1]}"
    if not isinstance(answer, list | tuple):
        raise InvalidInput(f"it answered {type(answer).__name__}; {expected}")
    if len(answer) != len(names):
        raise InvalidInput(f"it answered {len(answer)} values; {expected}")
    return answer


def _info(given: Any) -> Info:
    if not isinstance(given, Mapping):
        raise InvalidInput(f"info is {type(given).__name__}; expected a dict")
    for key in ("score", "admissible_actions"):
        if key not in given:
            raise InvalidInput(f"info has no {key!r}; an adapter gives it with every answer")
    score = fields.number(given["score"], "info['score']")
    if not (at_least(score, 0.0) and at_least(1.0, score)):
        raise InvalidInput(f"info['score'] is {score:g}; an adapter puts it on [0, 1]")
    actions = _actions(given["admissible_actions"])
    info = Info(score=score, admissible_actions=actions)
    if given.get("raw_score") is not None:
        info["raw_score"] = fields.number(given["raw_score"], "info['raw_score']")
    if given.get("multi_line") is not None:
        info["multi_line"] = fields.truth(given["multi_line"], "info['multi_line']")
    return info


def _actions(given: Any) -> list[str]:
    """Listed twice, an action is drawn twice as often at random; one that is blank, no turn can
    say."""
    actions = _texts(given, "info['admissible_actions']")
    if not all(map(str.strip, actions)):
        place = next(i for i, action in enumerate(actions) if not action.strip())
        raise InvalidInput(
            f"info['admissible_actions'][{place}] is {actions[place][:40]!r}, which no turn can say"
        )
    return actions


def _texts(given: Any, name: str) -> list[str]:
    texts = list(fields.array(given, name))
    try:
        if "".join(texts).isascii():  # what a thousand actions are: nothing to name or to mend
            return texts
    except TypeError:
        pass
    return [fields.text(text, f"{name}[{i}]") for i, text in enumerate(texts)]


def _expert(answer: Any) -> list[ExpertTurn]:
    return [_turn(turn, f"turn {i}") for i, turn in enumerate(fields.array(answer, "the solution"))]


def _turn(given: Any, name: str) -> ExpertTurn:
    if isinstance(given, ExpertTurn):
        given = {"thought": given.thought, "action": given.action}
    if not isinstance(given, Mapping) or set(given) != {"thought", "action"}:
        raise InvalidInput(f"{name} is {fields.shown(given)}; expected an ExpertTurn")
    thought, action = (fields.text(given[key], f"{name}.{key}") for key in ("thought", "action"))
    return ExpertTurn(thought, action)


def _tasks(answer: Any) -> list[str]:
    tasks = _texts(answer, "tasks")
    if len(set(tasks)) < len(tasks):
        first: dict[str, int] = {}
        for i, task in enumerate(tasks):
            if (before := first.setdefault(task, i)) != i:
                raise InvalidInput(
                    f"task {fields.shown(task)} is listed twice, as tasks[{before}] and tasks[{i}]"
                )
    return tasks


def _snapshot(answer: Any) -> Snapshot:
    if isinstance(answer, Snapshot):
        return answer
    if not isinstance(answer, Mapping) or set(answer) != {"task_id", "actions", "observations"}:
        raise InvalidInput(f"it answered {fields.shown(answer)}; expected a Snapshot")
    actions, observations = (_texts(answer[name], name) for name in ("actions", "observations"))
    return Snapshot(fields.text(answer["task_id"], "task_id"), tuple(actions), tuple(observations))


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "reset": lambda answer: _opening(answer, "statement"),
    "restore": lambda answer: _opening(answer, "observation"),
    "step": _step,
    "expert": _expert,
    "tasks": _tasks,
    "snapshot": _snapshot,
}
