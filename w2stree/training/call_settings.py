"""The settings of a training call: TRL's own configurations, `SFTConfig` and `DPOConfig`.

args=None                     TRL's defaults, in the precision that the device trains in
args=DPOConfig(beta=0.05)     as it is; `output_dir` is the call's
"""

from __future__ import annotations

import copy
import dataclasses
import difflib
import math
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from transformers import TrainingArguments

from w2stree.errors import InvalidInput
from w2stree.training.models import best_device
from w2stree.training.precision import has_bfloat16

C = TypeVar("C", bound=TrainingArguments)

_PLACES = ("output_dir", "logging_dir", "hub_token", "push_to_hub_token")
_TOLD = (
    *("report_to", "run_name", "project"),
    *("trackio_space_id", "trackio_bucket_id", "trackio_static_space_id"),
)
"""Where curves go: no weight depends on it, and a training goes on with others."""


def settings(kind: type[C], given: Mapping[str, Any] | None = None) -> C:
    """A configuration of what is given, and for the rest TRL's defaults; but no row is cut
    (`max_length` None), each step is logged, one checkpoint is kept, nothing is reported, no bar is
    drawn, and precision and checkpointing of activations are what the device needs.

    Raises `InvalidInput` for a name that TRL does not have, with the like ones, and for a value
    that it refuses.
    """
    given = dict(given or {})
    known = {f.name for f in dataclasses.fields(kind) if f.init}
    for name in given:
        if name not in known:
            like = difflib.get_close_matches(name, known, n=3)
            meant = f"; there are {', '.join(like)}" if like else ""
            raise InvalidInput(f"{kind.__name__} has no {name!r}{meant}")
    if "output_dir" in given:
        raise InvalidInput("output_dir is the call's own: give it there (--output)")
    hints = get_type_hints(kind)
    given = {name: _typed(name, value, hints[name]) for name, value in given.items()}
    on_cpu = best_device() == "cpu"
    ours: dict[str, Any] = {
        "max_length": None,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_total_limit": 1,
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": on_cpu,
        "bf16": has_bfloat16() and not given.get("fp16"),
        "gradient_checkpointing": not on_cpu,
        "dataloader_pin_memory": not on_cpu,
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of TRL's own defaults
            made: C = kind(output_dir="", **{**ours, **given})
            return made
    except (TypeError, ValueError, ImportError, OSError) as error:
        raise InvalidInput(f"{kind.__name__}: {error}") from error


def _typed(name: str, value: Any, hint: Any) -> Any:
    """The value as its field declares it, which TRL does not look at; YAML reads 1e-5 as text."""
    given = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    allowed = [a for a in given if a is not type(None)]
    if value is None or type(value) in allowed or not set(allowed) <= {bool, int, float, str}:
        return value
    if float in allowed and isinstance(value, int | str) and not isinstance(value, bool):
        with suppress(ValueError):
            return float(value)
    wanted = " or ".join(a.__name__ for a in allowed)
    raise InvalidInput(f"{name} is {value!r}; give {wanted}")


def call_args(kind: type[C], given: C | Mapping[str, Any] | None, *, seed: int | None) -> C:
    """The configuration of a call, its own copy. Raises `InvalidInput` for another class's."""
    if given is None or isinstance(given, Mapping):
        args = settings(kind, given)
    elif isinstance(given, kind):
        args = copy.copy(given)
    else:
        raise InvalidInput(
            f"args is {type(given).__name__}; give trl.{kind.__name__}, or a mapping of its "
            "arguments"
        )
    _refuse_what_no_call_takes(args)
    if seed is not None:
        args.seed = seed
    return args


def _refuse_what_no_call_takes(args: TrainingArguments) -> None:
    """Whatever trains: what the call does itself, and what would train nothing."""
    is_evaluating = getattr(args.eval_strategy, "value", args.eval_strategy) != "no"
    reasons = {
        "resume_from_checkpoint": (
            args.resume_from_checkpoint is not None,
            "the same call goes on from its last checkpoint by itself",
        ),
        "eval_strategy": (
            is_evaluating or args.load_best_model_at_end,
            "the held-out tasks are measured before and after, not on the way",
        ),
        "push_to_hub": (args.push_to_hub, "nothing is sent to anybody; push the folder it leaves"),
    }
    for name, (is_given, why) in reasons.items():
        if is_given:
            raise InvalidInput(f"{name}: {why}; leave it out")
    if args.max_steps == 0 or (args.max_steps < 0 and args.num_train_epochs <= 0):
        raise InvalidInput(
            f"max_steps is {args.max_steps} and num_train_epochs {args.num_train_epochs:g}: "
            "nothing would be trained; give one of them above 0"
        )
    for name in ("per_device_train_batch_size", "gradient_accumulation_steps"):
        if getattr(args, name) < 1:
            raise InvalidInput(f"{name} is {getattr(args, name)}; give at least 1")
    if not (args.learning_rate >= 0 and math.isfinite(args.learning_rate)):
        raise InvalidInput(f"learning_rate is {args.learning_rate}; give a number of at least 0")


def with_folder(args: C, folder: Path, *, max_length: int) -> C:
    """A copy that keeps its checkpoints there, for rows of up to so many tokens."""
    placed = copy.copy(args)
    placed.output_dir, placed.max_length = str(folder), max_length
    return placed


def changed_settings(args: Any) -> dict[str, Any]:
    """What differs from the defaults of its class, as plain values; no folders, no secrets, no
    trackers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of TRL's own defaults
        usual = type(args)(output_dir="", use_cpu=args.use_cpu, bf16=False).to_dict()
    usual["bf16"] = True  # TRL's default, which a device without bfloat16 refuses to make
    plain = args.to_dict()
    return {
        name: value
        for name, value in plain.items()
        if name not in (*_PLACES, *_TOLD) and name in usual and value != usual[name]
    }
