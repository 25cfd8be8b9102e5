"""Rules on preference rows and conversations: no tokenizer is needed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from itertools import chain
from typing import Any

from w2stree.linting.finding import Finding, Rule, Severity, found
from w2stree.linting.given import Conversations, Given, Preferences, Refused, Tokens, said
from w2stree.percent import percent
from w2stree.rows.rows import PreferenceRow
from w2stree.shorten import shorten
from w2stree.trajectories.returns import at_least, is_same
from w2stree.trajectories.trajectory import Step

_LEAST_ROWS = 20  # of which a bias of length can be told
_LEAST_SHARE = 0.7
_LEAST_SURE = 3.29  # standard errors: one in a thousand by chance
_SHOWN_REASON = 200
_IDENTICAL = "chosen and rejected are the same"
_UNLABELLED = "labels no token"


def refused_rows(refused: Sequence[Refused], total: int, unit: str) -> list[Finding]:
    """What training stops at: the first of them ends it."""
    identical = [r for r in refused if _IDENTICAL in r.reason]
    unlabelled = [r for r in refused if _UNLABELLED in r.reason]
    others = [r for r in refused if r not in identical and r not in unlabelled]
    return [
        *found(
            Rule.UNREADABLE,
            Severity.ERROR,
            [f"{r.place}: {shorten(r.reason, _SHOWN_REASON)}" for r in others],
            total,
            unit,
            says="cannot be trained on",
            effect="w2stree train stops at the first; other trainers may read something else",
            fix="mend them as each says, or leave them out",
        ),
        *found(
            Rule.IDENTICAL_SIDES,
            Severity.ERROR,
            [r.place for r in identical],
            total,
            unit,
            says="have a chosen side that is the rejected one",
            effect="w2stree train refuses them; stock DPOTrainer learns nothing from them (a loss "
            "of ln 2, no gradient)",
            fix="leave them out",
        ),
        *found(
            Rule.NO_TRAINABLE_TOKEN,
            Severity.ERROR,
            [r.place for r in unlabelled],
            total,
            unit,
            says="label no token",
            effect="w2stree train refuses them; a stock trainer averages over nothing, or drops "
            "them",
            fix="make them anew with labels on the agent's turns (sft_dataset(tokenizer=…))",
        ),
    ]


def preference_rules(rows: Preferences) -> Iterator[Finding]:
    yield from _duplicates(rows, [_texts(row) for row in rows.items])
    yield from _in_two_files(rows, [row.chosen.prompt for row in rows.items])
    yield from _contradictions(rows)
    yield from _returns_disagree(rows)
    yield from _length_bias(rows)
    yield from _single_runs(rows)
    yield from _chosen_action_later(rows)
    yield from _two_histories(rows)
    yield from _observations(
        rows,
        [(row.turns(row.chosen), row.turns(row.rejected)) for row in rows.items],
        trainer="DPOTrainer scores all of a completion",
        fix="rows of one turn (completion='step'), or w2stree train dpo, which masks the answers",
    )
    yield from _missing_task_ids(rows)


def conversation_rules(rows: Conversations, success: float) -> Iterator[Finding]:
    yield from _observations(
        rows,
        [(run.steps,) for run in rows.items],
        trainer="SFTTrainer imitates all of a conversation (assistant_only_loss is off unless set)",
        fix="rows of ids and labels (sft_dataset(tokenizer=…)), w2stree train sft, or "
        "assistant_only_loss=True where the template has generation marks",
    )
    yield from _duplicates(rows, [(run.prompt, said(run.steps)) for run in rows.items])
    yield from _in_two_files(rows, [run.prompt for run in rows.items])
    yield from _missing_task_ids(rows)
    failed = [
        place
        for i, (run, place) in enumerate(zip(rows.items, rows.places, strict=True))
        if rows.says(i, "total_return") and not at_least(run.total_return, success)
    ]
    yield from found(
        Rule.FAILED_DEMONSTRATIONS,
        Severity.WARNING,
        failed,
        len(rows),
        rows.unit,
        says=f"have a return below {success:g}: they failed",
        effect="they are imitated like the rest",
        fix="leave them out by total_return, or know why they are there",
    )


def token_rules_without_tokenizer(rows: Tokens) -> Iterator[Finding]:
    yield from _duplicates(rows, [(tuple(r.input_ids), tuple(r.labels)) for r in rows.items])
    yield from _in_two_files(rows, [tuple(r.input_ids[: r.first_label]) for r in rows.items])


_Texts = tuple[Hashable, Hashable, Hashable]
"""Of history, chosen and rejected side."""


def _texts(row: PreferenceRow) -> _Texts:
    context = row.chosen.prompt, said((*row.history, Step("", "")))
    return context, said(row.turns(row.chosen)), said(row.turns(row.rejected))


def _duplicates(rows: Given[Any], texts: Sequence[Hashable]) -> list[Finding]:
    first: dict[Hashable, str] = {}
    hits = []
    for text, place in zip(texts, rows.places, strict=True):
        if text in first:
            hits.append(f"{place} (as {first[text]})")
        first.setdefault(text, place)
    return found(
        Rule.DUPLICATE_ROWS,
        Severity.WARNING,
        hits,
        len(rows),
        rows.unit,
        says="say what another one has said",
        effect="each counts as often as it is there, and may be held out and trained on at once",
        fix="leave out the repetitions",
    )


def _in_two_files(rows: Given[Any], tasks: Sequence[Hashable]) -> list[Finding]:
    """What is asked in one file and in another: training data and a test, mostly."""
    if not rows.files:
        return []
    first: dict[Hashable, int] = {}
    for i, task in enumerate(tasks):
        first.setdefault(task, i)
    hits = [
        f"{rows.places[i]} (as {rows.places[first[task]]})"
        for i, task in enumerate(tasks)
        if rows.files[i] != rows.files[first[task]]
    ]
    return found(
        Rule.IN_TWO_FILES,
        Severity.WARNING,
        hits,
        len(rows),
        rows.unit,
        says="are of a task that another file has rows of, by its opening words",
        effect="what is measured on the one was trained on with the other",
        fix="split by task, not by row (w2stree pairs --holdout)",
    )


def _contradictions(rows: Preferences) -> list[Finding]:
    """A over B, and B over A, after one history."""
    directions: dict[_Texts, list[int]] = defaultdict(list)
    for i, row in enumerate(rows.items):
        directions[_texts(row)].append(i)
    hits = []
    for (context, chosen, rejected), indices in directions.items():
        others = directions.get((context, rejected, chosen))
        if others:
            hits += [(i, others[0]) for i in indices]
    return found(
        Rule.CONTRADICTORY_ROWS,
        Severity.ERROR,
        [f"{rows.places[i]} (against {rows.places[other]})" for i, other in sorted(hits)],
        len(rows),
        rows.unit,
        says="are preferred the other way round by another row",
        effect="both directions of one choice are learned, and so neither",
        fix="keep the direction that the returns are for; rows made of one forest have one each "
        "(w2stree pairs)",
    )


def _returns_disagree(rows: Preferences) -> list[Finding]:
    def disagrees(row: PreferenceRow) -> bool:
        chosen, rejected = row.chosen_return, row.rejected_return
        return row.gap <= 0 or (chosen < rejected and not is_same(chosen, rejected))

    return found(
        Rule.RETURNS_DISAGREE,
        Severity.ERROR,
        rows.where(disagrees),
        len(rows),
        rows.unit,
        says="prefer the side with the lower return",
        effect="the row is believed, not the return",
        fix="turn them round or leave them out; of pairs with min_gap the mean of all runs may say "
        "the other thing than the pairs that are left",
    )


def _length_bias(rows: Preferences) -> list[Finding]:
    lengths = [
        tuple(
            sum(len(step.response) or len(step.action) for step in row.turns(side))
            for side in (row.chosen, row.rejected)
        )
        for row in rows.items
    ]
    longer = [i for i, (chosen, rejected) in enumerate(lengths) if chosen > rejected]
    shorter = [i for i, (chosen, rejected) in enumerate(lengths) if chosen < rejected]
    num_unequal = len(longer) + len(shorter)
    if num_unequal < _LEAST_ROWS:
        return []
    what, hits = ("longer", longer) if len(longer) >= len(shorter) else ("shorter", shorter)
    share = len(hits) / num_unequal
    is_sure = abs(share - 0.5) * 2 * math.sqrt(num_unequal) >= _LEAST_SURE
    if share < _LEAST_SHARE or not is_sure:
        return []
    chosen, rejected = (sum(side) / len(rows) for side in zip(*lengths, strict=True))
    return found(
        Rule.LENGTH_BIAS,
        Severity.WARNING,
        [rows.places[i] for i in hits],
        len(rows),
        rows.unit,
        says=f"have a {what} chosen side (mean {chosen:,.0f} against {rejected:,.0f} characters of "
        f"the agent's; {percent(share, 0)} of those that differ)",
        effect=f"{what} turns are learned as if they were better: log-probabilities are summed "
        "over a side",
        fix="compare single turns (completion='step'), balance the rows, or a loss by length "
        "(stock TRL: loss_type 'sigmoid_norm', or ld_alpha)",
    )


def _single_runs(rows: Preferences) -> list[Finding]:
    known = [
        place
        for i, (row, place) in enumerate(zip(rows.items, rows.places, strict=True))
        if rows.says(i, "num_chosen")
        and rows.says(i, "num_rejected")
        and row.num_chosen == row.num_rejected == 1
    ]
    return found(
        Rule.SINGLE_RUN_ROWS,
        Severity.NOTE,
        known,
        len(rows),
        rows.unit,
        says="rest on a single run a side",
        effect="luck later in the run is taken for the merit of a choice",
        fix="filter by num_chosen and num_rejected, explore more runs a task, or weigh rows by "
        "their posterior (w2stree.rows.confidence)",
    )


def _chosen_action_later(rows: Preferences) -> list[Finding]:
    def takes_it_later(row: PreferenceRow) -> bool:
        action = row.chosen.steps[row.begin].action
        later = row.rejected.steps[row.begin + 1 :]
        return bool(action) and any(step.action == action for step in later)

    return found(
        Rule.CHOSEN_ACTION_LATER,
        Severity.NOTE,
        rows.where(takes_it_later),
        len(rows),
        rows.unit,
        says="have a rejected side that takes the chosen action later",
        effect="an order of actions is learned where both runs knew the action",
        fix="nothing, where order matters; else leave them out, or compare what followed "
        "(completion='suffix')",
    )


def _two_histories(rows: Preferences) -> list[Finding]:
    return found(
        Rule.TWO_HISTORIES,
        Severity.WARNING,
        rows.where(lambda row: not row.is_one_history),
        len(rows),
        rows.unit,
        says="have sides that were told different things before they part, merged by the rule",
        effect="w2stree train scores each side under its own history; a row of TRL's has one "
        "prompt, so w2stree pairs and preference_dataset leave them out",
        fix="train them from the runs (w2stree train dpo RUNS --normalize …), or log observations "
        "without what the rule takes away",
    )


def _observations(
    rows: Given[Any], sides: Sequence[Sequence[Sequence[Step]]], *, trainer: str, fix: str
) -> list[Finding]:
    """What the environment said between two turns that are compared, or imitated."""
    agent = environment = 0
    hits = []
    for i, (place, turns) in enumerate(zip(rows.places, sides, strict=True)):
        answers = sum(len(step.observation) for steps in turns for step in rows.answered(i, steps))
        agent += sum(len(step.response) for step in chain.from_iterable(turns))
        environment += answers
        if answers:
            hits.append(place)
    share = environment / max(1, agent + environment)
    return found(
        Rule.OBSERVATIONS_IN_LOSS,
        Severity.WARNING,
        hits,
        len(rows),
        rows.unit,
        says=f"hold answers of the environment between the agent's turns ({percent(share, 0)} of "
        "the characters)",
        effect=f"w2stree train masks them; stock {trainer}",
        fix=fix,
    )


def _missing_task_ids(rows: Given[Any]) -> list[Finding]:
    hits = []
    for i, place in enumerate(rows.places):
        record = rows.records[i]
        if record is not None and not record.get("task_id"):
            hits.append(place)
    return found(
        Rule.MISSING_TASK_IDS,
        Severity.NOTE,
        hits,
        len(rows),
        rows.unit,
        says="have no task_id",
        effect="w2stree train holds out by equal prompts; a split by row puts one task on both "
        "sides",
        fix="write the task of each row beside it (w2stree pairs does)",
    )
