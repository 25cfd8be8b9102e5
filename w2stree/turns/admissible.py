"""The admissible actions of one moment as a choice, at each place of a turn where it can begin.

    turn_start         ·Action: go north
    line_start         Thought: …⏎·Action: go north       the thought's own line break was sampled
    line_end           Thought: …·⏎Action: go north       the thought stopped without one

What all actions begin with, `Action:` at least, is written without asking (`choices`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import accumulate

from w2stree.errors import InvalidInput, ModelFailure
from w2stree.shorten import quoted
from w2stree.trajectories.trajectory import Step
from w2stree.turns.chat import ChatFormat
from w2stree.turns.choices import Choices, Place, Rest
from w2stree.turns.react import THOUGHT, parse_action, render_turn
from w2stree.turns.vocabulary import Vocabulary

_ANY = "x"
"""Stands for any thought: what follows one is spelled as it is after this."""


class Speller:
    """How a tokenizer spells turns: its ids for each part of one."""

    def __init__(self, chat: ChatFormat, vocabulary: Vocabulary) -> None:
        self._chat, self.vocabulary = chat, vocabulary
        self.rest = lru_cache(2**16)(self._rest)

    def thought_ids(self) -> tuple[int, ...]:
        """The ids of `Thought:` at the start of a turn."""
        text, ids = self._turn(f"{THOUGHT} {_ANY}")
        written = self.within(ids, len(text) - len(f" {_ANY}"))
        if self.vocabulary.joined(written) != text.removesuffix(f" {_ANY}".encode()):
            raise InvalidInput(
                f"the tokenizer writes {THOUGHT!r} and what follows it as one token: decode "
                "without thoughts (decoding.thought: false)"
            )
        return written

    def _rest(self, action: str, before: str) -> Rest:
        """What is to be written of a turn with this action after its beginning `before`.

        Raises `ModelFailure` for an action that no turn can say.
        """
        thought = _ANY if before else ""
        turn = render_turn(thought, action)
        if not action or parse_action(turn, actions=(action,)) != action:
            raise ModelFailure(
                f"the environment lists the action {quoted(action, 200)}, which no turn can say"
            )
        text, ids = self._turn(turn)
        length = len(text) - len(turn.encode()) + len(before.encode()) if before else 0
        own = ids[len(self.within(ids, length)) :]
        text = text[length:]
        return Rest(text, own if self.vocabulary.joined(own) == text else None)

    def within(self, ids: Sequence[int], length: int) -> tuple[int, ...]:
        """As many ids as write no more than so many bytes."""
        ends = accumulate(len(self.vocabulary[token] or b"") for token in ids)
        return tuple(token for token, end in zip(ids, ends, strict=True) if end <= length)

    def _turn(self, turn: str) -> tuple[bytes, tuple[int, ...]]:
        """What stands in a chat for the text of a turn: its bytes and ids, without the end mark.

        Some tokenizers put a space before it.
        """
        whole = self._chat.response_ids(Step("", "", turn))
        ids = tuple(whole[: len(whole) - len(self._chat.end_ids)])
        text, said = self.vocabulary.joined(ids), turn.encode()
        if text is None or not text.endswith(said) or text.removesuffix(said).strip():
            raise ModelFailure(
                f"the tokenizer cannot write {quoted(turn, 200)}: its ids say "
                f"{quoted(self._chat.tokenizer.decode(ids), 200)}"
            )
        return text, ids


class Admissible:
    """The choice among some actions. Raises `ModelFailure` for one that no turn can say."""

    def __init__(self, actions: Sequence[str], speller: Speller, choices: Choices) -> None:
        self._actions, self._speller, self._choices = actions, speller, choices

    @cached_property
    def turn_start(self) -> Place:
        return self._choices.among(self._rests(""))

    @cached_property
    def line_end(self) -> Place:
        return self._choices.among(self._rests(f"{THOUGHT} {_ANY}"))

    def line_start(self, begun: bytes) -> Place | None:
        """The choice on a line that has `begun` already; None if no action's line begins so."""
        if not begun:
            return self._line_start
        rests = self._rests(f"{THOUGHT} {_ANY}\n")
        left = [Rest(r.text[len(begun) :], None) for r in rests if r.text.startswith(begun)]
        return self._choices.among(left) if left else None

    @cached_property
    def _line_start(self) -> Place:
        return self._choices.among(self._rests(f"{THOUGHT} {_ANY}\n"))

    def _rests(self, before: str) -> list[Rest]:
        return [self._speller.rest(action, before) for action in self._actions]
