"""What would otherwise fail minutes into a run, checked before its first stage."""

from __future__ import annotations

from w2stree.environments.java import java_home_bin
from w2stree.environments.kinds import kind_of
from w2stree.errors import InvalidInput
from w2stree.experiment.config import Config
from w2stree.experiment.listed_actions import refuse_unlisted, unlisted
from w2stree.experiment.run_directory import MANIFEST
from w2stree.experiment.stages.context import Context
from w2stree.report.charts import require_matplotlib
from w2stree.report.templates import require_jinja2
from w2stree.training.models import refuse_no_model


def check(context: Context) -> None:
    """All checks, the cheap ones first; raises `InvalidInput` or `MissingDependency`.

    The environment is asked last, and only while there are no demonstrations yet: a run that goes
    on has passed. Its process is one of those that the stages use.
    """
    config = context.config
    _check_packages(config)
    _check_decoding(config)
    _check_demonstrations(context)
    tasks = config.tasks
    config.environment.refuse_too_many(
        max(tasks.demonstrations + tasks.explore, tasks.test_offset + tasks.test)
    )
    if not (context.run_dir / "demonstrations" / MANIFEST).is_file():
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


def _check_decoding(config: Config) -> None:
    if config.decoding.actions == "admissible" and not config.environment.lists_actions:
        chooser = "decoding.actions: admissible"
        raise InvalidInput(f"{unlisted(config.environment, chooser)}, or decoding.actions: free")


def _check_demonstrations(context: Context) -> None:
    kind = kind_of(context.config.environment)
    if context.demonstrated() is None and not kind.has_expert:
        raise InvalidInput(
            f"environment: {kind.name} has no expert to demonstrate tasks: set "
            "tasks.demonstrations_from to a file of successful trajectories, or explore without "
            "demonstrations (`w2stree explore`)"
        )


def _check_parts(context: Context) -> None:
    """Enough tasks, enough demonstrations; and of explored tasks, where a method needs those."""
    explored, demonstrated = context.parts().explore, context.demonstrated()
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
        refuse_unlisted(environment, context.pool(), context.parts().explore[0])
