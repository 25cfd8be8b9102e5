"""Environments start clean: of the driver's script they get the factory, and nothing runs twice."""

from __future__ import annotations

import ast
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.failing import Asks

from bench.faults.failing_environments import Fine, survivors
from bench.faults.starts import end_while_starting
from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.errors import InvalidInput

DOCS = Path(__file__).parents[2] / "docs"

SCRIPT = """
import pathlib
with open("imported", "a") as file:  # what a script has at its top runs once
    file.write("x")

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.policies.protocol import Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.rollout import EpisodePlan, rollout

GOAL = 3

class Counter:
    def reset(self, task_id):
        self.number = 0
        return f"{task_id}: count to {GOAL}", self.info()

    def step(self, action):
        self.number += 1
        return str(self.number), 1 / GOAL, self.number == GOAL, False, self.info()

    def info(self):
        return {"score": self.number / GOAL, "admissible_actions": ["next"]}

    def close(self):
        pass

plans = [EpisodePlan(f"task {i}", 0, Sampling(), 0) for i in range(3)]
with EnvironmentPool(Counter, 2) as pool:
    for trajectory in rollout(pool, RandomPolicy(), plans, instruction=""):
        print(trajectory.status, trajectory.total_return)
"""


def run(arguments: list[str], folder: Path, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        input=text,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("how", ["a script", "typed in", "an argument"])
def test_a_script_needs_no_main_guard_and_runs_once(how: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    arguments = {"a script": ["script.py"], "typed in": ["-"], "an argument": ["-c", SCRIPT]}
    ended = run(arguments[how], tmp_path, SCRIPT)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == ["done 1.0"] * 3
    assert (tmp_path / "imported").read_text() == "x"


def test_without_cloudpickle_the_script_is_told_what_to_do(tmp_path: Path) -> None:
    hidden = "import sys\nsys.modules['cloudpickle'] = None  # as if it were not installed\n"
    ended = run(["-c", hidden + SCRIPT], tmp_path)
    assert ended.stderr.splitlines()[-1] == (
        "w2stree.InvalidInput: Counter cannot be sent to a process (Counter is defined in "
        "the main script); pip install cloudpickle, or put it into a module of its own and import "
        "it from there"
    )
    named = SCRIPT.replace("(Counter, 2)", "(counter.Counter, 2)")
    (tmp_path / "counter.py").write_text(SCRIPT.partition("plans =")[0], encoding="utf-8")
    ended = run(["-c", f"{hidden}import counter\n{named}"], tmp_path)
    assert ended.stdout.splitlines() == ["done 1.0"] * 3, ended.stderr


def test_the_python_of_the_docs_runs_as_it_stands(tmp_path: Path) -> None:
    snippet = python_of("exploration.md", "In Python")
    (tmp_path / "script.py").write_text(f"{snippet}print(is_complete)\n", encoding="utf-8")
    ended = run(["script.py"], tmp_path)
    assert ended.stdout == "True\n", ended.stderr


def python_of(page: str, heading: str) -> str:
    section = (DOCS / page).read_text(encoding="utf-8").partition(f"## {heading}\n")[2]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found
    return found[1]


def test_a_factory_that_cannot_be_found_in_the_process_is_the_user_s_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone.py").write_text("class Gone:\n    pass\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import gone  # type: ignore[import-not-found]

    (tmp_path / "gone.py").unlink()
    with (
        EnvironmentProcess(gone.Gone) as process,
        pytest.raises(InvalidInput, match=r"ModuleNotFoundError: No module named 'gone'"),
    ):
        process.call("reset", "task")


def test_a_process_is_as_its_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("W2STREE_TEST", "inherited")
    monkeypatch.syspath_prepend("/nowhere")
    with EnvironmentProcess(Asks) as process:

        def value(expression: str) -> object:
            return ast.literal_eval(process.call("reset", expression)[0])

        assert value("sys.path") == sys.path
        assert value("os.getcwd()") == str(tmp_path)
        assert value("os.environ['W2STREE_TEST']") == "inherited"
        assert value("sys.warnoptions") == sys.warnoptions
        assert value("list(sys.flags)[:13]") == list(sys.flags)[:13]
        assert value("sys.stdin.read()") == ""
        assert value("print('to stdout', flush=True)") is None
        assert value("signal.getsignal(signal.SIGTERM) == signal.SIG_DFL") is True
        assert value("signal.getsignal(signal.SIGINT) == signal.SIG_IGN") is True
        assert value("os.listdir('/dev/fd').__len__()") == 5  # the pipe's, and the listing's own
        assert process._group.ask(60).output == "to stdout\n"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("flags", [["-I"], ["-X", "dev", "-W", "ignore"], ["-O", "-X", "utf8"]])
def test_the_interpreter_s_options_are_passed_on(flags: list[str], tmp_path: Path) -> None:
    program = f"""
import sys
sys.path[:] = {sys.path!r}
from support.failing import Asks
from w2stree.environments.hosting.process import EnvironmentProcess
asked = ("list(sys.flags)[:10]", "sys.flags.dev_mode", "sys.flags.utf8_mode", "sys.warnoptions")
with EnvironmentProcess(Asks) as process:
    for expression in asked:
        assert process.call("reset", expression)[0] == repr(eval(expression)), expression
"""
    ended = run([*flags, "-c", program], tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for them in /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_driver_ended_while_they_start_leaves_nothing(
    number: signal.Signals, tmp_path: Path
) -> None:
    num_ends = 10 if number == signal.SIGKILL else 2  # `python -m bench.faults --only kills`: 200
    counts = end_while_starting(tmp_path, num_ends=num_ends, seed=number, number=number)
    assert counts.num_ended == num_ends
    assert counts.num_orphans == 0


ENDINGS = {
    "replaced by another program": """
print(process.pid, flush=True)
os.execv("/bin/sleep", ["sleep", "600"])
""",
    "survived by a fork of it": """
if os.fork() == 0:
    os.close(1)
    time.sleep(600)
print(process.pid, flush=True)
time.sleep(600)
""",
    "forking while they start": """
def fork():
    for _ in range(30):
        time.sleep(0.002)
        if os.fork() == 0:
            os.close(1)
            time.sleep(60)
            os._exit(0)
forks = threading.Thread(target=fork)
forks.start()
more = [EnvironmentProcess(Sleeps) for _ in range(3)]
for one in more:
    one.call("reset", "task")
forks.join()
print(process.pid, *(one.pid for one in more), flush=True)
time.sleep(600)
""",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_process_outlives_a_driver_that_is(ending: str) -> None:
    program = f"""
import os, threading, time
from bench.faults.failing_environments import Sleeps
from w2stree.environments.hosting.process import EnvironmentProcess
process = EnvironmentProcess(Sleeps)
process.call("reset", "task")
process.send("step", "go")  # does not see its pipe close
{ENDINGS[ending]}
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as driver:
        assert driver.stdout
        try:
            groups = [int(pid) for pid in driver.stdout.readline().split()]
            assert groups
            if not ending.startswith("replaced"):
                driver.kill()
            assert survivors(groups) == []
        finally:
            os.killpg(driver.pid, signal.SIGKILL)  # its forks


def test_the_thread_that_started_a_process_may_end() -> None:
    import threading

    started: list[EnvironmentProcess] = []
    thread = threading.Thread(target=lambda: started.append(EnvironmentProcess(Fine)))
    thread.start()
    thread.join()
    with started[0] as process:
        assert process.call("reset", "task")[0] == "start"


def test_a_system_that_starts_no_process_is_named(tmp_path: Path) -> None:
    program = """
import os, resource
from bench.faults.failing_environments import Fine
from w2stree.environments.hosting.process import EnvironmentProcess
most = len(os.listdir("/dev/fd")) + 2
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
EnvironmentProcess(Fine)
"""
    ended = run(["-X", "dev", "-c", f"import sys; sys.path[:] = {sys.path!r}{program}"], tmp_path)
    assert ended.stderr.splitlines()[-1] == (
        "w2stree.errors.EnvironmentNotStarted: no process can be started for Fine: [Errno 24] Too "
        "many open files"
    )
    assert "ResourceWarning" not in ended.stderr


def test_a_driver_without_standard_streams_starts_them_too() -> None:
    program = """
import os
os.closerange(0, 3)
from bench.faults.failing_environments import Fine
from w2stree.environments.hosting.process import EnvironmentProcess
with EnvironmentProcess(Fine) as process:
    os._exit(7 if process.call("reset", "task")[0] == "start" else 1)
"""
    assert subprocess.run([sys.executable, "-c", program], cwd=DOCS.parent).returncode == 7


def test_the_first_process_of_a_container_leaves_no_zombies() -> None:
    container = ["unshare", "--pid", "--fork", "--mount-proc"]
    if shutil.which("unshare") is None or subprocess.run([*container, "true"]).returncode:
        pytest.skip("needs a container of its own")
    program = """
import os
from pathlib import Path
from bench.faults.failing_environments import HasChild
from w2stree.environments.hosting.process import EnvironmentProcess
with EnvironmentProcess(HasChild) as process:
    process.call("reset", "task")
    process._kill()
print([line for file in Path("/proc").glob("[0-9]*/stat") if " Z " in (line := file.read_text())])
"""
    ended = subprocess.run(
        [*container, sys.executable, "-c", program], cwd=DOCS.parent, capture_output=True, text=True
    )
    assert (ended.stdout, ended.stderr) == ("[]\n", "")


def test_the_working_directory_may_be_gone(tmp_path: Path) -> None:
    program = f"""
import os, sys
sys.path[:] = ["", *{sys.path!r}]
os.rmdir(os.getcwd())
from support.failing import Asks
from w2stree.environments.hosting.process import EnvironmentProcess
with EnvironmentProcess(Asks) as process:
    print(process.call("reset", "sys.path")[0] == repr(sys.path[1:]))
"""
    ended = run(["-c", program], tmp_path)
    assert (ended.stdout, ended.stderr) == ("True\n", "")


def test_a_factory_may_be_a_lambda() -> None:
    kind = functools.partial(Asks)
    with EnvironmentProcess(lambda: kind()) as process:
        assert process.call("reset", "1 + 1")[0] == "2"
