"""The command line: `w2stree run`, `explore`, `tree`, `verify`, `envs`."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from w2stree.cli.verify import verify
from w2stree.errors import (
    EnvironmentFailure,
    ExplorationFailure,
    InvalidInput,
    JournalError,
    MissingDependency,
    RunDirectoryError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; user errors print one message and return 2, an interrupt returns 130."""
    parser = _parser()
    # argparse takes `CONFIG --run-dir X seed=1` apart wrongly: overrides may follow options.
    options, rest = parser.parse_known_args(arguments)
    misplaced = [a for a in rest if a.startswith("-") or "=" not in a]
    if misplaced or (rest and not hasattr(options, "override")):
        parser.error(f"unrecognized arguments: {' '.join(misplaced or rest)}")
    if rest:
        options.override += rest
    warnings.formatwarning = lambda message, *_, **__: f"w2stree: warning: {message}\n"
    try:
        return int(options.command(options))
    except (InvalidInput, JournalError, MissingDependency, RunDirectoryError, OSError) as error:
        print(f"w2stree: {error}", file=sys.stderr)
        return 2
    except EnvironmentFailure as error:
        print(f"w2stree: the environment failed: {error}", file=sys.stderr)
        return 1
    except ExplorationFailure as error:
        print(f"w2stree: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nw2stree: interrupted; run the same command again to go on", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="w2stree", description="Trajectory trees and weak-to-strong training from agent runs."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run an experiment, stage by stage, to its report")
    run.add_argument(
        "config", help="a YAML file, or a shipped configuration: quickstart, miniature"
    )
    run.add_argument("override", nargs="*", help="key.path=value, for example seed=1")
    run.add_argument("--run-dir", type=Path, help="where results go (default: runs/<name>)")
    run.add_argument(
        "--force", action="append", default=[], metavar="STAGE", help="redo a finished stage"
    )
    run.set_defaults(command=_run)

    explore = commands.add_parser("explore", help="play tasks many times over into a journal")
    explore.add_argument("config", help="a YAML file, or a shipped one: textworld_random")
    explore.add_argument("override", nargs="*", help="key.path=value, for example seed=1")
    explore.add_argument("--run-dir", type=Path, help="where results go (default: runs/<name>)")
    explore.add_argument(
        "--salvage", action="store_true", help="go on without a damaged journal's damaged frames"
    )
    explore.set_defaults(command=_explore)

    tree = commands.add_parser("tree", help="summarise trajectories as a forest, or draw one tree")
    tree.add_argument(
        "trajectories",
        type=Path,
        help="a .jsonl or .journal file, a directory of them, or a saved forest",
    )
    tree.add_argument("--task", help="draw this task's tree")
    tree.set_defaults(command=_tree)

    replay = commands.add_parser("verify", help="replay recorded actions; report what differs")
    replay.add_argument("run", type=Path, help="a run directory, a stage of it, or a file in it")
    replay.add_argument(
        "--sample", type=_positive, metavar="N", help="replay N trajectories (default: all)"
    )
    replay.add_argument("--seed", type=int, default=0, help="of the sample (default: 0)")
    replay.set_defaults(command=verify)

    envs = commands.add_parser("envs", help="list the environments, or check one")
    envs.set_defaults(command=_envs)
    actions = envs.add_subparsers(metavar="check")
    check = actions.add_parser("check", help="play an environment's expert on a few tasks")
    check.add_argument("name", help="for example scienceworld")
    check.add_argument("--tasks", type=int, default=2, help="how many of each split (default: 2)")
    check.set_defaults(command=_envs_check)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number}; give at least 1")
    return number


def _run(options: argparse.Namespace) -> int:
    _before_models()
    try:
        from w2stree.experiment.config import load_config

        config = load_config(options.config, options.override)
        from w2stree.experiment.pipeline import run_experiment
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"{error.name} is not installed: pip install 'w2stree[all]'"
        ) from None
    run_dir = options.run_dir or Path("runs") / config.name
    report = run_experiment(config, run_dir, force=options.force, announce=_announce)
    print((report / "report.md").read_text(encoding="utf-8"))
    print(f"report: {report / 'report.html'}")
    return 0


def _explore(options: argparse.Namespace) -> int:
    from w2stree.cli.explore import explore

    _before_models()
    return explore(options.config, options.override, options.run_dir, salvage=options.salvage)


def _tree(options: argparse.Namespace) -> int:
    from w2stree.forest.build import build_forest, open_forest
    from w2stree.forest.file import is_forest_file
    from w2stree.trajectories.files import read_trajectories

    path = options.trajectories
    if path.is_file() and is_forest_file(path):
        forest = open_forest(path)
    else:
        forest = build_forest(read_trajectories(path))
    if options.task is None:
        print(forest.summary())
    elif options.task in forest.task_ids:
        print(forest[options.task])
    else:
        raise InvalidInput(f"no task {options.task!r}; the first are {forest.task_ids[:3]}")
    return 0


def _envs(options: argparse.Namespace) -> int:
    from w2stree.cli import envs

    return envs.show()


def _envs_check(options: argparse.Namespace) -> int:
    from w2stree.cli import envs

    return envs.check(options.name, num_tasks=options.tasks)


def _announce(stage: str, what: str) -> None:
    print(f"{stage:<24} {what}", flush=True)


def _before_models() -> None:
    """Settings that torch, transformers and datasets read when they are imported."""
    settings = {
        "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads halve the speed when all cores are busy
        "HF_HUB_OFFLINE": "1",  # nothing here may reach for a model hub
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "TRANSFORMERS_VERBOSITY": "error",
    }
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")


if __name__ == "__main__":
    sys.exit(main())
