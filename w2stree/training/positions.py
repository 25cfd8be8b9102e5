"""How many tokens a model may see at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from w2stree.errors import InvalidInput


def num_positions(config: Any) -> int | None:
    """By a model's configuration of transformers; None where it names no limit."""
    found = getattr(config.get_text_config(), "max_position_embeddings", None)
    return found if isinstance(found, int) and found > 0 else None


def refuse_beyond_positions(
    config: Any, lengths: Sequence[int], *, sequences_a_row: int = 1
) -> None:
    """Raises `InvalidInput` for a sequence of more tokens than the model has positions.

    Some models fail there with an index of a table, the others go on at positions that they have
    never seen.
    """
    limit = num_positions(config)
    for i, length in enumerate(lengths):
        if limit is not None and length > limit:
            raise InvalidInput(
                f"rows[{i // sequences_a_row}] has {length} tokens, the model {limit} positions: "
                f"lower max_length to {limit}"
            )
