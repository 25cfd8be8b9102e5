"""A policy with vLLM in process: its own batching and prefix cache, no server to look after.

vLLM pins its own torch, so it lives in an environment of its own, with w2stree beside it
(docs/policies.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from w2stree.errors import ContextExceeded, InvalidInput, MissingDependency, ModelFailure
from w2stree.policies.protocol import Episode
from w2stree.policies.question import eos_ids_in, hear, question
from w2stree.turns.chat import ChatFormat
from w2stree.turns.decoding import Decoding
from w2stree.turns.grammar import Turn, TurnGrammar
from w2stree.turns.template import TemplateArgument, set_template
from w2stree.turns.turn import AgentTurn


class VllmPolicy:
    """Lockstep turns of a model directory; histories are sent as token ids.

    `chat_template` and `template_arguments` as in `w2stree.turns.template.set_template`.
    `memory_fraction` is the share of the GPU's memory the engine takes, on a CPU of main memory.
    `max_length` bounds a history and its turn (None: what the model allows); an episode that
    may exceed it ends as truncated (`ContextExceeded`). Log-probabilities are of the distribution
    sampled from.
    """

    name = "vllm"
    needs_expert = False

    def __init__(
        self,
        model: str | Path,
        *,
        decoding: Decoding = Decoding(max_new_tokens=256),
        chat_template: str | Path | None = None,
        template_arguments: Mapping[str, TemplateArgument] | None = None,
        max_length: int | None = None,
        memory_fraction: float = 0.9,
    ) -> None:
        try:
            import vllm
            from vllm.platforms import current_platform
        except ImportError as error:
            raise MissingDependency(
                f"vLLM does not import ({error}): install it with w2stree in an environment of "
                "its own (docs/policies.md), or use a server (OpenAIPolicy)"
            ) from None
        if not (Path(model) / "config.json").is_file():
            raise InvalidInput(f"{model}: no config.json; give the directory of a causal LM")
        self._vllm = vllm
        # On the CPU a request's own seed ends the engine when prefill is chunked (0.32).
        on_cpu = {"enforce_eager": True, "enable_chunked_prefill": False, "dtype": "float32"}
        self._engine = vllm.LLM(
            model=str(model),
            max_model_len=max_length,
            gpu_memory_utilization=memory_fraction,
            enable_prefix_caching=True,
            logprobs_mode="processed_logprobs",
            generation_config="vllm",
            trust_remote_code=False,
            **(on_cpu if current_platform.is_cpu() else {}),
        )
        self._max_length = int(self._engine.llm_engine.model_config.max_model_len)
        tokenizer = self._engine.get_tokenizer()
        set_template(tokenizer, chat_template, template_arguments)
        self._chat = ChatFormat(tokenizer)
        self._grammar = TurnGrammar(self._chat, decoding, eos_ids=eos_ids_in(model))
        self.tokenizer: str | None = self._chat.fingerprint()
        self.num_generated_tokens = 0

    def act(self, episodes: Sequence[Episode]) -> list[AgentTurn | ModelFailure]:
        """The next turn of each episode.

        One call of the engine for what is said freely, then one for each token of a choice; each
        call asks for all episodes that have not come to their turn's end.
        """
        asked = [_Asked(self._grammar, self._chat, episode) for episode in episodes]
        while running := [a for a in asked if not a.is_over]:
            self._ask(running)
        self.num_generated_tokens += sum(len(a.turn.ids) for a in asked)
        return [a.failure or a.turn.said() for a in asked]

    def forget(self, key: int) -> None:
        pass

    def _ask(self, running: Sequence[_Asked]) -> None:
        """One call of the engine, for the next tokens of each turn."""
        fitting = [a for a in running if self._fits(a)]
        if not fitting:
            return
        outputs = self._engine.generate(
            [{"prompt_token_ids": a.history + a.turn.ids} for a in fitting],
            [
                self._vllm.SamplingParams(**question(self._grammar, a.turn, a.episode))
                for a in fitting
            ],
            use_tqdm=False,
        )
        for a, output in zip(fitting, outputs, strict=True):
            said = output.outputs[0]
            ids = list(said.token_ids)
            hear(
                a.turn,
                ids,
                [float(of[token].logprob) for of, token in zip(said.logprobs, ids, strict=True)],
                is_greedy=a.episode.sampling.temperature == 0.0,
                has_stopped=said.finish_reason == "stop",
                engine="vLLM",
            )

    def _fits(self, asked: _Asked) -> bool:
        """Whether the model has room for what is asked; else the episode fails."""
        num_tokens = len(asked.history) + len(asked.turn.ids)
        if num_tokens + asked.turn.num_askable <= self._max_length:
            return True
        asked.failure = ContextExceeded(
            f"a history of {num_tokens} tokens and {asked.turn.num_askable} more of a turn exceed "
            f"the model's {self._max_length}"
        )
        return False


class _Asked:
    """An episode's turn in the making, or why there is none."""

    def __init__(self, grammar: TurnGrammar, chat: ChatFormat, episode: Episode) -> None:
        self.episode = episode
        self.history = chat.history_ids(episode.prompt, episode.steps)
        self.failure: ModelFailure | None = None
        self.turn = Turn(grammar, None)
        try:
            self.turn = grammar.start(episode.admissible_actions)
        except ModelFailure as failure:
            self.failure = failure

    @property
    def is_over(self) -> bool:
        return self.turn.is_done or self.failure is not None
