"""`w2stree pairs`, `w2stree paths`: from runs to rows on disk, for any trainer.

runs ─ forest ─┬─ pairs ─ preference rows │ judged turns      ──> rows.jsonl, .parquet, DIR/
               └─ best paths, or all runs ─ conversations │ ids │ judged runs │ prompts
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from w2stree.cli.before_models import before_models
from w2stree.cli.engine import (
    Buckets,
    EngineName,
    account_of,
    refuse_without_engine,
    rows_told,
    run_on_engine,
    warn_of_shared_prompts,
)
from w2stree.cli.extra import needs
from w2stree.cli.inputs import AsJson, Source, takes_runs
from w2stree.cli.parameters import Normalize, number, whole_number
from w2stree.cli.row_account import RowAccount, Target, write
from w2stree.cli.say import say, warn
from w2stree.cli.worded_forest import (
    RenderActions,
    Trajectories,
    best_runs,
    worded_forest,
)
from w2stree.errors import InvalidInput
from w2stree.shorten import visible

if TYPE_CHECKING:
    from w2stree.rows.columns import AnyRow, TokenRow
    from w2stree.scale.bucketed import Finished
    from w2stree.trajectories.trajectory import Trajectory
    from w2stree.turns.chat import ChatFormat

_TOKENIZED_AT_ONCE = 256  # rows

Output: TypeAlias = Annotated[
    str,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE|DIR/",
        help="where rows go: .jsonl, .jsonl.gz, .jsonl.zst, .parquet, .arrow; a name with / at its "
        "end is a Hugging Face data set's folder",
    ),
]
For: TypeAlias = Annotated[
    str,
    typer.Option(
        "--for",
        metavar="TRAINER",
        help="whose columns: trl, verl, openrlhf, llama-factory, axolotl",
    ),
]
Holdout: TypeAlias = Annotated[
    float,
    typer.Option(
        parser=number(),
        metavar="SHARE",
        help="of the tasks, whose rows go into NAME.test.* or the split test",
    ),
]
Seed: TypeAlias = Annotated[
    int, typer.Option(parser=whole_number(), metavar="SEED", help="of what is drawn and held out")
]
Tokenizer: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="write token ids and masks, by this model's tokenizer"),
]
MaxLength: TypeAlias = Annotated[
    int | None,
    typer.Option(
        parser=whole_number(at_least=1), metavar="N", help="leave out rows of more token ids"
    ),
]
MinReturn: TypeAlias = Annotated[
    float | None, typer.Option(parser=number(), metavar="RETURN", help="least return of a run")
]


@takes_runs
def pairs(
    source: Source,
    output: Output,
    trainer: For = "trl",
    kind: Annotated[
        str,
        typer.Option(
            metavar="preference|kto", help="two sides a row, or each side with a verdict on it"
        ),
    ] = "preference",
    completion: Annotated[
        str, typer.Option(metavar="step|suffix", help="compare one turn, or all that followed")
    ] = "step",
    min_gap: Annotated[
        float, typer.Option(parser=number(), metavar="GAP", help="least difference of return")
    ] = 0.0,
    min_return: Annotated[
        float | None,
        typer.Option(parser=number(), metavar="RETURN", help="least return of a chosen run"),
    ] = None,
    strategy: Annotated[
        str, typer.Option(metavar="all|best_worst", help="which pairs of a divergence")
    ] = "all",
    per_divergence: Annotated[
        int | None,
        typer.Option(
            parser=whole_number(at_least=1), metavar="N", help="draw so many at each divergence"
        ),
    ] = None,
    max_per_task: Annotated[
        int | None,
        typer.Option(
            parser=whole_number(at_least=1), metavar="N", help="draw so many of each task"
        ),
    ] = None,
    tokenizer: Tokenizer = None,
    max_length: MaxLength = None,
    normalize: Normalize = None,
    trajectories: Trajectories = None,
    render_actions: RenderActions = False,
    holdout: Holdout = 0.0,
    seed: Seed = 0,
    engine: EngineName = None,
    buckets: Buckets = None,
    as_json: AsJson = False,
) -> int:
    """Write preferences: at a divergence, the side that did better over the one that did worse.

    A row is the history and the two sides, as chat messages, with task, depth, gap, returns,
    numbers of runs and the runs' places beside it. All pairs that say the same are one row. With
    --kind kto each side is a row of its own, wanted or not.

    Examples:

      w2stree pairs runs/ -o dpo.jsonl --min-gap 0.1

      w2stree pairs runs/ -o dpo/ --holdout 0.1

      w2stree pairs runs/ -o dpo.parquet --for llama-factory
    """
    from w2stree.rows.judged import judged_sides
    from w2stree.rows.rows import stream_preference_rows
    from w2stree.trajectories.returns import at_least

    if kind not in ("preference", "kto"):
        raise InvalidInput(f"--kind {kind}: use preference or kto")
    if kind == "kto" and tokenizer is not None:
        raise InvalidInput("--tokenizer is of preferences; KTO rows are messages")
    refuse_length_alone(max_length, tokenizer)
    not_there: dict[str, object] = {
        "--kind kto": kind == "kto", "--tokenizer": tokenizer, "--trajectories": trajectories,
        "--holdout": holdout or None,
    }  # fmt: skip
    if engine is not None:
        with needs("arrow"):
            from w2stree.scale.jobs import Pairs, check
        chosen: Any = {"completion": completion, "strategy": strategy, "openings": source.openings}
        job = Pairs(
            trainer=trainer, min_gap=min_gap, min_return=min_return, per_divergence=per_divergence,
            max_per_task=max_per_task, seed=seed, normalize=normalize,
            render_actions=render_actions, **chosen,
        )  # fmt: skip
        check(job)
        finished = run_on_engine(engine, job, source, Path(output), buckets, not_there)
        warn_of_shared_prompts(finished.records)
        return _say_rows(finished, Path(output), "comparison", as_json)
    refuse_without_engine({"--buckets": buckets})
    runs, grown = worded_forest(source, trajectories, normalize, render_actions=render_actions)
    found = grown.pairs(
        min_gap,
        strategy=strategy,  # type: ignore[arg-type]  # it looks itself
        per_divergence=per_divergence,
        max_per_task=max_per_task,
        seed=seed,
    )
    account = RowAccount("comparison")
    if min_return is not None:
        is_enough = [at_least(float(r), min_return) for r in grown.total_return]
        found = found.select([is_enough[i] for i in found.chosen.tolist()])
    if not len(found):
        raise InvalidInput(
            f"{runs.where}: no pairs: in no task do two runs part and differ in return"
            + (f" by {min_gap:g}" if min_gap else "")
            + (f", the better one of at least {min_return:g}" if min_return is not None else "")
            + runs.left_out()
        )
    rows: Iterator[Any] = account.of_preferences(stream_preference_rows(found, completion))  # type: ignore[arg-type]
    if kind == "kto":
        judged = judged_sides(rows)
        account.count_judged(judged)
        rows = iter(judged)
    elif tokenizer is not None:
        rows = account.of_found(_preference_tokens(rows, chat_format(tokenizer), max_length))
    target = Target(output, trainer, holdout, seed, as_json)
    return write(target, rows, account, used=runs, every=runs, told=f"{len(found):,} pairs")


@takes_runs
def paths(
    source: Source,
    output: Output,
    trainer: For = "trl",
    kind: Annotated[
        str,
        typer.Option(
            metavar="messages|kto|prompts",
            help="conversations, runs with a verdict on them, or what the tasks ask",
        ),
    ] = "messages",
    all_runs: Annotated[
        bool, typer.Option("--all-runs", help="every run, not the best one of each task")
    ] = False,
    min_return: MinReturn = None,
    success_threshold: Annotated[
        float | None,
        typer.Option(
            parser=number(), metavar="RETURN", help="of kto: what a wanted run earns (default: 1)"
        ),
    ] = None,
    tokenizer: Tokenizer = None,
    max_length: MaxLength = None,
    normalize: Normalize = None,
    trajectories: Trajectories = None,
    render_actions: RenderActions = False,
    holdout: Holdout = 0.0,
    seed: Seed = 0,
    engine: EngineName = None,
    buckets: Buckets = None,
    as_json: AsJson = False,
) -> int:
    """Write demonstrations: the best run of each task, found by search, or every run.

    A row is a conversation, or with --tokenizer its ids, labelled where the agent speaks. A best
    run may be a failure, where all runs of its task are: --min-return chooses. With --kind kto
    every run is a row, wanted or not; with --kind prompts every task is one.

    Examples:

      w2stree paths runs/ -o sft.jsonl --min-return 1

      w2stree paths runs/ -o sft.parquet --tokenizer models/strong

      w2stree paths runs/ -o kto.jsonl --kind kto --success-threshold 0.5
    """
    from w2stree.formats.agenttraj import learned_turns
    from w2stree.rows.judged import judged_runs
    from w2stree.rows.questions import questions
    from w2stree.trajectories.returns import at_least

    if kind not in ("messages", "kto", "prompts"):
        raise InvalidInput(f"--kind {kind}: use messages, kto or prompts")
    if kind != "messages" and (all_runs or tokenizer is not None):
        raise InvalidInput("--all-runs and --tokenizer are of messages; the other kinds are of all")
    if kind != "kto" and success_threshold is not None:
        raise InvalidInput("--success-threshold is of --kind kto; --min-return leaves runs out")
    refuse_length_alone(max_length, tokenizer)
    not_there: dict[str, object] = {
        f"--kind {kind}": kind != "messages", "--tokenizer": tokenizer,
        "--trajectories": trajectories, "--holdout": holdout or None,
    }  # fmt: skip
    if engine is not None:
        with needs("arrow"):
            from w2stree.scale.jobs import Paths, check
        openings: Any = source.openings
        job = Paths(
            trainer=trainer, all_runs=all_runs, min_return=min_return, normalize=normalize,
            openings=openings, render_actions=render_actions,
        )  # fmt: skip
        check(job)
        finished = run_on_engine(engine, job, source, Path(output), buckets, not_there)
        _warn_of_unlearned(finished.manifest.counts["num_unlearned_turns"])
        return _say_rows(finished, Path(output), "run", as_json)
    refuse_without_engine({"--buckets": buckets})
    runs, grown = worded_forest(source, trajectories, normalize, render_actions=render_actions)
    used = runs
    if kind == "messages" and not all_runs:
        best = {id(run) for run in best_runs(grown)}
        used = used.only(lambda run: id(run) in best, "not their task's best")
    if min_return is not None:
        used = used.only(
            lambda run: at_least(run.total_return, min_return), f"of less than {min_return:g}"
        )
    if not used.trajectories:
        raise InvalidInput(
            f"--min-return {min_return:g} leaves none of the runs; lower it{runs.left_out()}"
        )
    account = RowAccount("task" if kind == "prompts" else "run")
    rows: Iterable[AnyRow] = used.trajectories
    if kind == "kto":
        threshold = 1.0 if success_threshold is None else success_threshold
        rows = judged_runs(used.trajectories, success_threshold=threshold)
    elif kind == "prompts":
        rows = questions(used.trajectories)
    elif tokenizer is not None:
        rows = account.of_found(_run_tokens(used.trajectories, chat_format(tokenizer), max_length))
    is_whole = kind == "kto" or (kind == "messages" and tokenizer is None)
    if is_whole and (flags := learned_turns(used.trajectories)):
        remedy = "; --tokenizer masks them" if kind == "messages" else ""
        _warn_of_unlearned(sum(turns.count(False) for turns in flags), remedy)
    returns = [run.total_return for run in used.trajectories]
    span = f"{len(returns):,} runs, returns {min(returns):g} to {max(returns):g}"
    target = Target(output, trainer, holdout, seed, as_json)
    return write(target, rows, account, used=used, every=runs, told=span)


def _warn_of_unlearned(num_turns: int, remedy: str = "") -> None:
    if num_turns:
        warn(
            f"w2stree: warning: {num_turns:,} turns are not to be learned (loss: false), which "
            f"messages cannot say{remedy}"
        )


def _say_rows(finished: Finished, output: Path, unit: str, as_json: bool) -> int:
    told = rows_told(finished, output, unit)
    if as_json:
        manifest = finished.manifest
        record = {"kind": manifest.kind, "digest": manifest.digest, **manifest.counts}
        say(json.dumps({**record, **account_of(manifest.counts)}))
        return 0
    for line in told:
        say(line)
    return 0


def refuse_length_alone(max_length: int | None, tokenizer: Path | None) -> None:
    if max_length is not None and tokenizer is None:
        raise InvalidInput("--max-length counts token ids; give --tokenizer too")


def chat_format(tokenizer: Path) -> ChatFormat:
    before_models()
    with needs("train"):
        from transformers import AutoTokenizer

        from w2stree.policies.pretrained import pretrained
        from w2stree.turns.chat import ChatFormat
    if not tokenizer.is_dir():
        raise FileNotFoundError(f"{visible(str(tokenizer))}: no such directory of a tokenizer")
    return ChatFormat(pretrained(AutoTokenizer, tokenizer))


def _preference_tokens(
    rows: Iterable[Any], chat: ChatFormat, max_length: int | None
) -> Iterator[TokenRow | str]:
    """Each row's ids, or why there are none."""
    from w2stree.rows.columns import TokenRow
    from w2stree.rows.tokenized import tokenize_preferences

    pending = iter(rows)
    while some := list(islice(pending, _TOKENIZED_AT_ONCE)):
        found = tokenize_preferences(some, chat, max_length=max_length)
        for row, ids in zip(some, found, strict=True):
            yield "too long" if ids is None else TokenRow(ids, row)


def _run_tokens(
    runs: Iterable[Trajectory], chat: ChatFormat, max_length: int | None
) -> Iterator[TokenRow | str]:
    from w2stree.formats.agenttraj import learned_turns
    from w2stree.rows.columns import TokenRow
    from w2stree.rows.rows import NO_WORDS
    from w2stree.rows.tokenized import tokenize_sft

    for run in runs:
        found = tokenize_sft([run], chat, max_length=max_length, learned=learned_turns([run]))
        if found.rows:
            yield TokenRow(found.rows[0], run)
        elif found.too_long:
            yield "too long"
        else:
            yield NO_WORDS if found.num_wordless else "without a turn to learn"
