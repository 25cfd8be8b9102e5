"""How many resamples are drawn at a time: memory stays small however many there are."""

from __future__ import annotations

from w2stree.errors import InvalidInput

_MAX_DRAWN = 1 << 20  # task indices held at a time: 8 MiB


def chunks(num_bootstrap: int, num_tasks: int) -> list[slice]:
    """Parts of `num_bootstrap` resamples of `num_tasks` each, at least 1. Raises `InvalidInput`
    unless `num_bootstrap` is a whole number of at least 1."""
    if not isinstance(num_bootstrap, int) or isinstance(num_bootstrap, bool) or num_bootstrap < 1:
        raise InvalidInput(f"num_bootstrap is {num_bootstrap!r}; give a whole number, at least 1")
    rows = max(1, _MAX_DRAWN // num_tasks)
    return [slice(begin, begin + rows) for begin in range(0, num_bootstrap, rows)]
