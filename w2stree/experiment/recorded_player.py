"""Who played a recorded run, and where, so that it can be played on from any of its steps.

    RUN_DIR/config.json of `w2stree explore`   its policy, its environment
                        of `w2stree run`       the weak model (sft_weak/model), which explored

A directory may come from anybody: what it names that would run code, or that texts and a key would
be sent to, is used for those alone who trust it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2stree.environments.options import Options
from w2stree.errors import InvalidInput
from w2stree.experiment.config.environment import EnvironmentSection
from w2stree.experiment.config.experiment import PromptSection
from w2stree.experiment.config.layouts import todays_layout
from w2stree.experiment.config.policy import (
    ExpertSection,
    OpenAISection,
    PolicySection,
    RandomSection,
)
from w2stree.experiment.config.reading import check
from w2stree.experiment.recorded_run import configuration_of, refuse_code
from w2stree.experiment.section import Section
from w2stree.policies.expert import ExpertPolicy
from w2stree.policies.protocol import AsyncPolicy, ModelName, Policy
from w2stree.policies.random import RandomPolicy
from w2stree.turns.decoding import Decoding

_WEAK_MODEL = Path("sft_weak") / "model"


@dataclass(frozen=True, slots=True)
class Player:
    """The environment, who plays in it, and what stands before each task's statement."""

    environment: Options
    policy: Callable[[ModelName], Policy | AsyncPolicy]
    described: str
    """Who plays, in words."""
    instruction: str


class _Played(Section):
    environment: EnvironmentSection


class _Explored(_Played):
    policy: PolicySection
    instruction: str = ""


class _Experiment(_Played):
    decoding: Decoding
    prompt: PromptSection = PromptSection()


def recorded_player(path: Path, *, policy: str | None = None, trust: bool = False) -> Player:
    """The player of a run directory, a stage of it or a file in it.

    policy: expert, random or a model's directory, in place of the recorded one.

    Raises `InvalidInput` where there is no such configuration, where it names no policy that
    plays, and where code or a server would be used and `trust` is false. Nothing is run here, and
    a model is opened when it is first asked for.
    """
    file, record = configuration_of(path)
    record = todays_layout(record)
    if not isinstance(record, dict) or "environment" not in record:
        raise InvalidInput(f"{file}: has no `environment` to play in")
    where = str(file)
    environment = _checked(_Played, record, where).environment
    refuse_code(environment, file, trust=trust)
    instruction = _instruction(record, where)
    if policy is not None:
        return _given(policy, environment, instruction, record, where)
    if "policy" in record:
        section = _checked(_Explored, record, where).policy
        _refuse_server(section, file, trust=trust)
        section.refuse_absent_models()
        return Player(environment, section.policy, _described(section), instruction)
    folders = (file.parent, file.resolve().parent.parent)  # of the run, or of a stage of it
    model = next((f / _WEAK_MODEL for f in folders if (f / _WEAK_MODEL).is_dir()), None)
    if model is None:
        raise InvalidInput(
            f"{file}: names no policy, and {_WEAK_MODEL} is not beside it, so nobody plays on; "
            "give another policy (expert, random, or a model's directory)"
        )
    return _model(model, environment, instruction, record, where)


def _described(section: Any) -> str:
    if isinstance(section, ExpertSection | RandomSection):
        return section.policy("tuned").name
    return f"{section.name} {section.model}"


def _given(policy: str, environment: Options, instruction: str, record: Any, where: str) -> Player:
    if policy == "expert":
        if not environment.has_expert:
            raise InvalidInput(f"policy expert: {environment.title} has no solution of its own")
        return Player(environment, lambda _: ExpertPolicy(), "expert", instruction)
    if policy == "random":
        return Player(environment, lambda _: RandomPolicy(), "random", instruction)
    if not Path(policy).is_dir():
        raise InvalidInput(f"policy {policy!r}; give expert, random or a model's directory")
    return _model(Path(policy), environment, instruction, record, where)


def _model(folder: Path, environment: Options, instruction: str, record: Any, where: str) -> Player:
    """A model in this process, decoded as the run says, or as its environment has it."""
    decoding = environment.decoding
    if "decoding" in record:
        decoding = _checked(_Experiment, record, where).decoding

    def opened(_: ModelName) -> Policy:
        from w2stree.policies.transformers import TransformersPolicy
        from w2stree.training.models import load_model

        return TransformersPolicy(*load_model(folder), decoding=decoding)

    return Player(environment, opened, str(folder), instruction)


def _instruction(record: Any, where: str) -> str:
    if "prompt" in record:
        return str(_checked(_Experiment, record, where).prompt.instruction)
    instruction = record.get("instruction", "")
    if not isinstance(instruction, str):
        raise InvalidInput(f"{where}: instruction: {instruction!r} is no text")
    return instruction


def _refuse_server(section: Any, file: Path, *, trust: bool) -> None:
    if isinstance(section, OpenAISection) and not trust:
        raise InvalidInput(
            f"{file} names a server, {section.base_url}, to which texts and a key would be sent; "
            "if you trust whoever made this directory, give --trust (trust=True), or another policy"
        )


def _checked(kind: type[Any], record: Any, where: str) -> Any:
    known = {name: record[name] for name in kind.model_fields if name in record}
    return check(kind, known, where)
