"""A policy that asks an OpenAI-compatible server, many episodes at a time.

    without `tokenizer`   POST /chat/completions   the history as messages: any server
    with `tokenizer`      POST /completions        the history as token ids: vLLM

A server that is sent messages tokenises the agent's earlier turns anew, which need not give the
ids that were sampled. Sent ids, the model sees exactly what training will see, and chooses among
actions as it does in process. Either way each request begins with all of the one before it, so a
server that caches prefixes reads it once.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import os
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

from w2stree.errors import ContextExceeded, InvalidInput, MissingDependency, ModelFailure
from w2stree.policies.protocol import Episode
from w2stree.policies.question import eos_ids_in, hear, question
from w2stree.shorten import quoted
from w2stree.trajectories.tool_call import ToolCall
from w2stree.trajectories.trajectory import Step, refuse_wordless
from w2stree.turns.chat import ChatFormat
from w2stree.turns.decoding import Decoding
from w2stree.turns.grammar import TurnGrammar
from w2stree.turns.turn import AgentTurn

T = TypeVar("T")

_MAX_SEED = 2**31
_OF_VLLM = ("stop_token_ids", "allowed_token_ids")
"""Settings that the OpenAI protocol does not have."""

_TOO_LONG = re.compile(
    r"context[ _](length|size|window)|maximum model length|max_model_len|`inputs` tokens",
    re.IGNORECASE,
)
"""How servers (OpenAI, vLLM, SGLang, llama.cpp, TGI) say that a request exceeds the model."""


class OpenAIPolicy:
    """One model of one server: its name there is that of a base model or of a LoRA adapter.

    Answers 429, 5xx, time-outs, lost connections and malformed replies are tried again
    `max_retries` times, with a growing wait or the one the server asks for (Retry-After); then
    the turn raises `ModelFailure`; where the server says that a history and its turn exceed the
    model, `ContextExceeded`. A refused key or an unknown model raises `InvalidInput`.
    A reply cut off at `max_new_tokens` is a turn, and says that it was (`AgentTurn.is_cut`), be it
    empty because the model spent them on thinking that the server keeps to itself. Tools are not
    asked for; a reply that calls some is a turn of these calls.

    Token ids and log-probabilities are asked for and kept where the server gives them. Only
    with a `tokenizer` (the model's own, as transformers loads it) do trajectories name the
    tokenizer their ids are of, and only so can `decoding.actions` be "admissible" (`InvalidInput`
    otherwise): a choice is made token by token, among the ids that vLLM is told to allow.
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
        self._timeout_s, self._max_retries = timeout_s, max_retries
        self._wants_tokens = True
        self._client: Any = None
        self.num_generated_tokens = 0
        self.name = f"openai(model={model})"
        self.tokenizer = None if self._chat is None else self._chat.fingerprint()

    async def turn(self, episode: Episode) -> AgentTurn:
        """One request where messages are sent; of ids, one for each part of the turn (`question`).

        Each request draws exactly one seed from the episode's generator.
        """
        if self._chat is None or self._grammar is None:
            settings = self._settings(episode)
            return await self._retried(functools.partial(self._say, episode, settings))
        turn = self._grammar.start(episode.admissible_actions)
        history = self._chat.history_ids(episode.prompt, episode.steps)
        while not turn.is_done:
            settings = question(self._grammar, turn, episode)
            ask = functools.partial(self._complete, history + turn.ids, settings)
            choice = await self._retried(ask)
            hear(
                turn,
                choice.token_ids,
                _scores(choice.token_ids, _of_tokens(choice)),
                is_greedy=episode.sampling.temperature == 0.0,
                has_stopped=getattr(choice, "finish_reason", None) == "stop",
                engine=self._base_url,
            )
        self.num_generated_tokens += len(turn.ids)
        has_all_scores = all(map(math.isfinite, turn.logprobs))
        return turn.said() if has_all_scores else replace(turn.said(), logprobs=None)

    async def close(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def _retried(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` returns, asked again where the reply is malformed."""
        num_retries, wait_s = 0, 0.5
        while True:
            try:
                with self._our_errors():
                    return await ask()
            except _MalformedReplyError as error:
                if num_retries == self._max_retries:
                    raise ModelFailure(f"{self._base_url}: {error}") from None
            await asyncio.sleep(wait_s)
            num_retries, wait_s = num_retries + 1, min(2 * wait_s, 8.0)

    async def _complete(self, prompt: list[int], settings: dict[str, Any]) -> Any:
        """The only choice of a reply to token ids, with its token ids."""
        extra = {key: settings[key] for key in _OF_VLLM if key in settings}
        reply = await self._connected().completions.create(
            model=self._model,
            prompt=prompt,
            extra_body={**extra, "return_token_ids": True},
            **{key: value for key, value in settings.items() if key not in extra},
        )
        choice = _only_choice(reply)
        if getattr(choice, "token_ids", None) is None:
            raise InvalidInput(
                f"{self._base_url} returns no token ids; leave out `tokenizer` for this server"
            )
        return choice

    def _settings(self, episode: Episode) -> dict[str, Any]:
        return {
            "temperature": episode.sampling.temperature,
            "top_p": episode.sampling.top_p,
            "max_tokens": self._decoding.max_new_tokens,
            "seed": int(episode.rng.integers(_MAX_SEED)),
        }

    async def _say(self, episode: Episode, settings: dict[str, Any]) -> AgentTurn:
        """The reply to messages; with tokens where the server does not refuse to give them."""
        if self._wants_tokens:
            with contextlib.suppress(
                self._openai.BadRequestError, self._openai.UnprocessableEntityError
            ):
                turn = self._turn(await self._post(episode, settings, with_tokens=True))
                is_greedy = settings["temperature"] == 0.0  # certain, whatever the server says
                if turn.logprobs and is_greedy:
                    turn = replace(turn, logprobs=(0.0,) * len(turn.logprobs))
                return turn
        reply = await self._post(episode, settings, with_tokens=False)
        self._wants_tokens = False  # they were what it refused
        return self._turn(reply)

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
            kind = ContextExceeded if _TOO_LONG.search(str(error)) else ModelFailure
            raise kind(f"{self._base_url}: {error}") from None
        except ValueError as error:  # says it is JSON and is not
            raise _MalformedReplyError(f"the reply is not JSON: {error}") from None

    def _connected(self) -> Any:
        """The client; made within the event loop that its connections are bound to."""
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
        return self._client

    async def _post(self, episode: Episode, settings: dict[str, Any], *, with_tokens: bool) -> Any:
        tokens = {"logprobs": True, "extra_body": {"return_token_ids": True}} if with_tokens else {}
        return await self._connected().chat.completions.create(
            model=self._model,
            messages=_messages(episode),
            **tokens,
            **settings,
        )

    def _turn(self, reply: Any) -> AgentTurn:
        """What the reply says; raises `_MalformedReplyError` where it says nothing usable."""
        choice = _only_choice(reply)
        ids = getattr(choice, "token_ids", None)
        message = getattr(choice, "message", None)
        text = getattr(message, "content", None)
        tool_calls = _tool_calls(message)
        is_cut = getattr(choice, "finish_reason", None) == "length"
        # With ids, the model did end its turn at once.
        if not (text or ids or tool_calls or is_cut):
            raise _MalformedReplyError("the reply's message is empty")
        usage = getattr(reply, "usage", None)
        counted = getattr(usage, "completion_tokens", None)
        self.num_generated_tokens += len(ids) if ids else counted or 0
        has_count = isinstance(counted, int) and counted >= 0
        logprobs = getattr(choice, "logprobs", None)
        given = [token.logprob for token in (logprobs and logprobs.content) or ()]
        scores = _scores(ids or given, given)
        fits = bool(scores) and all(map(math.isfinite, scores))
        return AgentTurn(
            text or "",
            tuple(ids) if ids else None,
            tuple(scores) if fits else None,
            tool_calls,
            is_cut=is_cut,
            num_tokens=counted if has_count and not ids else None,
        )


class _MalformedReplyError(Exception):
    """A reply that is no reply: worth asking again."""


def _only_choice(reply: Any) -> Any:
    choices = getattr(reply, "choices", None)
    if not isinstance(choices, list) or not choices:
        raise _MalformedReplyError(f"the reply has no choices: {quoted(str(reply), 200)}")
    if len(choices) > 1:
        raise _MalformedReplyError(f"the reply has {len(choices)} choices; one was asked for")
    return choices[0]


def _scores(ids: Sequence[Any], logprobs: Sequence[float | None] | None) -> list[float]:
    """A log-probability for each id; NaN where the server gives none, or one that is no number."""
    if not logprobs or len(logprobs) != len(ids):
        return [math.nan] * len(ids)
    return [math.nan if score is None else float(score) for score in logprobs]


def _of_tokens(choice: Any) -> Any:
    return getattr(getattr(choice, "logprobs", None), "token_logprobs", None)


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
