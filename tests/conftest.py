"""Settings of all tests."""

from hypothesis import settings

# How long an example takes says more of the machine's load, or of a sanitizer, than of the code.
settings.register_profile("w2stree", deadline=None)
settings.load_profile("w2stree")
