"""What stock TRL makes of rows: its tokens, where it cuts them, what it masks.

    prompt ─template─> prompt_ids          prompt + chosen ─template─> prompt_ids │ chosen_ids
    kept: the first max_length ids of each side (1,024 unless set); a row whose prompt alone has as
    many is dropped, behind a progress bar

As TRL 1.16 does it (`DPOTrainer._prepare_dataset`, `DataCollatorForPreference`,
`SFTTrainer._prepare_dataset`); TRL itself is not imported, and no torch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.rows.rows import PreferenceRow
from w2stree.trajectories.answers import answers_to, with_answers
from w2stree.trajectories.trajectory import Message, Step
from w2stree.turns.template import own_template, stop_clock, trl_folder

DEFAULT_MAX_LENGTH = 1024
"""Of DPOConfig and SFTConfig."""

_GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")


@dataclass(frozen=True, slots=True)
class StockPair:
    """A preference row in the ids that DPOTrainer gives it."""

    prompt_ids: list[int]
    """Of the prompt alone; DPOTrainer keeps of them what both sides begin with."""
    num_shared: int
    chosen_ids: list[int]
    """Prompt and side together; `rejected_ids` likewise."""
    rejected_ids: list[int]

    @property
    def is_prefix(self) -> bool:
        return self.num_shared == len(self.prompt_ids)

    def is_dropped(self, max_length: int) -> bool:
        return self.num_shared >= max_length

    def is_cut(self, max_length: int) -> bool:
        longest = max(len(self.chosen_ids), len(self.rejected_ids))
        return not self.is_dropped(max_length) and longest > max_length

    def is_equal(self, max_length: int) -> bool:
        """Whether the cut leaves nothing to prefer."""
        chosen, rejected = self.chosen_ids[:max_length], self.rejected_ids[:max_length]
        return not self.is_dropped(max_length) and chosen == rejected


def stock_pair(row: PreferenceRow, tokenizer: Any, *, is_read: bool) -> StockPair | None:
    """None where stock TRL is given no such row: tool calls, two histories. `is_read`: from a file,
    which may end with an answer; what is made here never does."""
    sides = row.chosen.steps[: row.end], row.rejected.steps[: row.end]
    if not row.is_one_history or any(step.tool_calls for steps in sides for step in steps):
        return None
    context = messages(row.chosen.prompt, with_answers(row.chosen)[: row.begin])
    prompt = token_ids(tokenizer, context, generate=True)
    chosen, rejected = (
        token_ids(tokenizer, context + side_messages(turns, is_read), generate=False)
        for turns in (with_answers(s)[row.begin : row.end] for s in (row.chosen, row.rejected))
    )
    shared = min(_num_shared(prompt, chosen), _num_shared(prompt, rejected))
    return StockPair(prompt, shared, chosen, rejected)


def side_messages(steps: Sequence[Step], is_read: bool) -> list[dict[str, str]]:
    """Turns as a row has them: up to the last turn, or an answer after it that was read."""
    if is_read and steps[-1].observation:
        return messages((), steps)
    return [*messages((), steps[:-1]), *messages((), steps[-1:])[:1]]


def messages(prompt: Sequence[Message], steps: Sequence[Step]) -> list[dict[str, str]]:
    """As a dataset has them; the last answer included."""
    said = [{"role": m.role, "content": m.content} for m in prompt]
    for step in steps:
        said.append({"role": "assistant", "content": step.response})
        said += ({"role": role, "content": text} for role, text, _ in answers_to(step))
    return said


def token_ids(tokenizer: Any, chat: Sequence[dict[str, str]], *, generate: bool) -> list[int]:
    found = tokenizer.apply_chat_template(
        list(chat), tokenize=True, add_generation_prompt=generate, return_dict=True
    )
    return list(found["input_ids"])


def has_generation_marks(tokenizer: Any) -> bool:
    """Whether the template says which tokens are the assistant's."""
    return bool(_GENERATION.search(own_template(tokenizer) or ""))


def training_template(tokenizer: Any) -> str | None:
    """The name of TRL's own template with such marks for this one, which SFTTrainer takes instead;
    None where TRL has none, or is not installed."""
    folder, template = trl_folder(), own_template(tokenizer)
    if folder is None:
        return None
    for file in sorted(folder.glob("*_training.jinja")):
        base = folder / f"{file.stem.removesuffix('_training')}.jinja"
        if not base.is_file():
            continue
        known = base.read_text(encoding="utf-8")
        if template in (known, _as_loaded(known)):
            return file.stem
    return None


def _as_loaded(template: str) -> str:
    """With its clock stopped, as the tokenizer has it."""
    try:
        return stop_clock(template)
    except InvalidInput:
        return template


def has_assistant_token(tokenizer: Any, chat: Sequence[dict[str, str]]) -> bool:
    """Whether the template's marks leave any token of it to `assistant_only_loss`."""
    found = tokenizer.apply_chat_template(
        list(chat), tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    return any(found["assistant_masks"])


def _num_shared(a: Sequence[int], b: Sequence[int]) -> int:
    return next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
