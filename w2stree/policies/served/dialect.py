"""What of the protocol a server takes, learned from what it refuses.

max_tokens                       refused: sent as max_completion_tokens
seed, logprobs, return_token_ids refused: left out; a turn then has less beside it
temperature, top_p               refused: left out at 1, which is what leaving out means
"""

from __future__ import annotations

from typing import Any

from w2stree.policies.served.refusal import Refusal

EXTRAS = ("logprobs", "return_token_ids")
"""Asked for where they are given; a turn is one without them."""

_MAY_GO = ("seed", *EXTRAS)
_NEUTRAL = 1.0


class Dialect:
    """How one server wants to be asked. Nothing is left out that changes what is sampled."""

    def __init__(self) -> None:
        self._left_out: set[str] = set()
        self._limit = "max_tokens"

    def form(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The settings as this server takes them."""
        body = {
            name: value
            for name, value in settings.items()
            if name not in self._left_out or (name not in _MAY_GO and value != _NEUTRAL)
        }
        body[self._limit] = body.pop("max_tokens")
        return body

    def learn(self, refusal: Refusal, body: dict[str, Any]) -> bool:
        """Whether `body`, of which this refusal is the answer, can be asked in another way."""
        name = refusal.parameter
        if name is None or name not in body:
            return False
        if name == "max_tokens":
            self._limit = "max_completion_tokens"
            return True
        if name in _MAY_GO or (name in ("temperature", "top_p") and body[name] == _NEUTRAL):
            self._left_out.add(name)
            return True
        return False

    def leave_out_extras(self) -> None:
        self._left_out.update(EXTRAS)
