"""Settings of all tests."""

import signal

from hypothesis import HealthCheck, settings

# How long an example takes says more of the machine's load, or of a sanitizer, than of the code;
# so does how long it takes to draw one.
settings.register_profile("w2stree", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("w2stree")

# A shell starts what runs in the background with Ctrl-C ignored, and children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
