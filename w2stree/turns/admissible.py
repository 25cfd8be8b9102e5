"""The admissible actions of one moment as a choice, at each place of a turn where it can begin.

    turn_start         ·Action: go north
    line_start         Thought: …⏎·Action: go north       the thought's own line break was sampled
    line_end           Thought: …·⏎Action: go north       the thought stopped without one

An action is spelled as the tokenizer spells it in its place, in a whole turn: alone, its first word
may be other tokens (SentencePiece puts a space before a text).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache

from w2stree.errors import InvalidInput, ModelFailure
from w2stree.shorten import quoted
from w2stree.turns.chat import ChatFormat
from w2stree.turns.choices import Choices, Place
from w2stree.turns.react import THOUGHT, parse_action, render_turn

_ANY = f"{THOUGHT} x"
"""Stands for any thought: what follows one is spelled as it is after this."""


class Speller:
    """How a tokenizer spells turns: the ids of each part of one."""

    def __init__(self, chat: ChatFormat, controls: frozenset[int]) -> None:
        self._chat, self._controls = chat, controls
        self.action_ids = lru_cache(2**16)(self._action_ids)

    def thought_ids(self) -> tuple[int, ...]:
        """The ids of `Thought:` at the start of a turn."""
        ids = self._turn_ids(_ANY)
        place = self._end_of(THOUGHT, ids)
        if place is None:
            raise InvalidInput(
                f"the tokenizer writes {THOUGHT!r} and what follows it as one token: decode "
                "without thoughts (decoding.thought: false)"
            )
        return ids[:place]

    @cached_property
    def can_break_lines(self) -> bool:
        """Whether a token ends where a thought's line does, so that the action's can follow it."""
        ids = self._turn_ids(f"{_ANY}\n{render_turn('', 'x')}")
        return self._end_of(f"{_ANY}\n", ids) is not None

    def _action_ids(self, action: str, before: str) -> tuple[int, ...]:
        """The ids that end a turn with this action, after its beginning `before`.

        Raises `ModelFailure` for an action that no turn can say.
        """
        turn = f"{_ANY}\n{render_turn('', action)}" if before else render_turn("", action)
        if not action or parse_action(turn, actions=(action,)) != action:
            raise ModelFailure(
                f"the environment lists the action {quoted(action, 200)}, which no turn can say"
            )
        ids = self._turn_ids(turn)
        place = self._end_of(before, ids) if before else 0
        if place is None:
            raise ModelFailure(f"the tokenizer writes no token that ends {quoted(before, 200)}")
        return ids[place:]

    def _turn_ids(self, turn: str) -> tuple[int, ...]:
        """The ids that stand in a chat for the text of a turn, without the end mark."""
        whole = self._chat.turn_ids(turn)
        ids = tuple(whole[: len(whole) - len(self._chat.end_ids)])
        if self._chat.text(ids) != turn or not self._controls.isdisjoint(ids):
            raise ModelFailure(
                f"the tokenizer cannot write {quoted(turn, 200)}: its tokens say "
                f"{quoted(' '.join(self._chat.tokenizer.convert_ids_to_tokens(ids)), 200)}"
            )
        return ids

    def _end_of(self, beginning: str, ids: Sequence[int]) -> int | None:
        """How many of a turn's ids say just its beginning; None where a token goes beyond."""
        ends = range(1, len(ids) + 1)
        return next((end for end in ends if self._chat.text(ids[:end]) == beginning), None)


class Admissible:
    """The choice among some actions. Raises `ModelFailure` for one that no turn can say."""

    def __init__(self, actions: Sequence[str], speller: Speller, choices: Choices) -> None:
        self._actions, self._speller, self._choices = actions, speller, choices

    @cached_property
    def turn_start(self) -> Place:
        return self._after("")

    @cached_property
    def line_start(self) -> Place:
        return self._after(f"{_ANY}\n")

    @cached_property
    def line_end(self) -> Place:
        return self._after(_ANY)

    def _after(self, before: str) -> Place:
        return self._choices.among(self._speller.action_ids(a, before) for a in self._actions)
