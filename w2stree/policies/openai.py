"""A policy that asks an OpenAI-compatible server, many episodes at a time.

    without `tokenizer`   POST /chat/completions   the history as messages: any server
    with `tokenizer`      POST /completions        the history as token ids: vLLM

A server that is sent messages tokenises the agent's earlier turns anew, which need not give the
ids that were sampled. Sent ids, the model sees exactly what training will see. Either way each
request begins with all of the one before it, so a server that caches prefixes reads it once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from w2stree.errors import InvalidInput, MissingDependency, ModelFailure
from w2stree.policies.protocol import Episode
from w2stree.shorten import quoted
from w2stree.trajectories.tool_call import ToolCall
from w2stree.trajectories.trajectory import Step, refuse_wordless
from w2stree.turns.admissible import structured_output
from w2stree.turns.chat import ChatFormat
from w2stree.turns.decoding import Decoding
from w2stree.turns.turn import AgentTurn, sampled_turn

_MAX_SEED = 2**31


class OpenAIPolicy:
    """One model of one server: its name there is that of a base model or of a LoRA adapter.

    Answers 429, 5xx, time-outs, lost connections and malformed replies are tried again
    `max_retries` times, with a growing wait or the one the server asks for (Retry-After); then
    the turn raises `ModelFailure`. A refused key or an unknown model raises `InvalidInput`.
    A reply cut off at `max_new_tokens` is a turn, and says that it was (`AgentTurn.is_cut`), be it
    empty because the model spent them on thinking that the server keeps to itself. Tools are not
    asked for; a reply that calls some is a turn of these calls.

    Token ids and log-probabilities are asked for and kept where the server gives them. Only
    with a `tokenizer` (the model's own, as transformers loads it) do trajectories name the
    tokenizer their ids are of. `decoding.actions` "admissible" needs vLLM's `structured_outputs`.
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
    ) -> None:
        try:
            import openai
        except ImportError:
            raise MissingDependency(
                "openai is not installed: pip install 'w2stree[openai]'"
            ) from None
        self._openai = openai
        self._model, self._base_url = model, base_url
        self._key_env, self._key = api_key_env, _key(api_key_env)
        self._chat = None if tokenizer is None else ChatFormat(tokenizer)
        self._decoding = decoding
        self._timeout_s, self._max_retries = timeout_s, max_retries
        self._wants_tokens = True
        self._client: Any = None
        self.num_generated_tokens = 0
        self.name = f"openai(model={model})"
        self.tokenizer = None if self._chat is None else self._chat.fingerprint()

    async def turn(self, episode: Episode) -> AgentTurn:
        """One request; drawing exactly one seed from the episode's generator."""
        settings: dict[str, Any] = {
            "model": self._model,
            "temperature": episode.sampling.temperature,
            "top_p": episode.sampling.top_p,
            "max_tokens": self._decoding.max_new_tokens,
            "seed": int(episode.rng.integers(_MAX_SEED)),
        }
        extra: dict[str, Any] = {}
        if self._decoding.actions == "admissible":
            extra["structured_outputs"] = structured_output(
                episode.admissible_actions, has_thought=self._decoding.thought
            )
        num_retries, wait_s = 0, 0.5
        while True:
            try:
                with self._our_errors():
                    reply = await self._ask(episode, settings, extra)
                return self._checked(self._turn(reply), reply, episode)
            except _MalformedReplyError as error:
                if num_retries == self._max_retries:
                    raise ModelFailure(f"{self._base_url}: {error}") from None
            await asyncio.sleep(wait_s)
            num_retries, wait_s = num_retries + 1, min(2 * wait_s, 8.0)

    async def close(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def _ask(self, episode: Episode, settings: dict[str, Any], extra: dict[str, Any]) -> Any:
        """The server's reply, with tokens where it does not refuse to give them."""
        if not self._wants_tokens:
            return await self._post(episode, settings, extra, with_tokens=False)
        try:
            return await self._post(episode, settings, extra, with_tokens=True)
        except (self._openai.BadRequestError, self._openai.UnprocessableEntityError):
            if self._chat is not None:
                raise
        reply = await self._post(episode, settings, extra, with_tokens=False)
        self._wants_tokens = False  # they were what it refused
        return reply

    @contextlib.contextmanager
    def _our_errors(self) -> Iterator[None]:
        """The client's errors, which come after its own retries, as the package's."""
        openai = self._openai
        try:
            yield
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            source = f"${self._key_env}" if self._key_env else "no key: set api_key_env"
            raise InvalidInput(f"{self._base_url} refuses us ({source}): {error}") from None
        except openai.NotFoundError as error:
            raise InvalidInput(f"{self._base_url} has no model {self._model!r}: {error}") from None
        except openai.APIConnectionError as error:  # time-outs too
            cause = f" ({error.__cause__})" if error.__cause__ else ""
            raise ModelFailure(f"{self._base_url}: {error}{cause}") from None
        except openai.APIResponseValidationError as error:
            raise _MalformedReplyError(str(error)) from None
        except openai.APIError as error:
            raise ModelFailure(f"{self._base_url}: {error}") from None
        except ValueError as error:  # says it is JSON and is not
            raise _MalformedReplyError(f"the reply is not JSON: {error}") from None

    async def _post(
        self,
        episode: Episode,
        settings: dict[str, Any],
        extra: dict[str, Any],
        *,
        with_tokens: bool,
    ) -> Any:
        if self._client is None:
            self._client = self._openai.AsyncOpenAI(
                base_url=self._base_url,
                api_key=self._key,
                timeout=self._timeout_s,
                max_retries=self._max_retries,
                # A connection kept alive would take a response that a server or proxy sends
                # twice for the next episode's.
                default_headers={"Connection": "close"},
            )
        if self._chat is not None:
            return await self._client.completions.create(
                prompt=self._chat.history_ids(episode.prompt, episode.steps),
                logprobs=0,
                extra_body={
                    **extra,
                    "return_token_ids": True,
                    "stop_token_ids": self._chat.end_ids[-1:],
                },
                **settings,
            )
        if with_tokens:
            settings = {**settings, "logprobs": True}
            extra = {**extra, "return_token_ids": True}
        return await self._client.chat.completions.create(
            messages=_messages(episode),
            extra_body=extra,
            **settings,
        )

    def _turn(self, reply: Any) -> AgentTurn:
        """What the reply says; raises `_MalformedReplyError` where it says nothing usable."""
        choice = _only_choice(reply)
        ids = getattr(choice, "token_ids", None)
        if ids:
            self.num_generated_tokens += len(ids)
        if self._chat is not None:
            if not ids:
                raise InvalidInput(
                    f"{self._base_url} returns no token ids; leave out `tokenizer` for this server"
                )
            return sampled_turn(self._chat, ids, choice.logprobs and choice.logprobs.token_logprobs)
        message = getattr(choice, "message", None)
        text = getattr(message, "content", None)
        tool_calls = _tool_calls(message)
        is_cut = choice.finish_reason == "length"
        # With ids, the model did end its turn at once.
        if not (text or ids or tool_calls or is_cut):
            raise _MalformedReplyError("the reply's message is empty")
        logprobs = getattr(choice, "logprobs", None)
        scores = [token.logprob for token in (logprobs and logprobs.content) or ()]
        fits = bool(scores) and (not ids or len(scores) == len(ids))
        return AgentTurn(
            text or "",
            tuple(ids) if ids else None,
            tuple(scores) if fits else None,
            tool_calls,
            is_cut=is_cut,
        )

    def _checked(self, turn: AgentTurn, reply: Any, episode: Episode) -> AgentTurn:
        """The turn, unless a whole one is not what admissible decoding asks for."""
        is_whole = reply.choices[0].finish_reason != "length"
        if self._decoding.actions == "admissible" and is_whole:
            action = episode.action(turn)
            if action not in episode.admissible_actions:
                raise ModelFailure(
                    f"{self._base_url} ignores structured_outputs (it plays {action!r}): "
                    "use free decoding with this server"
                )
        return turn


class _MalformedReplyError(Exception):
    """A reply that is no reply: worth asking again."""


def _only_choice(reply: Any) -> Any:
    choices = getattr(reply, "choices", None)
    if not isinstance(choices, list) or not choices:
        raise _MalformedReplyError(f"the reply has no choices: {quoted(str(reply), 200)}")
    if len(choices) > 1:
        raise _MalformedReplyError(f"the reply has {len(choices)} choices; one was asked for")
    return choices[0]


def _messages(episode: Episode) -> list[dict[str, Any]]:
    refuse_wordless(episode.steps, "the history")
    history: list[dict[str, Any]] = [asdict(message) for message in episode.prompt]
    for step in episode.steps:
        history += _exchange(step) if step.tool_calls else _said(step)
    return history


def _said(step: Step) -> list[dict[str, Any]]:
    return [
        {"role": "assistant", "content": step.response},
        {"role": "user", "content": step.observation},
    ]


def _exchange(step: Step) -> list[dict[str, Any]]:
    """Calls and their answers. Each call wants one; the environment answers all of a turn at once,
    after the last."""
    ids = [call.id or f"call_{i}" for i, call in enumerate(step.tool_calls)]
    calls = [
        {
            "id": call_id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call_id, call in zip(ids, step.tool_calls, strict=True)
    ]
    contents = [""] * (len(ids) - 1) + [step.observation]
    return [
        {"role": "assistant", "content": step.response or None, "tool_calls": calls},
        *(
            {"role": "tool", "tool_call_id": call_id, "content": content}
            for call_id, content in zip(ids, contents, strict=True)
        ),
    ]


def _tool_calls(message: Any) -> tuple[ToolCall, ...]:
    calls = []
    for call in getattr(message, "tool_calls", None) or ():
        function = getattr(call, "function", None)
        try:
            calls.append(
                ToolCall(
                    getattr(function, "name", ""),
                    getattr(function, "arguments", None) or "{}",
                    getattr(call, "id", None) or None,
                )
            )
        except InvalidInput as error:
            raise _MalformedReplyError(f"the reply calls a tool, but {error}") from None
    return tuple(calls)


def _key(api_key_env: str | None) -> str:
    if api_key_env is None:
        return "none"  # the client insists on one; $OPENAI_API_KEY is not for every server
    key = os.environ.get(api_key_env)
    if not key:
        raise InvalidInput(f"the environment variable {api_key_env} is not set; it names the key")
    return key
