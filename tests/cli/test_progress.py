"""Progress and tables: bars on a terminal, seldom a line in a log, whole tables in a pipe."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import pytest

from w2stree.cli.explore import describe
from w2stree.cli.progress import Bars, print_table
from w2stree.rollouts.exploration import Progress
from w2stree.rollouts.tally import TaskTally
from w2stree.trajectories.trajectory import Trajectory


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
        "1/24 play [x] episodes  0:00:23 left\n"
        "11/24 play [x] episodes  0:00:13 left\n"
        "21/24 play [x] episodes  0:00:03 left\n"
        "24/24 play [x] episodes  0:00:00 left\n",
    )


def test_turns_without_an_action_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Bars(clock=clock) as bars, bars.steps("explore episodes") as update:
        clock.now = 2.0
        update(1, 2, {"num_unparsed": 0})
        clock.now = 60.0
        update(2, 2, {"num_unparsed": 3})
    assert capsys.readouterr().err == (
        "1/2 explore episodes  0:00:02 left\n"
        "2/2 explore episodes  3 turns without action  0:00:00 left\n"
    )


def test_a_trainers_steps_have_their_loss(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Bars(clock=clock) as bars, bars.steps("sft_weak steps") as update:
        clock.now = 2.0
        update(1, 4, {})
        clock.now = 90.0
        update(3, 4, {"loss": 0.51234, "grad_norm": 1.0})
    assert capsys.readouterr().err == (
        "1/4 sft_weak steps  0:00:06 left\n3/4 sft_weak steps  loss 0.512  0:00:30 left\n"
    )


def test_an_exploration_says_how_it_goes() -> None:
    runs = [Trajectory("twc/[6]", (), (), score, "done") for score in (1.0, 0.0, 0.0)]
    tally = TaskTally()
    for run in runs:
        tally.add(run, success_threshold=1.0)
    progress = Progress(
        trajectory=runs[-1],
        tallies={"twc/[6]": tally},
        num_planned=96,
        num_settled=84,
        num_errors=1,
        episodes_per_s=12.44,
        seconds_left=0.96,
    )
    assert describe(progress) == "success 0.33  1 errors  12.4/s  0:00:01 left  twc/[6]: 1/3"
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


def on_a_terminal(**variables: str) -> tuple[str, str]:
    """What the program writes to standard output, a pipe, and to a terminal's standard error."""
    leader, follower = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
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
