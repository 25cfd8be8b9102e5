"""Nothing that a game, a file or its name says is obeyed by the terminal, in any command."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import unicodedata
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("yaml")

from w2stree import IdenticalTrajectories, build_forest, write_trajectories
from w2stree.cli.app import main
from w2stree.trajectories.files import read_trajectories

# Title, clear, colour, C1's CSI and OSC, backspace, DEL, bidirectional, zero width; rich's markup.
CODES = "\x1b]0;title\x07\x1b[2J\x1b[31m\x9b31m\x9d0;x\x9c\x08\x7f\u202egnp\u2066\u200b\ufeff"
MARKUP = "[red]mark[/red][link=https://example.org]link[/link]"
LINES = "\x85\u2028\u2029\r\nforged"  # and a line that would look like one of ours

GAME = f"""
import os, sys
CODES, MARKUP, LINES = {CODES!r}, {MARKUP!r}, {LINES!r}

class Game:
    def tasks(self, split):
        return [f"{{split}}{{i}} {{CODES}} {{MARKUP}}{{LINES}}" for i in range(2)]

    def reset(self, *, options):
        self.steps = 0
        return f"Start. {{CODES}} {{MARKUP}} {{LINES}}", self.info()

    def step(self, action):
        self.steps += 1
        if "fail" in action and self.steps == 1:
            print(f"stderr {{CODES}} {{MARKUP}}", file=sys.stderr, flush=True)
            raise RuntimeError(f"failed {{CODES}} {{MARKUP}} {{LINES}}")
        said = f"Seen {{os.environ.get('OTHER', '')}} {{CODES}} {{MARKUP}} {{LINES}}"
        return said, 1.0, self.steps == 2, False, self.info()

    def info(self):
        actions = [f"{{verb}} {{CODES}} {{MARKUP}}" for verb in ("go", "fail")]
        return {{"admissible_actions": actions}}
"""
CONFIG = """
name: hostile
environment: {name: gymnasium, make: "hostile_game:Game", num_processes: 1, score_range: [0, 2]}
policy: {name: random}
tasks: {split: train, count: 2, distinct: false}
samplings: [{}, {}, {}, {}]
max_attempts: 2
"""
RUN = "run \x1b[2J\u202e[red]"


def refuse_hidden(text: str) -> None:
    hidden = {
        c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c != "\n"
    }
    assert not hidden, (hidden, text)


def w2stree(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command in the folder; what it writes was looked through."""
    ran = subprocess.run(
        [sys.executable, "-m", "w2stree", *arguments],
        cwd=folder,
        capture_output=True,
        timeout=120,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **variables},
    )
    told = subprocess.CompletedProcess(
        ran.args, ran.returncode, ran.stdout.decode(), ran.stderr.decode()
    )
    look_through(told.stdout, told.stderr)
    return told


def look_through(*written: str) -> None:
    for text in written:
        assert "Traceback" not in text, text
        refuse_hidden(text)
        assert "forged" not in text.splitlines()


@pytest.fixture
def refused(
    played: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """A command in that folder that ends with status 2, without a process of its own: what it
    writes to standard error, looked through."""

    def refused(*arguments: str) -> str:
        monkeypatch.chdir(played)
        assert main(arguments) == 2
        written = capsys.readouterr()
        look_through(*written)
        return written.err

    return refused


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the game, its configuration and a run of it."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "hostile_game.py").write_text(GAME, encoding="utf-8")
    (folder / "hostile.yaml").write_text(CONFIG)
    ran = w2stree(folder, "explore", "hostile.yaml", "--run-dir", RUN)
    assert ran.returncode in (0, 1), ran.stderr
    assert r"train0 \x1b]0;title\x07" in ran.stdout and MARKUP in ran.stdout
    assert r"run \x1b[2J\u202e[red]" in ran.stdout
    assert {t.status for t in read_trajectories(folder / RUN)} == {"done", "error"}
    return folder


def test_trees_and_tables(played: Path, refused: Callable[..., str]) -> None:
    task = next(iter(read_trajectories(played / RUN))).task_id
    assert w2stree(played, "tree", RUN).returncode == 0
    drawn = w2stree(played, "tree", RUN, "--task", task)
    assert drawn.returncode == 0 and r"go \x1b]0;title\x07\x1b[2J" in drawn.stdout
    with warnings.catch_warnings(action="ignore", category=IdenticalTrajectories):
        build_forest(read_trajectories(played / RUN)).save(played / "a.forest")
    of_saved = w2stree(played, "tree", "a.forest", "--task", task).stdout
    assert of_saved.splitlines()[:-1] == drawn.stdout.splitlines()[:-1]  # the last has the account
    assert w2stree(played, "tree", RUN, "--task", f"other{task}").returncode == 2
    refused("tree", f"none{RUN}")
    refused(RUN)


def test_runs_are_looked_at(played: Path) -> None:
    one, other, *_ = (t for t in read_trajectories(played / RUN) if t.status == "done")
    assert r"go \x1b]0;title\x07" in w2stree(played, "show", RUN, "--run", "best").stdout
    assert one.task_id.encode("unicode_escape").decode()[:20] in w2stree(played, "show", RUN).stdout
    write_trajectories(played / "one.jsonl", [one])
    write_trajectories(played / "other.jsonl", [other])
    assert MARKUP in w2stree(played, "diff", "one.jsonl", "other.jsonl").stdout
    assert w2stree(played, "diff", "one.jsonl", RUN).returncode == 1
    assert MARKUP in w2stree(played, "tasks", RUN).stdout
    assert MARKUP in w2stree(played, "stats", RUN).stdout
    for command in ("tasks", "show", "stats", "tree"):
        json.loads(w2stree(played, command, RUN, "--json").stdout)
    assert w2stree(played, "show", f"{RUN}/episodes.journal:1").returncode == 2


MORE = (
    ["tasks", RUN], ["bisect", RUN, "--no-play"], ["doctor", RUN], ["lint", RUN],
    ["pairs", RUN, "-o", "pairs.jsonl"], ["paths", RUN, "-o", "paths.jsonl"],
    ["advantages", RUN, "-o", "turns.jsonl"], ["convert", RUN, "-o", "again.jsonl"],
    ["view", RUN, "-o", "view.html"], ["export", "speedscope", RUN, "-o", "stacks.json"],
    ["export", "timeline", RUN, "-o", "trace.json"], ["store", "add", "all", RUN],
    ["store", "ls", "all"], ["store", "ls", "all", "--sources"], ["store", "check", "all"],
    ["store", "export", "all", "-o", f"out{RUN}"], ["report", RUN], ["analyse", "bias", RUN],
)  # fmt: skip


@pytest.mark.parametrize(
    "command", MORE, ids=[" ".join(filter(str.isprintable, words)) for words in MORE]
)
def test_every_other_command_shows_them_written_out(
    played: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
) -> None:
    monkeypatch.chdir(played)
    with warnings.catch_warnings(action="ignore"):
        assert main(command) in (0, 1, 2)
    written = capsys.readouterr()
    look_through(*written)
    assert written.out or written.err


def test_whole_texts_are_printed_as_they_are_when_asked_for(
    played: Path, refused: Callable[..., str]
) -> None:
    (one, *_) = (t for t in read_trajectories(played / RUN) if t.status == "done")
    command = [sys.executable, "-m", "w2stree", "tree", RUN, "--task", one.task_id, "--raw"]
    drawn = subprocess.run(command, cwd=played, capture_output=True, check=True).stdout.decode()
    assert f" > {one.steps[1].action}  [" in drawn
    assert one.steps[1].observation in drawn
    refused("tree", RUN, "--raw")


def test_differences_of_a_replay(played: Path, refused: Callable[..., str]) -> None:
    assert "'hostile_game:Game'" in refused("verify", RUN)
    assert w2stree(played, "verify", RUN, "--trust").returncode == 0
    differing = w2stree(played, "verify", RUN, "--trust", OTHER=f"other {CODES[0]}{MARKUP}")
    assert differing.returncode == 1 and MARKUP in differing.stdout


def test_refusals_of_files_and_words(played: Path, refused: Callable[..., str]) -> None:
    name = f"bad{CODES.replace('/', '')}.jsonl"
    (played / name).write_text('{"task_id": "\\u001b[2J", "\\u202e": 1}\n')
    refused("tree", name)
    (played / "bad.yaml").write_text(f'{CONFIG}\n"key \\e[2J \\u202e": 1\n')
    refused("explore", "bad.yaml")
    refused("explore", "hostile.yaml", f"policy.name={CODES}")
    refused("run", f"{CODES}{MARKUP}")
    refused("envs", "check", CODES)
    config = played / "torn" / "config.json"
    config.parent.mkdir()
    config.write_text(json.dumps({"environment": {"name": f"other {CODES}"}}))
    (config.parent / "trajectories.jsonl").write_text("")
    refused("verify", "torn")
    assert w2stree(played, "envs").returncode == 0


def test_an_unexpected_error_and_a_warning(tmp_path: Path) -> None:
    program = (
        "import warnings\nfrom w2stree.cli.app import main\nmain(['envs'])\n"
        f"warnings.warn({CODES!r})\nraise ValueError({CODES!r})"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=tmp_path)
    told = ran.stderr.decode()
    refuse_hidden(told)
    assert r"warning: \x1b]0;title" in told and r"ValueError: \x1b]0;title" in told


def test_a_live_terminal_is_not_commanded_either(played: Path) -> None:
    """Rich draws there, by codes of its own: none of the game's is among them."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "w2stree", "explore", "hostile.yaml", "--run-dir", "live"]
    running = subprocess.Popen(
        command,
        cwd=played,
        stdout=follower,
        stderr=follower,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "200"},
    )
    os.close(follower)
    pieces = []
    try:
        while piece := os.read(leader, 65536):
            pieces.append(piece)
    except OSError:  # Linux: the other end is closed
        pass
    os.close(leader)
    assert running.wait(timeout=60) in (0, 1)
    shown = b"".join(pieces).decode()
    assert r"train0 \x1b]0;title\x07" in shown and MARKUP in shown
    assert not re.search("[\x07\x7f-\x9f\u200b\u2028-\u202e\u2066\ufeff]|\x1b]|\x1b\\[2J", shown)
