"""`w2stree explore` where servers are down, models answer wrongly, or nothing can be counted."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("openai")

from support.chat_server import Answer, Server, says, sends, serving, status

from w2stree.cli.app import main
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.journal import read_journal

pytestmark = pytest.mark.filterwarnings("ignore::w2stree.errors.IdenticalTrajectories")

CONFIG = """
name: doors
environment: {name: gymnasium, make: "support.games:Doors", num_processes: 2, max_steps: 3,
  score_range: [0, 10]}
tasks: {split: train, count: 4}
policy: {name: openai, base_url: URL, model: m, timeout_s: 60, max_retries: 0}
samplings: [{temperature: 1.0}, {temperature: 0.5}]
"""
OPENS = says("Action: open")


def counts(tokens: int) -> Answer:
    """A server that says how many tokens a turn took, and gives no ids."""
    choices = [{"index": 0, "message": {"role": "assistant", "content": "Action: open"}}]
    return sends(json.dumps({"choices": choices, "usage": {"completion_tokens": tokens}}).encode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "doors.yaml").write_text(CONFIG)
    return tmp_path


def explore(folder: Path, server: Server | str, *overrides: str) -> int:
    url = server if isinstance(server, str) else server.url
    command = ["explore", str(folder / "doors.yaml"), "--run-dir", str(folder / "run")]
    return main([*command, f"policy.base_url={url}", *overrides])


def attempts(folder: Path) -> list[Any]:
    return list(read_journal(folder / "run" / "episodes.journal").trajectories)


@contextmanager
def a_free_port() -> Iterator[int]:
    """Nobody listens there, and nobody else gets it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_server_that_is_not_there_costs_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with a_free_port() as port:
        assert explore(folder, f"http://127.0.0.1:{port}/v1") == 1
    told = capsys.readouterr()
    assert f"127.0.0.1:{port}" in told.err
    assert "used up no attempt and nothing is recorded" in told.err
    assert "mend it (start the server; wait, where it asks for it) and run the same" in told.err
    assert "8 of 8 samples remain to be played" in told.out
    assert attempts(folder) == []
    command = [sys.executable, "-m", "w2stree", "explore", "doors.yaml", "--run-dir", "run"]
    with serving(OPENS) as server:
        played = subprocess.run(
            [*command, f"policy.base_url={server.url}"],
            capture_output=True,
            text=True,
            timeout=300,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )
    assert played.returncode == 0, played.stderr
    assert len(attempts(folder)) == 8
    assert "\r" not in played.stdout + played.stderr


def test_a_server_that_sends_us_away_for_long_costs_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(status(429, Retry_After="3600")) as server:
        assert explore(folder, server, "policy.max_retries=5", "max_attempts=1") == 1
        assert len(server.requests) < 8
    assert "answers 429, and asks to wait 3600 s: no\n3 episodes in" in capsys.readouterr().err
    assert attempts(folder) == []
    with serving(OPENS) as server:
        assert explore(folder, server, "max_attempts=1") == 0
    assert len(attempts(folder)) == 8


def test_errors_are_told_by_cause_and_a_resume_says_how_to_go_on(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(handler: Any, body: dict[str, Any]) -> None:
        """One sampling in one way, the other in another, each with an id of its own."""
        number = len(handler.server.requests)
        what = "the model is loading" if body["temperature"] == 1.0 else "out of memory"
        error = {"error": {"message": f"request {number}f: {what}"}}
        handler.send(json.dumps(error).encode(), 500)

    with serving(fails) as server:
        assert explore(folder, server, "max_attempts=2") == 1
        first = capsys.readouterr()
        assert explore(folder, server, "max_attempts=2") == 1
        again = capsys.readouterr()
    (line,) = [line for line in first.out.splitlines() if line.startswith("all ")]
    assert line.split()[1:4] == ["-", "-", "16"]
    assert "16 of 16 attempts ended in an error:" in first.out
    causes = [line.split(None, 1) for line in first.out.splitlines() if "answers 500" in line]
    assert [count for count, _ in causes] == ["8", "8"]
    assert {"loading" in text for _, text in causes} == {True, False}
    assert "8 of 8 samples are out of attempts: Doors/train/" in first.out
    assert "the same command with max_attempts=3 tries them again" in first.out
    # Nothing is played, and it is said before and after.
    assert len(attempts(folder)) == 16
    assert "w2stree: 8 of 8 samples are out of attempts" in again.err
    assert "max_attempts=3 tries them again" in again.out
    with serving(OPENS) as server:
        assert explore(folder, server, "max_attempts=3") == 0
    told = capsys.readouterr().out
    assert "16 of 24 attempts ended in an error:" in told
    assert "out of attempts" not in told
    assert {t.status for t in read_trajectories(folder / "run")} <= {"done", "truncated"}


def test_some_samples_that_never_finished_are_a_status_of_1(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuses_one(handler: Any, body: dict[str, Any]) -> None:
        is_hot = body["temperature"] == 1.0 and len(body["messages"]) > 1
        (status(500) if is_hot else OPENS)(handler, body)

    with serving(refuses_one) as server:
        assert explore(folder, server, "max_attempts=1") == 1
    told = capsys.readouterr().out
    (line,) = [line for line in told.splitlines() if line.startswith("all ")]
    assert line.split()[6] == "-", "tokens that nobody counted are not none"
    num_failed = sum(t.status == "error" for t in attempts(folder))
    assert 0 < num_failed < 8
    assert f"{num_failed} of 8 samples are out of attempts: Doors/train/" in told


def test_openings_that_no_model_can_read_are_a_status_of_1(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def reads(num_messages: int) -> Answer:
        too_long = b'{"error": {"code": "context_length_exceeded", "message": "no"}}'
        return lambda handler, body: (
            handler.send(too_long, 400)
            if len(body["messages"]) > num_messages
            else OPENS(handler, body)
        )

    with serving(reads(0)) as server, pytest.warns(match="8 of 8 episodes ended, as truncated"):
        assert explore(folder, server) == 1
    assert "8 episodes ended before their first turn: with what a turn" in capsys.readouterr().out
    with serving(reads(1)) as server, pytest.warns(match="episodes ended, as truncated"):
        other = ["--run-dir", str(folder / "other"), f"policy.base_url={server.url}"]
        assert main(["explore", str(folder / "doors.yaml"), *other]) == 0
    assert "first turn" not in capsys.readouterr().out


def test_tokens_are_counted_by_the_server_s_own_count(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(counts(50)) as server:
        assert explore(folder, server, "budget.tokens=200", "environment.num_processes=1") == 0
    told = capsys.readouterr().out
    sampled = sum(t.origin.num_tokens for t in attempts(folder))
    assert 200 <= sampled <= 300
    assert f"the budget of 200 tokens is spent ({sampled} sampled)" in told
    assert f"{len(server.requests) * 50}" == f"{sampled}"


def test_a_budget_that_nobody_can_count_stops_at_the_first_turn(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = "environment.num_processes=1"
    with serving(counts(0)) as server:  # some fill `usage` with zeros
        assert explore(folder, server, "budget.tokens=200", one) == 2
        assert len(server.requests) == 1
    assert "budget.tokens cannot be counted" in capsys.readouterr().err
    with serving(OPENS) as server:
        assert explore(folder, server, "budget.tokens=200", one) == 2
        assert len(server.requests) == 1
        assert (
            "budget.tokens cannot be counted: turns of openai(model=m)" in capsys.readouterr().err
        )
        assert attempts(folder) == []
        # What was played without such a budget cannot be counted later either.
        assert explore(folder, server, "budget.episodes=2", one) == 0
        assert explore(folder, server, "budget.tokens=200", one) == 2
    assert "2 of 2 recorded episodes have turns without token ids" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["policy={name: expert}"],
            "doors.yaml: policy: expert plays the environment's own solution, and "
            "support.games:Doors has none",
        ),
        (["policy={name: random}", "budget.tokens=9"], "policy: random is none: set budget.epis"),
        (
            ["policy={name: random}", "environment.list_actions=false"],
            "lists none here: set environment.list_actions: true, or another policy",
        ),
        (
            [
                "policy={name: expert, noise: 0.2}",
                "environment={name: scienceworld}",
            ],
            "policy: expert with noise: 0.2 chooses among the actions that the environment lists, "
            "and ScienceWorld lists none here: set environment.list_actions: true, or "
            "policy.noise: 0",
        ),
        (
            ["policy={name: openai, model: m, tokenizer: nowhere}"],
            "policy.tokenizer: nowhere has no tokenizer_config.json",
        ),
    ],
)
def test_what_cannot_be_played_is_refused_before_anything_is_made(
    folder: Path, overrides: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["explore", str(folder / "doors.yaml"), "--run-dir", str(folder / "run")]
    assert main([*command, *overrides]) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "run").exists()


def test_what_is_reached_or_waited_for_may_change_and_what_is_asked_may_not(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOORS_KEY", "open-sesame")
    with serving(OPENS) as server:
        assert explore(folder, server, "budget.episodes=1") == 0
    changes = [
        "policy.timeout_s=30",
        "policy.max_retries=2",
        "policy.api_key_env=DOORS_KEY",
        "environment.limits.deadline_s=30",
        "environment.limits.start_deadline_s=100",
        "environment.limits.memory_limit_mb=4000",
        "environment.num_processes=1",
        "max_attempts=5",
        "success_threshold=0.5",
    ]
    with serving(OPENS) as server:  # at another port
        for number, change in enumerate(changes, start=2):
            budget = f"budget.episodes={min(number, 8)}"
            assert explore(folder, server, budget, *changes[: number - 1]) == 0, change
            assert len(attempts(folder)) == min(number, 8)
            capsys.readouterr()
        recorded = json.loads((folder / "run" / "config.json").read_text())
        assert recorded["policy"]["base_url"] == server.url
        assert recorded["policy"]["timeout_s"] == 30
        assert recorded["environment"]["limits"]["deadline_s"] == 30
        for change in (
            "policy.model=other",
            "policy.decoding.max_new_tokens=7",
            "seed=1",
            "environment.max_steps=4",
            "environment.options={admissible: valid_actions}",
            "instruction=Open the doors.",
            "samplings=[{temperature: 0.2}]",
            "tasks.count=3",
        ):
            assert explore(folder, server, change) == 2, change
            assert f"another configuration ({change.partition('=')[0]}" in capsys.readouterr().err


@pytest.mark.parametrize("said", ["Sure! I will now stop.", ""], ids=["words", "nothing"])
def test_replies_without_an_action_are_not_taken_for_greedy_sampling(
    folder: Path, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = says(said, finish_reason="length")  # cut: thinking took all of it
    with (
        serving(answer) as server,
        pytest.warns(match=r"^\d+ of \d+ turns had no action \(the first one: ") as told,
    ):
        assert explore(folder, server, "tasks.count=2") == 0
    assert len(told) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("all ")]
    unparsed, turns = line.split()[5].split("/")
    assert unparsed == turns != "0"
