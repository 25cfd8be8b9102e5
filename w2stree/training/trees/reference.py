"""A reference's scores of sequences, computed once on packs and kept in a folder.

    sequences  --parts, packs-->  scores           folder/<pack>-<model>.json   the scores, and a
    (the reference's own ids)                                                   checksum of them

A reference of another tokenizer has sequences of its own, in the same order: only scores meet the
policy's.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from w2stree.errors import InvalidInput, ModelFailure
from w2stree.training.models import best_device
from w2stree.training.positions import refuse_beyond_positions
from w2stree.training.precision import training_precision
from w2stree.training.trees.attention.forward import tree_attention
from w2stree.training.trees.cut import parts
from w2stree.training.trees.pack import Pack, pack
from w2stree.training.trees.scores import PackTensors, scores
from w2stree.training.trees.sequences import ScoredIds

Floats = NDArray[np.float64]

_NOT_THE_MODEL = ("_name_or_path", "transformers_version", "dtype", "torch_dtype", "use_cache")


def reference_scores(
    model: Any,
    sequences: Sequence[ScoredIds],
    *,
    max_pack_tokens: int,
    lora: bool = False,
    attention: str = "auto",
    cache: str | os.PathLike[str] | None = None,
    sequences_a_row: int = 1,
) -> Floats:
    """`[num_sequences]` each one's score under `model`, as a policy in training computes its own.

    The model's weights move to the GPU, if there is one, and are cast as if it were trained, with
    adapters (`lora`) or whole: a reference is compared with a policy in training. `max_pack_tokens`
    are computed at a time. No gradient is kept.

    `cache`: a folder. Scores that were computed before, of an equal pack by an equal model
    (`model_digest`) in equal precision, are read from it, and others are written to it. A file that
    does not say what it must is computed anew and replaced: it is never trusted.

    Raises `InvalidInput` for a sequence of more tokens than the model has positions
    (`sequences_a_row` of them are a row, by whose number it is named), for a model that trees
    cannot take and for a folder that cannot be written; `ModelFailure` for a score that is no
    finite number.
    """
    refuse_beyond_positions(
        model.config, [len(s.ids) for s in sequences], sequences_a_row=sequences_a_row
    )
    precision = training_precision(model, lora=lora)
    model = model.to(best_device(), precision.weights).eval()
    folder = None
    if cache is not None:
        computed_in = f"{'bfloat16' if precision.is_autocast else precision.weights}"
        folder = _Folder(Path(cache), f"{model_digest(model)} in {computed_in}")
    found = np.empty(len(sequences), np.float64)
    with tree_attention(model):
        for which in parts(sequences, max_pack_tokens):
            packed = pack([sequences[i] for i in which.tolist()])
            found[which] = _of(model, packed, attention, folder, precision.autocast())
    return found


def plain(value: Any) -> Any:
    """For `json.dumps`: a set, as PEFT keeps names of layers, is written alike by each process."""
    return sorted(value) if isinstance(value, set | frozenset) else str(value)


def model_digest(model: Any) -> str:
    """What scores depend on of a model, in 128 bits (hex): its weights by name, type and bytes, its
    configuration, and which adapters are at work. Reads all weights: about a second a gigabyte."""
    hashed = blake2b(digest_size=16)
    config = {k: v for k, v in model.config.to_dict().items() if k not in _NOT_THE_MODEL}
    adapters = {
        name: config.to_dict() for name, config in getattr(model, "peft_config", {}).items()
    }
    layers = [
        (name, module.disable_adapters, list(module.active_adapters), list(module.merged_adapters))
        for name, module in model.named_modules()
        if hasattr(module, "merged_adapters")
    ]
    said = [type(model).__name__, config, adapters, layers]
    hashed.update(json.dumps(said, sort_keys=True, default=plain).encode())
    for name, tensor in sorted(model.state_dict().items()):
        hashed.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        hashed.update(flat.view(torch.uint8).numpy().data)
    return hashed.hexdigest()


def _of(
    model: Any,
    packed: Pack,
    attention: str,
    folder: _Folder | None,
    autocast: AbstractContextManager[Any],
) -> Floats:
    known = folder.read(packed) if folder is not None else None
    if known is not None:
        return known
    with torch.no_grad(), autocast:
        on_device = PackTensors.of(packed, best_device())
        found: Floats = scores(model, on_device, attention=attention).cpu().double().numpy()
    if not np.isfinite(found).all():
        raise ModelFailure(
            f"the reference's scores of {int((~np.isfinite(found)).sum())} of {len(found)} "
            "sequences are no finite numbers: the model is damaged, or computes in too low a "
            "precision"
        )
    if folder is not None:
        folder.write(packed, found)
    return found


class _Folder:
    """Scores by pack, of one model."""

    def __init__(self, path: Path, model: str) -> None:
        self._path, self._model = path, model

    def read(self, packed: Pack) -> Floats | None:
        """None where there are none, or a file says something else than it must."""
        try:
            kept = json.loads(self._file(packed).read_bytes())
            found = np.array(kept["scores"], np.float64)
            is_ours = kept == self._record(packed, found)
        except (OSError, ValueError, TypeError, KeyError):
            return None
        is_whole = found.shape == (packed.num_sequences,) and bool(np.isfinite(found).all())
        return found if is_ours and is_whole else None

    def write(self, packed: Pack, found: Floats) -> None:
        """Whole or not at all: a file is put in its place when it is complete."""
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "w", dir=self._path, prefix=".", suffix=".tmp", delete=False
            ) as file:
                json.dump(self._record(packed, found), file)
            Path(file.name).replace(self._file(packed))
        except OSError as error:
            raise InvalidInput(
                f"{self._path}: the reference's scores cannot be kept there ({error}); give "
                "another folder, or none"
            ) from error

    def _file(self, packed: Pack) -> Path:
        named = blake2b(self._model.encode(), digest_size=16).hexdigest()
        return self._path / f"{packed.digest()}-{named}.json"

    def _record(self, packed: Pack, found: Floats) -> dict[str, Any]:
        said = {"pack": packed.digest(), "model": self._model, "scores": found.tolist()}
        check = blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=16)
        return {**said, "check": check.hexdigest()}
