"""Preference rows as a padded batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

_SIDES = ("chosen", "rejected")


@dataclass(frozen=True, slots=True)
class PreferenceCollator:
    """What TRL's DPO takes as a batch: all chosen sequences, then all rejected ones.

    prompt │ agent turn │ observation │ agent turn │ padding
    0 0 0    1 1 1 1      0 0 0 0 0     1 1 1        0 0        completion_mask

    TRL's own collator scores every token after the prompt. Here a row's `chosen_mask` and
    `rejected_mask` say which; a row without them has all of its completions scored. The reference's
    `ref_chosen_logps` and `ref_rejected_logps` are passed on where the rows have them.
    """

    pad_token_id: int

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        sides = [(row, side) for side in _SIDES for row in rows]
        ids = [row["prompt_ids"] + row[f"{side}_ids"] for row, side in sides]
        masks = [[0] * len(row["prompt_ids"]) + _mask(row, side) for row, side in sides]
        batch = {
            "input_ids": _padded(ids, self.pad_token_id),
            "attention_mask": _padded([[1] * len(one) for one in ids], 0),
            "completion_mask": _padded(masks, 0),
        }
        for name in (f"ref_{side}_logps" for side in _SIDES):
            if name in rows[0]:
                batch[name] = torch.tensor([row[name] for row in rows])
        return batch


def _mask(row: dict[str, Any], side: str) -> list[int]:
    mask: list[int] = row.get(f"{side}_mask", [1] * len(row[f"{side}_ids"]))
    return mask


def _padded(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    tensors = [torch.tensor(row, dtype=torch.long) for row in rows]
    return pad_sequence(tensors, batch_first=True, padding_value=value)
