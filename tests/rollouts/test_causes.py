"""Errors that differ in details are of one cause, told by the first of them."""

from __future__ import annotations

import os

import pytest
from support.corridor import Corridor

from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.environments.protocol import Info
from w2stree.errors import EnvironmentFailure
from w2stree.rollouts.causes import _MOST_KINDS, Cause, Causes
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.trajectory import Trajectory


def causes_of(*errors: str | None, task_id: str = "shop/red shoes") -> list[Cause]:
    causes = Causes()
    for error in errors:
        causes.add(Trajectory(task_id, (), (), 0.0, "error", Origin(error=error)))
    assert causes.total == len(errors)
    return causes.commonest()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "environment process 4711 (Doors): no answer",
            "environment process 82 (Doors): no answer",
        ),
        ("no answer within 60 s", "no answer within 59.9 s"),
        ("http://10.0.0.7:8000/v1: refused", "http://10.0.0.12:8001/v1: refused"),
        ("request req_8f3a91 timed out", "request req_77b0ce timed out"),
        ("<Game object at 0x7f149f07ba50> is closed", "<Game object at 0x7f149fd8a990> is closed"),
        ("id 3f2b8c1e-77aa-4a0b-9c1d-001122334455: gone", "id 1-2-3-4-5: gone"),
        ("it ended; it last wrote: cheese", "it ended; it last wrote: wine and\nbread"),
        # 0.1.0 said where to, and told of stderr alone.
        ("it ended; it last wrote to stderr: cheese", "it ended; it last wrote to stderr: wine"),
        ("2026-11-26T08:22:13: full", "2026-11-27T09:00:00: full"),
    ],
)
def test_details_do_not_split_a_cause(one: str, other: str) -> None:
    assert causes_of(one, other, one) == [Cause(3, one)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("answers 500: no", "answers 503: no"),
        ("Error code: 404 - no", "Error code: 500 - no"),
        ("its process ended (exit status 1)", "its process ended (killed by SIGKILL)"),
        ("no attribute 'expert'", "no attribute 'reset'"),
        ("out of memory", None),
    ],
)
def test_other_words_are_other_causes(one: str, other: str | None) -> None:
    assert [cause.count for cause in causes_of(one, other, other)] == [2, 1]


class LastWords(Corridor):
    """Says something else each time, and dies."""

    def reset(self, task_id: str) -> tuple[str, Info]:
        os.write(1, f"{'not so' if task_id == 'twin' else 'long live the'} {task_id}".encode())
        os._exit(3)


def test_what_a_process_last_wrote_is_a_detail() -> None:
    causes = Causes()
    for task in ("king", "twin"):
        with EnvironmentProcess(LastWords) as process, pytest.raises(EnvironmentFailure) as failure:
            process.call("reset", task)
        assert str(failure.value).endswith(task)
        causes.add(Trajectory(task, (), (), 0.0, "error", Origin(error=str(failure.value))))
    assert [cause.count for cause in causes.commonest()] == [2]


def test_a_task_in_its_error_is_a_detail() -> None:
    causes = Causes()
    for task in ("red shoes", "a blue hat"):
        origin = Origin(error=f"the shop has no {task} left")
        causes.add(Trajectory(task, (), (), 0.0, "error", origin))
    assert causes.commonest() == [Cause(2, "the shop has no red shoes left")]


def test_of_equals_the_first_comes_first_and_few_are_kept() -> None:
    told = causes_of("b", "a", "c", "c")
    assert [cause.example for cause in told] == ["c", "b", "a"]
    endless = [f"{'x' * n}" for n in range(1, _MOST_KINDS + 100)]
    assert len(causes_of(*endless)) == _MOST_KINDS
