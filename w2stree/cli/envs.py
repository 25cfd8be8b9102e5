"""`w2stree envs`: which environments are installed; `w2stree envs check NAME`: do they work.

Needs no package but w2stree itself, so it can name the ones that are missing.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from w2stree.cli.parameters import whole_number
from w2stree.cli.say import say
from w2stree.environments import kinds
from w2stree.environments.hosting.limits import Limits
from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.environments.java import java_home_bin
from w2stree.environments.options import Options
from w2stree.errors import InvalidInput, MissingDependency
from w2stree.shorten import visible

# Generating a solution can take the engine long; what is tested is whether it is right.
_LIMITS = Limits(deadline_s=300.0)


app = typer.Typer()


@app.callback(invoke_without_command=True)
def show(context: typer.Context) -> int:
    """List the environments, or check one."""
    if context.invoked_subcommand is not None:
        return 0
    for kind in kinds.KINDS:
        version = kind.version()
        state = f"not installed: {kind.install}" if version is None else f"{kind.package} {version}"
        needs = f" (needs {kind.needs})" if kind.needs else ""
        say(f"{kind.name:<18} {state}{needs}")
    say(f"{'java':<18} {_java()}")
    return 0


@app.command()
def check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="for example scienceworld")],
    num_tasks: Annotated[
        int,
        typer.Option(
            "--tasks",
            parser=whole_number(at_least=1),
            metavar="N",
            help="how many of each split",
        ),
    ] = 2,
) -> int:
    """Play an environment's expert on a few tasks of each split, twice.

    A task is right when the expert's actions reach the full score and get the same answers the
    second time. The exit status is 1 where one is wrong, 2 where the environment is unknown or
    not installed.
    """
    kind = kinds.kind_named(name)
    if not kind.checks:
        raise InvalidInput(
            f"{name} has no tasks of its own to check; docs/environments.md shows how to try yours"
        )
    kind.require()
    checked = [
        is_right
        for options in kind.checks
        for is_right in _check(options, num_tasks, kind.least_score)
    ]
    num_wrong = checked.count(False)
    say(f"{name}: {len(checked)} tasks checked, {num_wrong} wrong")
    return 0 if checked and not num_wrong else 1


def _check(options: Options, num_tasks: int, least_score: float) -> list[bool]:
    rights = []
    with EnvironmentProcess(options.factory(), _LIMITS) as process:
        for split in ("train", "dev", "test"):
            try:
                task_ids = process.call("tasks", split)
            except InvalidInput as error:
                if split == "train":
                    raise
                # The data at hand may lack a split, as ALFWorld's pack does.
                say(f"{'none':<6} {split:<6} {error}")
                continue
            for task_id in _spread(task_ids, num_tasks):
                wrong, what = _replay(process, task_id, least_score)
                say(f"{'WRONG' if wrong else 'ok':<6} {split:<6} {visible(task_id)}: {what}")
                rights.append(not wrong)
            if not task_ids:
                say(f"{'none':<6} {split:<6} no tasks")
    return rights


def _replay(process: EnvironmentProcess, task_id: str, least_score: float) -> tuple[bool, str]:
    """Whether it went wrong, and what happened."""
    process.call("reset", task_id)
    actions = [turn.action for turn in process.call("expert")]
    first, second = (_play(process, task_id, actions) for _ in range(2))
    score = first[-1][-1]["score"]
    for i, (answer, again) in enumerate(zip(first, second, strict=False)):
        if answer != again:
            return True, f"answer {i} is {again!r}, at first {answer!r}"
    wrong = score < least_score
    return wrong, f"{len(first) - 1} steps, score {score:.2f}, the same answers twice"


def _play(process: EnvironmentProcess, task_id: str, actions: Sequence[str]) -> list[Any]:
    answers: list[Any] = [process.call("reset", task_id)]
    for action in actions:
        answers.append(process.call("step", action))
        _, _, terminated, truncated, _ = answers[-1]
        if terminated or truncated:
            break
    return answers


def _spread(task_ids: Sequence[str], count: int) -> Sequence[str]:
    """`count` of them at equal distances: the first ones may be of one sort."""
    return task_ids[:: max(1, len(task_ids) // count)][:count]


def _java() -> str:
    try:
        folder = java_home_bin()
    except MissingDependency as error:
        return str(error)
    told = subprocess.run([folder / "java", "-version"], capture_output=True, text=True, timeout=60)
    return f"{told.stderr.splitlines()[0]} ({folder})"
