"""A row of token ids, as another tool wrote it, read back.

input_ids   7  8  9  3          one sequence, seen whole from its first id
labels      -  -  9  3          the id itself where it is learned, -100 where it is context
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from w2stree.errors import InvalidInput
from w2stree.rows.tokenized import IGNORED


class LabelledRow(NamedTuple):
    """Its two columns, of one length."""

    input_ids: list[int]
    labels: list[int]
    first_label: int
    """Where the first token stands that is learned: what is before it is the task."""


def token_row(record: Mapping[str, Any], where: str, *, vocabulary: int | None) -> LabelledRow:
    """A row of `input_ids` and `labels`; `vocabulary` is how many ids the tokenizer has, None for
    not known.

    Raises `InvalidInput`, beginning with `where`, for what is not two lists of whole numbers of one
    length, for hidden or packed sequences, for ids of another tokenizer, for a label that is
    neither -100 nor the id, and where no token is labelled after the first.
    """
    ids, labels = (_ids(record.get(name)) for name in ("input_ids", "labels"))
    if ids is None or labels is None:
        raise InvalidInput(f"{where}: input_ids and labels are not two lists of integers")
    _refuse_other_sequences(record, len(ids), where)
    if len(ids) != len(labels) or not ids:
        raise InvalidInput(f"{where}: {len(ids)} input_ids, but {len(labels)} labels")
    if vocabulary is not None and not 0 <= min(ids) <= max(ids) < vocabulary:
        raise InvalidInput(
            f"{where}: ids of another tokenizer ({min(ids)} to {max(ids)}; this one has "
            f"{vocabulary}): make the rows with this model's"
        )
    pairs = enumerate(zip(ids, labels, strict=True))
    wrong = next((t for t, (a, x) in pairs if x not in (IGNORED, a)), None)
    if wrong is not None:
        raise InvalidInput(f"{where}: labels[{wrong}] is neither {IGNORED} nor input_ids[{wrong}]")
    first = next((t for t, x in enumerate(labels) if x != IGNORED and t), None)
    if first is None:
        raise InvalidInput(f"{where} labels no token; there is nothing to learn from")
    return LabelledRow(ids, labels, first)


def _refuse_other_sequences(record: Mapping[str, Any], length: int, where: str) -> None:
    """A row is one sequence, seen whole from its first id."""
    mask, positions, lengths = (
        _listed(record, name, where) for name in ("attention_mask", "position_ids", "seq_lengths")
    )
    if mask is not None and not all(mask):
        raise InvalidInput(f"{where}: attention_mask hides tokens; leave these and padding out")
    is_packed = lengths is not None and len(lengths) > 1
    if is_packed or (positions is not None and positions != list(range(length))):
        raise InvalidInput(f"{where} packs several sequences; give each its own row")


def _listed(record: Mapping[str, Any], name: str, where: str) -> list[Any] | None:
    given = record.get(name)
    if given is None:
        return None
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise InvalidInput(
            f"{where}: {name} is {type(given).__name__}; give a list, or leave it out"
        )
    return list(given)


def _ids(given: Any) -> list[int] | None:
    if not isinstance(given, Sequence) or not all(type(x) is int for x in given):
        return None
    return list(given)
