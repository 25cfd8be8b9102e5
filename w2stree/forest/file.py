"""Forests on disk: one file, read where it lies.

    forest.save("weak.forest")                    open_forest("weak.forest")
      core's columns ──┐                            map ──> checksums, structure ──> Forest
      text tables ─────┴─> .weak.forest.partial      └── the columns are the file's own pages
                              └─ fsync, rename

The layout is in `cpp/include/w2stree/forest_file.hpp`. A file holds what a forest merges and by
which rule, and no more: prompts, responses and token ids stay with the trajectories.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from w2stree import _core
from w2stree.errors import ForestFileError, InvalidInput
from w2stree.forest.merges import Merges
from w2stree.forest.merging import Merging
from w2stree.forest.parts import ForestParts
from w2stree.forest.stored_rule import Rule, StoredRule, opened
from w2stree.forest.texts import TextColumn
from w2stree.forest.threads import num_threads_or_all
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest


def save_forest(forest: Forest, path: str | os.PathLike[str]) -> None:
    """`Forest.save`: all or nothing, a temporary file beside `path`, synced, then renamed."""
    content = content_of(forest)
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}.partial")
    try:
        with partial.open("wb") as file:
            for piece in content.pieces():
                file.write(piece.data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        if error.filename is None:  # a full disk does not say which
            error.filename = str(target)
        raise
    finally:
        partial.unlink(missing_ok=True)
    _sync_directory(target.parent)


def read_forest(path: Path, merging: Merging | None, num_threads: int | None) -> ForestParts:
    """Map the file and verify all of it; `merging` is the rule as far as the file lacks it. See
    `open_forest`."""
    content = _parse(path, num_threads_or_all(num_threads))
    task_ids = tuple(TextColumn(*content.task_ids))
    if len(set(task_ids)) != len(task_ids):
        raise ForestFileError(f"{path}: two trees have one task id; save the forest again")
    return ForestParts(
        content.forest,
        task_ids=task_ids,
        actions=TextColumn(*content.actions),
        observations=TextColumn(*content.observations),
        num_errors=content.num_errors,
        rule=_rule(path, content, merging),
        merges=Merges(*content.merges),
    )


def content_of(forest: Forest) -> _core.ForestFileBytes:
    """The bytes of a forest's file, which borrow its columns."""
    merges = forest.parts.merges
    return _core.ForestFileBytes(
        forest.core,
        packed(forest.task_ids),
        packed(forest.actions),
        packed(forest.observations),
        forest.num_errors,
        *_rule_columns(forest.parts.rule),
        (merges.made, merges.seen, merges.count),
        num_threads=num_threads_or_all(None),
    )


def is_forest_file(path: Path) -> bool:
    """Whether the file begins as forest files do."""
    with path.open("rb") as file:
        return file.read(8) == b"\x89W2ST\r\n\x1a"


def packed(texts: Sequence[str]) -> TextColumn:
    """Texts as a column of nothing else: bytes before the first and after the last are cut."""
    column = texts if isinstance(texts, TextColumn) else TextColumn.of(texts)
    begin, end = int(column.offset[0]), int(column.offset[-1])
    if begin == 0 and end == column.data.size:
        return column
    return TextColumn(column.data[begin:end], column.offset - begin)


def _rule_columns(rule: Rule) -> tuple[TextColumn, NDArray[np.float64]]:
    if rule is None:
        return TextColumn.of(()), np.zeros(0, np.float64)
    stored = StoredRule.of(rule) if isinstance(rule, Merging) else rule
    names, min_similarity = stored.columns()
    return TextColumn.of(names), min_similarity


def _rule(path: Path, content: _core.ForestFile, given: Merging | None) -> Rule:
    stored = StoredRule.from_columns(TextColumn(*content.rule), content.min_similarity)
    try:
        return opened(stored, given)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from None


def _parse(path: Path, num_threads: int) -> _core.ForestFile:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise ForestFileError(f"{path}: byte 0: the file is empty; save the forest again")
        mapped = _map(file.fileno())
    try:
        return _core.parse_forest_file(mapped, num_threads=num_threads)
    except ForestFileError as error:
        raise ForestFileError(
            f"{path}: {error}; no forest file, or one of another version, torn or altered: "
            "save the forest again"
        ) from None


def _map(descriptor: int) -> mmap.mmap:
    """Read-only; where the system can, with its pages present at once, not fault by fault."""
    if hasattr(mmap, "MAP_POPULATE"):
        flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
        return mmap.mmap(descriptor, 0, flags=flags, prot=mmap.PROT_READ)
    return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)


def _sync_directory(path: Path) -> None:
    """Makes a rename last through a power cut, where directories can be synced."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_trajectories(forest: Forest, given: Sequence[Trajectory]) -> None:
    """Raises `InvalidInput` naming the index where `given` are not what the forest holds."""
    if len(given) != len(forest.total_return):
        raise InvalidInput(
            f"{len(given)} trajectories given (errors left out); "
            f"the forest was built from {len(forest.total_return)}"
        )
    tree_id = forest.root.searchsorted(forest.end_node, side="right") - 1
    num_steps = forest.depth[forest.end_node]
    for i, trajectory in enumerate(given):
        for what, ours, theirs in (
            ("task_id", forest.task_ids[tree_id[i]], trajectory.task_id),
            ("total_return", float(forest.total_return[i]), trajectory.total_return),
            ("number of steps", int(num_steps[i]), len(trajectory.steps)),
        ):
            if ours != theirs:
                raise InvalidInput(
                    f"trajectories[{i}]: {what} is {theirs!r}; the forest was built from {ours!r}"
                )
    _check_actions(forest, given, num_steps)


def _check_actions(
    forest: Forest, given: Sequence[Trajectory], num_steps: NDArray[np.int32]
) -> None:
    number = {action: i for i, action in enumerate(forest.actions)}
    theirs = np.fromiter(
        (number.get(step.action, -1) for trajectory in given for step in trajectory.steps),
        np.int32,
        count=int(num_steps.sum()),
    )
    # Up from all ends at once: after k rounds everyone is at the step k from its last.
    offset = np.cumsum(num_steps) - num_steps
    ours = np.empty_like(theirs)
    node, left, place = forest.end_node, num_steps, offset
    while len(node := node[left > 0]):
        place, left = place[left > 0], left[left > 0] - 1
        ours[place + left] = forest.action_id[node]
        node = forest.parent[node]
    if (ours == theirs).all():
        return
    step = int((ours != theirs).argmax())
    i = int(offset.searchsorted(step, side="right")) - 1
    raise InvalidInput(
        f"trajectories[{i}].steps[{step - int(offset[i])}]: action is "
        f"{given[i].steps[step - int(offset[i])].action!r}; "
        f"the forest was built from {forest.actions[ours[step]]!r}"
    )
