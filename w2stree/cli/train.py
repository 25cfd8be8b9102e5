"""`w2stree train sft|dpo`: from rows or runs to a folder with a trained model.

PATH     runs of any format │ a saved forest │ rows: told by what is in it, and said
OUT/     model, README.md, losses.jsonl, metrics.json
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from w2stree.cli.before_models import before_models
from w2stree.cli.extra import needs
from w2stree.cli.inputs import Runs, Source, takes_runs
from w2stree.cli.parameters import LogJson, Normalize, number
from w2stree.cli.progress import Bars
from w2stree.cli.say import is_first, say_first
from w2stree.cli.train_input import (
    Rows,
    forest_of,
    learned_of,
    paths_of,
    preference_rows,
    refuse_of_runs,
    rows_in,
    sft_rows,
)
from w2stree.cli.train_settings import (
    Args,
    BatchSize,
    Epochs,
    Holdout,
    MaxLength,
    Model,
    Output,
    Rate,
    Seed,
    Template,
    Unshared,
    UseLora,
    settings_of,
)
from w2stree.cli.worded_forest import RenderActions, Trajectories
from w2stree.shorten import visible
from w2stree.trajectories.lock import refuse_without

if TYPE_CHECKING:
    from w2stree.training.call import TrainedModel

app = typer.Typer()


@app.callback()
def train() -> None:
    """Train a model on runs, or on rows made of them."""


@app.command()
@takes_runs
def sft(
    source: Source,
    model: Model,
    output: Output,
    all_runs: Annotated[
        bool, typer.Option("--all-runs", help="imitate every run, not the best one of each task")
    ] = False,
    min_return: Annotated[
        float | None,
        typer.Option(parser=number(), metavar="RETURN", help="leave out runs with less"),
    ] = None,
    normalize: Normalize = None,
    trajectories: Trajectories = None,
    epochs: Epochs = None,
    lr: Rate = None,
    batch_size: BatchSize = None,
    max_length: MaxLength = None,
    args: Args = None,
    chat_template: Template = None,
    lora: UseLora = False,
    unshared: Unshared = False,
    holdout: Holdout = 0.1,
    seed: Seed = None,
    render_actions: RenderActions = False,
    log_json: LogJson = False,
) -> int:
    """Imitate the agent's turns: of runs the best one of each task, of rows all.

    Paths are runs of any known format, a saved forest, or rows: messages, or input_ids and labels,
    as JSON lines, Parquet or a data set's folder.

    The default is 3 epochs at a rate of 2e-5, 8 rows a step. The same command goes on with a
    training that was interrupted, from its last checkpoint (save_steps).
    """
    refuse_without("w2stree train sft")
    before_models()
    with needs("train"):
        from trl import SFTConfig

        from w2stree.training.call_settings import settings
        from w2stree.training.model_folder import refuse_filled
        from w2stree.training.optimisation import Lora
        from w2stree.training.train_sft import train_sft
    config = settings(SFTConfig, settings_of(args, epochs, lr, batch_size, seed))
    refuse_filled(output)
    learned, used = None, None
    rows = rows_in(source)
    if isinstance(rows, Rows):
        refuse_of_runs(
            rows,
            source,
            {
                **{"--all-runs": all_runs, "--min-return": min_return},
                **{"--normalize": normalize, "--trajectories": trajectories},
            },
        )
        given = sft_rows(rows)
    else:
        runs, forest = forest_of(source, trajectories, normalize, rows)
        used = paths_of(runs, forest, all_runs=all_runs, min_return=min_return)
        given = used.trajectories
        learned = learned_of(given)
    with _steps(as_json=log_json) as update:
        trained = train_sft(
            given,
            model=model,
            output_dir=output,
            args=config,
            peft_config=Lora() if lora else None,
            max_length=max_length,
            holdout=holdout,
            unshared=unshared,
            learned=learned,
            render_actions=render_actions,
            chat_template=chat_template,
            progress=update,
        )
    _tell(trained, used)
    return 0


@app.command()
@takes_runs
def dpo(
    source: Source,
    model: Model,
    output: Output,
    reference: Annotated[
        str,
        typer.Option(
            metavar="DIR|start|none",
            help="what the policy is compared with: a model of any tokenizer, itself before "
            "training, or nothing",
        ),
    ] = "start",
    completion: Annotated[
        str | None,
        typer.Option(
            metavar="step|suffix",
            help="compare one turn, or all that followed (of runs; default: step)",
        ),
    ] = None,
    min_gap: Annotated[
        float,
        typer.Option(
            parser=number(), metavar="GAP", help="least difference of return of a pair (of runs)"
        ),
    ] = 0.0,
    beta: Annotated[
        float | None, typer.Option(parser=number(above=0), metavar="BETA", help="default: 0.1")
    ] = None,
    reference_cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="keeps what the reference said, for another beta or to go on"
        ),
    ] = None,
    normalize: Normalize = None,
    trajectories: Trajectories = None,
    epochs: Epochs = None,
    lr: Rate = None,
    batch_size: BatchSize = None,
    max_length: MaxLength = None,
    args: Args = None,
    chat_template: Template = None,
    lora: UseLora = False,
    unshared: Unshared = False,
    holdout: Holdout = 0.1,
    seed: Seed = None,
    render_actions: RenderActions = False,
    log_json: LogJson = False,
) -> int:
    """Learn which choices paid: preference pairs of runs, or preference rows.

    Paths are runs of any known format, a saved forest, or rows: prompt, chosen and rejected, as
    JSON lines, Parquet or a data set's folder.

    The default is 3 epochs at a rate of 1e-6, 8 rows a step. The same command goes on with a
    training that was interrupted, from its last checkpoint (save_steps).
    """
    refuse_without("w2stree train dpo")
    before_models()
    with needs("train"):
        from trl import DPOConfig

        from w2stree.training.call_settings import settings
        from w2stree.training.model_folder import refuse_filled
        from w2stree.training.optimisation import Lora
        from w2stree.training.train_dpo import train_dpo
    of_file = settings_of(args, epochs, lr, batch_size, seed)
    config = settings(DPOConfig, of_file if beta is None else {**of_file, "beta": beta})
    refuse_filled(output)
    used = None
    rows = rows_in(source)
    if isinstance(rows, Rows):
        refuse_of_runs(
            rows,
            source,
            {
                **{"--completion": completion, "--min-gap": min_gap or None},
                **{"--normalize": normalize, "--trajectories": trajectories},
            },
        )
        given: Any = preference_rows(rows)
    else:
        used, forest = forest_of(source, trajectories, normalize, rows)
        given = forest.pairs(min_gap)
        told = "" if len(given) else used.left_out()
        say_first(f"{len(given):,} pairs of at least {min_gap:g} in return{told}")
    with _steps(as_json=log_json) as update:
        trained = train_dpo(
            given,
            policy=model,
            reference={"start": "start", "none": None}.get(reference, reference),
            output_dir=output,
            completion=completion or "step",  # type: ignore[arg-type]  # it looks itself
            args=config,
            peft_config=Lora() if lora else None,
            max_length=max_length,
            holdout=holdout,
            unshared=unshared,
            render_actions=render_actions,
            chat_template=chat_template,
            reference_cache=reference_cache,
            progress=update,
        )
    _tell(trained, used)
    return 0


@contextmanager
def _steps(*, as_json: bool) -> Iterator[Callable[[int, int, Mapping[str, float]], None] | None]:
    """A bar of the trainer's steps; of several processes the others are silent."""
    if is_first():
        with Bars(as_json=as_json) as bars, bars.steps("training steps") as update:
            yield update
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield None


def _tell(trained: TrainedModel, used: Runs | None) -> None:
    """What came of it, where it is, and where all runs went that were read."""
    metrics = trained.metrics
    say_first(
        f"trained on {metrics['num_trained_rows']:,.0f} rows in {metrics['num_steps']:,.0f} steps, "
        f"{metrics['num_held_out_rows']:,.0f} rows held out"
    )
    for name in sorted(name.removesuffix("_after") for name in metrics if name.endswith("_after")):
        before, after = metrics[f"{name}_before"], metrics[f"{name}_after"]
        say_first(f"{name.replace('_', ' ')}: {before:.3f} before, {after:.3f} after")
    say_first(f"model: {visible(str(trained.output_dir))}")
    if used is not None:
        say_first(used.account())
