"""Numbers in planes: some of many are what all of them have there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2stree.store.packing import DamagedBlock, Planes, to_planes

numbers = st.lists(st.one_of(st.just(0), st.integers(0, 2**32 - 1)), max_size=40)


@given(numbers, st.data())
def test_a_stretch_and_the_zeros_before_it(values: list[int], data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(values)))
    end = data.draw(st.integers(begin, len(values)))
    planes = Planes(b"before" + to_planes(np.array(values, np.int64)), len(values), 6)
    assert planes.numbers().tolist() == values
    assert planes.numbers(begin, end).tolist() == values[begin:end]
    assert planes.num_zeros(begin) == values[:begin].count(0)


def test_planes_that_are_not_all_there() -> None:
    with pytest.raises(DamagedBlock, match="it has 7 bytes; expected 8 at least"):
        Planes(to_planes(np.array([1, 2], np.int64))[:7], 2)
