"""`w2stree advantages`: credit for each turn, from the tree of all runs, as rows on disk.

runs ─ forest ─┬─ a row a turn: its history, itself, three advantages
               └─ --tokenizer: a row a run, ids, masks, an advantage a token
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from w2stree.cli.inputs import AsJson, Source, takes_runs
from w2stree.cli.parameters import Normalize
from w2stree.cli.row_account import RowAccount, Target, write
from w2stree.cli.rows import (
    For,
    Holdout,
    MaxLength,
    Output,
    Seed,
    Tokenizer,
    chat_format,
    refuse_length_alone,
)
from w2stree.cli.worded_forest import RenderActions, Trajectories, worded_forest
from w2stree.errors import InvalidInput

if TYPE_CHECKING:
    from w2stree.rows.columns import Ids, TokenRow
    from w2stree.rows.credit import RunCredit, TurnCredit
    from w2stree.trajectories.trajectory import Trajectory
    from w2stree.turns.chat import ChatFormat


@takes_runs
def advantages(
    source: Source,
    output: Output,
    trainer: For = "trl",
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="parent|group|leave_one_out",
            help="which one weighs tokens (with --tokenizer; default: parent)",
        ),
    ] = None,
    scale: Annotated[
        bool,
        typer.Option(
            "--scale", help="divide by the standard deviation of the runs that act at a node"
        ),
    ] = False,
    tokenizer: Tokenizer = None,
    max_length: MaxLength = None,
    normalize: Normalize = None,
    trajectories: Trajectories = None,
    render_actions: RenderActions = False,
    holdout: Holdout = 0.0,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> int:
    """Write what each turn is to be credited with: how much better it did than others did there.

    A row is a turn after its history, with task, run, step, node, three advantages (over the mean
    of the node before it, over the runs that acted there, over the others of these), counts, and
    the run's place. With --tokenizer a row is a run as token ids, and every token of a turn has the
    turn's advantage. For online trainers, which play themselves, these are what one batch's forest
    says; docs/training.md says what each of them takes.

    Examples:

      w2stree advantages runs/ -o turns.parquet

      w2stree advantages runs/ -o batch.jsonl --tokenizer models/strong --baseline leave_one_out

      w2stree advantages runs/ -o batch.parquet --tokenizer models/strong --for verl
    """
    from w2stree.rows.credit import run_credits, turn_credits

    if baseline is not None and tokenizer is None:
        raise InvalidInput("--baseline weighs tokens; give --tokenizer too: rows of turns have all")
    refuse_length_alone(max_length, tokenizer)
    runs, grown = worded_forest(source, trajectories, normalize, render_actions=render_actions)
    rows: Iterable[Any]
    if tokenizer is None:
        account = RowAccount("turn")
        rows = account.of_found(_learned(turn_credits(grown, scale=scale), grown.trajectories))
    else:
        account = RowAccount("run")
        credits = run_credits(grown, baseline=baseline or "parent", scale=scale)  # type: ignore[arg-type]  # it looks itself
        rows = account.of_found(_weighed(credits, chat_format(tokenizer), max_length))
    target = Target(output, trainer, holdout, seed, as_json)
    told = f"{len(grown.trajectories):,} runs of {len(grown):,} tasks"
    return write(target, rows, account, used=runs, every=runs, told=told)


def _learned(credits: Iterable[TurnCredit], runs: Sequence[Trajectory]) -> Iterator[Any]:
    """Each turn, but for those that AgentTraj says are only to be read."""
    from w2stree.formats.agenttraj import learned_turns

    flags = learned_turns(runs)
    for credit in credits:
        is_learned = flags is None or flags[credit.number][credit.step]
        yield credit if is_learned else "not to be learned (loss: false)"


def _weighed(
    credits: Iterable[RunCredit], chat: ChatFormat, max_length: int | None
) -> Iterator[TokenRow | str]:
    """Each run's ids, or why there are none; a turn that is not to be learned weighs nothing."""
    from w2stree.formats.agenttraj import learned_turns
    from w2stree.rows.columns import TokenRow
    from w2stree.rows.credit import weighed_ids
    from w2stree.rows.rows import NO_WORDS

    for credit in credits:
        if not credit.values:
            yield "without a turn"
        elif not all(step.is_worded for step in credit.run.steps):
            yield NO_WORDS
        else:
            values = credit.values
            if flags := learned_turns([credit.run]):
                values = tuple(v if f else 0.0 for v, f in zip(values, flags[0], strict=True))
            ids = weighed_ids(credit.run, values, chat)
            if max_length is not None and len(ids.prompt) + len(ids.completion) > max_length:
                yield "too long"
            else:
                named: Ids = {
                    "prompt_ids": ids.prompt,
                    "completion_ids": ids.completion,
                    "env_mask": ids.is_agent,
                    "advantages": ids.advantage,
                }
                yield TokenRow(named, credit)
