"""Options given from Python: a wrong type is one typed error that names the field and the fix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from w2stree.environments.hosting.limits import Limits
from w2stree.environments.options import TextWorldExpressOptions
from w2stree.errors import InvalidInput
from w2stree.forest.merging import Merging
from w2stree.policies.protocol import Sampling
from w2stree.rollouts.exploration import Budget
from w2stree.training.models import Architecture
from w2stree.training.optimisation import Lora, Optimisation
from w2stree.trajectories.origin import Origin
from w2stree.turns.decoding import Decoding

OPTIMISED = {"num_epochs": 1, "learning_rate": 1e-3}
SIZES = {"hidden_size": 8, "num_layers": 1, "num_heads": 1, "intermediate_size": 8}
WRONG: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    (Merging, {"min_similarity": "0.9", "embed": len}, "min_similarity is '0.9'; give a number"),
    (Merging, {"min_similarity": True, "embed": len}, "min_similarity is True; give a number"),
    (Sampling, {"temperature": "x"}, "temperature is 'x'; give a number"),
    (Sampling, {"temperature": None}, "temperature is None; give a number"),
    (Sampling, {"top_p": True}, "top_p is True; give a number"),
    (Sampling, {"top_p": [1.0]}, r"top_p is \[1.0\]; give a number"),
    (Decoding, {"max_new_tokens": "64"}, "max_new_tokens is '64'; give a whole number"),
    (Decoding, {"thought": "no"}, "thought is 'no'; give True or False"),
    (Decoding, {"actions": ["free"]}, "actions is .* use one of admissible, free"),
    (Limits, {"deadline_s": "60"}, "deadline_s is '60'; give a number"),
    (Limits, {"max_episodes": 2.5}, "max_episodes is 2.5; give a whole number or None"),
    (Optimisation, {**OPTIMISED, "batch_size": 8.0}, "batch_size is 8.0; give a whole number"),
    (Optimisation, {**OPTIMISED, "num_epochs": "3"}, "num_epochs is '3'; give a number"),
    (Optimisation, {**OPTIMISED, "lora": True}, "lora is True; give a Lora or None"),
    (Lora, {"r": "64"}, "r is '64'; give a whole number"),
    (Lora, {"target_modules": "q_proj"}, "target_modules is 'q_proj'; give a list of names, or"),
    (Lora, {"target_modules": ("q_proj", 1)}, r"target_modules is \('q_proj', 1\); give a list"),
    (Architecture, {**SIZES, "num_heads": "1"}, "num_heads is '1'; give a whole number"),
    (Budget, {"episodes": "many"}, "episodes is 'many'; give a whole number or None"),
    (Budget, {"wall_seconds": False}, "wall_seconds is False; give a number or None"),
    (
        TextWorldExpressOptions,
        {"game": "twc", "num_processes": "4"},
        "num_processes is '4'; give a whole number",
    ),
    (TextWorldExpressOptions, {"game": "twc", "limits": {}}, "limits is {}; give a Limits"),
    (Origin, {"sample_index": "a"}, "origin: sample_index is 'a'; expected an integer"),
    (Origin, {"attempt": None}, "origin: attempt is None; expected an integer"),
    (Origin, {"seed": np.bool_(True)}, "origin: seed is .*True.*; expected an integer"),
    (Origin, {"top_p": float("nan")}, "origin: top_p is nan; expected a finite number"),
    (Origin, {"model": 1}, "origin: model is int; expected a string"),
]


@pytest.mark.parametrize(("kind", "given", "message"), WRONG)
def test_a_wrong_type_is_named(
    kind: Callable[..., Any], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        kind(**given)


def test_a_long_value_is_cut() -> None:
    with pytest.raises(InvalidInput) as told:
        Sampling(temperature="x" * 1000)  # type: ignore[arg-type]
    assert len(str(told.value)) < 120


def test_what_is_as_good_passes() -> None:
    assert Sampling(temperature=1, top_p=np.float64(0.5)).top_p == 0.5
    assert Lora(target_modules=["q_proj"]).r == 64  # type: ignore[arg-type]
    assert Limits(memory_limit_mb=None).memory_limit_mb is None
    assert Optimisation(num_epochs=1, learning_rate=1e-3, lora=Lora()).lora == Lora()
    assert Origin(temperature=1, sample_index=0).temperature == 1
