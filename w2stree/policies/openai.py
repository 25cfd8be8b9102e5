"""A policy that asks an OpenAI-compatible server, many episodes at a time.

    without `tokenizer`   POST /chat/completions   the history as messages: any server
    with `tokenizer`      POST /completions        the history as token ids: vLLM

A server that is sent messages tokenises the agent's earlier turns anew, which need not give the
ids that were sampled. Sent ids, the model sees exactly what training will see, and chooses among
actions as it does in process. Either way each request begins with all of the one before it, so a
server that caches prefixes reads it once.
"""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import Any

from w2stree.errors import ContextExceeded, Error, InvalidInput, ModelFailure
from w2stree.policies.protocol import Episode
from w2stree.policies.question import eos_ids_in, hear, question
from w2stree.policies.served.dialect import EXTRAS, Dialect
from w2stree.policies.served.key import read_key
from w2stree.policies.served.messages import messages_of
from w2stree.policies.served.refusal import Refusal, Refused
from w2stree.policies.served.reply import Completion, completion_in, turn_in
from w2stree.policies.served.server import ModelServer
from w2stree.policies.served.tree_key import checked_header, tree_key
from w2stree.turns.chat import ChatFormat
from w2stree.turns.decoding import Decoding
from w2stree.turns.grammar import TurnGrammar
from w2stree.turns.turn import AgentTurn

_MAX_SEED = 2**31
_REPLY_BYTES, _BYTES_PER_TOKEN = 4 << 20, 1 << 10
"""More than any reply has: words, id and log-probability of each token, the prompt's ids."""
_SET_BY = {
    "temperature": "samplings",
    "top_p": "samplings",
    "max_tokens": "decoding.max_new_tokens",
    "max_completion_tokens": "decoding.max_new_tokens",
}
"""The key of a configuration that sets a parameter of the samples."""
_OF_VLLM = ("allowed_token_ids", "stop_token_ids", "return_token_ids")
"""Parameters that the OpenAI protocol does not have, and token ids need."""


class OpenAIPolicy:
    """One model of one server: its name there is that of a base model or of a LoRA adapter.

    `timeout_s` bounds one whole attempt, from connecting to the last byte. Attempts that are lost,
    late, busy (429, 5xx) or malformed are repeated up to `max_retries` times (`ModelServer`); then
    the turn raises `ModelFailure`, `ServerUnreachable` where no connection could be made. Where
    the server says that a history and its turn exceed the model it is `ContextExceeded`.
    `InvalidInput` is what no retry mends: a refused key, an unknown model, no quota left, a server
    that sends us to another one, or one that does not take the sampling asked for.
    What a server refuses and no sampling depends on (`seed`, log-probabilities, token ids) is not
    asked for again, and `max_tokens` is then called `max_completion_tokens`.

    A reply cut off at `max_new_tokens` is a turn, and says that it was (`AgentTurn.is_cut`), be it
    empty because the model spent them on thinking that the server keeps to itself. Tools are not
    asked for; a reply that calls some is a turn of these calls.

    Token ids and log-probabilities are asked for and kept where the server gives them; where it
    does not, how many tokens it says there were (`AgentTurn.num_tokens`). Only
    with a `tokenizer` (the model's own, as transformers loads it) do trajectories name the
    tokenizer their ids are of, and only so can `decoding.actions` be "admissible" (`InvalidInput`
    otherwise): a choice is made token by token, among the ids that vLLM is told to allow.

    `tree_header`: the header in which requests of runs that open alike carry one key (`tree_key`),
    for a router in front of several replicas.

    Raises `InvalidInput` for a `base_url` with a key or password in it, or none, and for an
    `api_key_env` that names no variable (`checked_address`, `read_key`).
    """

    needs_expert = False

    def __init__(
        self,
        model: str,
        *,
        base_url: str,
        api_key_env: str | None = None,
        tokenizer: Any = None,
        decoding: Decoding = Decoding(max_new_tokens=256),
        timeout_s: float = 120.0,
        max_retries: int = 5,
        tree_header: str | None = None,
    ) -> None:
        self._model, self._key_env = model, api_key_env
        self._tree_header = None if tree_header is None else checked_header(tree_header)
        self._server = ModelServer(
            base_url,
            key=read_key(api_key_env),
            timeout_s=timeout_s,
            max_retries=max_retries,
            max_reply_bytes=_REPLY_BYTES + decoding.max_new_tokens * _BYTES_PER_TOKEN,
        )
        self._dialect = Dialect()
        if tokenizer is None and decoding.actions == "admissible":
            raise InvalidInput(
                "admissible decoding through a server chooses token by token: give the served "
                "model's `tokenizer` (vLLM takes token ids), or use free decoding"
            )
        self._decoding = decoding
        self._chat, self._grammar = None, None
        if tokenizer is not None:
            self._chat = ChatFormat(tokenizer)
            own = eos_ids_in(tokenizer.name_or_path)
            self._grammar = TurnGrammar(self._chat, decoding, eos_ids=own)
            self._read_completion = functools.partial(completion_in, num_ids=len(tokenizer))
        self.num_generated_tokens = 0
        self.name = f"openai(model={model})"
        self.tokenizer = None if self._chat is None else self._chat.fingerprint()

    async def turn(self, episode: Episode) -> AgentTurn:
        """One request where messages are sent; of ids, one for each part of the turn (`question`).

        Each request draws exactly one seed from the episode's generator.
        """
        try:
            if self._chat is None or self._grammar is None:
                return await self._say(episode)
            return await self._choose(self._chat, self._grammar, episode)
        except Refused as refused:
            raise self._end(refused.refusal) from None

    async def close(self) -> None:
        await self._server.close()

    async def _say(self, episode: Episode) -> AgentTurn:
        """The reply to messages; with tokens where the server does not refuse to give them."""
        settings = self._settings(episode)
        try:
            turn = await self._taken(settings, episode)
        except Refused as refused:
            asked_extras = EXTRAS & self._dialect.form(settings).keys()
            if not asked_extras or refused.refusal.status not in (400, 422) or _is_clear(refused):
                raise
            # It does not say what it refuses, and these few servers know.
            fewer = {name: value for name, value in settings.items() if name not in EXTRAS}
            turn = await self._taken(fewer, episode)
            self._dialect.leave_out_extras()
        counted = turn.num_tokens or 0
        self.num_generated_tokens += len(turn.token_ids) if turn.token_ids else counted
        if turn.logprobs and settings["temperature"] == 0.0:  # certain, whatever the server says
            return replace(turn, logprobs=(0.0,) * len(turn.logprobs))
        return turn

    async def _taken(self, settings: dict[str, Any], episode: Episode) -> AgentTurn:
        """The turn, asked for as the server takes it."""
        while True:
            body = self._dialect.form(settings)
            try:
                headers = self._headers(episode)
                return await self._server.ask("/chat/completions", body, turn_in, headers)
            except Refused as refused:
                if refused.refusal.is_too_long or not self._dialect.learn(refused.refusal, body):
                    raise

    def _settings(self, episode: Episode) -> dict[str, Any]:
        return {
            "model": self._model,
            "messages": messages_of(episode),
            "temperature": episode.sampling.temperature,
            "top_p": episode.sampling.top_p,
            "max_tokens": self._decoding.max_new_tokens,
            "seed": int(episode.rng.integers(_MAX_SEED)),
            "logprobs": True,
            "return_token_ids": True,
        }

    async def _choose(self, chat: ChatFormat, grammar: TurnGrammar, episode: Episode) -> AgentTurn:
        """The turn in ids, part by part."""
        turn = grammar.start(episode.admissible_actions)
        history = chat.history_ids(episode.prompt, episode.steps)
        while not turn.is_done:
            asked = question(grammar, turn, episode)
            said = await self._complete(history + turn.ids, asked, self._headers(episode))
            hear(
                turn,
                said.token_ids or (),
                said.logprobs,
                is_greedy=episode.sampling.temperature == 0.0,
                has_stopped=said.has_stopped,
                engine=self._server.base_url,
            )
        self.num_generated_tokens += len(turn.ids)
        has_all_scores = all(map(math.isfinite, turn.logprobs))
        return turn.said() if has_all_scores else replace(turn.said(), logprobs=None)

    async def _complete(
        self, prompt: list[int], settings: dict[str, Any], headers: dict[str, str]
    ) -> Completion:
        """What the server adds to token ids, in ids."""
        body = {"model": self._model, "prompt": prompt, "return_token_ids": True, **settings}
        said = await self._server.ask("/completions", body, self._read_completion, headers)
        if said.token_ids is None:
            raise self._server.failure(
                InvalidInput, "returns no token ids; leave out `tokenizer` for this server"
            )
        return said

    def _headers(self, episode: Episode) -> dict[str, str]:
        return {self._tree_header: tree_key(episode.prompt)} if self._tree_header else {}

    def _end(self, refusal: Refusal) -> Exception:
        """The error that a refusal is, which nothing we may change would mend."""
        kind, what = self._meaning(refusal)
        return self._server.failure(kind, f"{what}: {refusal.message} ({refusal.status})")

    def _meaning(self, refusal: Refusal) -> tuple[type[Error], str]:
        """What kind of error it is, and in which words the user can mend it."""
        name, status, model = refusal.parameter, refusal.status, f"model {self._model!r}"
        if refusal.is_too_long:
            return ContextExceeded, "can read no further"
        if refusal.is_unpaid:
            return InvalidInput, "nothing is left to pay it with"
        if self._chat is not None and (name in _OF_VLLM or status in (404, 405)):
            lacks = f"no {name}" if name in _OF_VLLM else f"no {model}, or no completions"
            mend = "leave out `tokenizer` for a server that is not vLLM"
            return InvalidInput, f"has {lacks} of token ids; {mend}"
        if name in _SET_BY:
            mend = f"change {_SET_BY[name]}, or the model"
            lost = "without it the samples would be others"
            return InvalidInput, f"does not take this {name} of {model}, and {lost}; {mend}"
        if status in (401, 403):
            source = f"${self._key_env}" if self._key_env else "no key: set api_key_env"
            return InvalidInput, f"refuses us ({source})"
        if status in (404, 405):
            mend = (
                "or base_url is not all of its address (most end in /v1), or more (without /chat/…)"
            )
            return InvalidInput, f"has no {model}, {mend}"
        return ModelFailure, "refuses the request"


def _is_clear(refused: Refused) -> bool:
    return refused.refusal.parameter is not None or refused.refusal.is_too_long
