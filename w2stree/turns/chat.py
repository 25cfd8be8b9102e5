"""Chats as token ids, assembled piece by piece so that nothing is ever tokenised twice.

    [ prompt + generation prompt ][ response ][ observation + generation prompt ][ response ]…
      loss mask 0                   1           0                                  1

Each piece is what the model's own chat template writes there, tokenised in its place and joined,
in rollouts and in training alike. A turn that was sampled keeps its sampled ids (their text may
tokenise differently), so the context a model is trained on is, id by id, the context it acts in.

A rendered chat, and the names of its parts here:

    <s>[INST] task [/INST]· Action: look ·</s>· [INST] You see a door. [/INST]· Action: …
    opening ───────────────┤lead   ──────┤end ─┤ observation piece ───────────┤lead
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.trajectories.answers import answers_to, is_plain
from w2stree.trajectories.trajectory import Message, Step
from w2stree.turns.marks import Marks, serialised
from w2stree.turns.proof import (
    num_shared,
    prove,
    prove_answers,
    prove_thinking,
    prove_tools,
    where_they_part,
)
from w2stree.turns.rendering import Record, Rendering
from w2stree.turns.thinking import opens_thinking
from w2stree.turns.tool_turns import tool_pieces

_NUM_KEPT = 4096
_MARK = "\u2402"  # a character no chat template touches
_TASK: Record = {"role": "user", "content": "task"}
_TURN: Record = {"role": "assistant", "content": _MARK}
_ANSWER: Record = {"role": "user", "content": f"answer{_MARK}"}
_TOOLS = ("tool",)  # stands for steps of tool calls among the prompts' roles
_NO_PREFIX = "the chat template does not render a conversation as a prefix of its continuation"


class ChatFormat:
    """Turns a tokenizer's chat template into the pieces above.

    At construction the pieces of several conversations are joined and compared with the ids that
    the template itself gives. Raises `InvalidInput` where they differ, naming the place, and where
    the template drops or rewrites earlier turns, or does not end a turn with a control token: a
    model would silently be trained on other contexts than it acts in. `docs/models.md` says which
    models pass with which template.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.rendering = Rendering(tokenizer)
        self._marks = self.rendering.marks
        # Few texts are new: environments and agents repeat themselves.
        self._turn_ids = lru_cache(_NUM_KEPT)(self._read_turn)
        self._observation_ids = lru_cache(_NUM_KEPT)(self._read_observation)
        self._context_ids = lru_cache(_NUM_KEPT)(self._marks.ids)
        self._learn_pieces()
        self._refusals: dict[tuple[str, ...], str | None] = {}
        prove_thinking(self)
        self._prove(("user",))
        # A template that takes no system message is refused when it is to write one.
        self._refusal(("system", "user"))

    def _learn_pieces(self) -> None:
        write = self.rendering.write
        whole, closed = write([_TASK, _TURN, _ANSWER]), write([_TASK, _TURN], generate=False)
        self.opening = write([_TASK])
        """A whole prompt: what stands before the agent's first turn."""
        if "task" not in self.opening:
            raise InvalidInput(
                f"the chat template writes nothing of a message that is text ({self.opening!r}); "
                "templates of models that see expect lists of parts: use one for text "
                "(chat_template; docs/models.md)"
            )
        if not whole.startswith(self.opening):
            raise InvalidInput(
                f"{_NO_PREFIX}. A prompt before the agent answers, and the same in a longer "
                f"conversation: {where_they_part(self.opening, whole)}"
            )
        self.lead, found, tail = whole[len(self.opening) :].partition(_MARK)
        glue, answered, _ = tail.partition(_ANSWER["content"])
        if not found or not answered:
            raise InvalidInput(
                f"{_NO_PREFIX}: it drops or rewrites earlier turns ({whole!r}); use one that keeps "
                "them (chat_template; docs/models.md)"
            )
        self._tail = tail
        self.end = self._end_of_turn(glue, closed.rpartition(_MARK)[2])
        self._before_response = _from_last(self._marks, self.opening)
        self._before_observation = _from_last(self._marks, self.end)
        self._before_response_ids = self._marks.ids(self._before_response)
        said = self._after(self._before_response, f"{self.lead}Action: go")
        ended = self._after(self._before_response, f"{self.lead}Action: go{self.end}")
        fits = ended[: len(said)] == said
        self.end_ids = ended[len(said) :] if fits else self._marks.ids(self.end)
        eos = self.tokenizer.eos_token_id
        # Each of these ids alone ends a turn, whatever the template writes there.
        self.stop_ids = frozenset({self.end_ids[-1], self.end_ids[-1] if eos is None else int(eos)})
        spelled = self._spelled(said)
        self._spelled_lead = spelled[: max(0, spelled.find("Action: go"))]

    def _end_of_turn(self, glue: str, closing: str) -> str:
        """Of what follows a turn, up to the last control token that follows it in any case.

        `glue` stands between a turn and an answer, `closing` after a last turn. Where they share
        no control token, the first of `glue` ends the turn: GLM's next speaker, or a mark that is
        another one at the end of a conversation.
        """
        shared = num_shared(glue, closing)
        mark = self._marks.find_last(glue, shared) or self._marks.find_first(glue)
        if mark is None or (mark.end() > shared and glue[: mark.start()].strip()):
            raise InvalidInput(
                "the chat template does not mark the end of an assistant turn with a control "
                f"token of this tokenizer (after a turn it writes {glue!r}): an environment's "
                "text could end one. Use chat_template: plain, which ends turns with the "
                "model's own eos_token, or a template whose marks the tokenizer has"
            )
        return glue[: mark.end()]

    @property
    def begins_in_thinking(self) -> bool:
        """Whether the generation prompt leaves a block of thinking open, for a turn to begin in."""
        return opens_thinking(self.opening)

    def prompt_ids(self, prompt: Sequence[Message]) -> list[int]:
        """Ids of the messages before the first agent turn, with the generation prompt.

        Raises `InvalidInput` for a sequence of roles that the template does not keep as it goes
        on (Mistral moves a system message to the last turn), or refuses.
        """
        self._prove(tuple(message.role for message in prompt))
        return self._marks.ids(self.rendering.chat(prompt))

    def response_ids(self, step: Step) -> list[int]:
        """Ids of one agent turn, its end-of-turn mark included: the sampled ones where kept.

        A turn that was cut off gets the mark that the template gives every turn. The caller answers
        for `token_ids` being of this tokenizer; see `fingerprint`. Raises `InvalidInput` for tool
        calls where the template writes none.
        """
        if step.token_ids is None:
            if step.tool_calls:
                return self._after(self._before_response, self.pieces(step)[0])
            return self.turn_ids(step.response)
        ids, end = list(step.token_ids), self.end_ids
        return ids + end if step.is_cut and ids[-len(end) :] != end else ids

    def answer_ids(self, step: Step) -> list[int]:
        """Ids between a step's turn and the next: of what was said to it, message by message."""
        if is_plain(step) and not step.tool_calls:
            return self.observation_ids(step.observation)
        turn, answer = self.pieces(step)
        return self._after(_from_last(self._marks, turn), answer)

    def pieces(self, step: Step) -> tuple[str, str]:
        """The texts of a step's turn, its end-of-turn mark included, and of its answer with the
        generation prompt, as the template writes them."""
        if not is_plain(step):
            self._prove_answers(step)
        if step.tool_calls:
            self._prove(_TOOLS)
            return tool_pieces(self.rendering, self.opening, step)
        turn = self.turn_piece(step.response) + self.end
        if is_plain(step):
            return turn, self.observation_piece(step.observation)
        roles = ", ".join(answer.role for answer in answers_to(step))
        what = f"messages of ({roles})" if roles else "a second turn right"
        return turn, self._written_answer(self.rendering.answers(step), f"{what} after a turn")

    def turn_ids(self, response: str) -> list[int]:
        """Ids of an agent turn with this text, in its place: from right after the generation
        prompt to its end-of-turn mark. What the template writes before an answer is part of it."""
        return list(self._turn_ids(response))

    def _read_turn(self, response: str) -> tuple[int, ...]:
        piece = self.turn_piece(response)
        ids = self._after(self._before_response, f"{piece}{self.end}")
        if ids[-1:] != self.end_ids[-1:]:
            ids = self._after(self._before_response, piece) + self.end_ids
        return tuple(ids)

    def turn_piece(self, response: str) -> str:
        """The text of an agent turn as the template writes it, without its end-of-turn mark."""
        return self.written_turn(self._marks.hide(response, of_agent=True))

    def written_turn(self, response: str) -> str:
        """What the template makes of a turn whose marks are meant; `turn_piece` hides them."""
        turn = {"role": "assistant", "content": response}
        whole = self.rendering.write([_TASK, turn, _ANSWER])
        if not whole.startswith(self.opening) or not whole.endswith(self._tail):
            raise InvalidInput(f"the chat template drops or rewrites a turn of {response!r}")
        return whole[len(self.opening) : len(whole) - len(self._tail)]

    def text(self, ids: Sequence[int]) -> str:
        """What the agent says in a turn of these ids: `turn_ids` backwards.

        Without the end-of-turn mark, if they have it, and what the template puts before an answer.
        """
        end = self.end_ids
        said = ids[: len(ids) - len(end)] if list(ids[-len(end) :]) == end else ids
        return self._spelled(said).removeprefix(self._spelled_lead)

    def observation_ids(self, observation: str) -> list[int]:
        """Ids between two agent turns: the environment's answer and the generation prompt."""
        return list(self._observation_ids(observation))

    def _read_observation(self, observation: str) -> tuple[int, ...]:
        piece = self.observation_piece(observation)
        return tuple(self._after(self._before_observation, piece))

    def observation_piece(self, observation: str) -> str:
        """The text between two agent turns as the template writes it: it may trim the answer."""
        answer = self.rendering.message(Message("user", observation))
        return self._written_answer([answer], f"an answer of {observation!r}")

    def _written_answer(self, answers: Sequence[Record], what: str) -> str:
        whole = self.rendering.write([_TASK, _TURN, *answers])
        before = f"{self.opening}{self.lead}{_MARK}{self.end}"
        if not whole.startswith(before):
            raise InvalidInput(
                f"the chat template drops {what}, or rewrites the turn before it; use "
                "one that writes every message (chat_template; docs/models.md)"
            )
        return whole[len(before) :]

    def steps_ids(self, steps: Sequence[Step]) -> tuple[list[int], list[int]]:
        """Ids and loss mask (1 on agent tokens) of consecutive steps.

        The last step's observation is left out: nothing the agent says follows it. Nor did the
        agent say the end of a turn that was cut off.
        """
        ids: list[int] = []
        mask: list[int] = []
        for i, step in enumerate(steps):
            response = self.response_ids(step)
            ids += response
            is_cut = step.is_cut and not step.tool_calls
            num_said = len(response) - (len(self.end_ids) if is_cut else 0)
            mask += [1] * num_said + [0] * (len(response) - num_said)
            if i + 1 < len(steps):
                answer = self.answer_ids(step)
                ids += answer
                mask += [0] * len(answer)
        return ids, mask

    def history_ids(self, prompt: Sequence[Message], steps: Sequence[Step]) -> list[int]:
        """Ids of everything before the agent's next turn: the prompt h of Eq. 6."""
        ids = self.prompt_ids(prompt)
        for step in steps:
            ids += self.response_ids(step) + self.answer_ids(step)
        return ids

    def template_ids(self, prompt: Sequence[Message], steps: Sequence[Step]) -> list[int]:
        """The ids that the template itself gives the whole chat, none of them kept ones."""
        return self._marks.ids(self.rendering.chat(prompt, steps))

    def fingerprint(self) -> str:
        """Equal for two tokenizers exactly when they give every chat the same ids.

        Of the vocabulary, merges, normaliser, pre-tokeniser and added tokens, the template and
        those special tokens that it writes by name; not of what leaves ids as they are: padding,
        truncation, decoder, where the files lie.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        state, model = serialised(self.tokenizer)
        changing = ("added_tokens", "normalizer", "pre_tokenizer")
        written = {
            name: str(token)
            for name, token in sorted(self.tokenizer.special_tokens_map.items())
            if re.search(rf"\b{name}\b", self.rendering.template)
        }
        parts = [self.rendering.template, written, *(state[key] for key in changing)]
        text = f"{json.dumps(parts, sort_keys=True)}{model}"
        return hashlib.sha256(text.encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """Ids of a text alone, without special tokens added."""
        return self._marks.ids(text)

    def _after(self, context: str, text: str) -> list[int]:
        """Ids of a text in its place, right after a context that ends where the text begins.

        A text that melts into its context (a turn that begins with a line break, after one) is
        tokenised alone: the context was there first, and what was sampled began after it.
        """
        before, ids = self._context_ids(context), self._marks.ids(f"{context}{text}")
        if ids[: len(before)] == before:
            return ids[len(before) :]
        return self._marks.ids(text)

    def _spelled(self, ids: Sequence[int]) -> str:
        """The text of ids right after the generation prompt: some decoders drop a first space."""
        before = self._decoded(self._before_response_ids)
        whole = self._decoded([*self._before_response_ids, *ids])
        return whole[len(before) :] if whole.startswith(before) else self._decoded(ids)

    def _decoded(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))

    def _prove(self, roles: tuple[str, ...]) -> None:
        if refusal := self._refusal(roles):
            raise InvalidInput(refusal)

    def _prove_answers(self, step: Step) -> None:
        """For each new sequence of messages between two turns; found out once."""
        kind = (*(_TOOLS * len(step.tool_calls)), "answered", *(a.role for a in answers_to(step)))
        if kind not in self._refusals:
            self._refusals[kind] = None  # while it is tried
            try:
                prove_answers(self, step)
            except InvalidInput as error:
                self._refusals[kind] = str(error)
        if refusal := self._refusals[kind]:
            raise InvalidInput(refusal)

    def _refusal(self, roles: tuple[str, ...]) -> str | None:
        """Why the template cannot be used with such a prompt; found out once."""
        if roles not in self._refusals:
            self._refusals[roles] = None  # while it is tried
            try:
                prove_tools(self) if roles == _TOOLS else prove(self, roles)
            except InvalidInput as error:
                self._refusals[roles] = str(error)
        return self._refusals[roles]


def _from_last(marks: Marks, text: str) -> str:
    """A text from its last control token on: what stands before one cannot change what follows."""
    mark = marks.find_last(text)
    return text if mark is None else text[mark.start() :]
