"""Rows for TRL's own trainers, as `datasets.Dataset`.

                                                    what a stock trainer scores
preference_dataset  step                            the turn: right
                    suffix                          the environment's answers too
sft_dataset         messages                        the environment's answers too
                    ids and labels (tokenizer=)     the agent's turns: right

What is not right is said in a `RowWarning`. The trainers of this package mask the answers in every
form (`w2stree.training.fitting`).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any

from w2stree.errors import InvalidInput, MissingDependency, RowWarning
from w2stree.percent import percent
from w2stree.rows.chat import Passage, Record, all_turns, chat_of, history, steps_in, turns
from w2stree.rows.learned import Learned, check_learned
from w2stree.rows.rows import (
    WORDLESS,
    Completion,
    PreferenceRow,
    PreferenceRows,
    is_taught,
    notes_of,
    preference_rows,
)
from w2stree.rows.tokenized import tokenize_sft
from w2stree.rows.worded import rendered, require_prompt
from w2stree.trajectories.returns import ReturnRange, at_least, check_returns, threshold_in
from w2stree.trajectories.trajectory import Step, Trajectory
from w2stree.turns.chat import ChatFormat

if TYPE_CHECKING:
    import datasets

    from w2stree.forest.pairs import PreferencePair


def preference_dataset(
    pairs: Iterable[PreferencePair],
    completion: Completion = "step",
    *,
    render_actions: bool = False,
) -> datasets.Dataset:
    """Rows for TRL in its conversational format: prompt, chosen, rejected as chat messages.

    Beside them stand `task_id`, `divergence` (the forest's node), `depth` (turns shared), `gap`,
    `chosen_return`, `rejected_return`, `num_chosen` and `num_rejected` (`PreferenceRow`), to filter
    rows by, to weigh them and to trace them back; TRL leaves them alone. What gave no row
    (`preference_rows`, also for `render_actions`) is counted in the dataset's `info.description`.

    `step` is what stock `DPOTrainer` trains rightly. Of `suffix` it also scores the observations
    inside the continuations: a `RowWarning` says what share of them that is.
    `w2stree.training.fitting.Fitting.dpo` takes `preference_rows` and masks them.

    A row of TRL has one prompt. Where a rule of merging took different answers for one, the two
    sides have histories of their own: such rows are left out, and a `RowWarning` counts them
    (`Fitting.dpo` trains on them).

    Needs the `train` extra. Raises as `preference_rows`, and `InvalidInput` where there are no rows
    and for tool calls, which each chat template writes in its own way.
    """
    library = _datasets()
    found = preference_rows(pairs, completion, render_actions=render_actions)
    rows = [row for row in found if row.is_one_history]
    description = _description(found, len(rows), completion)
    if not rows:
        raise InvalidInput(f"{description}; {_remedy(found)}")
    notes = []
    if len(rows) < len(found):
        notes.append(
            f"{len(found) - len(rows)} of {len(found)} rows are left out: different answers of the "
            "environment were merged, or runs of a task were asked differently, so the two sides "
            "have no common prompt; "
            "w2stree.training.fitting.Fitting.dpo trains each under its own"
        )
    if found.num_wordless:
        notes.append(f"{found.num_wordless} rows are left out: {WORDLESS}")
    compared = [turns for row in rows for turns in (row.turns(row.chosen), row.turns(row.rejected))]
    if share := _share_of_answers(compared):
        notes.append(
            f"stock DPOTrainer scores all of a completion, and {percent(share, 0)} of these (by "
            'characters) is what the environment said; use completion="step", or '
            "w2stree.training.fitting.Fitting.dpo, which masks it"
        )
    _tell(notes + _cut_notes(compared))
    info = library.DatasetInfo(description=description)
    return library.Dataset.from_list([_preference_record(row) for row in rows], info=info)


def sft_dataset(
    trajectories: Iterable[Trajectory],
    *,
    min_return: float | None = None,
    success_threshold: float = 1.0,
    return_range: ReturnRange | None = None,
    tokenizer: Any = None,
    teach_without_action: bool = False,
    render_actions: bool = False,
    learned: Learned | None = None,
) -> datasets.Dataset:
    """Rows for TRL, one a trajectory of at least `min_return`; `task_id` and `total_return` stand
    beside it, and `info.description` says how many are failures.

    With the trained model's `tokenizer` a row is `input_ids` and `labels`, and stock `SFTTrainer`
    takes them as they are: labels are the agent's turns alone, those without an action only where
    `teach_without_action`, and none that `learned` leaves out (both as in `tokenize_sft`). Give
    `SFTConfig(max_length=None)`, or it cuts them.

    Without one, a row is a list of chat `messages`, and stock `SFTTrainer` trains on the
    observations too, unless its `assistant_only_loss` works: for that a template needs
    `{% generation %}` marks. A `RowWarning` says what share of the texts that is.

    A best path may be a failure: where all runs of its task are, it is one of them. Those with a
    return below `success_threshold`, a share of `return_range` ([0, 1] unless stated), are counted
    in a `RowWarning`, unless `min_return` (in units of return) says which are wanted. Equal but for
    rounding is enough.

    A trajectory of status "error" gives no row, as it has no place in a forest; nor does one
    without a turn to learn, nor one with a step whose words a log did not keep, and a `RowWarning`
    counts each. With `render_actions` such
    a turn is `Action: …`, words that nobody said.

    Needs the `train` extra. Raises `InvalidInput` where nothing is left, for a trajectory without a
    prompt, for a return outside `return_range`, for a `learned` that does not fit or stands without
    a `tokenizer` (chat messages have no masks), and for tool calls without one: each chat template
    writes them in its own way.
    """
    library = _datasets()
    if learned is not None and tokenizer is None:
        raise InvalidInput("learned masks tokens, and chat messages have none; give tokenizer= too")
    given = list(trajectories)
    check_learned(given, learned)
    finished = [t for t in given if t.status != "error"]
    check_returns(((f"task {t.task_id!r}", t.total_return) for t in finished), return_range)
    success = threshold_in(return_range, success_threshold)
    is_kept = [
        t.status != "error" and (min_return is None or at_least(t.total_return, min_return))
        for t in given
    ]
    kept = list(compress(given, is_kept))
    notes = notes_of(len(given) - len(finished), 0, 0)
    if not kept:
        raise InvalidInput(
            f"min_return={min_return} leaves none of {len(finished)} trajectories; lower it"
            if finished
            else "; ".join(["no trajectories to make a dataset of", *notes])
        )
    if tokenizer is None:
        said = [rendered(t) if render_actions else t for t in kept]
        found, records = _chat_rows(said, notes, teach_without_action=teach_without_action)
    else:
        tokenized = tokenize_sft(
            kept,
            ChatFormat(tokenizer),
            max_length=None,
            teach_without_action=teach_without_action,
            render_actions=render_actions,
            learned=None if learned is None else list(compress(learned, is_kept)),
        )
        found, records = tokenized.kept, tokenized.rows
        notes += tokenized.notes()
    if not found:
        raise InvalidInput(f"no rows: {'; '.join(notes)}")
    num_failures = sum(not at_least(t.total_return, success) for t in found)
    if num_failures and min_return is None:
        notes.append(
            f"{num_failures} of {len(found)} trajectories are failures (return below {success:g}), "
            f"imitated like the rest; min_return={success:g} leaves them out, and a lower one says "
            "that they are wanted"
        )
    description = (
        f"{len(found)} of {len(given)} trajectories, {num_failures} of them failures "
        f"(return below {success:g})"
    )
    rows = [
        {**record, "task_id": _whole(t.task_id), "total_return": t.total_return}
        for record, t in zip(records, found, strict=True)
    ]
    _tell(notes)
    return library.Dataset.from_list(rows, info=library.DatasetInfo(description=description))


def _chat_rows(
    trajectories: Sequence[Trajectory], notes: list[str], *, teach_without_action: bool
) -> tuple[list[Trajectory], Sequence[dict[str, Any]]]:
    """Those of them that have steps, whose words are known, and their rows."""
    for trajectory in trajectories:
        require_prompt(trajectory)
    worded = [t for t in trajectories if all(step.is_worded for step in t.steps)]
    found = [t for t in worded if t.steps]
    notes += notes_of(0, len(trajectories) - len(worded), len(worded) - len(found))
    num_without = sum(not is_taught(step) for t in found for step in t.steps)
    if num_without and not teach_without_action:
        notes.append(
            f"{num_without} turns without an action would be imitated; give tokenizer= for rows "
            "that leave them out of their labels, or say teach_without_action=True"
        )
    if share := _share_of_answers(t.steps for t in found):
        notes.append(
            f"stock SFTTrainer imitates all of a row, and {percent(share, 0)} of the text after "
            "these prompts (by characters) is what the environment said; give tokenizer= for rows "
            "whose labels are the agent's turns, or use assistant_only_loss=True where the chat "
            "template has generation marks"
        )
    notes += _cut_notes(t.steps for t in found)
    return found, [{"messages": _messages(all_turns(t))} for t in found]


def _description(found: PreferenceRows, num_kept: int, completion: Completion) -> str:
    left_out = {"with two histories": len(found) - num_kept, **found.left_out}
    counts = ", ".join(f"{count} {what}" for what, count in left_out.items() if count)
    beside = f"; comparisons that gave none: {counts}" if counts else ""
    return f"{num_kept or 'no'} preference rows ({completion}){beside}"


def _remedy(found: PreferenceRows) -> str:
    if found.num_wordless:
        return WORDLESS
    return "rows need pairs that differ in return: lower min_gap, or explore more"


def _preference_record(row: PreferenceRow) -> dict[str, Any]:
    return {
        "prompt": _messages(history(row.chosen, row.begin)),
        "chosen": _messages(turns(row.chosen, row.begin, row.end)),
        "rejected": _messages(turns(row.rejected, row.begin, row.end)),
        "task_id": _whole(row.task_id),
        "divergence": row.divergence,
        "depth": row.begin,
        "gap": row.gap,
        "chosen_return": row.chosen_return,
        "rejected_return": row.rejected_return,
        "num_chosen": row.num_chosen,
        "num_rejected": row.num_rejected,
    }


def _share_of_answers(turns: Iterable[Sequence[Step]]) -> float:
    """Characters of the environment among those of consecutive turns, the last answer left out."""
    agent = environment = 0
    for steps in turns:
        agent += sum(len(step.response) for step in steps)
        environment += sum(len(step.observation) for step in steps[:-1])
    return environment / max(1, agent + environment)


def _cut_notes(turns: Iterable[Sequence[Step]]) -> list[str]:
    num_cut = sum(step.is_cut for steps in turns for step in steps)
    if not num_cut:
        return []
    return [
        f"{num_cut} turns were cut off by a limit on their length; as chat messages they end with "
        "the template's mark, which stock trainers score although no model said it; rows of tokens "
        "leave it out"
    ]


def _messages(passage: Passage) -> list[Record]:
    run, begin, end = passage
    if any(run.steps[i].tool_calls for i in steps_in(run, begin, end)):
        raise InvalidInput(
            "a turn has tool calls, which each chat template writes in its own way; train with "
            "w2stree.training.fitting.Fitting, or give sft_dataset the tokenizer="
        )
    return chat_of(run)[begin:end]


def _whole(text: str) -> str:
    """Halves of surrogate pairs, which Arrow does not write, replaced as for a tokenizer."""
    return _HALVES.sub("\ufffd", text)


_HALVES = re.compile("[\ud800-\udfff]")


def _tell(notes: Sequence[str]) -> None:
    for note in notes:
        warnings.warn(note, RowWarning, stacklevel=3)


def _datasets() -> Any:
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"rows for TRL need {error.name}: pip install 'w2stree[train]'"
        ) from None
    return datasets
