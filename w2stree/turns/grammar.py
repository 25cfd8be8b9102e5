"""The grammar of one agent turn: which token may come next, whoever samples it.

    free        any text up to the end of the turn
    admissible  Thought: any line ⏎ Action: one of the admissible actions
                └written┘ └ free ┘ └written┘ └ a choice ┘

A policy samples tokens and pushes them, one by one. Tokens that leave no choice are appended by
the turn itself, at log-probability 0; they need no model call of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput, ModelFailure
from w2stree.turns.admissible import Admissible, Speller
from w2stree.turns.chat import ChatFormat
from w2stree.turns.choices import Choices, Place
from w2stree.turns.decoding import Decoding
from w2stree.turns.turn import AgentTurn, sampled_turn

NONE_LISTED = "the environment lists no admissible actions to choose from: use free decoding"


class TurnGrammar:
    """What every turn of a run has in common.

    `eos_ids`: ids that end what the model says, beside those the chat format knows of
    (`ChatFormat.stop_ids`). Raises `InvalidInput` for admissible decoding where the template wants
    a block of thinking first, and where no token ends with the label of a thought.
    """

    def __init__(
        self, chat: ChatFormat, decoding: Decoding, *, eos_ids: Iterable[int] = ()
    ) -> None:
        self.decoding = decoding
        self.chat, self.end_ids = chat, chat.end_ids
        self.stop_ids = chat.stop_ids.union(eos_ids)
        self.choice_ends = self.stop_ids | {self.end_ids[0]}
        self.choices = Choices(self.choice_ends)
        self._controls = _controls(chat.tokenizer)
        self._speller = Speller(chat, self._controls)
        self._admissible = lru_cache(2**10)(self._make_admissible)
        self.line_break = lru_cache(2**16)(self._line_break)
        self.thought_ids: tuple[int, ...] = ()
        if decoding.actions == "admissible":
            _refuse_thinking(chat)
            self.thought_ids = self._speller.thought_ids() if decoding.thought else ()

    def start(self, admissible_actions: Sequence[str]) -> Turn:
        """A turn with nothing said. Raises `ModelFailure` where there is nothing to choose from."""
        if self.decoding.actions == "free":
            return Turn(self, None)
        if not admissible_actions:
            raise ModelFailure(NONE_LISTED)
        return Turn(self, self._admissible(tuple(admissible_actions)))

    def is_of_thoughts(self, token: int) -> bool:
        """Whether a token is text that may stand in a thought."""
        is_text = token < len(self.chat.tokenizer) and token not in self._controls
        return is_text and token not in self.stop_ids

    def _line_break(self, token: int) -> bool | None:
        """Whether a token ends a line: with its break, or breaks alone (None: it goes on after)."""
        _, line_break, more = self.chat.tokenizer.decode([token]).partition("\n")
        if line_break and (more.strip("\r\n") or not self._speller.can_break_lines):
            return None
        return bool(line_break)

    def _make_admissible(self, actions: tuple[str, ...]) -> Admissible:
        return Admissible(actions, self._speller, self.choices)


def _refuse_thinking(chat: ChatFormat) -> None:
    if chat.lead.strip() or chat.begins_in_thinking:
        raise InvalidInput(
            "admissible decoding writes no block of thinking, and this model's chat template has "
            "one before every answer: set template_arguments: {enable_thinking: false} if the "
            "template knows it, or decode freely (decoding.actions: free)"
        )


def _controls(tokenizer: Any) -> frozenset[int]:
    """The ids that stand for marks, not for text."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    return frozenset(tokenizer.all_special_ids) | {i for i, t in added.items() if t.special}


class Turn:
    """One turn in the making: `ids` and `logprobs` so far, and what may follow.

    `allowed` is None where any token may come, else the sorted ids that may: one array for equal
    places. `is_cut`: a free turn reached `max_new_tokens` before its end.
    """

    def __init__(self, grammar: TurnGrammar, admissible: Admissible | None) -> None:
        self._grammar, self._admissible = grammar, admissible
        self._num_free = 0
        self._place: Place | None = None
        self._line_end = 0  # of a thought: its last token, or the break that was written for it
        self.ids: list[int] = []
        self.logprobs: list[float] = []
        self.is_done = self.is_cut = False
        if admissible and grammar.decoding.thought:
            self._write(grammar.thought_ids)
        elif admissible:
            self._choose(admissible.turn_start)

    @property
    def allowed(self) -> NDArray[np.int64] | None:
        return None if self._place is None else self._place.allowed

    @property
    def is_thought(self) -> bool:
        """Whether what comes next is the thought before an action, which is one line."""
        return self._admissible is not None and self._place is None and not self.is_done

    @property
    def num_askable(self) -> int:
        """How many tokens can be asked for at once: one of a choice, else what may be said."""
        return 1 if self._place else self._grammar.decoding.max_new_tokens - self._num_free

    def push(self, token: int, logprob: float) -> None:
        """Append a sampled token; one that ends the turn becomes the template's own mark."""
        if self._place is not None:
            self._push_choice(self._place, token, logprob)
            return
        self._num_free += 1
        if self._admissible is not None:
            self._push_thought(self._admissible, token, logprob)
        else:
            self._push_free(token, logprob)

    def stop(self) -> None:
        """The model has said what it says freely: the turn, or its thought."""
        if self._admissible is None:
            self._drop(self._num_begun_mark())
            self._end()
        else:
            self._line_end = len(self.ids)
            self._choose(self._admissible.line_end)

    def said(self) -> AgentTurn:
        """The turn, once it is done."""
        turn = sampled_turn(self._grammar.chat, self.ids, self.logprobs, is_cut=self.is_cut)
        if not self._line_end:
            return turn
        # Where a thought was cut within a character, a decoder may take the line break for part
        # of that; the action stands on a line of its own all the same.
        chat = self._grammar.chat
        last = str(chat.tokenizer.decode(self.ids[self._line_end : -len(chat.end_ids)]))
        if turn.response.endswith(last):
            return turn
        return replace(turn, response=chat.text(self.ids[: self._line_end]) + last)

    def _push_free(self, token: int, logprob: float) -> None:
        self._append(token, logprob)
        if self._ends_in_mark():
            self.is_done = True
        elif token in self._grammar.stop_ids:
            self._drop(1)
            self.stop()
        elif self.num_askable <= 0:
            self.is_cut = True
            self._end()

    def _push_thought(self, admissible: Admissible, token: int, logprob: float) -> None:
        grammar = self._grammar
        has_break = grammar.line_break(token) if grammar.is_of_thoughts(token) else None
        if has_break is None:
            self.stop()  # a mark, or a line of something else: not the thought's
            return
        self._append(token, logprob)
        if has_break:
            self._line_end = len(self.ids) - 1
            self._choose(admissible.line_start)
        elif self._ends_in_mark():
            self._drop(len(grammar.end_ids))
            self.stop()
        elif self.num_askable <= 0:
            self.stop()

    def _push_choice(self, place: Place, token: int, logprob: float) -> None:
        grammar = self._grammar
        if not place.is_end or token not in grammar.choice_ends:
            self._append(token, logprob)
            self._choose(grammar.choices.after(place, token))
        elif token == grammar.end_ids[0]:
            self._append(token, logprob)
            self._end(grammar.end_ids[1:])
        else:
            self._end()

    def _choose(self, place: Place) -> None:
        """Go to a place of the choice, writing what leads there."""
        self._write(place.written)
        if place.is_made:
            self._end()
        else:
            self._place = place

    def _end(self, mark: Sequence[int] | None = None) -> None:
        self._write(self._grammar.end_ids if mark is None else mark)
        self._place, self.is_done = None, True

    def _ends_in_mark(self) -> bool:
        return self.ids[-len(self._grammar.end_ids) :] == self._grammar.end_ids

    def _num_begun_mark(self) -> int:
        """How many ids of a mark of several tokens stand at the end already."""
        mark = self._grammar.end_ids
        begun = (n for n in range(len(mark) - 1, 0, -1) if self.ids[-n:] == mark[:n])
        return next(begun, 0)

    def _append(self, token: int, logprob: float) -> None:
        self.ids.append(token)
        self.logprobs.append(logprob)

    def _drop(self, count: int) -> None:
        if count:
            del self.ids[-count:], self.logprobs[-count:]

    def _write(self, ids: Sequence[int]) -> None:
        self.ids += ids
        self.logprobs += [0.0] * len(ids)
