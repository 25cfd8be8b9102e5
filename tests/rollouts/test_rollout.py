"""Rollouts in real environment processes: prefixes, lone failures, lockstep and asynchronous."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.asynchronous import Asynchronous, AwaitsFile
from support.corridor import LENGTH, MAX_STEPS, Corridor, Sleepy

from w2stree.environments.hosting.limits import Limits
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.protocol import ExpertTurn, Info
from w2stree.errors import ContextExceeded, InvalidInput, ModelFailure
from w2stree.policies.expert import ExpertPolicy
from w2stree.policies.protocol import Episode, Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.rollout import EpisodePlan, rollout
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.tool_call import ToolCall
from w2stree.trajectories.trajectory import Step, Trajectory
from w2stree.turns.react import UNPARSED, render_turn
from w2stree.turns.turn import AgentTurn


class Silent(RandomPolicy):
    """Gives no answer in `task-1`, and no action in `task-2`."""

    def act(self, episodes: Sequence[Episode]) -> list[AgentTurn | ModelFailure]:
        answers = super().act(episodes)
        for i, episode in enumerate(episodes):
            if episode.prompt[0].content.startswith("task-1"):
                answers[i] = ModelFailure("the server is down")
            if episode.prompt[0].content.startswith("task-2"):
                answers[i] = AgentTurn("I wonder.")
        return answers


def plans(*tasks: str, num_samples: int = 2) -> list[EpisodePlan]:
    return [
        EpisodePlan(task, sample, Sampling(), 5) for task in tasks for sample in range(num_samples)
    ]


def play(policy: Any, wanted: Sequence[EpisodePlan], size: int = 3) -> dict[Any, Trajectory]:
    with EnvironmentPool(Corridor, size) as pool:
        played = list(rollout(pool, policy, wanted, instruction=""))
    assert len(played) == len(wanted)
    return {(t.task_id, t.origin.sample_index): t for t in played}


@pytest.mark.parametrize(
    "policy", [RandomPolicy(), ExpertPolicy(noise=0.4), Silent()], ids=["random", "expert", "fails"]
)
def test_asynchronous_episodes_are_those_of_lockstep(policy: Any) -> None:
    wanted = plans("task-0", "task-1", "task-2", "hopeless", "task-3")
    asynchronous = Asynchronous(policy, num_together=2)
    lockstep, together = play(policy, wanted), play(asynchronous, wanted)
    assert {key: _without_pid(t) for key, t in lockstep.items()} == {
        key: _without_pid(t) for key, t in together.items()
    }
    assert asynchronous.most_running > 1
    assert asynchronous.is_closed


def _without_pid(trajectory: Trajectory) -> Trajectory:
    cause = (trajectory.origin.error or "").partition(":")[2]
    return replace(trajectory, origin=replace(trajectory.origin, error=cause))


@pytest.mark.parametrize("wrap", [lambda p: p, Asynchronous], ids=["lockstep", "async"])
def test_failures_end_their_own_episode_alone(wrap: Any) -> None:
    played = play(wrap(Silent()), plans("task-0", "task-1", "task-2", "hopeless", num_samples=1))
    assert played["task-1", 0].status == "error"
    assert played["task-1", 0].origin.error == "the server is down"
    assert played["hopeless", 0].status == "error"
    assert "its process ended" in str(played["hopeless", 0].origin.error)
    assert len(played["hopeless", 0].steps) == 1, "what was played before stays"
    assert played["task-0", 0].status in ("done", "truncated")
    speechless = played["task-2", 0]
    assert (speechless.status, len(speechless.steps)) == ("truncated", MAX_STEPS)
    assert speechless.steps[0] == Step("", UNPARSED, "I wonder.", reward=0.0)


class ShortSighted(RandomPolicy):
    """Can read two of its turns, and not even the task of `task-1`."""

    def act(self, episodes: Sequence[Episode]) -> list[AgentTurn | ModelFailure]:
        answers = super().act(episodes)
        for i, episode in enumerate(episodes):
            if len(episode.steps) == 2 or episode.prompt[0].content.startswith("task-1"):
                answers[i] = ContextExceeded("the model has 100 positions")
        return answers


@pytest.mark.parametrize("wrap", [lambda p: p, Asynchronous], ids=["lockstep", "async"])
def test_what_a_model_reads_no_further_is_truncated_with_the_cause(wrap: Any) -> None:
    played = play(wrap(ShortSighted()), plans("task-0", "task-1", num_samples=1))
    for (task_id, _), trajectory in played.items():
        assert trajectory.status == "truncated"
        assert trajectory.origin.truncated_by == "the model has 100 positions"
        assert trajectory.origin.error is None
        assert len(trajectory.steps) == (2 if task_id == "task-0" else 0)
        assert Trajectory.from_json(trajectory.to_json()) == trajectory


@pytest.mark.parametrize("wrap", [lambda p: p, Asynchronous], ids=["lockstep", "async"])
def test_a_user_s_mistake_stops_the_rollout(wrap: Any) -> None:
    class Mistaken(RandomPolicy):
        def act(self, episodes: Sequence[Episode]) -> list[AgentTurn | ModelFailure]:
            raise InvalidInput("no such model")

    with pytest.raises(InvalidInput, match="no such model"):
        play(wrap(Mistaken()), plans("task-0", "task-1"))


def test_the_origin_names_plan_and_policy() -> None:
    plan = EpisodePlan("task-0", 4, Sampling(0.5, 0.9, "base"), 7, attempt=2)
    (trajectory,) = play(RandomPolicy(), [plan]).values()
    assert trajectory.origin == Origin(
        sample_index=4, attempt=2, seed=7,
        temperature=0.5, top_p=0.9, model="base", policy="random",
    )  # fmt: skip
    assert trajectory.info == {}


def test_a_policy_without_a_part_of_its_protocol_is_refused() -> None:
    class Nameless:
        async def turn(self, episode: Episode) -> AgentTurn:
            return AgentTurn("Action: east")

        async def close(self) -> None:
            pass

    with pytest.raises(InvalidInput, match="Nameless is no policy; it needs `name`"):
        play(Nameless(), plans("task-0"))


def test_another_attempt_draws_the_same() -> None:
    first, second = (
        play(RandomPolicy(), [EpisodePlan("task-0", 0, Sampling(), 7, attempt=n)]) for n in (0, 1)
    )
    assert [t.steps for t in first.values()] == [t.steps for t in second.values()]


@pytest.mark.parametrize("wrap", [lambda p: p, Asynchronous], ids=["lockstep", "async"])
def test_an_episode_starts_where_its_prefix_leads(wrap: Any) -> None:
    whole = play(ExpertPolicy(), plans("task-0", num_samples=1))["task-0", 0]
    prefix = whole.steps[:2]
    plan = EpisodePlan("task-0", 9, Sampling(), 5, prefix=prefix)
    branched = play(wrap(ExpertPolicy()), [plan])["task-0", 9]
    assert branched.steps == whole.steps
    assert branched.prompt == whole.prompt
    assert branched.total_return == 1.0
    assert (branched.origin.prefix_length, whole.origin.prefix_length) == (2, 0)


def test_a_prefix_that_is_answered_differently_is_an_error() -> None:
    wrong = Step("east", "You are on the moon.", "Action: east")
    plan = EpisodePlan("task-0", 0, Sampling(), 5, prefix=(wrong,))
    trajectory = play(RandomPolicy(), [plan])["task-0", 0]
    assert trajectory.status == "error"
    assert "the snapshot has 'You are on the moon.'" in str(trajectory.origin.error)


def test_the_expert_s_noise_is_a_rate() -> None:
    wanted = plans(*(f"task-{i}" for i in range(10)), num_samples=3)
    by_noise = {noise: play(ExpertPolicy(noise=noise), wanted, size=4) for noise in (0.0, 0.5, 1.0)}
    for trajectory in by_noise[0.0].values():
        assert [s.response for s in trajectory.steps] == [render_turn("out", "east")] * LENGTH
        assert trajectory.origin.policy == "expert(noise=0)"
    lengths = [len(t.steps) for t in by_noise[0.5].values()]
    assert LENGTH < sum(lengths) / len(lengths) < MAX_STEPS
    thoughts = [s.response.startswith("Thought: out") for t in by_noise[1.0].values()
                for s in t.steps]  # fmt: skip
    assert not any(thoughts), "nothing but noise"
    with pytest.raises(InvalidInput, match="give a probability"):
        ExpertPolicy(noise=1.5)


def test_closing_early_ends_what_is_in_flight(tmp_path: Path) -> None:
    """An environment hangs in a step; closing does not wait for it, and the pool goes on."""
    is_asleep = tmp_path / "asleep"
    wanted = plans("task-0", "task-1", num_samples=1)
    with EnvironmentPool(functools.partial(Sleepy, is_asleep), 2, Limits(deadline_s=600)) as pool:
        policy = AwaitsFile(RandomPolicy(), is_asleep)
        episodes = rollout(pool, policy, wanted, instruction="")
        assert next(episodes).task_id == "task-0"
        start = time.monotonic()
        episodes.close()  # type: ignore[attr-defined]
        assert time.monotonic() - start < 300  # of ten minutes
        (again,) = rollout(pool, Asynchronous(RandomPolicy()), wanted[:1], instruction="")
    assert again.status in ("done", "truncated")


def test_ctrl_c_ends_the_rollout_and_its_processes(tmp_path: Path) -> None:
    """Both the model and the environments keep it waiting."""
    script = tmp_path / "wait.py"
    script.write_text(WAITING)
    root = Path(__file__).parents[2]
    run = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "asleep")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (root, root / "tests")))},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    with run.stdout as said:
        children = [int(pid) for pid in said.readline().split()]
        assert len(children) == 2
        assert said.readline() == "waiting\n"
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=300) == 7, "KeyboardInterrupt reached the caller"
    for pid in children:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


WAITING = """
import asyncio, functools, pathlib, sys
from support.asynchronous import AwaitsFile
from support.corridor import Sleepy
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.protocol import ExpertTurn, Info
from w2stree.policies.protocol import Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.rollout import EpisodePlan, rollout

class Slow(AwaitsFile):
    async def turn(self, episode):
        answer = await super().turn(episode)
        if episode.prompt[0].content.startswith("task-0"):
            print("waiting", flush=True)
            await asyncio.sleep(600)
        return answer

if __name__ == "__main__":
    is_asleep = pathlib.Path(sys.argv[1])
    plans = [EpisodePlan(task, 0, Sampling(), 5) for task in ("task-0", "task-1")]
    with EnvironmentPool(functools.partial(Sleepy, is_asleep), 2) as pool:
        for slot in range(2):
            pool[slot].call("tasks", "train")
        print(*(pool[slot].pid for slot in range(2)), flush=True)
        try:
            list(rollout(pool, Slow(RandomPolicy(), is_asleep), plans, instruction=""))
        except KeyboardInterrupt:
            sys.exit(7)
"""


class Saying(RandomPolicy):
    """Says this at every turn."""

    def __init__(self, turn: AgentTurn) -> None:
        super().__init__()
        self._turn = turn

    def act(self, episodes: Sequence[Episode]) -> list[AgentTurn | ModelFailure]:
        return [self._turn for _ in episodes]


def first_step(turn: AgentTurn) -> Step:
    return play(Saying(turn), plans("task-0", num_samples=1))["task-0", 0].steps[0]


def test_tool_calls_are_played_as_their_key_and_kept() -> None:
    calls = (ToolCall("move", '{"to": "east"}', "call_1"),)
    step = first_step(AgentTurn("", tool_calls=calls))
    assert (step.action, step.response) == ('move {"to":"east"}', "")
    assert step.tool_calls == calls


def test_a_cut_turn_is_kept_as_one_and_half_an_action_is_none() -> None:
    step = first_step(AgentTurn("Thought: hm.\nAction: eas", is_cut=True))
    assert (step.action, step.observation, step.is_cut) == ("", UNPARSED, True)
    step = first_step(AgentTurn("Action: east\nObservation: you ar", is_cut=True))
    assert (step.action, step.is_cut) == ("east", True)


def test_what_a_model_thinks_is_not_played() -> None:
    weighed = "Maybe\nAction: west\nNo.\n</think>\nThought: out.\n**Action:** east"
    assert first_step(AgentTurn(weighed)).action == "east"
    assert first_step(AgentTurn("Maybe\nAction: west\nNo.", begins_in_thinking=True)).action == ""


def test_an_empty_turn_stays_empty() -> None:
    assert first_step(AgentTurn("", token_ids=(1,))) == Step("", UNPARSED, "", (1,), reward=0.0)


class Spelling(Corridor):
    """Its expert wants something that no turn of one line can say."""

    def expert(self) -> list[ExpertTurn]:
        return [ExpertTurn("", "east\nand on")]


def test_an_expert_who_cannot_be_quoted_is_an_error_not_another_action() -> None:
    with EnvironmentPool(Spelling, 1) as pool:
        (played,) = rollout(pool, ExpertPolicy(), plans("task-0", num_samples=1), instruction="")
    assert played.status == "error"
    assert "the expert does 'east\\nand on', which no turn can say" in str(played.origin.error)


class Reading(RandomPolicy):
    """As a model does, it reads what was said before."""

    tokenizer = "a tokenizer's fingerprint"


def test_a_model_is_not_shown_turns_whose_words_nobody_knows() -> None:
    east = Step("east", "You are in room 1.")
    plan = EpisodePlan("task-0", 0, Sampling(), 5, prefix=(east,))
    with pytest.raises(InvalidInput, match="task 'task-0': step 1, 'east', has no response"):
        play(Reading(), [plan])
    assert play(RandomPolicy(), [plan])["task-0", 0].status in ("done", "truncated")
    said = replace(plan, prefix=(replace(east, response="Action: east"),))
    assert play(Reading(), [said])["task-0", 0].steps[0] == said.prefix[0]


def test_ids_of_another_tokenizer_are_not_those_of_a_prefix() -> None:
    east = Step("east", "You are in room 1.", "Action: east", (7, 8), (0.0, -1.0), reward=0.25)
    theirs = EpisodePlan("task-0", 0, Sampling(), 5, prefix=(east,), prefix_tokenizer="another")
    own = replace(theirs, sample_index=1, prefix_tokenizer=Reading.tokenizer)
    unknown = replace(theirs, sample_index=2, prefix_tokenizer=None)
    played = play(Reading(), [theirs, own, unknown])
    wordy = replace(east, token_ids=None, logprobs=None)
    assert [played["task-0", i].steps[0] for i in range(3)] == [wordy, east, wordy]


class Drops(EnvironmentPool):
    """Says which environments it was told to end together."""

    def drop(self, slots: Iterable[int]) -> None:
        self.dropped = sorted(slots)
        super().drop(self.dropped)


class Stuck(Corridor):
    """All hang but `task-0`, which is at its end once they all do."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        if self._task_id != "task-0":
            (self._folder / self._task_id).touch()
            time.sleep(600)
        while len(list(self._folder.iterdir())) < 3:
            time.sleep(0.01)
        return super().step(action)


def test_environments_that_are_interrupted_end_side_by_side(tmp_path: Path) -> None:
    wanted = plans(*(f"task-{i}" for i in range(4)), num_samples=1)
    with Drops(functools.partial(Stuck, tmp_path), 4, Limits(deadline_s=600)) as pool:
        with closing(
            rollout(pool, Asynchronous(RandomPolicy()), wanted, instruction="")
        ) as episodes:
            first = next(episodes)
        assert first.task_id == "task-0"
        assert pool.dropped == [1, 2, 3]


def test_a_thread_with_an_event_loop_of_its_own_is_told_of_another() -> None:
    wanted = plans("task-1", num_samples=1)
    with EnvironmentPool(Corridor, 1) as pool:

        def played() -> list[Trajectory]:
            return list(rollout(pool, Asynchronous(RandomPolicy()), wanted, instruction=""))

        async def in_a_notebook() -> list[Trajectory]:
            with pytest.raises(InvalidInput, match=r"event loop runs in this thread .*to_thread"):
                played()
            return await asyncio.to_thread(played)

        assert [t.task_id for t in asyncio.run(in_a_notebook())] == ["task-1"]
