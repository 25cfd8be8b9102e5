"""Records that are nearly right: a sample of a format with a few places changed.

{"meta": {"reward": 1.0}, …}  ──>  {"meta": [], …}   {…}   {"meta": {"reward": "x"}, …}
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

Path = tuple[Any, ...]

# What JSON and tables can have: infinity is 1e999 in JSON, NaN a table's.
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, -1e308, float("inf"), float("nan"), 10**400]),
    st.text(max_size=4),
    st.sampled_from(["gpt", "human", "assistant", "tool", "OK", "\ud83d", "{}", "a/b", "exit_api"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def mangled(draw: st.DrawFn, samples: list[Any]) -> Any:
    """One of the samples with one to three of its places replaced, dropped, doubled or given
    another place's value."""
    value = copy.deepcopy(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(value))
        path = draw(st.sampled_from(places))
        if not path:
            continue
        how = draw(st.sampled_from(["replace", "drop", "double", "move"]))
        new = copy.deepcopy(_at(value, draw(st.sampled_from(places))))
        _change(value, path, how, new if how == "move" else draw(VALUES))
    return value


def _places(value: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _places(inner, (*path, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _places(inner, (*path, i))


def _at(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


def _change(value: Any, path: Path, how: str, new: Any) -> None:
    within, key = _at(value, path[:-1]), path[-1]
    if how == "drop":
        del within[key]
    elif how == "double" and isinstance(within, list):
        within.insert(key, copy.deepcopy(within[key]))
    else:
        within[key] = new
