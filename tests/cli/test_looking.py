"""`w2stree tasks`, `show`, `stats` and `diff`, and `tree` of one task: a log looked at."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.household_runs import household_runs, needs_games
from support.looked_at import LOST, MIXED, WON, looked_at, write_log

from w2stree import Message, Step, Trajectory, build_forest, write_trajectories
from w2stree.cli.app import main
from w2stree.trajectories.journal import Journal

ACCOUNT = "8 runs read = 7 used + 1 skipped (1 ended in an error)"


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The log's name, in the current directory."""
    monkeypatch.chdir(tmp_path)
    return write_log(tmp_path).name


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command says on standard output, ending with a status."""

    def told(*arguments: str, status: int = 0) -> str:
        assert main(arguments) == status, capsys.readouterr().err
        return capsys.readouterr().out

    return told


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def refused(*arguments: str) -> str:
        assert main(arguments) == 2
        written = capsys.readouterr()
        assert written.out == ""
        return written.err

    return refused


def listed(table: str) -> list[str]:
    """The tasks of a table, in its order."""
    rows = [line.split()[-1] for line in table.splitlines()]
    return [task for task in rows if task in (WON, LOST, MIXED)]


def test_a_table_of_tasks(log: str, told: Callable[..., str]) -> None:
    assert told("tasks", log) == (
        "runs  success  return  least  most  spread  diverge  pairs  task\n"
        "   2      2/2    1.00      1     1       0        1      0  cook/always\n"
        "   2      0/2    0.00      0     0       0        1      0  cook/never\n"
        "   3      1/3    0.50      0     1       1        1      2  clean/sometimes\n"
        "   7      3/7    0.50      0     1                3      2  all: 3 tasks\n"
        "1 task of successes alone, 1 without any; pairs in 1 task, half of them in 1\n"
        f"{ACCOUNT}\n"
    )


@pytest.mark.parametrize(
    ("options", "tasks"),
    [
        ("", [WON, LOST, MIXED]),
        ("--reverse", [MIXED, LOST, WON]),
        ("--sort task", [MIXED, WON, LOST]),
        ("--sort runs", [MIXED, WON, LOST]),
        ("--sort return", [WON, MIXED, LOST]),
        ("--sort return --reverse", [LOST, MIXED, WON]),
        ("--sort spread --limit 1", [MIXED]),
        ("--success none", [LOST]),
        ("--success some", [MIXED]),
        ("--success all", [WON]),
        ("--success all --success-at 0", [WON, LOST, MIXED]),
        ("--task cook", [WON, LOST]),
        ("--min-runs 3", [MIXED]),
        ("--min-pairs 1", [MIXED]),
        ("--min-pairs 1 --min-gap 0.75", [MIXED]),
        ("--min-pairs 2 --min-gap 0.75", []),
    ],
)
def test_tasks_sorted_and_filtered(
    log: str, told: Callable[..., str], options: str, tasks: list[str]
) -> None:
    assert listed(told("tasks", log, *options.split())) == tasks
    record = json.loads(told("tasks", log, "--json", *options.split()))
    assert [row["task_id"] for row in record["tasks"]] == tasks
    assert record["num_read"] == record["num_used"] + sum(record["skipped"].values()) == 8


def test_success_is_asked_for_where_nobody_can_tell(
    tmp_path: Path, told: Callable[..., str], refused: Callable[..., str]
) -> None:
    runs = [Trajectory("t", (), (Step(a, ""),), r, "done") for a, r in (("x", -1.0), ("y", 60.0))]
    write_trajectories(tmp_path / "log.jsonl", runs)
    path = str(tmp_path / "log.jsonl")
    assert " - " in told("tasks", path).splitlines()[1]
    assert "--success-at" in refused("tasks", path, "--success", "none")
    assert "1/2" in told("tasks", path, "--success-at", "50")


def test_a_saved_forest_is_looked_at_alone(
    log: str, told: Callable[..., str], refused: Callable[..., str]
) -> None:
    build_forest(looked_at()).save("a.forest")
    assert told("tasks", "a.forest") == told("tasks", log)
    assert told("tree", "a.forest") == told("tree", log)
    assert "look at it alone" in refused("tasks", "a.forest", log)


def test_a_forest_in_numbers_and_for_programs(log: str, told: Callable[..., str]) -> None:
    summary = told("tree", log)
    lines = [line.split() for line in summary.splitlines()]
    assert ["successes", "3", "(42.9%)"] in lines
    assert ["mean", "return", "0.500"] in lines
    assert summary.endswith(f"{ACCOUNT}\n")
    record = json.loads(told("tree", log, "--json"))
    assert record["digest"] == build_forest(looked_at()).digest()
    assert record["skipped"] == {"ended in an error": 1}
    counts = {
        "num_tasks": 3,
        "num_trajectories": 7,
        "num_steps": 15,
        "num_nodes": 14,
        "num_decision_divergences": 3,
        "num_environment_divergences": 0,
        "num_success": 3,
    }
    assert {name: record[name] for name in counts} == counts
    assert 0 < record["merge_rate"] < 1 and record["distinct_share"] == 1


def test_one_tree_as_far_as_asked_for(log: str, told: Callable[..., str]) -> None:
    whole = told("tree", log, "--task", "clean")  # how its id begins is enough
    assert whole.startswith(f"{MIXED}  [n=3 r=0.50")
    assert "> wash" in whole or "- wash" in whole
    short = told("tree", log, "--task", "clean", "--depth", "1").splitlines()
    assert short[1].startswith("`- look  [n=3 r=0.50 *+]") and short[2].endswith("+ goes on)")
    assert told("tree", log, "--task", "clean", "--depth", "0").startswith(
        f"{MIXED}  [n=3 r=0.50 +]"
    )
    often = told("tree", log, "--task", "clean", "--min-runs", "2")
    assert "wait" not in often and "(1 branch of 1 trajectory not shown)" in often


def test_which_task_is_meant(log: str, refused: Callable[..., str]) -> None:
    assert refused("tree", log, "--task", "cook/") == (
        f"w2stree: 2 tasks begin with 'cook/'; give more of one's id:\n  {WON}\n  {LOST}\n"
    )
    assert f"did you mean:\n  {MIXED}\n" in refused("tree", log, "--task", "clen/sometimes")
    assert f"did you mean:\n  {MIXED}\n" in refused("show", log, "--task", "SOMETIMES")
    assert "there are 3 tasks:\n" in refused("tasks", log, "--task", "zzz")


def test_one_run_whole(log: str, told: Callable[..., str]) -> None:
    shown = told("show", f"{log}:5")
    assert shown == (
        "task clean/sometimes\nlog.jsonl:5\n"
        "user\n  Your task is clean/sometimes.\n"
        "1. look\n  Thought: look?\n  Action: look\n= You look.\n"
        "2. take\n  Thought: take?\n  Action: take\n= You take.\n"
        "3. wash\n  Thought: wash?\n  Action: wash\n= You wash.\n"
        "return 1, done after 3 steps, policy script, sample 4, seed 0, temperature 0.5\n"
        "8 runs read = 1 used + 7 skipped (7 other runs)\n"
    )
    best = told("show", log, "--task", "clean", "--run", "best")
    assert best.splitlines()[2:-1] == shown.splitlines()[2:-1]
    record = json.loads(told("show", f"{log}:5", "--json"))
    assert record.pop("place") == "log.jsonl:5" and record.pop("run") == 1
    assert Trajectory.from_json(json.dumps(record)) == looked_at()[4]
    assert "error: server 17 is away" in told("show", f"{log}:8")


def test_a_run_whose_texts_could_be_taken_for_ours(
    tmp_path: Path, told: Callable[..., str]
) -> None:
    """What is said has "  " or "= " before each line; nothing is lost, hidden or obeyed."""
    step = Step("say\n2. go", "a\u2028b\r\n2. go\n", "hm\n2. go")
    run = Trajectory("t\n2. go", (Message("user", "2. go"),), (step, Step("", "")), 0.0, "done")
    write_trajectories(tmp_path / "log.jsonl", [run])
    assert told("show", str(tmp_path / "log.jsonl")).splitlines()[2:-2] == [
        *("user", "  2. go", "1. say", "   2. go", "  hm", "  2. go"),
        *(r"= a\u2028b\r", "= 2. go", "=", "2. (no action)", "="),
    ]


def test_prompts_that_differ_are_named_by_place(log: str, refused: Callable[..., str]) -> None:
    """Behind an error row, which counts as a run that was given."""
    first = replace(looked_at()[0], task_id="t", prompt=(Message("user", "It is 1 May."),))
    other = replace(looked_at()[1], task_id="t", prompt=(Message("user", "It is 2 May."),))
    write_trajectories("may.jsonl", [looked_at()[7], first, other])
    for command in ("tree", "tasks"):
        told = refused(command, "may.jsonl")
        assert "may.jsonl:2 and may.jsonl:3 have task_id 't' but different prompts" in told


def test_of_several_runs_there_is_a_list(
    log: str, told: Callable[..., str], refused: Callable[..., str]
) -> None:
    listed = told("show", log, "--task", "clean").splitlines()
    assert [line.split()[5] for line in listed[1:4]] == [f"log.jsonl:{i}" for i in (5, 6, 7)]
    assert "sample 5" in told("show", log, "--task", "clean", "--run", "2")
    assert "sample 5" in told("show", log, "--sample", "5")
    assert "run 6 of 8" in told("show", log, "--run", "6")
    assert len(json.loads(told("show", log, "--json"))) == 8
    for wrong, message in (
        (["--run", "9"], "give 1 to 8, best or worst"),
        (["--run", "first"], "give 1 to 8, best or worst"),
        (["--sample", "99"], "--sample 99: none of 8 runs"),
        (["--sample", "1", "--run", "1"], "give one"),
    ):
        assert message in refused("show", log, *wrong)
    assert "log.jsonl:9: no run begins there" in refused("show", f"{log}:9")
    assert "log.jsonl:x: no run begins there" in refused("show", f"{log}:x")
    assert "not both" in refused("show", f"{log}:5", log)


def test_a_run_of_a_journal_by_its_place(tmp_path: Path, told: Callable[..., str]) -> None:
    path = tmp_path / "a.journal"
    with Journal(path) as journal:
        for run in looked_at()[:2]:
            journal.append(run)
    place = json.loads(told("show", str(path), "--json"))[1]["place"]
    assert place.startswith(f"{path}: byte ")
    for named in (place, place.replace(" byte ", "")):
        assert "sample 1," in told("show", named)


def test_a_run_of_a_table_by_its_place(log: str, told: Callable[..., str]) -> None:
    pytest.importorskip("pyarrow")
    told("convert", log, "--to", "messages", "-o", "log.parquet")
    assert told("diff", "log.parquet: row 5", f"{log}:5").count("nothing differs") == 1
    assert "log.parquet: row 5" in told("show", "log.parquet:5")


def test_tasks_that_were_asked_in_other_words(log: str, told: Callable[..., str]) -> None:
    first = replace(looked_at()[0], prompt=(Message("user", "Another day."),))
    write_trajectories("other.jsonl", [first, *looked_at()[1:]])
    for openings in ("first", "any"):
        assert WON in told("tasks", "other.jsonl", "--openings", openings)


def test_runs_in_numbers(log: str, told: Callable[..., str]) -> None:
    lines = told("stats", log).splitlines()
    assert lines[:6] == [
        "runs               8",
        "tasks              3",
        "done               6",
        "error              1",
        "truncated          1",
        "successes  3 (42.9%)",
    ]
    assert f"  0  {'#' * 40} 3" in lines
    assert f"0.5  {'#' * 14} 1" in lines
    assert "      1  server 17 is away" in lines
    assert lines[-1] == ACCOUNT
    record = json.loads(told("stats", log, "--json"))
    assert record["causes"] == [{"count": 1, "example": "server 17 is away"}]
    assert record["num_used"] == 7


def test_errors_alone_are_summed_up_too(tmp_path: Path, told: Callable[..., str]) -> None:
    write_trajectories(tmp_path / "log.jsonl", looked_at()[7:])
    shown = told("stats", str(tmp_path / "log.jsonl"))
    assert "server 17 is away" in shown and "successes" not in shown and "\n\n\n" not in shown


def test_two_runs_side_by_side(log: str, told: Callable[..., str]) -> None:
    shown = told("diff", f"{log}:5", f"{log}:7", status=1)
    before, after = shown.split("\n\n1 step is the same, then the actions differ\n1. look\n\n")
    assert before.splitlines()[0] == f"task {MIXED}"
    assert before.split()[2:4] == ["log.jsonl:5", "log.jsonl:7"]
    assert after.splitlines()[0].split() == ["2.", "take", "2.", "wait"]
    assert after.splitlines()[4].split() == ["3.", "wash", "(ended:", "done)"]
    assert "nothing differs" in told("diff", f"{log}:5", f"{log}:5")
    record = json.loads(told("diff", f"{log}:5", f"{log}:7", "--json", status=1))
    assert (record["num_shared"], record["what"]) == (1, "action")
    assert record["right"]["place"] == "log.jsonl:7"


def test_two_files_run_by_run(log: str, told: Callable[..., str]) -> None:
    write_trajectories("other.jsonl", [*looked_at()[:3], looked_at()[4]])
    shown = told("diff", log, "other.jsonl", status=1)
    assert "3 tasks are in both" in shown
    assert "4 runs are in A alone, 4 of them of tasks that are in both\n  log.jsonl:4 " in shown
    assert "0 runs are in B alone\n" in shown
    record = json.loads(told("diff", log, "other.jsonl", "--json", status=1))
    assert record["only_left"] == [f"log.jsonl:{i}" for i in (4, 6, 7, 8)]
    shutil.copy(log, "same.jsonl")
    assert "8 runs are in both" in told("diff", log, "same.jsonl")
    assert "2 runs are in both" in told("diff", log, "other.jsonl", "--task", WON)


@pytest.mark.parametrize("command", ["tasks", "tree", "stats", "show"])
def test_several_inputs_and_standard_input(command: str, log: str) -> None:
    write_trajectories("a.jsonl", looked_at()[:5])
    write_trajectories("b.jsonl", looked_at()[5:])
    ran = [
        subprocess.run(
            [sys.executable, "-m", "w2stree", command, *paths, "--json"],
            input=stdin,
            capture_output=True,
            check=True,
        )
        for paths, stdin in (([log], b""), (["a.jsonl", "-"], Path("b.jsonl").read_bytes()))
    ]
    one, other = (json.loads(done.stdout) for done in ran)
    if command == "show":
        one, other = ([{**run, "place": ""} for run in runs] for runs in (one, other))
    assert one == other
    assert [done.stderr for done in ran] == [b"", b""]


@needs_games
def test_a_terminal_gets_no_wider_lines_than_it_has(tmp_path: Path) -> None:
    """But for the task's id, which is whole."""
    runs = household_runs(3)
    write_trajectories(tmp_path / "log.jsonl", runs)
    task = max((t.task_id for t in runs), key=lambda i: sum(t.task_id == i for t in runs))
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "w2stree", "tree", str(tmp_path / "log.jsonl"), "--task", task]
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    with subprocess.Popen(
        command, stdout=follower, stderr=subprocess.DEVNULL, env=environment
    ) as running:
        os.close(follower)
        pieces = []
        try:
            while piece := os.read(leader, 65536):
                pieces.append(piece)
        except OSError:  # Linux: the other end is closed
            pass
    os.close(leader)
    assert running.returncode == 0
    first, *lines = b"".join(pieces).decode().splitlines()
    assert first.startswith(f"{task}  [n=7")
    drawn = [line for line in lines if "[n=" in line]
    assert drawn and all(len(line) <= 80 for line in drawn)
    assert all(re.search(r"\[n=\d+ r=[\d.]+( [.*~]+)?\]", line) for line in drawn)
