"""Progress and tables: bars on a terminal, seldom a line in a log, whole tables in a pipe."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.lock import Lock

from w2stree.cli.explore import describe
from w2stree.cli.progress import Bars, print_table, told
from w2stree.cli.summary import print_summary
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.executor import LocalExecutor
from w2stree.rollouts.exploration import Exploration, Progress
from w2stree.rollouts.tally import TaskTally
from w2stree.trajectories.journal import Journal
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.trajectory import Status, Trajectory


class Clock:
    """Tells the time it was set to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_log_gets_a_line_every_ten_seconds_and_the_last(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    seen = []
    with Bars(clock=clock) as bars:
        for i in bars(range(24), total=24, what="play [x] episodes"):
            seen.append(i)
            clock.now += 1.0
    assert seen == list(range(24))
    assert capsys.readouterr() == (
        "",
        "1/24 play [x] episodes  1.0/s  0:00:23 left\n"
        "11/24 play [x] episodes  1.0/s  0:00:13 left\n"
        "21/24 play [x] episodes  1.0/s  0:00:03 left\n"
        "24/24 play [x] episodes  1.0/s  0:00:00 left\n",
    )


def test_turns_without_an_action_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Bars(clock=clock) as bars, bars.steps("explore episodes") as update:
        clock.now = 2.0
        update(1, 2, {"num_unparsed": 0})
        clock.now = 60.0
        update(2, 2, {"num_unparsed": 3})
    assert capsys.readouterr().err == (
        "1/2 explore episodes  0.5/s  0:00:02 left\n"
        "2/2 explore episodes  3 turns without action  0.0/s  0:00:00 left\n"
    )


def test_a_trainers_steps_have_their_loss(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Bars(clock=clock) as bars, bars.steps("sft_weak steps") as update:
        clock.now = 2.0
        update(1, 4, {})
        clock.now = 90.0
        update(3, 4, {"loss": 0.51234, "grad_norm": 1.0})
    assert capsys.readouterr().err == (
        "1/4 sft_weak steps  0.5/s  0:00:06 left\n"
        "3/4 sft_weak steps  loss 0.512  0.0/s  0:00:30 left\n"
    )


def test_what_was_done_before_is_no_pace(capsys: pytest.CaptureFixture[str]) -> None:
    """A training that goes on from step 500 begins at 501."""
    clock = Clock()
    with Bars(clock=clock) as bars, bars.steps("training steps") as update:
        clock.now = 2.0
        update(501, 504, {})
    assert capsys.readouterr().err == "501/504 training steps  0.5/s  0:00:06 left\n"


def test_long_work_tells_success_errors_by_cause_and_tokens(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    with Bars(clock=clock) as bars, bars.steps("explore episodes") as update:
        clock.now = 1.0
        update(1, 40, {"success": 1.0, "num_errors": 0, "num_unparsed": 0, "num_tokens": 500})
        clock.now = 20.0
        update(
            20,
            40,
            {"success": 0.25, "num_errors": 2, "num_tokens": 2500, "cause": "no \x1b answer"},
        )
    assert capsys.readouterr().err == (
        "1/40 explore episodes  success 100%  1.0/s  0:00:39 left\n"
        "20/40 explore episodes  success 25%  2 errors (no \\x1b answer)  1.0/s  100 tokens/s  "
        "0:00:20 left\n"
    )


def test_success_that_is_not_all_is_not_said_to_be_all() -> None:
    assert told({"success": 599 / 600}, {}) == ["success >99%"]
    assert told({"success": 1 / 600, "mean_return": 0.5}, {}) == ["success <1%", "return 0.50"]


def test_a_log_for_programs_is_json_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Bars(as_json=True, clock=clock) as bars:
        with bars.line("stages") as show:
            show(23, 23, "all there")
        clock.now = 30.0
        with bars.steps("tree_dpo steps") as update:
            clock.now = 32.0
            update(1, 4, {"loss": float("nan")})
    one, other = map(json.loads, capsys.readouterr().err.splitlines())
    assert one == {"what": "stages", "done": 23, "total": 23, "said": "all there"}
    assert other == {
        **{"what": "tree_dpo steps", "done": 1, "total": 4, "loss": None},
        **{"per_s": 0.5, "seconds_left": 6.0},
    }


def test_an_exploration_says_how_it_goes() -> None:
    runs = [Trajectory("twc/[6]", (), (), score, "done") for score in (1.0, 0.0, 0.0)]
    tally = TaskTally()
    for run in runs:
        tally.add(run, success_threshold=1.0)
    progress = Progress(
        trajectory=runs[-1],
        tallies={"twc/[6]": tally},
        totals=tally,
        num_planned=96,
        num_settled=84,
        num_errors=1,
        episodes_per_s=12.44,
        seconds_left=0.96,
    )
    assert describe(progress) == "success 33%  1 errors  12.4/s  0:00:01 left  twc/[6]: 1/3"
    tally.num_unparsed = 2
    assert "  1 errors  2 turns without action  12.4/s  " in describe(progress)


def test_a_table_is_as_wide_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    task = "task [red]" + "x" * 150
    print_table(("task", "success"), [(task, "1/6"), ("all", "12/120")])
    assert capsys.readouterr().out == (
        f"{'task':<160}  success\n{task}      1/6\n{'all':<160}   12/120\n"
    )


PROGRAM = """
import sys, time, warnings
from w2stree.cli.progress import Bars, print_table
with Bars() as bars:
    for i in bars(range(3), total=3, what="play [x] episodes"):
        print("[bold]between[/bold]", flush=True)
        time.sleep(0.3)
print_table(("task", "n"), [("[red]a", "1")])
"""


def on_a_terminal(program: str = PROGRAM, **variables: str) -> tuple[str, str]:
    """What a program writes to standard output, a pipe, and to a terminal's standard error."""
    leader, follower = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=follower,
        text=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", **variables},
    )
    os.close(follower)
    shown = b"".join(_read(leader)).decode()
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 0, shown
    return out, shown


def _read(leader: int) -> Iterator[bytes]:
    try:
        while piece := os.read(leader, 65536):
            yield piece
    except OSError:  # Linux: the other side is closed
        return
    finally:
        os.close(leader)


def test_a_terminal_gets_bars_and_a_pipe_its_lines() -> None:
    out, shown = on_a_terminal()
    assert out == "[bold]between[/bold]\n" * 3 + "task    n\n[red]a  1\n"
    assert "play [x] episodes" in shown
    assert shown.rindex("\x1b[2K") > shown.rindex("play")  # the bar is gone
    assert "\x1b[3" in shown  # coloured
    assert "\x1b[?25h" in shown  # the cursor is back


def test_no_color_is_respected() -> None:
    _, shown = on_a_terminal(NO_COLOR="1")
    assert "play [x] episodes" in shown
    assert "\x1b[3" not in shown


LONG = """
import time
from w2stree.cli.progress import Bars
with Bars() as bars, bars.line("episodes") as show:
    for i in range(4):
        show(i, 4, "success 31%  " + "pick_clean_then_place-Fork-None-Drawer-11/trial_T2019" * 4)
        time.sleep(0.25)
print("done", flush=True)
"""


@pytest.mark.parametrize("num_columns", [40, 80])
def test_words_wider_than_the_terminal_leave_nothing_behind(num_columns: int) -> None:
    _, shown = on_a_terminal(LONG, COLUMNS=str(num_columns))
    assert "\n" not in shown.partition("done")[0]  # a line that wraps or scrolls stays
    assert "episodes" in shown and "3/4" in shown and "…" in shown
    frames = re.split(r"\r\x1b\[2K", re.sub(r"\x1b\[[0-9;?]*[mhl]", "", shown))
    assert max(map(len, frames)) <= num_columns


def test_a_table_of_many_tasks_shows_the_worst(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Journal(tmp_path / "episodes.journal") as journal, EnvironmentPool(Lock, 1) as pool:
        for i in range(2000):
            for sample in range(2):
                score = 0.0 if i == 77 or sample == 0 else 1.0
                status: Status = "error" if i == 1500 else "done"
                origin = Origin(sample_index=sample)
                journal.append(Trajectory(f"task {i}", (), (), score, status, origin))
        journal.commit()
        exploration = Exploration(journal, LocalExecutor(pool, lambda _: RandomPolicy()))
        print_summary(exploration, every_task=False)
        bounded = capsys.readouterr().out.splitlines()
        print_summary(exploration, every_task=True)
        assert len(capsys.readouterr().out.splitlines()) == len(bounded) + 2000 - 21
    header, *rows, more, total = bounded[:23]
    assert header.split()[0] == "task"
    assert [row.split()[1:3] for row in rows[:3]] == [["1500", "-"], ["77", "0/2"], ["0", "1/2"]]
    assert more.split() == ["(1,980", "more:", "--every-task)"]
    assert total.split()[:3] == ["all", "1998/3998", "0.50"]
    assert bounded[23:] == ["2 of 4000 attempts ended in an error:", "     2  no cause is recorded"]
