"""What an engine is asked of a turn, and what its answer makes of the turn.

    Thought: ─ one request ─> I should go.⏎   Action: ─ one request a token ─> go north

The engine is vLLM, in process or as a server. It is sent token ids and told which ids may come
next, so that a choice there is the choice in process (`w2stree.turns.choices`), token by token:
its own structured outputs spell, and end, a text by other rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput, ModelFailure
from w2stree.policies.pretrained import pretrained
from w2stree.policies.protocol import Episode
from w2stree.turns.grammar import Turn, TurnGrammar

_MAX_SEED = 2**31


def question(grammar: TurnGrammar, turn: Turn, episode: Episode) -> dict[str, Any]:
    """The engine's settings for what `turn` needs next; draws one seed from the episode's rng."""
    settings: dict[str, Any] = {
        "temperature": episode.sampling.temperature,
        "top_p": episode.sampling.top_p,
        "seed": int(episode.rng.integers(_MAX_SEED)),
        "max_tokens": turn.num_askable,
        "logprobs": 0,
        "stop_token_ids": sorted(grammar.stop_ids),
    }
    if turn.allowed is not None:
        settings["allowed_token_ids"] = turn.allowed.tolist()
    elif turn.is_thought:
        settings["stop"] = ["\n"]
    return settings


def hear(
    turn: Turn,
    ids: Sequence[int],
    logprobs: Sequence[float],
    *,
    is_greedy: bool,
    has_stopped: bool,
    engine: str,
) -> None:
    """Push an answer's tokens. What it says beyond the place it was asked for is not the turn's.

    `has_stopped`: the engine says that the model ended, rather than that the limit was reached.
    A greedy choice is certain, whatever probability the engine gives it. Raises `InvalidInput` for
    a token that was not allowed, `ModelFailure` for no answer.
    """
    was_free = turn.allowed is None
    if not ids and not (was_free and has_stopped):
        raise ModelFailure(f"{engine} answers without a token")
    for token, logprob in zip(ids, logprobs, strict=True):
        if turn.allowed is not None and token not in turn.allowed:
            raise InvalidInput(
                f"{engine} ignores allowed_token_ids (its token {token} is none of the "
                f"{len(turn.allowed)}): use vLLM, or free decoding with this server"
            )
        turn.push(token, 0.0 if is_greedy else logprob)
        if turn.is_done or turn.allowed is not None:
            return
    if was_free and has_stopped:
        turn.stop()


def eos_ids(generation: Any) -> list[int]:
    """The ids at which a model's own generation config ends what it says."""
    eos = generation.eos_token_id
    return [] if eos is None else [eos] if isinstance(eos, int) else list(eos)


def eos_ids_in(directory: str | Path) -> list[int]:
    """As `eos_ids`, of the model in a directory as transformers loads it: without a
    generation_config.json, those of config.json. None where there is neither."""
    from transformers import AutoConfig, GenerationConfig

    if (Path(directory) / "generation_config.json").is_file():
        return eos_ids(GenerationConfig.from_pretrained(directory, local_files_only=True))
    if not (Path(directory) / "config.json").is_file():
        return []
    config = pretrained(AutoConfig, directory)
    return eos_ids(GenerationConfig.from_model_config(config))
