"""The grammar of one agent turn: which token may come next.

    free        any text up to the end of the turn
    admissible  Thought: any text ⏎ Action: one of the admissible actions
                └ forced ┘     └ free ┘ └forced┘ └ a path of the trie ┘

A forced token needs no model call of its own: it rides along with the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from w2stree.turns.chat import ChatFormat
from w2stree.turns.decoding import Decoding
from w2stree.turns.react import ACTION, THOUGHT


class Trie:
    """Token sequences by shared prefix; a leaf is the end of the turn."""

    def __init__(self, sequences: Sequence[Sequence[int]]) -> None:
        self.children: dict[int, Any] = {}
        for sequence in sequences:
            children = self.children
            for token in sequence:
                children = children.setdefault(token, {})


class Turn:
    """One turn in the making: `ids` and `logprobs` so far, and what may follow.

    `allowed` is None where any token may come, else the ids that may. After every `push`,
    tokens without an alternative are appended at log-probability 0, as if sampled. `is_cut`: a
    free turn reached `max_new_tokens` before its end.
    """

    def __init__(self, grammar: TurnGrammar, admissible_actions: Sequence[str]) -> None:
        self._grammar = grammar
        self._actions = admissible_actions
        self._num_free = 0
        self.ids: list[int] = []
        self.logprobs: list[float] = []
        self.is_done = self.is_cut = False
        self.allowed: list[int] | None = None
        self._node: dict[int, Any] | None = None
        if grammar.decoding.actions == "admissible":
            if grammar.decoding.thought:
                self._force(grammar.thought_ids)
            else:
                self._start_action(grammar.first_action_ids)

    def push(self, token: int, logprob: float) -> None:
        """Append a sampled token."""
        self.ids.append(token)
        self.logprobs.append(logprob)
        if self._node is not None:
            self._descend(self._node[token])
        else:
            self._num_free += 1
            self._after_free(token)

    def _after_free(self, token: int) -> None:
        grammar = self._grammar
        if grammar.decoding.actions == "free":
            self.is_done = self.ids[-len(grammar.end_ids) :] == grammar.end_ids
            if not self.is_done and self._num_free >= grammar.decoding.max_new_tokens:
                self._force(grammar.end_ids)
                self.is_done = self.is_cut = True
        elif token in grammar.end_ids:
            # The model would stop before acting: its mark must not stand inside the turn.
            self.ids.pop()
            self.logprobs.pop()
            self._start_action(grammar.next_action_ids)
        elif grammar.ends_line(token):
            self._start_action(grammar.first_action_ids)
        elif self._num_free >= grammar.decoding.max_new_tokens:
            self._start_action(grammar.next_action_ids)

    def _start_action(self, opening: Sequence[int]) -> None:
        self._force(opening)
        self._descend(Trie([self._grammar.action_ids(a) for a in self._actions]).children)

    def _descend(self, node: dict[int, Any]) -> None:
        while len(node) == 1:  # no choice left: jump forward
            ((token, node),) = node.items()
            self._force([token])
        self._node, self.allowed = node, sorted(node)
        self.is_done = not node

    def _force(self, ids: Sequence[int]) -> None:
        self.ids += ids
        self.logprobs += [0.0] * len(ids)


class TurnGrammar:
    """What every turn of a run has in common."""

    def __init__(self, chat: ChatFormat, decoding: Decoding) -> None:
        self.decoding = decoding
        self.end_ids = chat.end_ids
        self.thought_ids = chat.encode(THOUGHT)
        self.first_action_ids = chat.encode(ACTION)
        self.next_action_ids = chat.encode(f"\n{ACTION}")
        self._chat = chat
        self._action_ids: dict[str, list[int]] = {}
        self._line_ends: dict[int, bool] = {}

    def start(self, admissible_actions: Sequence[str]) -> Turn:
        return Turn(self, admissible_actions)

    def action_ids(self, action: str) -> list[int]:
        """Ids of an action with its end-of-turn mark; cached, since they recur at every step."""
        ids = self._action_ids.get(action)
        if ids is None:
            ids = self._action_ids[action] = self._chat.encode(f" {action}") + self.end_ids
        return ids

    def ends_line(self, token: int) -> bool:
        """Whether the token has the line break that ends a thought."""
        is_end = self._line_ends.get(token)
        if is_end is None:
            is_end = self._line_ends[token] = "\n" in self._chat.tokenizer.decode([token])
        return is_end
