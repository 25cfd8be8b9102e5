"""`w2stree train sft|dpo`: from rows or runs to a folder with a trained model.

INPUT    trajectories │ a saved forest │ rows: told by what is in it, and said
OUT/     model, README.md, losses.jsonl, metrics.json
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from w2stree.cli.before_models import before_models
from w2stree.cli.extra import needs
from w2stree.cli.parameters import Normalize, number, whole_number
from w2stree.cli.progress import Bars
from w2stree.cli.say import is_first, say_first
from w2stree.cli.train_input import (
    forest_of,
    learned_of,
    paths_of,
    preference_rows,
    recognised,
    refuse_of_runs,
    sft_rows,
)
from w2stree.errors import InvalidInput
from w2stree.shorten import visible
from w2stree.trajectories.lock import refuse_without

if TYPE_CHECKING:
    from w2stree.training.call import TrainedModel

app = typer.Typer()

Input: TypeAlias = Annotated[
    Path,
    typer.Argument(
        metavar="ROWS_OR_RUNS",
        help="trajectories (a file, a folder, a journal), a saved forest, or exported rows (JSON "
        "lines or Parquet)",
    ),
]
Model: TypeAlias = Annotated[
    Path, typer.Option("--model", metavar="DIR", help="a causal LM's directory: what is trained")
]
Output: TypeAlias = Annotated[
    Path, typer.Option("--output", metavar="DIR", help="where the trained model goes: a new folder")
]
Trajectories: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="the runs of a saved forest, which keeps no texts of theirs"),
]
Epochs: TypeAlias = Annotated[
    float | None,
    typer.Option(parser=number(above=0), metavar="N", help="how often each row (default: 3)"),
]
Rate: TypeAlias = Annotated[
    float | None,
    typer.Option("--lr", parser=number(above=0), metavar="RATE", help="learning rate"),
]
BatchSize: TypeAlias = Annotated[
    int | None,
    typer.Option(parser=whole_number(at_least=1), metavar="N", help="rows a step, in each process"),
]
MaxLength: TypeAlias = Annotated[
    int | None,
    typer.Option(
        parser=whole_number(at_least=1),
        metavar="TOKENS",
        help="longer rows are left out (default: the model's positions)",
    ),
]
Args: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.yaml", help="any other arguments of TRL's SFTConfig or DPOConfig, by name"
    ),
]
Template: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--chat-template",
        metavar="NAME_OR_FILE",
        help="in place of the model's own, and saved with it (docs/models.md)",
    ),
]
UseLora: TypeAlias = Annotated[
    bool, typer.Option("--lora", help="train adapters (r 64 on q, k, v, o), merged at the end")
]
Unshared: TypeAlias = Annotated[
    bool, typer.Option("--unshared", help="each row by itself, with TRL's trainer, not on trees")
]
Seed: TypeAlias = Annotated[
    int | None, typer.Option(parser=whole_number(), metavar="SEED", help="default: 42, TRL's")
]
Holdout: TypeAlias = Annotated[
    float,
    typer.Option(
        parser=number(), metavar="SHARE", help="of the tasks, kept out of training to measure on"
    ),
]
RenderActions: TypeAlias = Annotated[
    bool,
    typer.Option("--render-actions", help="a turn of which only the action is known: 'Action: …'"),
]


@app.callback()
def train() -> None:
    """Train a model on runs, or on rows made of them."""


@app.command()
def sft(
    rows: Input,
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
) -> int:
    """Imitate the agent's turns: of runs the best one of each task, of rows all.

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
    config = settings(SFTConfig, _settings(args, epochs, lr, batch_size, seed))
    refuse_filled(output)
    kind, learned = recognised(rows), None
    if kind.is_rows:
        refuse_of_runs(
            kind,
            {
                **{"--all-runs": all_runs, "--min-return": min_return},
                **{"--normalize": normalize, "--trajectories": trajectories},
            },
        )
        given = sft_rows(rows, kind)
    else:
        given = paths_of(
            *(rows, kind, trajectories),
            normalize=normalize,
            all_runs=all_runs,
            min_return=min_return,
        )
        learned = learned_of(given)
    with _steps() as update:
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
    _tell(trained)
    return 0


@app.command()
def dpo(
    rows: Input,
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
) -> int:
    """Learn which choices paid: preference pairs of runs, or preference rows.

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
    of_file = _settings(args, epochs, lr, batch_size, seed)
    config = settings(DPOConfig, of_file if beta is None else {**of_file, "beta": beta})
    refuse_filled(output)
    kind = recognised(rows)
    if kind.is_rows:
        refuse_of_runs(
            kind,
            {
                **{"--completion": completion, "--min-gap": min_gap},
                **{"--normalize": normalize, "--trajectories": trajectories},
            },
        )
        given: Any = preference_rows(rows, kind)
    else:
        given = forest_of(rows, kind, trajectories, normalize).pairs(min_gap)
        say_first(f"{len(given):,} pairs of at least {min_gap:g} in return")
    with _steps() as update:
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
    _tell(trained)
    return 0


def _settings(
    file: Path | None,
    epochs: float | None,
    lr: float | None,
    batch_size: int | None,
    seed: int | None,
) -> dict[str, Any]:
    """Of TRL's configuration: the file's, and over them the options."""
    with needs("train"):
        from w2stree.experiment.config.yaml_text import parse_yaml
    of_file = parse_yaml(file.read_bytes(), visible(str(file))) if file else None
    if of_file is not None and not isinstance(of_file, dict):
        raise InvalidInput(f"{visible(str(file))}: not a mapping of arguments to values")
    options = {
        "num_train_epochs": epochs,
        "learning_rate": lr,
        "per_device_train_batch_size": batch_size,
        "seed": seed,
    }
    return {**(of_file or {}), **{k: v for k, v in options.items() if v is not None}}


@contextmanager
def _steps() -> Iterator[Callable[[int, int, Mapping[str, float]], None] | None]:
    """A bar of the trainer's steps; of several processes the others are silent."""
    if is_first():
        with Bars() as bars, bars.steps("training steps") as update:
            yield update
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield None


def _tell(trained: TrainedModel) -> None:
    """What came of it, and where it is."""
    metrics = trained.metrics
    say_first(
        f"trained on {metrics['num_trained_rows']:,.0f} rows in {metrics['num_steps']:,.0f} steps, "
        f"{metrics['num_held_out_rows']:,.0f} rows held out"
    )
    for name in sorted(name.removesuffix("_after") for name in metrics if name.endswith("_after")):
        before, after = metrics[f"{name}_before"], metrics[f"{name}_after"]
        say_first(f"{name.replace('_', ' ')}: {before:.3f} before, {after:.3f} after")
    say_first(f"model: {visible(str(trained.output_dir))}")
