"""Who plays: this process's environments, or the workers of a cluster."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from w2stree.cli.before_models import before_models
from w2stree.cli.extra import needs
from w2stree.cli.ray_address import ray_address
from w2stree.cli.say import warn
from w2stree.errors import InvalidInput

if TYPE_CHECKING:
    from w2stree.environments.hosting.pool import EnvironmentPool
    from w2stree.experiment.config.exploration import ExplorationConfig
    from w2stree.rollouts.cluster.ray_cluster import RayCluster
    from w2stree.rollouts.executor import Executor
    from w2stree.trajectories.journal import Journal

CLUSTER = "cluster.json"
_KNOWN = "ray or ray://ADDRESS"

Engine: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="ray[://ADDRESS]",
        help="play on the machines of a cluster: that of $RAY_ADDRESS, else this machine alone, or "
        "the one at ADDRESS (docs/cluster.md)",
        show_default=False,
    ),
]
LocalDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--local-dir",
        metavar="DIR",
        help="of --engine: where each machine keeps its journal, on a disk of its own (default: in "
        "its folder for temporary files)",
        show_default=False,
    ),
]


@contextmanager
def executor_of(
    config: ExplorationConfig,
    pool: EnvironmentPool,
    journal: Journal,
    *,
    engine: str | None,
    local_dir: Path | None,
    salvage: bool,
) -> Iterator[Executor]:
    """The executor of `--engine`; None: the `pool`.

    Leaving the block puts what a cluster's workers have into `journal`. Raises `InvalidInput` for
    another engine and `MissingDependency` without Ray.
    """
    from w2stree.rollouts.executor import Equipped, LocalExecutor

    if engine is None:
        yield LocalExecutor(pool, config.policy.policy, instruction=config.instruction)
        return
    equipped = Equipped(
        config.environment.pool,
        config.policy.policy,
        num_processes=config.environment.num_processes,
        on_gpus=config.policy.is_in_process,
        instruction=config.instruction,
    )
    with (
        cluster_of(engine, local_dir) as cluster,
        cluster.executor(equipped, journal, run=_run_id(journal), salvage=salvage) as executor,
    ):
        yield executor


@contextmanager
def cluster_of(engine: str, local_dir: Path | None) -> Iterator[RayCluster]:
    """The cluster of `--engine`, connected to within the block. Raises as `executor_of` does."""
    with needs("ray"):
        from w2stree.rollouts.cluster.connection import connected
        from w2stree.rollouts.cluster.ray_cluster import RayCluster

    with connected(ray_address(engine, known=_KNOWN)):
        yield RayCluster(prepare=before_models, told=_tell, folder=local_dir)


def refuse_other_engines(engine: str | None, local_dir: Path | None) -> None:
    """Raises `InvalidInput` for an engine that is none, and for an option of one that is not asked
    for, before anything is made."""
    if engine is not None:
        ray_address(engine, known=_KNOWN)
    elif local_dir is not None:
        raise InvalidInput("--local-dir is of --engine: give --engine ray")


def _run_id(journal: Journal) -> str:
    """What the run's journals are called on other machines.

    Before the first episode another configuration takes a run directory over, and what is played
    of the earlier one must not be taken for its: the name is made anew as well.
    """
    from w2stree.experiment.run_json import read_json, write_json

    file = journal.path.with_name(CLUSTER)
    if journal.keys and file.is_file():
        remedy = "put it back from a copy, or delete this file alone"
        kept = read_json(file, remedy=remedy)
        if isinstance(kept, dict) and isinstance(name := kept.get("run"), str) and name.isalnum():
            return name
    name = uuid.uuid4().hex
    write_json(file, {"run": name})
    return name


def _tell(words: str) -> None:
    warn(f"w2stree: {words}")
