"""Files in, files out: how fast runs are read."""

from bench.io.reading import rows

__all__ = ["rows"]
