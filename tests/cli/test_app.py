"""The command line's manners: usage, help, exit statuses, plain output to a pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from w2stree import Message, Step, Trajectory, write_trajectories
from w2stree.cli.app import main
from w2stree.experiment.shipped import shipped_names

LONG = "click[" + "a very long name " * 20 + "] [red]not markup[/red] :smile:"


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Two runs of a task whose actions have brackets and are longer than any terminal."""
    runs = [
        Trajectory("shop/[1]", (Message("user", "buy"),), (Step(action, "ok"),), score, "done")
        for action, score in ((LONG, 1.0), ("search[x]", 0.0))
    ]
    write_trajectories(tmp_path / "runs.jsonl", runs)
    return tmp_path / "runs.jsonl"


def w2stree(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "w2stree", *map(str, arguments)]
    environment = {**os.environ, **variables}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


@pytest.mark.parametrize(
    ("command", "folder"),
    [("run", "configs"), ("explore", "configs/explorations"), ("experiment", "experiments")],
)
def test_help_names_what_ships(
    command: str, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    names = shipped_names(folder)
    assert names
    assert ", ".join(names) in told


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ((), ["run", "explore", "tree", "verify", "envs", "train", "--install-completion"]),
        (("run",), ["CONFIG", "KEY=VALUE", "--run-dir DIR", "--force STAGE", "quickstart"]),
        (("explore",), ["CONFIG", "KEY=VALUE", "--run-dir DIR", "--salvage", "textworld_random"]),
        (("tree",), ["PATH", "--task TASK", "--depth N", "--min-runs N", "--json", ".journal"]),
        (("tasks",), ["PATH", "--sort COLUMN", "--success none|some|all", "--limit N", "--json"]),
        (("show",), ["PATH", "--task TASK", "--run N|best|worst", "--sample N", "--json"]),
        (("diff",), ["A", "B", "--task TASK", "--json"]),
        (("stats",), ["PATH", "--success-at RETURN", "--json"]),
        (("view",), ["PATH", "--output FILE", "--node N", "--open"]),
        (("bisect",), ["PATH", "--task TASK", "--no-play", "--trust", "--json"]),
        (("export",), ["speedscope", "timeline"]),
        (("export", "speedscope"), ["PATH", "--output FILE", "--task TASK", "--force"]),
        (("export", "timeline"), ["RUN", "--output FILE", "--stage STAGE"]),
        (("doctor",), ["RUN", "--json"]),
        (("report",), ["RUN", "--out DIR"]),
        (("advantages",), ["PATH", "--output FILE|DIR/", "--baseline parent|group|leave_one_out"]),
        (("verify",), ["RUN", "--sample N", "--seed SEED"]),
        (("envs",), ["check"]),
        (("envs", "check"), ["NAME", "--tasks N"]),
        (("analyse",), ["bias", "divergence_cause", "assumption"]),
        (("analyse", "bias"), ["RUN_DIR", "--methods A,B", "--before METHOD", "--out DIR"]),
        (("analyse", "divergence_cause"), ["RUN_DIR", "--out DIR"]),
        (("analyse", "assumption"), ["RUN_DIR", "--after STAGE", "--played A,B"]),
        (("train",), ["sft", "dpo"]),
        (("train", "sft"), ["PATH", "--model DIR", "--output DIR", "--min-return RETURN"]),
        (("train", "dpo"), ["PATH", "--reference", "--args FILE.yaml", "--holdout SHARE"]),
    ],
)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help(
    command: tuple[str, ...], words: list[str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, option]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.startswith(f"Usage: {' '.join(('w2stree', *command))} ")
    assert [word for word in words if word not in told.out] == []


def test_without_a_command_there_is_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    alone = capsys.readouterr().out
    assert main(["--help"]) == 0
    assert alone == capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verifi", "runs"], "No such command 'verifi'. Did you mean 'verify'?"),
        (["verify", "runs", "--seeed", "1"], "No such option: --seeed (Possible options: --seed)"),
        (
            ["verify", "runs", "--sample", "0"],
            "Invalid value for '--sample': 0; give a whole number",
        ),
        (["verify", "r", "--sample", "x"], "'--sample': 'x'; give a whole number of at least 1"),
        (["verify", "runs", "--seed", "1.5"], "Invalid value for '--seed': '1.5'; give a whole"),
        (["envs", "check", "alfworld", "--tasks", "0"], "'--tasks': 0; give a whole number of at"),
        (["tree", "a", "--min-similarity", "abc"], "'--min-similarity': 'abc'; give a number in"),
        (["tree", "nosuch"], "expected a file of runs, a folder of such files, a pattern"),
        (["tasks", "a", "--sort", "paris"], "'--sort': 'paris'; give one of task, runs, success"),
        (["tasks", "a", "--success", "no"], "'--success': 'no'; give one of none, some, all"),
        (["tree", "a", "--depth", "3"], "--depth is of one task's tree: give --task"),
        (["show"], "Missing argument 'PATH'."),
        (["run"], "Missing argument 'CONFIG'."),
        (["run", "miniature", "--run-dir", "x", "--sead=1"], "No such option: --sead"),
        (["verify", "a", "b=1"], "b=1"),
        (["tree", "--task"], "Option '--task' requires an argument."),
    ],
)
def test_wrong_usage_is_named(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("w2stree: ")
    assert message in told.err
    assert "Input should" not in told.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["CONFIG", "--run-dir", "RUN", "seed=x", "name=[1]"],
        ["CONFIG", "seed=x", "--run-dir", "RUN", "name=[1]"],
        ["--run-dir", "RUN", "CONFIG", "seed=x", "name=[1]"],
    ],
)
@pytest.mark.parametrize(
    ("command", "config"), [("run", "miniature"), ("explore", "textworld_random")]
)
def test_overrides_stand_anywhere(
    command: str,
    config: str,
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("yaml")
    places = {"CONFIG": config, "RUN": str(tmp_path / "run")}
    assert main([command, *(places.get(a, a) for a in arguments)]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"w2stree: {config}: ")
    assert f"{config}: seed: " in told
    assert f"{config}: name: " in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "extra"), [("run", "run"), ("explore", "explore"), ("verify", "explore")]
)
def test_a_missing_extra_says_how_to_get_it(command: str, extra: str) -> None:
    program = (
        "import sys; sys.modules['yaml'] = None\n"
        f"from w2stree.cli.app import main; sys.exit(main([{command!r}, '.']))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stderr == f"w2stree: yaml is not installed: pip install 'w2stree[{extra}]'\n"


def test_an_interrupt_is_told_and_has_its_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(path: Path, **_: bool) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("w2stree.formats.reading.read_files", interrupted)
    assert main(["tree", "."]) == 130
    assert "w2stree: interrupted; run the same command again" in capsys.readouterr().err


def test_a_pipe_gets_whole_plain_lines(recorded: Path) -> None:
    drawn = w2stree("tree", recorded, "--task", "shop/[1]", COLUMNS="20", FORCE_COLOR="1")
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stderr == ""
    lines = drawn.stdout.splitlines()
    assert lines[0].startswith("shop/[1]  [n=2 r=0.50")
    assert lines[1].startswith("|- click[a very long name a very")
    assert any("search[x]" in line for line in lines)
    assert "\x1b" not in drawn.stdout
    assert not [line for line in lines if line != line.rstrip()]


def test_what_a_terminal_cannot_show_is_escaped(recorded: Path) -> None:
    drawn = w2stree("tree", recorded, "--task", "shop/[1]", PYTHONIOENCODING="ascii")
    assert drawn.returncode == 0, drawn.stderr
    assert "\\u2026" in drawn.stdout  # of what was shortened


def test_messages_keep_their_brackets(recorded: Path) -> None:
    refused = w2stree("tree", recorded, "--task", "[red]3[/red]", FORCE_COLOR="1")
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr == (
        "w2stree: no task begins with '[red]3[/red]'; there is 1 task:\n  shop/[1]\n"
    )


def test_a_program_error_is_a_traceback_not_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path, **_: bool) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("w2stree.formats.reading.read_files", broken)
    with pytest.raises(ZeroDivisionError):
        main(["tree", "."])


def test_completion_knows_the_commands() -> None:
    told = w2stree(_W2STREE_COMPLETE="complete_bash", COMP_WORDS="w2stree ver", COMP_CWORD="1")
    assert told.stdout.split() == ["verify"]
