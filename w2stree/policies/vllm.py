"""A policy with vLLM in process: its own batching and prefix cache, no server to look after.

vLLM pins its own torch, so it lives in an environment of its own, with w2stree beside it
(docs/policies.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput, MissingDependency, ModelFailure
from w2stree.policies.protocol import Episode
from w2stree.turns.admissible import structured_output
from w2stree.turns.chat import ChatFormat
from w2stree.turns.decoding import Decoding
from w2stree.turns.template import TemplateArgument, set_template
from w2stree.turns.turn import AgentTurn, sampled_turn

_MAX_SEED = 2**31


class VllmPolicy:
    """Lockstep turns of a model directory; histories are sent as token ids.

    `chat_template` and `template_arguments` as in `w2stree.turns.template.set_template`.
    `memory_fraction` is the share of the GPU's memory the engine takes, on a CPU of main memory.
    `max_length` bounds a history and its turn (None: what the model allows); an episode that
    exceeds it fails (`ModelFailure`). Log-probabilities are of the distribution sampled from.
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
            **(on_cpu if current_platform.is_cpu() else {}),
        )
        self._max_length = int(self._engine.llm_engine.model_config.max_model_len)
        tokenizer = self._engine.get_tokenizer()
        set_template(tokenizer, chat_template, template_arguments)
        self._chat = ChatFormat(tokenizer)
        self._decoding = decoding
        self.tokenizer: str | None = self._chat.fingerprint()
        self.num_generated_tokens = 0

    def act(self, episodes: Sequence[Episode]) -> list[AgentTurn | ModelFailure]:
        """The next turn of each episode: one call of the engine, one seed drawn for each."""
        turns: list[AgentTurn | ModelFailure | None] = []
        prompts, settings = [], []
        for episode in episodes:
            try:
                history, sampling = self._request(episode)
            except ModelFailure as failure:
                turns.append(failure)
            else:
                turns.append(None)
                prompts.append({"prompt_token_ids": history})
                settings.append(sampling)
        outputs = iter(self._engine.generate(prompts, settings, use_tqdm=False) if prompts else ())
        return [self._turn(next(outputs)) if turn is None else turn for turn in turns]

    def forget(self, key: int) -> None:
        pass

    def _request(self, episode: Episode) -> tuple[list[int], Any]:
        history = self._chat.history_ids(episode.prompt, episode.steps)
        if len(history) + self._decoding.max_new_tokens > self._max_length:
            raise ModelFailure(
                f"a history of {len(history)} tokens and a turn of "
                f"{self._decoding.max_new_tokens} exceed the model's {self._max_length}"
            )
        structure = None
        if self._decoding.actions == "admissible":
            structure = self._vllm.sampling_params.StructuredOutputsParams(
                **structured_output(episode.admissible_actions, has_thought=self._decoding.thought)
            )
        return history, self._vllm.SamplingParams(
            temperature=episode.sampling.temperature,
            top_p=episode.sampling.top_p,
            seed=int(episode.rng.integers(_MAX_SEED)),
            max_tokens=self._decoding.max_new_tokens,
            stop_token_ids=self._chat.end_ids[-1:],
            logprobs=0,
            structured_outputs=structure,
        )

    def _turn(self, output: Any) -> AgentTurn:
        said = output.outputs[0]
        ids = list(said.token_ids)
        self.num_generated_tokens += len(ids)
        scores = zip(said.logprobs, ids, strict=True)
        return sampled_turn(self._chat, ids, [float(of[token].logprob) for of, token in scores])
