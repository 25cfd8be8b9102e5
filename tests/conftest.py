"""Settings of all tests."""

from hypothesis import HealthCheck, settings

# How long an example takes says more of the machine's load, or of a sanitizer, than of the code;
# so does how long it takes to draw one.
settings.register_profile("w2stree", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("w2stree")
