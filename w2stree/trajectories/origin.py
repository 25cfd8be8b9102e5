"""How a rollout was made.

plan     sample_index attempt seed prefix_length
sampling temperature top_p model                      ──> a trajectory
policy   policy tokenizer              what ended it: error, truncated_by
                                       its score: raw_return
                                       its length: num_tokens
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.trajectories import fields

_READ: dict[str, Any] = {
    "sample_index": fields.integer,
    "attempt": fields.integer,
    "seed": fields.integer,
    "prefix_length": fields.integer,
    "temperature": fields.number,
    "top_p": fields.number,
    "model": fields.text,
    "policy": fields.text,
    "tokenizer": fields.text,
    "error": fields.text,
    "truncated_by": fields.text,
    "raw_return": fields.number,
    "num_tokens": fields.integer,
}
_SINCE_0_1_0 = ("truncated_by", "raw_return", "num_tokens")
_NEVER_NONE = ("attempt", "prefix_length")


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of a rollout's making; None is not known.

    The (`attempt`+1)-th try of sample `sample_index` of its task, in a run of `seed`. Its first
    `prefix_length` steps were another trajectory's: it was started from where they lead.
    `temperature`, `top_p` and `model` ("tuned" or "base") are the sampling configuration's.
    `policy` names who played; `tokenizer` is the fingerprint of the tokenizer that the steps'
    `token_ids` are of, only where that is certain. `error`: what ended an episode of that status.
    `truncated_by`: what ended a truncated one, where it was not its step limit.
    `raw_return`: the environment's own score, only where its adapter cut it to get `total_return`
    into [0, 1].
    `num_tokens`: how many tokens were sampled for its own steps, only where some of these have no
    ids to count and the server said how many.

    Raises `InvalidInput` naming the field of another type.
    """

    sample_index: int | None = None
    attempt: int = 0
    seed: int | None = None
    prefix_length: int = 0
    temperature: float | None = None
    top_p: float | None = None
    model: str | None = None
    policy: str | None = None
    tokenizer: str | None = None
    error: str | None = None
    truncated_by: str | None = None
    raw_return: float | None = None
    num_tokens: int | None = None

    def __post_init__(self) -> None:
        for name, read in _READ.items():
            value = getattr(self, name)
            if value is not None or name in _NEVER_NONE:
                try:
                    fields.keep(self, name, read)
                except InvalidInput as error:
                    raise InvalidInput(f"origin: {error}") from None


UNKNOWN = Origin()
"""Nothing is known."""


def making(origin: Origin) -> dict[str, Any]:
    """Who played, and with what sampling, by a reader's words; what is known of it."""
    said = {
        "policy": origin.policy,
        "model": origin.model,
        "sample": origin.sample_index,
        "attempt": origin.attempt or None,
        "seed": origin.seed,
        "temperature": origin.temperature,
        "top_p": origin.top_p,
    }
    return {word: value for word, value in said.items() if value is not None}


def record_of(origin: Origin) -> dict[str, Any]:
    """The fields that say something, for JSON."""
    values = {name: getattr(origin, name) for name in _READ}
    return {name: v for name, v in values.items() if v != getattr(UNKNOWN, name)}


def parse_origin(record: dict[str, Any]) -> Origin:
    """What is null is not known. Raises `InvalidInput` naming the field that is unknown or of
    another type."""
    try:
        fields.refuse_unknown(record, Origin)
    except InvalidInput as error:
        raise InvalidInput(f"origin: {error}") from None
    known = {name: value for name, value in record.items() if value is not None}
    return Origin(**known) if known else UNKNOWN


def split_info(info: dict[str, Any]) -> tuple[Origin, dict[str, Any]]:
    """The origin in a record's `info`, where 0.1.0 wrote it, and the rest of `info`.

    A rollout of ours always said which sample it was, a demonstration only who played, and a
    tokenizer's fingerprint was read from any log. Anything else by these names is the user's own.
    """
    is_ours = "sample_index" in info or info == {"policy": "expert"}
    known = [name for name in _READ if name not in _SINCE_0_1_0]
    names = known if is_ours else {"tokenizer"} if isinstance(info.get("tokenizer"), str) else ()
    said = {name: value for name, value in info.items() if name in names}
    rest = {name: value for name, value in info.items() if name not in names}
    try:
        return parse_origin(said), rest
    except InvalidInput as error:
        raise InvalidInput(f"info (of a record without `origin`): {error}") from None
