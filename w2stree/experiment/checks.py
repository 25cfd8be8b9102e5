"""What would otherwise fail minutes into a run, checked before its first stage."""

from __future__ import annotations

from collections.abc import Iterator

from transformers import LlamaConfig

from w2stree.environments.java import java_home_bin
from w2stree.environments.kinds import kind_of
from w2stree.errors import InvalidInput
from w2stree.experiment.config import Config
from w2stree.experiment.config.model import ModelSection
from w2stree.experiment.hashes import MANIFEST
from w2stree.experiment.listed_actions import refuse_unlisted, unlisted
from w2stree.experiment.methods import sft
from w2stree.experiment.stages.context import Context
from w2stree.report.charts import require_matplotlib
from w2stree.report.templates import require_jinja2
from w2stree.training.directory import check_layers, check_model_directory
from w2stree.training.launched.command import refuse_too_few_gpus
from w2stree.training.launcher import refuse_several_processes, rows_of_a_process
from w2stree.training.models import load_tokenizer, refuse_no_model
from w2stree.training.optimisation import Optimisation
from w2stree.training.trackers import refuse_absent_trackers
from w2stree.turns.chat import ChatFormat


def check(context: Context) -> None:
    """All checks, the cheap ones first; raises `InvalidInput` or `MissingDependency`.

    The environment is asked last, and only while there are no demonstrations yet, or tasks are
    chosen anew: a run that goes on has passed. Its process is one of those that the stages use.
    """
    config = context.config
    refuse_several_processes()
    _check_packages(config)
    _check_launch(config)
    _check_models(config)
    _check_served(config)
    _check_chats(config)
    _check_decoding(config)
    _check_demonstrations(context)
    _check_samplings(config)
    config.environment.refuse_too_many(config.tasks.most_of_one_fold())
    if context.chooses_anew or not (context.run_dir / "demonstrations" / MANIFEST).is_file():
        _check_parts(context)
        _check_listed_actions(context)


def _check_packages(config: Config) -> None:
    """The environment names its own package when it is asked; those of pretraining start later."""
    config.merge.require()
    for section in (config.weak, config.strong):
        if section.path is not None:
            refuse_no_model(section.path)
    kinds = [kind_of(config.environment)]
    if config.strong.pretrain:
        pretraining = kind_of(config.strong.pretrain.games[0].options())
        pretraining.require()
        kinds.append(pretraining)
    if any(kind.needs_java for kind in kinds):
        java_home_bin()
    require_matplotlib()
    require_jinja2()
    refuse_absent_trackers(config.report_to)


def _check_models(config: Config) -> None:
    for role in ("weak", "strong"):
        section: ModelSection = getattr(config, role)
        optimisations = [optimisation for _, optimisation in _optimisations(config, role)]
        if section.path is not None:
            check_model_directory(
                section.path, max_length=config.max_length, optimisations=optimisations
            )
        else:
            check_layers(f"{role}.architecture", LlamaConfig(), optimisations)
            first = optimisations[0].lora
            if first is not None and not first.merge:
                raise InvalidInput(
                    f"{role}: lora.merge: false keeps adapters beside the model they lie on, and a "
                    "model of an architecture is in no directory: leave merge out, or give a path"
                )


def _check_launch(config: Config) -> None:
    """Each training comes out even in as many processes, and each of these has a GPU."""
    if config.launch is None:
        return
    try:
        refuse_too_few_gpus(config.launch)
    except InvalidInput as error:
        raise InvalidInput(f"launch.{error}") from None
    for role in ("weak", "strong"):
        for key, optimisation in _optimisations(config, role):
            if optimisation.unshared:
                raise InvalidInput(
                    f"{key}.unshared: unshared training takes one process; leave it or launch out"
                )
            try:
                rows_of_a_process(
                    optimisation.batch_size,
                    optimisation.micro_batch_size,
                    config.launch.num_processes,
                )
            except InvalidInput as error:
                raise InvalidInput(f"{key}: {error} (launch.num_processes)") from None


def _optimisations(config: Config, role: str) -> Iterator[tuple[str, Optimisation]]:
    """How the weak or the strong model is trained, stage by stage, each with its key: all but the
    weak model's own fine-tuning trains the strong one."""
    if role == "strong" and config.strong.pretrain is not None:
        yield "strong.pretrain.optimisation", config.strong.pretrain.optimisation
    for method in config.methods():
        if method.train is not None and (method.name == sft.WEAK.name) == (role == "weak"):
            settings, key = config.settings(method), method.settings_at or method.name
            if isinstance(settings, Optimisation):
                yield key, settings
            else:
                yield f"{key}.optimisation", settings.optimisation


def _check_served(config: Config) -> None:
    """A server loads adapters, not models."""
    for role in ("weak", "strong"):
        served = getattr(config, role).served
        if served is None:
            continue
        served.refuse_absent_key()
        for where, optimisation in _optimisations(config, role):
            if optimisation.lora is None or optimisation.lora.merge:
                raise InvalidInput(
                    f"{role}.served: a server loads the adapters of what is trained, and "
                    f"{where} makes a whole model: set lora: "
                    "{merge: false} there, or play in this process (leave served out)"
                )


def _check_chats(config: Config) -> None:
    """The strong model's template would else be looked at when the weak one has explored."""
    for role, section in (("weak", config.weak), ("strong", config.strong)):
        if section.path is not None:
            try:
                ChatFormat(
                    load_tokenizer(section.path, section.chat_template, section.template_arguments)
                )
            except InvalidInput as error:
                raise InvalidInput(f"{role} ({section.path}): {error}") from None


def _check_decoding(config: Config) -> None:
    if config.decoding.actions == "admissible" and not config.environment.lists_actions:
        chooser = "decoding.actions: admissible"
        raise InvalidInput(f"{unlisted(config.environment, chooser)}, or decoding.actions: free")


def _check_demonstrations(context: Context) -> None:
    environment = context.config.environment
    if context.demonstrated() is None and not environment.has_expert:
        raise InvalidInput(
            f"environment: {environment.title} has no expert to demonstrate tasks: set "
            "environment.expert to a module:callable that returns a task's actions "
            "(docs/environments.md), or demonstrations to a file of successful "
            "trajectories, or explore without demonstrations (`w2stree explore`)"
        )


def _check_samplings(config: Config) -> None:
    """Where given runs take the weak model's exploration's place, the strong one's says how."""
    if config.explore.samplings is not None or config.explore_strong.samplings is not None:
        return
    for method in config.methods():
        if {"strong_explored", "strong_on_demonstrated"} & set(method.needs.values()):
            raise InvalidInput(
                f"{method.name} learns from runs of the strong model, which explores by "
                "explore.samplings, and explore.trajectories stands in their place: set "
                f"explore_strong.samplings, or leave {method.name} out of the configuration"
            )


def _check_parts(context: Context) -> None:
    """Enough tasks, enough demonstrations; and of explored tasks, where a method needs those."""
    explored, demonstrated = context.parts().explore.task_ids, context.demonstrated()
    if demonstrated is None or demonstrated.by_task.keys() & explored:
        return
    for method in context.config.methods():
        if "ceiling_demonstrations" in method.needs.values():
            raise InvalidInput(
                f"{method.name} learns from demonstrations of the {len(explored)} explored tasks, "
                f"but {demonstrated.summary}; none is explored here: leave {method.name} out of "
                "the configuration, or add demonstrations"
            )


def _check_listed_actions(context: Context) -> None:
    environment = context.config.environment
    if environment.lists_actions:
        refuse_unlisted(environment, context.pool(), context.parts().explore.task_ids[0])
