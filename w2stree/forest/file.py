"""Forests on disk: one file, read at one go and used as it is.

    forest.save("weak.forest")                    open_forest("weak.forest")
      core's columns ──┐                            read ──> checksums, structure ──> Forest
      text tables ─────┴─> .weak.forest.….partial    └── the columns are the bytes that were read
                              └─ fsync, rename

The layout is in `cpp/include/w2stree/file/forest_file.hpp`. A file holds what a forest merges and
by which rule, and no more: prompts, responses and token ids stay with the trajectories.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from w2stree import _core
from w2stree.errors import ForestFileError, InvalidInput
from w2stree.forest.merges import Merges
from w2stree.forest.merging import Merging
from w2stree.forest.openings import Openings, check_openings, refuse_other_opening
from w2stree.forest.parts import ForestParts
from w2stree.forest.stored_rule import Rule, StoredRule, opened
from w2stree.forest.texts import TextColumn
from w2stree.forest.threads import num_threads_or_all
from w2stree.shorten import quoted
from w2stree.trajectories.replacing import refuse_stream, replacing
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest


_MARK = b"\x89W2ST\r\n\x1a"  # how forest files begin
_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def save_forest(forest: Forest, path: str | os.PathLike[str]) -> None:
    """`Forest.save`: all or nothing (`replacing`)."""
    content = content_of(forest)
    with replacing(_followed(path), "wb") as file:
        for piece in content.pieces():
            file.write(piece.data)


def read_forest(path: Path, merging: Merging | None, num_threads: int | None) -> ForestParts:
    """Read the file and verify all of it; `merging` is the rule as far as the file lacks it. See
    `open_forest`."""
    content = _read(path, num_threads_or_all(num_threads))
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
        return file.read(len(_MARK)) == _MARK


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


def _read(path: Path, num_threads: int) -> _core.ForestFile:
    """Read into memory and not mapped: a map of a file that is cut short ends the process (SIGBUS),
    at once or days later, and one that is written to changes under the forest."""
    _check_regular(path, path.stat())  # pipes and devices do things when they are opened
    with os.fdopen(os.open(path, os.O_RDONLY | _AT_ONCE), "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        _check_regular(path, status)
        if not status.st_size:
            raise ForestFileError(f"{path}: byte 0: the file is empty; save the forest again")
        try:
            mark = file.read(len(_MARK))
            if mark != _MARK:  # no forest, and perhaps terabytes of it
                return _core.parse_forest_file(mark)
            memory = np.empty(status.st_size, np.uint8)
            return _core.read_forest_file(file.fileno(), memory, num_threads)
        except ForestFileError as error:
            raise ForestFileError(
                f"{path}: {error}; no forest file, or one of another version, torn or altered: "
                "save the forest again"
            ) from None


def _check_regular(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise ForestFileError(
            f"{path}: a pipe, socket or device, and no file; expected one that Forest.save wrote"
        )


def _followed(path: str | os.PathLike[str]) -> Path:
    """Where a symbolic link leads, since people who link a file elsewhere want it there."""
    refuse_stream(Path(path))
    followed = Path(os.path.realpath(path))
    if followed.is_symlink():  # it leads in a circle
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fspath(path))
    return followed


def check_trajectories(
    forest: Forest, given: Sequence[Trajectory], openings: Openings = "equal"
) -> None:
    """Raises `InvalidInput` naming the first place where `given` are not what the forest holds, or,
    unless `openings` may be any, where two of one task are asked differently."""
    check_openings(openings)
    if len(given) != len(forest.total_return):
        raise InvalidInput(
            f"{len(given)} trajectories given (errors left out); "
            f"the forest was built from {len(forest.total_return)}"
        )
    tree_id = (forest.root.searchsorted(forest.end_node, side="right") - 1).tolist()
    num_steps = forest.depth[forest.end_node]
    first: dict[int, int] = {}
    for i, (trajectory, tree, total_return, length) in enumerate(
        zip(given, tree_id, forest.total_return.tolist(), num_steps.tolist(), strict=True)
    ):
        for what, ours, theirs in (
            ("task_id", forest.task_ids[tree], trajectory.task_id),
            ("total_return", total_return, trajectory.total_return),
            ("number of steps", length, len(trajectory.steps)),
        ):
            if ours != theirs:
                raise InvalidInput(
                    f"trajectories[{i}]: {what} is {theirs!r}; the forest was built from {ours!r}"
                )
        j = first.setdefault(tree, i)
        if openings == "equal" and trajectory.prompt != given[j].prompt:
            places = f"trajectories[{j}]", f"trajectories[{i}]"
            prompts = given[j].prompt, trajectory.prompt
            refuse_other_opening(trajectory.task_id, places[0], prompts[0], places[1], prompts[1])
    actions = [step.action for trajectory in given for step in trajectory.steps]
    _check_texts("action", forest, given, num_steps, actions, forest.action_id, forest.actions)
    if (seen := _as_merged(forest, given)) is not None:
        texts = seen(forest.observations)
        answers = seen([step.observation for t in given for step in t.steps])
        _check_texts("observation", forest, given, num_steps, answers, forest.observation_id, texts)


def _as_merged(
    forest: Forest, given: Sequence[Trajectory]
) -> Callable[[Iterable[str]], list[str]] | None:
    """What observations are known by, under the forest's rule; None where that is not known of
    each alone: similar ones have the name of one of them."""
    rule = forest.parts.rule
    if not isinstance(rule, Merging) or rule.embed is not None:
        return None
    normalize = rule.normalizer
    return list if normalize is None else lambda texts: list(map(normalize, texts))


def _check_texts(
    what: str,
    forest: Forest,
    given: Sequence[Trajectory],
    num_steps: NDArray[np.int32],
    theirs: Sequence[str],
    node_id: NDArray[np.int32],
    texts: Sequence[str],
) -> None:
    """That the steps' texts are those on the paths; `node_id` indexes `texts`, by node."""
    number: dict[str, int] = {}
    numbers = np.fromiter((number.setdefault(text, len(number)) for text in texts), np.int32)
    found = np.fromiter((number.get(text, -1) for text in theirs), np.int32, count=len(theirs))
    # Up from all ends at once: after k rounds everyone is at the step k from its last.
    offset = np.cumsum(num_steps) - num_steps
    ours = np.empty_like(found)
    node, left, place = forest.end_node, num_steps, offset
    while len(node := node[left > 0]):
        place, left = place[left > 0], left[left > 0] - 1
        ours[place + left] = node_id[node]
        node = forest.parent[node]
    differs = numbers[ours] != found
    if not differs.any():
        return
    step = int(differs.argmax())
    i = int(offset.searchsorted(step, side="right")) - 1
    raise InvalidInput(
        f"trajectories[{i}].steps[{step - int(offset[i])}]: {what} is "
        f"{quoted(theirs[step], 200)}; the forest was built from {quoted(texts[ours[step]], 200)}"
    )
