"""Chats as token ids, assembled piece by piece so that nothing is ever tokenised twice.

    [ prompt + generation prompt ][ response ][ observation + generation prompt ][ response ]…
      loss mask 0                   1           0                                  1

Each piece is tokenised alone and the pieces are joined, in rollouts and in training alike. A
turn that was sampled keeps its sampled ids (their text may tokenise differently), so the context
a model is trained on is, id by id, the context it acts in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.trajectories.trajectory import Message, Step

_MARK = "\u2402"  # a character no chat template touches


class ChatFormat:
    """Turns a tokenizer's chat template into the pieces above.

    Raises `InvalidInput` at construction where the template has none, or where a
    conversation's rendering is not a prefix of its continuation's (some templates drop or
    rewrite earlier turns): training on such a template would silently see other contexts.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not tokenizer.chat_template:
            raise InvalidInput(
                f"the tokenizer of {tokenizer.name_or_path or 'this model'} has no chat template; "
                "set tokenizer.chat_template and save it"
            )
        self.tokenizer = tokenizer
        before = [Message("user", "task")]
        agent = Message("assistant", _MARK)
        answer = Message("user", f"answer{_MARK}")
        self.opening = opening = self._render(before, generate=True)
        """A whole prompt: what stands before the agent's first turn."""
        whole = self._render([*before, agent, answer], generate=True)
        closed = self._render([*before, agent], generate=False)
        head, found, tail = whole.partition(_MARK)
        if head != opening or not found or f"answer{_MARK}" not in tail:
            raise InvalidInput(
                "the chat template does not render a conversation as a prefix of its "
                f"continuation ({opening!r} against {whole!r}); use a template that does"
            )
        glue, _, self._after_answer = tail.partition(f"answer{_MARK}")
        # The agent's turn ends with what the template puts there even when nothing follows.
        self._end_of_turn = _common_prefix(closed[len(opening) + len(_MARK) :], glue).rstrip("\n")
        self._before_answer = glue[len(self._end_of_turn) :]
        self.end_ids = self._encode(self._end_of_turn)
        if not self.end_ids:
            raise InvalidInput("the chat template does not mark the end of an assistant turn")
        marks = [tokenizer.eos_token_id, *(self.end_ids if len(self.end_ids) == 1 else ())]
        # Each of these ids alone ends a turn, whatever the template writes there.
        self.stop_ids = frozenset(mark for mark in marks if mark is not None)

    def prompt_ids(self, prompt: Sequence[Message]) -> list[int]:
        """Ids of the messages before the first agent turn, with the generation prompt."""
        return self._encode(self._render(prompt, generate=True))

    def response_ids(self, step: Step) -> list[int]:
        """Ids of one agent turn, its end-of-turn mark included: the sampled ones where kept.

        The caller answers for `token_ids` being of this tokenizer; see `fingerprint`.
        """
        if step.token_ids is not None:
            return list(step.token_ids)
        return self._encode(step.response) + self.end_ids

    def observation_ids(self, observation: str) -> list[int]:
        """Ids between two agent turns: the environment's answer and the generation prompt."""
        return self._encode(f"{self._before_answer}{observation}{self._after_answer}")

    def steps_ids(self, steps: Sequence[Step]) -> tuple[list[int], list[int]]:
        """Ids and loss mask (1 on agent tokens) of consecutive steps.

        The mark that ends a turn is the agent's, but not of one that was cut off (`Step.is_cut`).
        The last step's observation is left out: nothing the agent says follows it.
        """
        ids: list[int] = []
        mask: list[int] = []
        for i, step in enumerate(steps):
            response = self.response_ids(step)
            ids += response
            num_said = len(response) - (len(self.end_ids) if step.is_cut else 0)
            mask += [1] * num_said + [0] * (len(response) - num_said)
            if i + 1 < len(steps):
                observation = self.observation_ids(step.observation)
                ids += observation
                mask += [0] * len(observation)
        return ids, mask

    def history_ids(self, prompt: Sequence[Message], steps: Sequence[Step]) -> list[int]:
        """Ids of everything before the agent's next turn: the prompt h of Eq. 6."""
        ids = self.prompt_ids(prompt)
        for step in steps:
            ids += self.response_ids(step) + self.observation_ids(step.observation)
        return ids

    def fingerprint(self) -> str:
        """Equal for two tokenizers exactly when they give every chat the same ids."""
        vocabulary = self.tokenizer.backend_tokenizer.to_str()
        return hashlib.sha256(f"{vocabulary}{self.tokenizer.chat_template}".encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """Ids of a text alone, without special tokens added."""
        return self._encode(text)

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _render(self, messages: Sequence[Message], *, generate: bool) -> str:
        return str(
            self.tokenizer.apply_chat_template(
                [asdict(m) for m in messages], tokenize=False, add_generation_prompt=generate
            )
        )


def _common_prefix(a: str, b: str) -> str:
    length = 0
    while length < min(len(a), len(b)) and a[length] == b[length]:
        length += 1
    return a[:length]
