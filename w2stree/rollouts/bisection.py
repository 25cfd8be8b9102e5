"""Which step lost a run, by playing on from ever narrower places of it.

    run       s1  s2  s3  s4  s5  s6  s7  s8   failed
    from 0    ▸ ✓ ✓ ✓ ✗ ✓ …                     the policy mostly succeeds
    from 4    ─────────── ▸ ✓ ✓ ✓ ✗ ✓ …         at least half as often as from the start: kept
    from 6    ─────────────────── ▸ ✗ ✗ ✗ …     less than half as often: lost by then
    from 5    ──────────────── ▸ ✓ ✗ ✓ ✓ …      kept: step 6 is where it flips
    6         of all steps whose both sides were played the one with the greatest fall
    at 5      s6 against what those that succeeded from 5 did instead, played anew: the verdict

Continuation k of every place draws from one stream, so that what luck gives one place it gives the
others: they are compared continuation by continuation. Which half a place is in is looked at a few
times (`paired_looks`), and decided by the mean where the last look is not significant. A run that
failed is lost at its end, which need not be played. As with any bisection, a run that was lost,
saved and lost again has several such steps, and one of them is found.

The step was chosen by these continuations, so they are no evidence for it: its verdict is
`continuations`' own, of returns, with continuations of another seed.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import IdenticalTrajectories, InvalidInput, SamplesUnfinished
from w2stree.forest.build import build_forest
from w2stree.forest.flips import path_of
from w2stree.policies.protocol import AsyncPolicy, ModelName, Policy, Sampling
from w2stree.rollouts.continuations import Continuations, Measured
from w2stree.rollouts.contrasts import contrast_at
from w2stree.rollouts.executor import LocalExecutor
from w2stree.rollouts.exploration import Exploration
from w2stree.rollouts.exploration import Progress as Played
from w2stree.rollouts.paired_looks import Look, PairedLooks
from w2stree.rollouts.rollout import EpisodePlan
from w2stree.trajectories.journal import Journal
from w2stree.trajectories.returns import at_least
from w2stree.trajectories.trajectory import Trajectory

Policies = Callable[[ModelName], Policy | AsyncPolicy]

LOOKS = PairedLooks((8, 14, 20))
_SAMPLING = Sampling(1.0, 1.0)  # the policy as it is; at temperature 0 all would be one


@dataclass(frozen=True, slots=True)
class Place:
    """The run's first `num_steps` steps, how the continuations from there ended, and whether they
    succeed less than half as often as those from the start."""

    num_steps: int
    successes: tuple[bool, ...]
    is_lost: bool


@dataclass(frozen=True, slots=True)
class Bisected:
    """`places` in the order that they were looked at. Where a step was found, `step` is its number
    in the run, from 1, and `measured` what playing on from its action and from a better one came
    to; else `why_not` says why there is none, or why nothing was measured."""

    places: list[Place]
    step: int | None
    measured: Measured | None
    why_not: str | None
    num_environment_steps: int
    num_episodes: int

    @property
    def is_cause(self) -> bool:
        """Whether playing bore it out that the other action does better."""
        return self.measured is not None and self.measured.verdict == "confirmed"


class Bisection:
    """Bisects one failed run into journals in `folder`. `play` is called once; what the journals
    hold, of the same run and settings, is not played again.

    `likely` is the number of the step (from 1) to look at first: right, it saves most of the
    search. `success_threshold` says which returns are successes. At most `looks.looks[-1]` episodes
    a place, log2(steps) + 2 places, and twice as many for the verdict; each first takes the steps
    before its place. Raises `InvalidInput` for a run that succeeded or ended in an error.
    """

    def __init__(
        self,
        run: Trajectory,
        *,
        likely: int | None,
        folder: Path,
        pool: EnvironmentPool,
        policy: Policies,
        seed: int,
        success_threshold: float,
        looks: PairedLooks = LOOKS,
        instruction: str = "",
        max_attempts: int = 3,
        progress: Callable[[int, int], None] = lambda _, __: None,
    ) -> None:
        if run.status == "error" or at_least(run.total_return, success_threshold):
            raise InvalidInput("only a run that failed has a step at which it was lost")
        self._run, self._likely, self._folder, self._pool = run, likely, folder, pool
        self._policy, self._seed, self._looks = policy, seed, looks
        self._threshold, self._instruction = success_threshold, instruction
        self._max_attempts, self._progress = max_attempts, progress
        self._ended: dict[int, Trajectory] = {}
        self._num_episodes = self._num_environment_steps = 0
        self._places: dict[int, Place] = {}

    @property
    def _most_episodes(self) -> int:
        """Of all places and of the verdict, without what is tried again."""
        num_places = len(self._run.steps).bit_length() + 2
        return (num_places + 2) * self._looks.looks[-1]

    def play(self) -> Bisected:
        """Raises as `Exploration.play`."""
        with warnings.catch_warnings(), Journal(self._folder / "places.journal") as journal:
            warnings.simplefilter("ignore", IdenticalTrajectories)
            warnings.simplefilter("ignore", SamplesUnfinished)
            for run in journal.episodes():
                self._remember(run)
            exploration = self._exploration(journal)
            try:
                step = self._step_found(exploration)
            except _Unplayable as stop:
                words = exploration.outcome().in_words()
                return self._bisected(None, None, "\n".join([str(stop), *words]))
            if step is None:
                return self._bisected(None, None, self._why_not_lost())
            return self._judged(step)

    def _exploration(self, journal: Journal) -> Exploration:
        return Exploration(
            journal,
            LocalExecutor(self._pool, self._policy, instruction=self._instruction),
            max_attempts=self._max_attempts,
            success_threshold=self._threshold,
            progress=self._keep,
        )

    def _step_found(self, exploration: Exploration) -> int | None:
        """The number of the step at which it was lost; None where it is not known to be."""
        kept, lost = 0, len(self._run.steps)
        if self._compared(exploration, lost).finding != "second":
            return None
        first = [] if self._likely is None else [self._likely - 1, self._likely]
        while lost - kept > 1:
            inside = [place for place in first if kept < place < lost]
            place = inside[0] if inside else (kept + lost) // 2
            if self._compared(exploration, place).mean < 0:
                lost = place
            else:
                kept = place
        return self._greatest_fall()

    def _greatest_fall(self) -> int:
        """Of places one step apart, between which two the share of successes falls most; of equal
        falls the first. Where one step decides these are the last two. Where chances go down step
        by step, half of the start's may be crossed by a lesser one of them."""
        rate = {n: sum(p.successes) / len(p.successes) for n, p in self._places.items()}
        falls = {n: rate[n - 1] - rate[n] for n in sorted(rate) if n - 1 in rate}
        return max(falls, key=lambda n: falls[n])

    def _compared(self, exploration: Exploration, num_steps: int) -> Look:
        """Successes of continuations from there against half of those from the start."""
        for number in self._looks.looks:
            start = self._successes(exploration, 0, number)
            here = self._successes(exploration, num_steps, number)
            look = self._looks.look([b - a / 2 for a, b in zip(start, here, strict=True)])
            if look.finding in ("first", "second"):
                break
        self._places.setdefault(0, Place(0, tuple(start), is_lost=False))
        if len(start) > len(self._places[0].successes):
            self._places[0] = Place(0, tuple(start), is_lost=False)
        self._places[num_steps] = Place(num_steps, tuple(here), is_lost=look.mean < 0)
        return look

    def _successes(self, exploration: Exploration, num_steps: int, number: int) -> list[bool]:
        if num_steps == len(self._run.steps):
            return [False] * number  # it ended there
        samples = [self._sample(num_steps, k) for k in range(number)]
        missing = [sample for sample in samples if sample not in self._ended]
        exploration.play([self._plan(num_steps, sample) for sample in missing])
        if absent := [sample for sample in samples if sample not in self._ended]:
            raise _Unplayable(
                f"{len(absent)} of {number} continuations after {num_steps} steps could not be "
                "played:"
            )
        ended = [self._ended[sample] for sample in samples]
        return [at_least(run.total_return, self._threshold) for run in ended]

    def _sample(self, num_steps: int, k: int) -> int:
        return num_steps * self._looks.looks[-1] + k

    def _plan(self, num_steps: int, sample: int) -> EpisodePlan:
        return EpisodePlan(
            self._run.task_id,
            sample,
            _SAMPLING,
            self._seed,
            prefix=self._run.steps[:num_steps],
            prefix_tokenizer=self._run.origin.tokenizer,
            stream=sample - self._sample(num_steps, 0),
        )

    def _keep(self, state: Played) -> None:
        run = state.trajectory
        self._num_episodes += 1
        self._num_environment_steps += len(run.steps)
        self._remember(run)
        self._progress(self._num_episodes, self._most_episodes)

    def _remember(self, run: Trajectory) -> None:
        if run.status != "error" and run.origin.sample_index is not None:
            self._ended[run.origin.sample_index] = run

    def _why_not_lost(self) -> str:
        start = self._places[0].successes
        return (
            f"from the task's start the policy succeeds in {sum(start)} of {len(start)}: too "
            "seldom to tell where this run was lost"
        )

    # The verdict ----------------------------------------------------------------------------------

    def _judged(self, step: int) -> Bisected:
        """What the run did at the step against what others that succeeded from there did."""
        taken = self._run.steps[step - 1].action
        better = self._better_action(step, taken)
        if better is None:
            why = "no continuation from before the step succeeded by another action"
            return self._bisected(step, None, why)
        played = [run for _, run in sorted(self._ended.items())]
        forest = build_forest([self._run, *played], openings="any")
        node = path_of(forest[self._run.task_id], 0)[step - 1]
        try:
            contrast = contrast_at(forest, node, better, taken)
        except InvalidInput as error:
            return self._bisected(step, None, str(error))
        with Journal(self._folder / "verdict.journal") as journal:
            measured = Continuations(
                forest,
                [contrast],
                self._looks,
                journal=journal,
                pool=self._pool,
                policy=self._policy,
                sampling=_SAMPLING,
                seed=self._seed + 1,  # those that chose the step are no evidence for it
                instruction=self._instruction,
                max_attempts=self._max_attempts,
                progress=self._count,
            ).play()
        return self._bisected(step, measured.measured[0], None)

    def _better_action(self, step: int, taken: str) -> str | None:
        """The commonest among successful continuations from before the step; of equally common
        ones that of the first of them."""
        num_before = step - 1
        samples = (self._sample(num_before, k) for k in range(self._looks.looks[-1]))
        ended = [self._ended[sample] for sample in samples if sample in self._ended]
        actions = Counter(
            run.steps[num_before].action
            for run in ended
            if at_least(run.total_return, self._threshold) and len(run.steps) > num_before
        )
        actions.pop(taken, None)
        return actions.most_common(1)[0][0] if actions else None

    def _count(self, state: Played) -> None:
        self._num_episodes += 1
        self._num_environment_steps += len(state.trajectory.steps)
        self._progress(self._num_episodes, self._most_episodes)

    def _bisected(self, step: int | None, measured: Measured | None, why: str | None) -> Bisected:
        return Bisected(
            list(self._places.values()),
            step,
            measured,
            why,
            self._num_environment_steps,
            self._num_episodes,
        )


class _Unplayable(Exception):  # noqa: N818 (no error: the search is over)
    """A continuation that was needed ended in errors alone."""
