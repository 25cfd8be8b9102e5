"""How many resamples are drawn at a time: memory stays small however many there are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from w2stree.errors import InvalidInput

_MAX_DRAWN = 1 << 20  # task indices held at a time: 8 MiB


_MOST = 100_000_000  # resamples: their means are 800 MB


def chunks(num_bootstrap: int, num_tasks: int) -> Iterator[slice]:
    """Parts of `num_bootstrap` resamples of `num_tasks` each, at least 1. Raises `InvalidInput`
    unless `num_bootstrap` is a whole number, of Python or NumPy, of 1 to 100,000,000."""
    is_whole = isinstance(num_bootstrap, int | np.integer) and not isinstance(num_bootstrap, bool)
    if not is_whole or num_bootstrap < 1:
        raise InvalidInput(f"num_bootstrap is {num_bootstrap!r}; give a whole number, at least 1")
    if num_bootstrap > _MOST:
        raise InvalidInput(f"num_bootstrap is {num_bootstrap}; give at most {_MOST:,}")
    rows = max(1, _MAX_DRAWN // num_tasks)
    return (slice(begin, begin + rows) for begin in range(0, int(num_bootstrap), rows))
