"""Settings of all tests."""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says more of the machine's load, or of a sanitizer, than of the code;
# so does how long it takes to draw one.
settings.register_profile("w2stree", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("w2stree")

# Workers of pytest-xdist share the cores, all of which torch would take in each of them.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell starts what runs in the background with Ctrl-C ignored, and children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """On a CPU but for `-m gpu`: a GPU computes in bfloat16, where equalities are not to 1e-5."""
    if config.getoption("markexpr") != "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
