"""`w2stree analyse NAME RUN_DIR`: what a finished run says beside its returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from w2stree.cli.before_models import before_models
from w2stree.cli.extra import needs
from w2stree.cli.parameters import names, whole_number
from w2stree.cli.say import say

app = typer.Typer()

FinishedRun: TypeAlias = Annotated[
    Path,
    typer.Argument(
        metavar="RUN_DIR", help="of `w2stree run`, or one in the --runs folder of an experiment"
    ),
]
Out: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="where NAME.json and NAME.txt go (default: RUN_DIR/analyses)",
        show_default=False,
    ),
]


@app.callback()
def whole() -> None:
    """Measure something on a finished run: a table, kept as JSON and text.

    Nothing is trained or played. `w2stree experiment` measures the same over seeds (`analyses:` of
    its file).
    """


@app.command()
def bias(
    run_dir: FinishedRun,
    methods: Annotated[
        str | None,
        typer.Option(
            metavar="A,B", help="these methods alone (default: all tested)", show_default=False
        ),
    ] = None,
    weak: Annotated[
        str, typer.Option(metavar="METHOD", help="how like this one the others play")
    ] = "sft_weak",
    before: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD",
            help="also show the others' differences to this one, for example sft_strong",
            show_default=False,
        ),
    ] = None,
    verbs: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="show the shares of turns with these verbs (default: the commonest)",
            show_default=False,
        ),
    ] = None,
    out: Out = None,
) -> int:
    """Which actions and mistakes models make in test episodes, and how like the weak model's.

    Example: w2stree analyse bias runs/quickstart --before sft_strong
    """
    with needs("explore"):
        from w2stree.experiment.analyses import bias as analysis

    given = {
        "methods": names("--methods", methods),
        "weak": weak,
        "before": before,
        "verbs": names("--verbs", verbs),
    }
    return _measured(analysis.bias, analysis.table, "bias", run_dir, out, given)


@app.command("divergence_cause")
def divergence_cause(run_dir: FinishedRun, out: Out = None) -> int:
    """Of the contrasts that a forest asserts, how many playing on from both actions bore out.

    The run has to have finished the stage `continuations`, as verified_dpo needs it.

    Example: w2stree analyse divergence_cause runs/quickstart
    """
    with needs("explore"):
        from w2stree.experiment.analyses import divergence_cause as analysis

    measure = analysis.read_divergence_cause
    return _measured(measure, analysis.table, "divergence_cause", run_dir, out, {})


@app.command()
def assumption(
    run_dir: FinishedRun,
    after: Annotated[
        str, typer.Option(metavar="STAGE", help="the model after training, for example tree_dpo")
    ],
    before: Annotated[
        str, typer.Option(metavar="STAGE", help="the model before training")
    ] = "sft_strong",
    reference: Annotated[
        str, typer.Option(metavar="STAGE", help="what the implicit reward is a ratio to")
    ] = "sft_weak",
    played: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="the stages whose runs are paired (default: explore_held_out, or without it the "
            "test episodes of the other trained methods)",
            show_default=False,
        ),
    ] = None,
    max_rows: Annotated[
        int,
        typer.Option(
            metavar="N", parser=whole_number(at_least=1), help="at most so many pairs of each kind"
        ),
    ] = 1000,
    seed: Annotated[
        int,
        typer.Option(metavar="SEED", parser=whole_number(at_least=0), help="of what is drawn"),
    ] = 0,
    out: Out = None,
) -> int:
    """How often models rank pairs of held-out tasks rightly, before training and after.

    Theorem 1 of the paper assumes that they do. Two models and a reference read the pairs: it
    takes as long as reading them once.

    Example: w2stree analyse assumption runs/quickstart --after tree_dpo
    """
    before_models()
    with needs("train"):
        from w2stree.experiment.analyses import assumption as analysis

        given = {
            "after": after,
            "before": before,
            "reference": reference,
            "played": names("--played", played),
            "max_rows": max_rows,
            "seed": seed,
        }
        return _measured(analysis.assumption, analysis.table, "assumption", run_dir, out, given)


def _measured(
    measure: Callable[..., Mapping[str, Any]],
    table: Callable[[Mapping[str, Any]], str],
    name: str,
    run_dir: Path,
    out: Path | None,
    given: Mapping[str, Any],
) -> int:
    folder = run_dir / "analyses" if out is None else out
    say(table(measure(run_dir, **given, out=folder)).rstrip("\n"))
    say(f"kept: {folder / name}.json, {folder / name}.txt")
    return 0
