"""The model's figures in lines of Markdown: beside what was measured, and of more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.scale.cost_model import Cost, CostModel, Shape, shape_of
from bench.scale.measured import Measurement

_HOUR = 3_600


def compared(model: CostModel, measured: Sequence[Measurement]) -> Iterator[str]:
    """A line each: predicted / measured."""
    yield (
        "| steps | buckets | fragments | sort, s | make, s | shuffle, MB | output, MB | memory, MB "
        "| by the clock, s |"
    )
    yield "|--:" * 9 + "|"
    for one in measured:
        cost = model.cost(shape_of(one))
        yield " | ".join(
            [
                f"| {one.steps:,}",
                f"{one.num_buckets:,}",
                f"{one.fragments:,}",
                f"{cost.sort_s:.3g} / {one.sort.cpu_s:.3g}",
                f"{cost.make_s + cost.looks_s:.3g} / {one.make.cpu_s:.3g}",
                f"{_mb(cost.shuffle)} / {_mb(one.shuffle)}",
                f"{_mb(cost.output)} / {_mb(one.output)}",
                f"{_mb(cost.memory)} / {_mb(one.peak)}",
                f"{one.wall_s:,.0f} |",
            ]
        )


def predicted(
    model: CostModel, steps: Sequence[float], larger: int, together: float
) -> Iterator[str]:
    """Of so many steps, by as many buckets as the command takes and by `larger` ones; of each of
    them a line for rows in any order, and one for `together` of a task (`CostModel.shape`)."""
    yield (
        "| steps | buckets | pieces | fragments | looks | core-hours: steps | fragments | looks "
        "| shuffle, GB | disk, GB | memory, GB |"
    )
    yield "|--:" * 11 + "|"
    for number in steps:
        usual = model.shape(number).buckets
        for buckets in (usual, max(1.0, round(usual / larger))):
            for side_by_side in (1.0, together):
                shape = model.shape(number, buckets, side_by_side)
                yield _line(model, shape, model.cost(shape))


def _line(model: CostModel, shape: Shape, cost: Cost) -> str:
    of_fragments = float(model.sort[1] + model.make[1]) * shape.fragments
    return " | ".join(
        [
            f"| {shape.steps:.0e}",
            f"{shape.buckets:,.0f}",
            f"{shape.pieces:,.0f}",
            f"{shape.fragments:,.0f}",
            f"{shape.looks:,.0f}",
            f"{(cost.sort_s + cost.make_s - of_fragments) / _HOUR:,.2f}",
            f"{of_fragments / _HOUR:,.2f}",
            f"{cost.looks_s / _HOUR:,.2f}",
            f"{cost.shuffle / 1e9:,.1f}",
            f"{cost.disk / 1e9:,.1f}",
            f"{cost.memory / 1e9:,.1f} |",
        ]
    )


def _mb(num_bytes: float) -> str:
    return f"{num_bytes / 1e6:,.0f}"
