"""TRL's own trainers with a configuration of the user's, on rows that are token ids."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import datasets
from trl import DPOConfig

from w2stree.training.precision import training_precision
from w2stree.training.stage import on_one_device, quiet
from w2stree.training.unshared.agreement import check_dpo, check_sft, told_of_trl
from w2stree.training.unshared.collator import PreferenceCollator
from w2stree.training.unshared.dpo import StepDPOTrainer, refuse_weighed
from w2stree.training.unshared.sft import StepSFTTrainer


def unshared_trainer(rows: Sequence[dict[str, Any]], options: Mapping[str, Any]) -> Any:
    """A trainer of what is given: rows of `tokenize_preferences` for a `DPOConfig`, else of
    `tokenize_sft`; `options` are the trainer's. Rows are as long as they should be: none is cut.

    Rows without the reference's log-probabilities are compared with no reference.

    Raises `InvalidInput` and `MissingDependency` as the checks of `agreement`.
    """
    args = copy.copy(options["args"])
    args.max_length = None
    is_dpo = isinstance(args, DPOConfig)
    precision = training_precision(options["model"], lora=options["peft_config"] is not None)
    with quiet(), told_of_trl():
        if is_dpo:
            refuse_weighed(rows)
            args.precompute_ref_log_probs, args.remove_unused_columns = True, False
            rows = [{"ref_chosen_logps": 0.0, "ref_rejected_logps": 0.0, **row} for row in rows]
            collator = PreferenceCollator(pad_token_id=options["processing_class"].pad_token_id)
            made: Any = StepDPOTrainer(
                rows, **{**options, "args": on_one_device(args)}, data_collator=collator
            )
        else:
            dataset = datasets.Dataset.from_list(list(rows))
            made = StepSFTTrainer(**{**options, "args": on_one_device(args)}, train_dataset=dataset)
    (check_dpo if is_dpo else check_sft)(made, rows[0], precision)
    return made
