"""A run directory as the report finds it, its episodes made by `cooking_runs`, nothing trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from support import cooking_runs

from w2stree import Message, Trajectory, build_forest, write_trajectories
from w2stree.environments.options import Options
from w2stree.experiment.config import load_config
from w2stree.experiment.parts import Parts
from w2stree.experiment.run_directory import RunDirectory, StageSpec, StageWriter
from w2stree.experiment.run_json import write_json
from w2stree.experiment.stages import choose
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.measure import report as report_stage
from w2stree.experiment.stages.tree import tree as tree_stage
from w2stree.rollouts.task_choice import Chosen

# The quickstart without what would be searched in an environment.
UNPLAYED = ["recombined_sft=null"]
METHODS = [method.name for method in load_config("quickstart", UNPLAYED).methods()]
SKILLS = dict(zip(METHODS, (0.25, 0.82, 0.86, 0.86, 0.93, 0.96), strict=True))


class Run(Context):
    """A run whose tasks no environment has to name."""

    def parts(self) -> Parts:
        tasks = self.config.tasks
        return Parts(
            made_up("demonstrations", tasks.demonstrations),
            made_up("explore", tasks.explore),
            {name: made_up(name, panel.count) for name, panel in tasks.test.items()},
            tasks.dev and made_up("dev", tasks.dev.count),
        )


def play(tasks: Sequence[str], skill: float, *, num_runs: int, seed: int) -> list[Trajectory]:
    """Each task is asked in words of its own."""
    runs = cooking_runs.play(list(tasks), skill, num_runs=num_runs, seed=seed)
    return [replace(t, prompt=(Message("user", f"Cook {t.task_id}."),)) for t in runs]


def made_up(part: str, count: int) -> Chosen:
    return Chosen({f"{part}/{i}": f"{part} {i}" for i in range(count)}, num_repeated=1)


def make_run(
    folder: Path,
    *,
    num_tasks: int = 40,
    environment: Options | None = None,
    search: Mapping[str, int] | None = None,
    **skills: float,
) -> Context:
    """A run directory with the stages that the report reads, played by `cook`."""
    overrides = [
        *UNPLAYED,
        f"tasks.test={num_tasks}",
        "tasks.dev=9",
        "tasks.explore=40",
        "evaluate.num_bootstrap=400",
        *(f"search.{key}={value}" for key, value in (search or {}).items()),
    ]
    config = load_config("quickstart", overrides)
    if environment:
        config = config.model_copy(update={"environment": environment})
    directory = RunDirectory(folder, config.model_dump(mode="json"))
    context = Run(config, folder)

    def write(name: str, needs: tuple[str, ...], trajectories: list[Trajectory], **metrics: Any):
        with directory.write(StageSpec(name, needs), seed=0) as writer:
            if name == "tasks":
                choose.tasks(context, writer)
            if trajectories:
                write_trajectories(writer.folder / "trajectories.jsonl", trajectories)
            writer.metrics.update(metrics)
            if name == "tree":
                tree_stage(context, writer)
                write_json(writer.folder / "forest.json", statistics(explored))

    explored = play(context.parts().explore.task_ids, 0.82, num_runs=6, seed=1)
    write("tasks", (), [])
    write("demonstrations", (), [], num_trajectories=60)
    write(
        "sft_weak",
        ("demonstrations",),
        [],
        num_parameters=840_000,
        tokens_per_s=6800.4,
        first_loss=math.nan,
    )
    write("sft_strong", (), [], num_parameters=5_100_000, tokens_per_s=1750.0)
    write("explore", ("sft_weak",), explored, generated_tokens_per_s=812.3)
    write("tree", ("explore",), [])
    for i, method in enumerate(METHODS):
        skill = {**SKILLS, **skills}[method]
        needs = ("tasks", method) if method in ("sft_weak", "sft_strong") else ("tasks",)
        write(
            f"evaluate_{method}", needs, play(context.parts().evaluated, skill, num_runs=1, seed=i)
        )
    return context


def statistics(explored: list[Trajectory]) -> dict[str, Any]:
    forest = build_forest(explored)
    best = forest.search().best_trajectories()
    return {
        **asdict(forest.summary()),
        "mean_return": sum(t.total_return for t in explored) / len(explored),
        "best_path_mean_return": sum(t.total_return for t in best) / len(best),
    }


def run_stage(context: Context, folder: Path) -> dict[str, str]:
    folder.mkdir()
    report_stage(context, StageWriter(folder))
    return {file.name: file.read_text() for file in sorted(folder.iterdir())}
