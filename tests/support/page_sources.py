"""The view's sources, Node.js and a browser, where there are any.

apt-get install chromium && npm ci --prefix viewer && pytest tests/viewer
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

WEB = Path(__file__).resolve().parents[2] / "viewer"
EVIL = "\x1b[2J<img src=x onerror=ran=1></script><script>ran=1</script>\u202e"
_NODE = shutil.which("node")
_BROWSER = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))

needs_packages = pytest.mark.skipif(
    _NODE is None or not (WEB / "node_modules").is_dir(),
    reason="no Node.js, or no packages of the page: npm ci --prefix viewer",
)
needs_browser = pytest.mark.skipif(
    not _BROWSER.exists(),
    reason=f"no browser at {_BROWSER}: apt-get install chromium, or $CHROMIUM",
)


def node(*arguments: str) -> str:
    """What a program of `viewer/` prints."""
    done = subprocess.run(
        [str(_NODE), *arguments], cwd=WEB, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
