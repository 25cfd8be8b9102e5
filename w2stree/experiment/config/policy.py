"""The policy of a configuration: which one, its model, how its turns are decoded.

A policy is one model; `Sampling.model` says of each episode which one plays it: `tuned`, or the
`base` it was tuned from.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import Field, field_validator, model_validator

from w2stree.environments.options import Options
from w2stree.errors import InvalidInput
from w2stree.experiment.section import (
    Fraction,
    NameOrFile,
    Positive,
    Section,
    UserPath,
    Whole,
    laid_over,
)
from w2stree.policies.expert import ExpertPolicy
from w2stree.policies.protocol import AsyncPolicy, ModelName, Policy
from w2stree.policies.random import RandomPolicy
from w2stree.policies.served.address import checked_address
from w2stree.policies.served.key import read_key, refuse_no_variable
from w2stree.policies.served.tree_key import checked_header
from w2stree.turns.decoding import Decoding
from w2stree.turns.template import TemplateArgument

T = TypeVar("T")

# Other servers than vLLM ignore a choice of actions.
_SERVED = Decoding(actions="free", max_new_tokens=256)


_REACHED = ("base_url", "api_key_env", "timeout_s", "max_retries")


def _header(name: str | None) -> str | None:
    if name is not None:
        _named_by_its_key(checked_header, name, "tree_header ")
    return name


def _address(base_url: str) -> str:
    _named_by_its_key(checked_address, base_url, "base_url ")
    return base_url


def _variable(name: str | None) -> str | None:
    if name is not None:
        _named_by_its_key(refuse_no_variable, name, "api_key_env ")
    return name


class AnyPolicySection(Section):
    """What every policy has; as it stands here, one policy for all models: random, scripted."""

    may_change: ClassVar[tuple[str, ...]] = ()
    """Keys that say how a model is reached, not what it is asked: a resumed run may set them
    anew."""

    def policy(self, model: ModelName) -> Policy | AsyncPolicy:
        """The policy of that model."""
        raise NotImplementedError

    def refuse_absent_models(self) -> None:
        """Raises `InvalidInput` for a directory without a model or tokenizer and for a key that
        cannot be read, before anything is written and an environment starts."""

    @property
    def has_base_model(self) -> bool:
        """Whether `policy("base")` can be made."""
        return True

    @property
    def samples_tokens(self) -> bool:
        """Whether its turns are sampled token by token: what can be counted, if it is told."""
        return False

    @property
    def is_in_process(self) -> bool:
        """Whether it computes where it plays, on a GPU where there is one."""
        return False

    @property
    def needs_expert(self) -> bool:
        """Whether it plays the environment's own solution."""
        return False

    @property
    def chooser(self) -> str | None:
        """What of it chooses among the actions that the environment lists; None: it needs none."""
        return None


class ModelPolicySection(AnyPolicySection):
    """A policy that is a model; `base_model` is what it was before its fine-tuning.

    `chat_template` and `template_arguments` as in an experiment's model sections.
    """

    base_model: UserPath | str | None = None
    chat_template: NameOrFile | None = None
    template_arguments: dict[str, TemplateArgument] = Field(default_factory=dict)
    decoding: Decoding = Decoding()

    @property
    def has_base_model(self) -> bool:
        return self.base_model is not None

    @property
    def samples_tokens(self) -> bool:
        return True

    @property
    def chooser(self) -> str | None:
        is_choice = self.decoding.actions == "admissible"
        return "policy.decoding.actions: admissible" if is_choice else None


class TransformersSection(ModelPolicySection):
    """A model directory, in process."""

    name: Literal["transformers"]
    model: UserPath
    base_model: UserPath | None = None

    @property
    def is_in_process(self) -> bool:
        return True

    def refuse_absent_models(self) -> None:
        _refuse_absent(self.model, self.base_model)

    def policy(self, model: ModelName) -> Policy:
        from w2stree.policies.transformers import TransformersPolicy
        from w2stree.training.models import load_model

        return TransformersPolicy(
            *load_model(
                _which(model, self.model, self.base_model),
                self.chat_template,
                self.template_arguments,
            ),
            decoding=self.decoding,
        )


class OpenAISection(ModelPolicySection):
    """An OpenAI-compatible server; `model` and `base_model` are names of models or adapters there.

    `tokenizer`: the directory of the served models' tokenizer; with it, vLLM is sent token ids, and
    its template is the one that counts. Without it the server renders chats by its own.
    `base_url` is the server's address, without a key or a password in it. `api_key_env` names the
    environment variable with the key, where the server wants one. Admissible decoding needs the
    tokenizer. `timeout_s` bounds one whole attempt, from connecting to the last byte; up to
    `max_retries` more follow. `tree_header`: the header in which a router in front of several
    replicas finds one key of all requests of a task, so that one of them reads what they share.
    """

    may_change: ClassVar[tuple[str, ...]] = (*_REACHED, "tree_header")

    name: Literal["openai"]
    base_url: str = "http://localhost:8000/v1"
    model: str
    base_model: str | None = None
    api_key_env: str | None = None
    tokenizer: UserPath | None = None
    timeout_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 120.0
    max_retries: Whole = 5
    tree_header: str | None = None
    decoding: Decoding = _SERVED

    _is_an_address = field_validator("base_url")(_address)
    _is_a_variable = field_validator("api_key_env")(_variable)
    _is_a_header = field_validator("tree_header")(_header)

    @model_validator(mode="after")
    def _template_is_used(self) -> OpenAISection:
        if self.tokenizer is None and (self.chat_template or self.template_arguments):
            raise ValueError(
                "chat_template and template_arguments are of the tokenizer: give tokenizer (a "
                "vLLM server is then sent token ids), or set them where the server is started"
            )
        return self

    @model_validator(mode="after")
    def _has_tokenizer_to_choose_with(self) -> OpenAISection:
        if self.decoding.actions == "admissible" and self.tokenizer is None:
            raise ValueError(
                "decoding.actions: admissible is chosen token by token: set policy.tokenizer to "
                "the served model's directory (vLLM takes token ids), or decoding.actions: free"
            )
        return self

    def refuse_absent_models(self) -> None:
        read_key(self.api_key_env)
        if self.tokenizer is not None:
            self._check_tokenizer(self.tokenizer)

    def policy(self, model: ModelName) -> AsyncPolicy:
        from w2stree.policies.openai import OpenAIPolicy

        return OpenAIPolicy(
            _which(model, self.model, self.base_model),
            base_url=self.base_url,
            api_key_env=self.api_key_env,
            tokenizer=self._tokenizer(),
            decoding=self.decoding,
            timeout_s=self.timeout_s,
            max_retries=self.max_retries,
            tree_header=self.tree_header,
        )

    def _tokenizer(self) -> object:
        from w2stree.training.models import load_tokenizer

        if self.tokenizer is None:
            return None
        self._check_tokenizer(self.tokenizer)
        return load_tokenizer(self.tokenizer, self.chat_template, self.template_arguments)

    @staticmethod
    def _check_tokenizer(directory: Path) -> None:
        if not (directory / "tokenizer_config.json").is_file():
            raise InvalidInput(f"policy.tokenizer: {directory} has no tokenizer_config.json")


class ServedSection(Section):
    """The vLLM server of one of a run's models; the keys of its address are `OpenAISection`'s.

    `model`: what the server calls the model before it is trained. The server reads the run's
    adapters itself, so it sees the run's directory at the same path; it is started with
    `--enable-lora`, `--max-lora-rank`, and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True.
    """

    may_change: ClassVar[tuple[str, ...]] = _REACHED

    base_url: str = "http://localhost:8000/v1"
    model: str = "base"
    api_key_env: str | None = None
    timeout_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 120.0
    max_retries: Whole = 5

    _is_an_address = field_validator("base_url")(_address)
    _is_a_variable = field_validator("api_key_env")(_variable)

    def refuse_absent_key(self) -> None:
        """Raises `InvalidInput` for a key that cannot be read."""
        read_key(self.api_key_env)

    def loaded(self, adapters: Path, name: str) -> AbstractContextManager[None]:
        """Within the block the server serves a directory's adapters by this name."""
        from w2stree.policies.served.adapters import served_adapters

        return served_adapters(adapters, name, **self._how())

    def policy(self, name: str, directory: Path, decoding: Decoding, **template: Any) -> Any:
        """The policy of the model of that name, whose tokenizer is the directory's."""
        from w2stree.policies.openai import OpenAIPolicy
        from w2stree.training.models import load_tokenizer

        tokenizer = load_tokenizer(directory, **template)
        return OpenAIPolicy(name, tokenizer=tokenizer, decoding=decoding, **self._how())

    def _how(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in self.may_change}


class VllmSection(ModelPolicySection):
    """A model directory with vLLM in process; see `VllmPolicy`."""

    may_change: ClassVar[tuple[str, ...]] = ("memory_fraction",)

    name: Literal["vllm"]
    model: UserPath
    base_model: UserPath | None = None
    max_length: Positive | None = None
    memory_fraction: Annotated[Fraction, Field(gt=0)] = 0.9

    @property
    def is_in_process(self) -> bool:
        return True

    def refuse_absent_models(self) -> None:
        _refuse_absent(self.model, self.base_model)

    def policy(self, model: ModelName) -> Policy:
        from w2stree.policies.vllm import VllmPolicy

        return VllmPolicy(
            _which(model, self.model, self.base_model),
            decoding=self.decoding,
            chat_template=self.chat_template,
            template_arguments=self.template_arguments,
            max_length=self.max_length,
            memory_fraction=self.memory_fraction,
        )


class RandomSection(AnyPolicySection):
    """Random admissible actions; see `RandomPolicy`."""

    name: Literal["random"]
    by_verb: bool = False

    @property
    def chooser(self) -> str | None:
        return "policy: random"

    def policy(self, model: ModelName) -> Policy:
        return RandomPolicy(by_verb=self.by_verb)


class ExpertSection(AnyPolicySection):
    """The environment's own solution, with noise; see `ExpertPolicy`."""

    name: Literal["expert"]
    noise: Fraction = 0.0

    @property
    def needs_expert(self) -> bool:
        return True

    @property
    def chooser(self) -> str | None:
        return f"policy: expert with noise: {self.noise:g}" if self.noise else None

    def policy(self, model: ModelName) -> Policy:
        return ExpertPolicy(noise=self.noise)


PolicySection = Annotated[
    TransformersSection | OpenAISection | VllmSection | RandomSection | ExpertSection,
    Field(discriminator="name"),
]


def decoded_for(environment: Options, policy: Any) -> Any:
    """A policy's record, its decoding completed: in process by the environment's, else `_SERVED`.

    Not yet checked; a policy without a model comes back as it is.
    """
    name = policy.get("name") if isinstance(policy, dict) else None
    if name not in ("transformers", "vllm", "openai"):
        return policy
    default = _SERVED if name == "openai" else environment.decoding
    return {**policy, "decoding": laid_over(default, policy.get("decoding", {}))}


def _named_by_its_key(check: Callable[[str], object], value: str, subject: str) -> None:
    """Run a check whose message begins with the key, which a configuration's says already."""
    try:
        check(value)
    except InvalidInput as error:
        raise ValueError(str(error).removeprefix(subject)) from None


def _refuse_absent(*directories: UserPath | None) -> None:
    from w2stree.training.models import refuse_no_model

    for directory in directories:
        if directory is not None:
            refuse_no_model(directory)


def _which(model: ModelName, tuned: T, base: T | None) -> T:
    if model == "tuned":
        return tuned
    if base is None:
        raise InvalidInput("a sampling asks for the base model: set policy.base_model")
    return base
