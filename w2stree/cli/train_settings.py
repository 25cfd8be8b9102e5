"""What `w2stree train` takes for any method: the model, where it goes, and TRL's settings.

FILE.yaml (--args)  learning_rate, warmup_steps, …  ─┐
--lr --epochs --batch-size --seed     over them     ─┴─> arguments of SFTConfig or DPOConfig
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from w2stree.cli.extra import needs
from w2stree.cli.parameters import number, whole_number
from w2stree.errors import InvalidInput
from w2stree.shorten import visible

Model: TypeAlias = Annotated[
    Path, typer.Option("--model", metavar="DIR", help="a causal LM's directory: what is trained")
]
Output: TypeAlias = Annotated[
    Path, typer.Option("--output", metavar="DIR", help="where the trained model goes: a new folder")
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


def settings_of(
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
