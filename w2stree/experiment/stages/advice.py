"""What to do next, after a run: serve its best model, ask what was not asked, make sure of it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from w2stree.experiment.diagnosis.diagnose import diagnose
from w2stree.experiment.methods import ceiling, sft
from w2stree.experiment.methods.method import Method
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.evidence import ASSUMPTION_FILE
from w2stree.report.evidence import Advice
from w2stree.report.text import FEWEST_TASKS, Panel, number, verdict
from w2stree.training.adapters import base_of, is_adapters

_ENOUGH_TASKS = 150
"""Asked for where there are too few: what a difference of 0.13 needs over one seed
at 80 % power (docs/method.md)."""


def advice(
    context: Context,
    methods: Sequence[Method],
    panels: Sequence[Panel],
    dev: Panel | None,
    stages: Collection[str],
) -> list[Advice]:
    """In the order of use. Commands name the run's directory as it was given. `stages`: those that
    led to the report."""
    return [
        *_best_model(context, methods, panels[0], dev),
        *_signatures(context, stages),
        *_more_tasks(context, panels),
        *_more_seeds(context, methods, panels),
        *_measure(context, methods),
    ]


def best_method(methods: Sequence[Method], panel: Panel) -> Method | None:
    """The trained one of greatest average reward, ties to the first; no ceiling, which was shown
    what nobody has outside an experiment."""
    means = {row.method: row.avg_reward for row in panel.rows}
    trained = [m for m in methods if m.train is not None and m.name in means]
    ours = [m for m in trained if not m.name.startswith(ceiling.METHOD.name)]
    return max(ours, key=lambda method: means[method.name], default=None)


def _best_model(
    context: Context, methods: Sequence[Method], panel: Panel, dev: Panel | None
) -> Iterator[Advice]:
    chosen_by = dev or panel
    best = best_method(methods, chosen_by)
    if best is None or not context.model_dir(best.name).is_dir():
        return
    mean = next(row.avg_reward for row in chosen_by.rows if row.method == best.name)
    by = (
        f"the {chosen_by.name} tasks ({number(mean)})"
        if dev is not None
        else f"the {chosen_by.name} tasks themselves ({number(mean)}), which is no test of that "
        "choice,"
    )
    folder = context.model_dir(best.name)
    yield Advice(
        f"The best model by {by} is {best.label}. It is the folder {folder}, which transformers "
        "reads. Served by an API like OpenAI's, on port 8000 (pip install "
        "'transformers[serving]'):",
        shlex.join(["transformers", "serve", str(folder)]),
    )
    question = {"model": str(folder), "messages": [{"role": "user", "content": "Hello"}]}
    yield Advice(
        "What it says (a task's opening belongs in place of Hello):",
        "curl localhost:8000/v1/chat/completions -H 'Content-Type: application/json' -d "
        + shlex.quote(json.dumps(question)),
    )
    if not context.config.weak.architecture and not context.config.strong.architecture:
        yield Advice(
            "The same on a GPU, for many requests at once (pip install vllm):", _vllm(folder)
        )


def _vllm(folder: Path) -> str:
    if not is_adapters(folder):
        return shlex.join(["vllm", "serve", str(folder)])
    modules = f"{folder.parent.name}={folder}"
    base = str(base_of(folder))
    return shlex.join(["vllm", "serve", base, "--enable-lora", "--lora-modules", modules])


def _signatures(context: Context, stages: Collection[str]) -> Iterator[Advice]:
    """What the doctor says of the run."""
    found = diagnose(context.run_dir, stages)
    for symptom in found.symptoms:
        yield Advice(
            f"{symptom.found}. {symptom.told} (threshold: {symptom.source}):", symptom.command
        )
    if not found.symptoms:
        looked_for = ", ".join(found.healthy) or "there was nothing to measure any on"
        yield Advice(
            f"No failure signature was found ({looked_for}). All of them, and what each means:",
            shlex.join(["w2stree", "doctor", str(context.run_dir)]),
        )


def _more_tasks(context: Context, panels: Sequence[Panel]) -> Iterator[Advice]:
    few = [panel for panel in panels if panel.num_tasks < FEWEST_TASKS]
    if not few:
        return
    keys = [f"tasks.test.{panel.name}.count={_ENOUGH_TASKS}" for panel in few]
    told = ", ".join(f"{panel.num_tasks} ({panel.name})" for panel in few)
    yield Advice(
        f"Too few test tasks to tell a gain from luck: {told}; a verdict needs {FEWEST_TASKS}, and "
        f"{_ENOUGH_TASKS} find a difference of 0.13. In a directory of its own, where tasks are "
        "chosen and models trained anew:",
        _run(context, f"{context.run_dir}-{_ENOUGH_TASKS}-tasks", *keys),
    )


def _more_seeds(
    context: Context, methods: Sequence[Method], panels: Sequence[Panel]
) -> Iterator[Advice]:
    seed = context.config.seed + 1
    other = f"{context.run_dir}-seed-{seed}"
    tested = [m.name for m in methods if m.is_tested]
    rows = [row for panel in panels for row in panel.rows if row.method in tested]
    gains = [
        row for row in rows if verdict(row.differences[sft.STRONG.name], row.num_tasks) == "gains"
    ]
    why = (
        "Intervals are over tasks alone: whether the gain over the strong model holds for another "
        "training is told by other seeds"
        if gains
        else "Every model was trained once; what another training would come to is told by other "
        "seeds"
    )
    share = ["--share", str(context.run_dir.parent)]
    yield Advice(f"{why}:", _run(context, other, f"seed={seed}", more=share))
    yield Advice(
        "And then one table over both:",
        shlex.join(["w2stree", "report", str(context.run_dir), other]),
    )


def _measure(context: Context, methods: Sequence[Method]) -> Iterator[Advice]:
    preferring = [m for m in methods if m.is_tested and m.compared is not None]
    if not preferring or (context.run_dir / ASSUMPTION_FILE).is_file():
        return
    name = preferring[0].name
    yield Advice(
        f"Whether {preferring[0].label} ranks pairs of tasks rightly that it was not trained on "
        "was not measured. It takes as long as reading the test episodes; w2stree report then "
        "has it too:",
        shlex.join(["w2stree", "analyse", "assumption", str(context.run_dir), "--after", name]),
    )


def _run(context: Context, folder: str, *overrides: str, more: Sequence[str] = ()) -> str:
    config = str(context.run_dir / "config.json")
    return shlex.join(["w2stree", "run", config, *overrides, "--run-dir", folder, *more])
