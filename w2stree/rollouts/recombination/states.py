"""Every state that a task's environment was brought to, and the one environment that goes there.

    root ─┬─ take cup ─ … ─ put cup in sink     played once, known from then on
          └─ open box ─ …                       a state is where its actions led, and what the
               ^                                environment said there
               └── the environment stands here; elsewhere it is brought by reset and replay

Going on from where the environment stands costs one step, going elsewhere a reset and the steps
of the way; all of them count against the budget. A way is compared with what it answered before,
so an environment that answers otherwise is found out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.environments.protocol import Info
from w2stree.trajectories.returns import is_same
from w2stree.trajectories.trajectory import Step, Trajectory
from w2stree.turns.react import is_unparsed

Key = tuple[object, ...]
"""Of two states with one key nothing that the environment shows tells them apart."""


class BudgetSpent(Exception):  # noqa: N818 (no error: the search is over)
    """The next way would take more environment steps than are left."""


class AnswersDiffer(Exception):  # noqa: N818 (as above)
    """The environment answered an action otherwise than before."""


@dataclass(eq=False, slots=True)
class State:
    """Where `action` led from `before`; the root has neither."""

    before: State | None
    action: str
    observation: str
    reward: float
    score: float
    raw_score: float | None
    offers: frozenset[str]
    is_terminated: bool
    is_truncated: bool
    depth: int
    known: dict[str, State] = field(default_factory=dict)
    """Where actions led from here, as far as they were taken."""

    @property
    def is_over(self) -> bool:
        return self.is_terminated or self.is_truncated

    def way(self) -> list[State]:
        """The states from the root's first child to this one."""
        states: list[State] = []
        state = self
        while state.before is not None:
            states.append(state)
            state = state.before
        return states[::-1]

    def actions(self) -> tuple[str, ...]:
        return tuple(state.action for state in self.way())

    def key(self) -> Key:
        """What the environment shows here: the observation, what it offers, the score.

        Where it offers nothing the actions and answers that led here stand for that, each once
        and in any order: one refusal looks like another, whatever was done before it.
        """
        shown: frozenset[object] = self.offers
        if not self.offers:
            shown = frozenset((state.action, state.observation) for state in self.way())
        return round(self.score, 9), self.observation, shown, self.is_over


class Played:
    """The states of one task, reached in one environment process; `root` is the reset's.

    `num_steps` counts environment steps by `purpose`, replays included; `num_resets` the resets.
    """

    def __init__(self, process: EnvironmentProcess, task_id: str, *, budget: int) -> None:
        self._process, self._task_id = process, task_id
        self.budget = budget
        self.num_steps: Counter[str] = Counter()
        self.num_resets = 0
        self.purpose = ""
        self.statement, info = self._reset()
        self.root = State(None, "", self.statement, 0.0, *_shown(info), False, False, 0)
        self._at = self.root

    @property
    def num_left(self) -> int:
        """Environment steps that the budget still allows."""
        return self.budget - self.num_steps.total()

    def step(self, state: State, action: str) -> State:
        """Where `action` leads from `state`; nothing is played where that is known.

        Raises `BudgetSpent` before the first step of a way that is not affordable, and
        `AnswersDiffer`.
        """
        if (known := state.known.get(action)) is not None:
            return known
        self._go_to(state)
        observation, reward, terminated, truncated, info = self._take(action)
        led_to = State(
            state, action, observation, reward, *_shown(info), terminated, truncated,
            state.depth + 1,
        )  # fmt: skip
        state.known[action] = self._at = led_to
        return led_to

    def states(self) -> Iterator[State]:
        """All, each after the one it was reached from; of siblings the one reached first first."""
        waiting = [self.root]
        while waiting:
            state = waiting.pop()
            yield state
            waiting += reversed(state.known.values())

    def _go_to(self, state: State) -> None:
        """Bring the environment to `state`, onwards where it stands on the way there."""
        way = state.way()
        is_onwards = self._at is self.root or self._at in way
        begin = self._at.depth if is_onwards else 0
        if len(way) - begin + 1 > self.num_left:
            raise BudgetSpent
        if not is_onwards:
            self._reset()
            self._at = self.root
        for known in way[begin:]:
            observation, reward, terminated, truncated, info = self._take(known.action)
            if (observation, reward, terminated, truncated, info["score"]) != (
                known.observation,
                known.reward,
                known.is_terminated,
                known.is_truncated,
                known.score,
            ):
                raise AnswersDiffer
            self._at = known

    def _reset(self) -> tuple[str, Info]:
        self.num_resets += 1
        statement, info = self._process.call("reset", self._task_id)
        if self.num_resets > 1 and statement != self.statement:
            raise AnswersDiffer
        return statement, info

    def _take(self, action: str) -> tuple[str, float, bool, bool, Info]:
        self.num_steps[self.purpose] += 1
        answer: tuple[str, float, bool, bool, Info] = self._process.call("step", action)
        return answer


def play_again(played: Played, run: Trajectory) -> list[State]:
    """The states of a run. Raises `AnswersDiffer` where the environment does not answer as it did,
    the task's statement included, and `BudgetSpent`."""
    state = played.root
    if run.prompt and not run.prompt[-1].content.endswith(played.statement):
        raise AnswersDiffer
    for step in run.steps:
        if state.is_over:
            raise AnswersDiffer
        state = played.step(state, step.action)
        if not _answers_as(step, state):
            raise AnswersDiffer
    if not is_same(state.score, run.total_return):
        raise AnswersDiffer
    return state.way()


def _answers_as(step: Step, state: State) -> bool:
    if step.observation != state.observation and not is_unparsed(step.action, step.observation):
        return False
    return step.reward is None or is_same(state.reward, step.reward)


def recorded(run: Trajectory) -> list[State]:
    """The states of a run as it was recorded, not played: nothing is known of what was offered. A
    reward that was not recorded counts as 0."""
    rewards = [step.reward or 0.0 for step in run.steps]
    score = run.total_return - sum(rewards)
    state = State(None, "", "", 0.0, score, None, frozenset(), False, False, 0)
    for step, reward in zip(run.steps, rewards, strict=True):
        score += reward
        state = State(
            state, step.action, step.observation, reward, score, None, frozenset(), False, False,
            state.depth + 1,
        )  # fmt: skip
    return state.way()


def _shown(info: Info) -> tuple[float, float | None, frozenset[str]]:
    return info["score"], info.get("raw_score"), frozenset(info["admissible_actions"])
