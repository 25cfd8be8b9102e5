"""Why a run came out so, in words: what was learned from, what the loss did, what runs show."""

from __future__ import annotations

from w2stree.report.evidence import (
    Causes,
    Example,
    FailedShare,
    PairAccuracy,
    ShownRow,
    ShownRows,
    Training,
)
from w2stree.report.text import Report, finite, interval, number, percent

LEFT_OUT = {
    "num_too_long": "longer than max_length",
    "num_errors": "ended in an error",
    "num_wordless": "only actions are known, not the agent's words",
    "num_untaught": "no turn has an action",
    "num_unlearned": "no turn is to be learned",
    "num_doubtful_rows": "too doubtful (min_confidence)",
    "num_own_as_good": "own run as good as the expert's",
    "num_own_without_expert": "own run of a task that no expert showed",
    "num_own_unusable": "own run without an end or an action, or with a turn not to be learned",
}
"""Why a training did not use what it found, by its figure."""

NO_ROW = {
    "num_undecided_rows": "both sides did equally well",
    "num_alike_rows": "both actions read the same",
    "num_rows_without_action": "the better side has no action",
    "num_unlearned_rows": "a turn is not to be learned",
}
"""Why a comparison of the forest gave no row, by the figure of `Report.forest`."""


def num_used(training: Training) -> int | None:
    """Rows or runs that were trained on; None where the training does not say."""
    figures = finite(training.metrics)
    used = figures.get("num_used_rows", figures.get("num_rows"))
    return None if used is None else int(used)


def unit(training: Training) -> str:
    """What is counted: preference rows, or runs."""
    return "preference rows" if "num_used_rows" in training.metrics else "runs"


def left_out(training: Training) -> list[tuple[int, str]]:
    """How many were not used, and why; those that `max_rows` passed over among them."""
    figures = finite(training.metrics)
    found = [(int(figures[key]), why) for key, why in LEFT_OUT.items() if figures.get(key)]
    if {"num_preference_rows", "num_used_rows"} <= figures.keys():
        drawn = int(figures["num_used_rows"]) + int(figures.get("num_too_long", 0))
        if more := int(figures["num_preference_rows"]) - drawn:
            found.append((more, "not drawn (max_rows)"))
    return found


def left_out_in_words(training: Training) -> str:
    """ "5: longer than max_length; 15: not drawn (max_rows)", or "none"."""
    found = [f"{count:,}: {why}" for count, why in left_out(training)]
    return "; ".join(found) or "none"


def went(training: Training) -> str:
    """What training did: "loss fell from 0.879 to 0.878 on the same rows, 1 step"."""
    figures = finite(training.metrics)
    parts = []
    before, after = figures.get("loss_before"), figures.get("loss_after")
    if before is not None and after is not None:
        moved = "fell" if after < before else "rose" if after > before else "stayed"
        parts.append(f"loss {moved} from {number(before)} to {number(after)} on the same rows")
    if (steps := figures.get("num_steps")) is not None:
        parts.append(f"{steps:,.0f} step{'' if steps == 1 else 's'}")
    if (accuracy := figures.get("reward_accuracy")) is not None:
        parts.append(
            f"the better side ranked first in {percent(accuracy)} of its last rows (a coin: 50 %)"
        )
    return ", ".join(parts)


def concern(training: Training) -> str:
    """What a reader should not overlook in it; "" where nothing is."""
    figures = finite(training.metrics)
    before, after = figures.get("loss_before"), figures.get("loss_after")
    if before is None or after is None or after < before:
        return ""
    return "The loss did not fall: training did not come to fit its own rows."


def _failed_sentence(found: FailedShare, label: str) -> str:
    """What failed runs gave, in a sentence."""
    if not found.num_all:
        return f"{label} found nothing to learn from."
    if found.kind == "rows":
        return (
            f"{label}: {found.num_failed:,} of {found.num_all:,} preference rows "
            f"({percent(found.num_failed / found.num_all)}) show a failed run on a side; "
            f"{found.num_both_failed:,} of them compare two failures, one of which did better."
        )
    share = percent(found.num_failed_steps / found.num_steps) if found.num_steps else percent(0)
    return (
        f"{label}: {found.num_failed:,} of {found.num_all:,} imitated runs failed; they give "
        f"{found.num_failed_steps:,} of {found.num_steps:,} learned steps ({share})."
    )


def _causes_sentence(causes: Causes) -> str:
    """Whether the actions are why, as far as it was measured."""
    if causes.confirmed_share is None:
        return f"Of {causes.num_contrasts:,} contrasts none was measured to its end."
    chance = (
        ""
        if causes.by_chance_share is None
        else f"; by chance {percent(causes.by_chance_share)} would have been decided either way"
    )
    return (
        f"Played on from both actions of {causes.num_contrasts:,} contrasts that the runs assert: "
        f"{percent(causes.confirmed_share)} confirmed, {percent(causes.reversed_share)} reversed, "
        f"{percent(causes.undecided_share)} undecided{chance}."
    )


def example_title(example: Example, report: Report) -> str:
    """ "A task on which Strong + TreeDPO did better than Strong model"."""
    labels = (report.methods[side.method].label for side in (example.after, example.before))
    ahead, behind = labels if example.outcome == "won" else reversed(list(labels))
    panel = f" ({example.panel})" if len(report.panels) > 1 else ""
    return f"A task{panel} on which {ahead} did better than {behind}"


def shown_title(shown: ShownRows, label: str) -> str:
    """Of the rows in full: how many of how many."""
    count = len(shown.rows)
    rows = "preference row" if count == 1 else "preference rows"
    if count == shown.num_found:
        return f"What {label} learned from: all {count:,} {rows} in full"
    return f"What {label} learned from: {count} {rows} in full, drawn of {shown.num_found:,}"


def row_sentence(row: ShownRow) -> str:
    """How sure the runs are of it."""
    return (
        f"The chosen side's runs ({row.num_chosen}) came to {number(row.chosen_return)} on "
        f"average, the rejected side's ({row.num_rejected}) to {number(row.rejected_return)}; they "
        f"part after {row.depth} step{'' if row.depth == 1 else 's'}."
    )


def row_in_full(row: ShownRow) -> str:
    """Its texts one below the other, for a block of Markdown."""
    parts = (("", row.prompt), ("CHOSEN", row.chosen), ("REJECTED", row.rejected))
    return "\n".join(
        line
        for name, said in parts
        for line in ([name] if name else []) + [f"{who}: {words}" for who, words in said]
    )


def notes(report: Report) -> list[str]:
    """A line for each thing that was counted or measured of what was learned from."""
    evidence = report.evidence
    return [
        *_without_row(report),
        *(_failed_sentence(f, report.methods[f.method].label) for f in evidence.failures),
        *([] if evidence.causes is None else [_causes_sentence(evidence.causes)]),
        *(_accuracy_sentence(found) for found in evidence.pair_accuracy),
    ]


def _without_row(report: Report) -> list[str]:
    figures = finite(report.forest)
    return [
        f"{int(figures[key]):,} comparisons of the forest gave no row: {why}."
        for key, why in NO_ROW.items()
        if figures.get(key)
    ]


def _accuracy_sentence(found: PairAccuracy) -> str:
    def share(accuracy: tuple[float, float, float]) -> str:
        mean, low, high = accuracy
        return f"{percent(mean)} {interval((low, high))}"

    return (
        f"Of {found.num_rows:,} {found.kind} pairs of {found.num_tasks:,} tasks that nothing was "
        f"trained on, {found.before} ranks {share(found.accuracy_before)} rightly and "
        f"{found.after} {share(found.accuracy_after)}; a coin 50 %."
    )
